"""The compiled functions that Python calls to run a job.

The stages are compiled once for each element type, as a C function that is called by its address:
the parallel region below, which Numba compiles slowly and several times over, never contains them.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

from numba import prange, types

from ..base import jit
from ..base.jit import c_function, parallel_entry
from ..ir.simd import address, call_code
from ..ir.typed_pointers import extended_plan_at, plan_at, typed_pointer_at
from ..tables import job_table as J
from .step import call

_SIGNATURE = types.int64(types.int64, types.int64, types.int64, types.int64)
_PARALLEL_ARGUMENTS = types.int64[::1], types.int64, types.int64, types.int64, types.int64


def _call_float32(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return call(plan_at(job[J.PLAN]), job, request, worker, workers, types.float32)


def _call_float64(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return call(plan_at(job[J.PLAN]), job, request, worker, workers, types.float64)


def _call_extended_float32(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return call(extended_plan_at(job[J.PLAN]), job, request, worker, workers, types.float32)


def _call_extended_float64(address, request, worker, workers):
    job = typed_pointer_at(address, types.int64)
    return call(extended_plan_at(job[J.PLAN]), job, request, worker, workers, types.float64)


_CALLS = {
    (4, False): _call_float32,
    (8, False): _call_float64,
    (4, True): _call_extended_float32,
    (8, True): _call_extended_float64,
}


@cache
def code(itemsize: int, extended: bool, tangents: bool = False) -> int:
    """Address of ``step.call`` for elements of 4 or 8 bytes; compiles it, or loads it.

    extended: for extended plans. tangents: for jobs with tangents, whose plans are extended.
    """
    if tangents:
        from . import tangent_run

        return tangent_run.code(itemsize)
    return c_function(_CALLS[itemsize, extended], _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``code`` compiles into a folder (jit.py)."""
    for function in _CALLS.values():
        jit.ship(folder, function, _SIGNATURE)


@cache
def serial(
    itemsize: int, extended: bool, tangents: bool = False
) -> Callable[[int, int, int, int], int]:
    """``code`` as a Python function: (address of a job, RUN, 0, 1) runs the job.

    It runs in the calling thread and without the GIL.
    """
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)
    more = (tangents,) if tangents else ()  # of equal arguments, one function
    return kind(code(itemsize, extended, *more))


@parallel_entry
def parallel(job, code, workers, place, places):
    """Run a job, int64 (JOB,), each stage as a parallel region of ``workers`` workers.

    code: ``code(itemsize, extended)``. place: ``place_run.code()``, places: the address of its
    table; or 0 and 0. The same bits as ``serial``.
    """
    stage = call_code(code, address(job), J.ADVANCE, J.NOTHING, workers)
    while stage != J.NOTHING:
        for worker in prange(workers):
            if place != 0:
                call_code(place, places, worker, workers, 0)
            call_code(code, address(job), stage, worker, workers)
        stage = call_code(code, address(job), J.ADVANCE, stage, workers)


def load(itemsize: int, extended: bool = True) -> None:
    """Compile, or load from the cache, the code of jobs on elements of 4 or 8 bytes.

    extended: the code of extended plans, too.
    """
    serial(itemsize, False)
    if extended:
        serial(itemsize, True)
    parallel.compile(_PARALLEL_ARGUMENTS)
