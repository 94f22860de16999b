"""The code of the first layer by nonzeros, as C functions of their own (stages/nonzeros.py)."""

from functools import cache
from pathlib import Path

from numba import types

from ..base import jit
from ..base.jit import c_function
from ..ir.typed_pointers import extended_plan_at, plan_at, typed_pointer_at
from ..stages.sparse_layer import serve
from ..tables import job_table as J

_SIGNATURE = types.int64(*[types.int64] * 6)


def _sparse_float32(address, request, a, b, c, d):
    job = typed_pointer_at(address, types.int64)
    return serve(plan_at(job[J.PLAN]), job, request, a, b, c, d, types.float32)


def _sparse_float64(address, request, a, b, c, d):
    job = typed_pointer_at(address, types.int64)
    return serve(plan_at(job[J.PLAN]), job, request, a, b, c, d, types.float64)


def _sparse_extended_float32(address, request, a, b, c, d):
    job = typed_pointer_at(address, types.int64)
    return serve(extended_plan_at(job[J.PLAN]), job, request, a, b, c, d, types.float32)


def _sparse_extended_float64(address, request, a, b, c, d):
    job = typed_pointer_at(address, types.int64)
    return serve(extended_plan_at(job[J.PLAN]), job, request, a, b, c, d, types.float64)


_CALLS = {
    (4, False): _sparse_float32,
    (8, False): _sparse_float64,
    (4, True): _sparse_extended_float32,
    (8, True): _sparse_extended_float64,
}


@cache
def code(itemsize: int, extended: bool) -> int:
    """Address of ``sparse_layer.serve`` for elements of 4 or 8 bytes; compiles it, or loads it.

    extended: for extended plans.
    """
    return c_function(_CALLS[itemsize, extended], _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``code`` compiles into a folder (jit.py)."""
    for function in _CALLS.values():
        jit.ship(folder, function, _SIGNATURE)
