"""The way in: what Python calls.

The stages are compiled once for each element type, as a C function, and called by address: the
parallel regions below, which Numba compiles slowly and several times over, never contain them.
"""

from functools import cache

from numba import prange, types

from .jit import c_function, entry, parallel_entry
from .simd import address, call_stage
from .step import ACCEPT, BEGIN, BY_ROWS, BY_WEIGHTS, END, INFER, run_stage

_SIGNATURE = types.int64(types.CPointer(types.int64), types.int64, types.int64, types.int64)


def _stage_float32(job, stage, share, shares):
    return run_stage(job, stage, share, shares, types.float32)


def _stage_float64(job, stage, share, shares):
    return run_stage(job, stage, share, shares, types.float64)


@cache
def stages(itemsize: int) -> int:
    """Address of ``step.run_stage`` for elements of 4 or 8 bytes; compiles it or loads it."""
    return c_function(_stage_float32 if itemsize == 4 else _stage_float64, _SIGNATURE)


@entry
def train(job, code):
    """Run the batches of a job (step.py), int64 (JOB,), in the calling thread.

    code: ``stages``. Ends when the job's epochs or its budget are done, or at a batch that is not
    applied: then job[STATUS] says why. Twin: ``fastbp.twin``.
    """
    at = address(job)
    while call_stage(code, at, BEGIN, 0, 1):
        call_stage(code, at, BY_ROWS, 0, 1)
        if not call_stage(code, at, ACCEPT, 0, 1):
            break
        call_stage(code, at, BY_WEIGHTS, 0, 1)
        call_stage(code, at, END, 0, 1)


@parallel_entry
def region(job, code, stage, shares):
    """One stage in one parallel region."""
    for share in prange(shares):
        call_stage(code, address(job), stage, share, shares)


@entry
def train_parallel(job, code, shares):
    """``train``, in two parallel regions a batch, each in ``shares`` shares. The same bits."""
    at = address(job)
    while call_stage(code, at, BEGIN, 0, 1):
        region(job, code, BY_ROWS, shares)
        if not call_stage(code, at, ACCEPT, 0, 1):
            break
        region(job, code, BY_WEIGHTS, shares)
        call_stage(code, at, END, 0, 1)


@entry
def infer(job, code):
    """Run an inference (step.py's OUT or VALUES) in the calling thread."""
    call_stage(code, address(job), INFER, 0, 1)
