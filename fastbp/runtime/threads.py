"""How many threads a piece of work gets, and the lock of parallel regions."""

import os
import threading
import time
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numba

from ..common import checks
from . import layer, quota

FLOPS_PER_WORKER = 2e6
"""Work (floating-point operations) that is worth a thread: less of it takes less time than the two
forks and joins of another thread, 5 us each."""

NO_LIMIT = 2**62

PARALLEL_REGION, NEXT_TURN = threading.RLock(), threading.RLock()
"""One Python thread is in a parallel region at a time: Numba's workqueue layer aborts the process
when a second one enters, and with any layer two regions would only share the same cores. The thread
that waits for the region holds NEXT_TURN, so that the thread in it cannot enter the next region
first. RLocks tell whether this thread has them (locking.py), and a signal handler that forks
(forks.py) never waits for its own thread."""


def most() -> int:
    """The most threads that there can be in this process: what Numba found when it was imported."""
    found: int = numba.config.NUMBA_NUM_THREADS
    return found


def maximum(threads: int | str) -> int:
    """The most threads that ``threads`` allows; ValueError for what it cannot be.

    "auto" is what Numba found (NUMBA_NUM_THREADS, the processors this process may use), or fewer
    where OMP_NUM_THREADS or a cgroup's processor quota says so.
    """
    available = most()
    expected = f"expected 'auto' or an integer from 1 to {available}"
    if isinstance(threads, str):
        if threads == "auto":
            return _automatic(available)
        raise ValueError(f"threads is {threads!r}, {expected}")
    number = checks.as_integer(threads)
    if number is None:
        raise TypeError(f"threads is {threads!r}, of type {type(threads).__name__}, {expected}")
    if not 1 <= number <= available:
        raise ValueError(
            f"threads is {number}, {expected}: for more, set NUMBA_NUM_THREADS before "
            "fastbp is imported"
        )
    return number


def _automatic(available: int) -> int:
    limits = [available]
    if "NUMBA_NUM_THREADS" not in os.environ:
        limits.append(omp_num_threads() or available)
        limits.append(_cgroup_quota() or available)
    return min(limits)


def omp_num_threads() -> int:
    """OMP_NUM_THREADS, of the outer level; 0 where it is not set, or says nothing."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(wanted) if wanted.isdecimal() else 0


_cgroup_quota = cache(quota.granted)
"""The quota when fastbp was first used; limits.py looks again."""


@lru_cache(maxsize=256)
def workers(limit: int, flops: float) -> int:
    """The number of workers that ``flops`` floating-point operations are worth, up to ``limit``."""
    return max(1, min(limit, int(flops / FLOPS_PER_WORKER)))


def max_single_thread_rows(limit: int, flops: float) -> int:
    """The most rows, of ``flops`` operations each, for which one thread is the fastest."""
    return NO_LIMIT if limit == 1 else int(2 * FLOPS_PER_WORKER / flops)


def run_exclusive(count: int, region: Callable[..., object], *arguments: Any) -> float:
    """Run a compiled parallel region with ``count`` threads, then restore the user's setting.

    Returns the seconds that it waited for other Python threads' regions.
    """
    try:  # see locking.py
        waited = _take_turn()
        before, wanted = layer.num_threads(), min(count, numba.config.NUMBA_NUM_THREADS)
        if wanted == before:
            region(*arguments)
        else:
            _run_with(wanted, before, region, *arguments)
    finally:
        try:  # noqa: SIM105
            PARALLEL_REGION.release()
        except RuntimeError:
            pass
    return waited


def _run_with(wanted: int, before: int, region: Callable[..., object], *arguments: Any) -> None:
    try:
        numba.set_num_threads(wanted)
        region(*arguments)
    finally:
        numba.set_num_threads(before)


def _take_turn() -> float:
    asked = time.perf_counter()
    with NEXT_TURN:
        PARALLEL_REGION.acquire()
    return time.perf_counter() - asked
