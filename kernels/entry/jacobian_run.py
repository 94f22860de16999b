"""The code of Jacobians and JVPs (stages/jacobian.py), as C functions of their own.

They are compiled, or loaded, when derivatives are first asked for: those who want none wait for
nothing.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

from numba import types

from ..base import jit
from ..base.jit import c_function, kernel
from ..ir.denormals import flush_denormals, restore_denormals
from ..ir.simd import pointer_to
from ..ir.typed_pointers import extended_plan_at, plan_at, typed_pointer_at
from ..stages.jacobian import derive
from ..tables import job_table as J

_SIGNATURE = types.int64(types.int64, types.int64, types.int64, types.int64)


@kernel
def _call(plan, job, request, worker, workers, dtype):
    """Serve a request about a job, as ``step.call`` does. All of it is one stage, FOR_OUTPUTS."""
    if request == J.ADVANCE:
        return J.FOR_OUTPUTS if worker == J.NOTHING else J.NOTHING
    params, work = pointer_to(job[J.PARAMS], dtype), pointer_to(job[J.WORK], dtype)
    before = flush_denormals()
    derive(plan, params, work, job, worker, workers)
    restore_denormals(before)
    return J.NOTHING


def _jacobian_float32(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return _call(plan_at(job[J.PLAN]), job, request, worker, workers, types.float32)


def _jacobian_float64(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return _call(plan_at(job[J.PLAN]), job, request, worker, workers, types.float64)


def _jacobian_extended_float32(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return _call(extended_plan_at(job[J.PLAN]), job, request, worker, workers, types.float32)


def _jacobian_extended_float64(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return _call(extended_plan_at(job[J.PLAN]), job, request, worker, workers, types.float64)


_CALLS = {
    (4, False): _jacobian_float32,
    (8, False): _jacobian_float64,
    (4, True): _jacobian_extended_float32,
    (8, True): _jacobian_extended_float64,
}


@cache
def code(itemsize: int, extended: bool) -> int:
    """Address of ``_call`` for elements of 4 or 8 bytes; compiles it, or loads it.

    extended: for extended plans. RUN is served by worker 0 of 1.
    """
    return c_function(_CALLS[itemsize, extended], _SIGNATURE)


@cache
def serial(itemsize: int, extended: bool) -> Callable[[int, int, int, int], int]:
    """``code`` as a Python function: (address of a job, RUN, 0, 1) runs the job."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)
    return kind(code(itemsize, extended))


def ship(folder: Path) -> None:
    """Write what ``code`` compiles into a folder (jit.py)."""
    for function in _CALLS.values():
        jit.ship(folder, function, _SIGNATURE)
