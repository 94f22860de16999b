"""One stage of a job by itself, where Python has work between two stages.

A module of its own, because compiling a parallel region takes a second that only those pay who
train on several ranks.
"""

from numba import prange

from ..base.jit import parallel_entry
from ..ir.simd import address, call_code


@parallel_entry
def stage_in_parallel(job, code, stage, workers, place, places):
    """Run a stage of a job, int64 (JOB,), as a parallel region of ``workers`` workers.

    code: ``run.code(itemsize, extended)``. place and places: as of ``run.parallel``. The same bits
    as that code, called once for each worker.
    """
    for worker in prange(workers):
        if place != 0:
            call_code(place, places, worker, workers, 0)
        call_code(code, address(job), stage, worker, workers)
