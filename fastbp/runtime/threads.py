"""How many threads a piece of work gets, and the lock of parallel regions."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numba

from ..common import checks

FLOPS_PER_WORKER = 2e6
"""Work (floating-point operations) that is worth a thread: less of it takes less time than the two
forks and joins of another thread, 5 us each."""

NO_LIMIT = 2**62

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

PARALLEL_REGION, NEXT_TURN = threading.RLock(), threading.RLock()
"""One Python thread is in a parallel region at a time: Numba's workqueue layer aborts the process
when a second one enters, and with any layer two regions would only share the same cores. The thread
that waits for the region holds NEXT_TURN, so that the thread in it cannot enter the next region
first. RLocks tell whether this thread has them (locking.py), and a signal handler that forks
(forks.py) never waits for its own thread."""


def maximum(threads: int | str) -> int:
    """The most threads that ``threads`` allows; ValueError for what it cannot be.

    "auto" is what Numba found (NUMBA_NUM_THREADS, the processors this process may use), or fewer
    where OMP_NUM_THREADS or a cgroup's processor quota says so.
    """
    available: int = numba.config.NUMBA_NUM_THREADS
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
        wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        if wanted.isdecimal() and int(wanted) > 0:
            limits.append(int(wanted))
        limits.append(_cgroup_quota() or available)
    return min(limits)


@cache
def _cgroup_quota() -> int | None:
    """Whole processors that the control groups grant this process, if they limit it (Linux)."""
    granted = [period for period in map(_quota_of, _cgroup_folders()) if period is not None]
    return min(granted, default=None)


def _cgroup_folders() -> Iterator[Path]:
    """Where limits of this process may stand: cgroup v2's own group and those above it, and v1."""
    try:
        groups = _OWN_GROUPS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
    for group in groups:
        _, controllers, path = group.split(":", 2)
        own = PurePosixPath(path.strip("/"))
        base = _GROUPS / controllers if controllers else _GROUPS
        yield from (base / part for part in (own, *own.parents))


def _quota_of(folder: Path) -> int | None:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        return max(1, int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # no limit here: "max", or no such file
        return None


@lru_cache(maxsize=256)
def workers(limit: int, flops: float) -> int:
    """The number of workers that ``flops`` floating-point operations are worth, up to ``limit``."""
    return max(1, min(limit, int(flops / FLOPS_PER_WORKER)))


def automatic_workers(flops: float) -> int:
    """The number of workers that ``flops`` operations are worth where threads are "auto".

    Work for one worker does not ask for the maximum: the environment takes longer to read than a
    row to predict.
    """
    return 1 if flops < 2 * FLOPS_PER_WORKER else workers(maximum("auto"), flops)


def max_single_thread_rows(limit: int, flops: float) -> int:
    """The most rows, of ``flops`` operations each, for which one thread is the fastest."""
    return NO_LIMIT if limit == 1 else int(2 * FLOPS_PER_WORKER / flops)


def run_exclusive(count: int, region: Callable[..., object], *arguments: Any) -> float:
    """Run a compiled parallel region with ``count`` threads, then restore the user's setting.

    Returns the seconds that it waited for other Python threads' regions.
    """
    try:  # see locking.py
        waited = _take_turn()
        before = numba.get_num_threads()
        try:
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
            region(*arguments)
        finally:
            numba.set_num_threads(before)
    finally:
        try:  # noqa: SIM105
            PARALLEL_REGION.release()
        except RuntimeError:
            pass
    return waited


def _take_turn() -> float:
    asked = time.perf_counter()
    with NEXT_TURN:
        PARALLEL_REGION.acquire()
    return time.perf_counter() - asked
