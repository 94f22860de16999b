"""Regions on threads of Python, for where Numba has the workqueue layer alone.

Workqueue ends the process as soon as two threads are in parallel regions at once. fastbp's own
regions take turns (threads.py), but a ``prange`` of the user's in another thread knows nothing of
that. So nothing of fastbp runs on workqueue: each worker is a call of compiled code, without the
GIL, in a thread of a pool.
"""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache

import numba

from ..kernels.entry import run as entry
from ..kernels.tables import job_table


@cache
def _threads() -> ThreadPoolExecutor:
    count = max(2, numba.config.NUMBA_NUM_THREADS)  # one of them leads the others
    return ThreadPoolExecutor(count, "fastbp")


def forget() -> None:
    """Make new threads, in a forked process: those of its parent are not here."""
    _threads.cache_clear()


def run(address: int, kind: tuple[int, bool], workers: int) -> None:
    """Run the job at an address as ``kernels.entry.run.parallel`` does, to the same bits.

    kind: the item size and variant of ``kernels.entry.run.code``.
    """
    try:
        done = _threads().submit(_stages, address, kind, workers)
    except RuntimeError:  # the interpreter is shutting down
        entry.serial(*kind)(address, job_table.RUN, 0, 1)
        return
    try:
        done.result()
    except BaseException:  # Ctrl-C: a batch is left neither half made nor running
        while not done.done():
            with suppress(KeyboardInterrupt):
                wait([done])
        raise


def _stages(address: int, kind: tuple[int, bool], workers: int) -> None:
    call = entry.serial(*kind)
    stage = call(address, job_table.ADVANCE, int(job_table.NOTHING), workers)
    while stage != job_table.NOTHING:
        others: list[Future[int]] = []
        with suppress(RuntimeError):  # the interpreter is shutting down: the rest is done here
            for worker in range(1, workers):  # one by one: a failure leaves those before it
                others += [_threads().submit(call, address, stage, worker, workers)]
        for worker in (0, *range(1 + len(others), workers)):
            call(address, stage, worker, workers)
        wait(others)
        stage = call(address, job_table.ADVANCE, stage, workers)
