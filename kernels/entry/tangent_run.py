"""The code of jobs with tangents, as C functions of their own (tangent_step.py)."""

from functools import cache
from pathlib import Path

from numba import types

from ..base import jit
from ..base.jit import c_function
from ..ir.typed_pointers import extended_plan_at, typed_pointer_at
from ..tables import job_table as J
from .tangent_step import call

_SIGNATURE = types.int64(*[types.int64] * 4)


def _tangents_float32(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return call(extended_plan_at(job[J.PLAN]), job, request, worker, workers, types.float32)


def _tangents_float64(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return call(extended_plan_at(job[J.PLAN]), job, request, worker, workers, types.float64)


_CALLS = {4: _tangents_float32, 8: _tangents_float64}


@cache
def code(itemsize: int) -> int:
    """Address of ``tangent_step.call`` for elements of 4 or 8 bytes; compiles it, or loads it."""
    return c_function(_CALLS[itemsize], _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``code`` compiles into a folder (jit.py)."""
    for function in _CALLS.values():
        jit.ship(folder, function, _SIGNATURE)
