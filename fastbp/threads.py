"""How many threads a piece of work gets."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numba

FLOPS_PER_SHARE = 2e6
"""Work below which another thread costs more (two forks and joins, 5 us each) than it saves."""

_PARALLEL_REGION = threading.Lock()
"""Numba's workqueue layer aborts the process when two Python threads enter a region at once; with
any layer, two regions at once would only share the same cores."""


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
    if isinstance(threads, bool) or not hasattr(type(threads), "__index__"):
        raise TypeError(f"threads is {threads!r}, of type {type(threads).__name__}, {expected}")
    if not 1 <= threads <= available:
        raise ValueError(
            f"threads is {threads}, {expected}: for more, set NUMBA_NUM_THREADS before "
            "fastbp is imported"
        )
    return int(threads)


def _automatic(available: int) -> int:
    limits = [available]
    if "NUMBA_NUM_THREADS" not in os.environ:
        wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        if wanted.isdecimal() and int(wanted) > 0:
            limits.append(int(wanted))
        limits.append(_cgroup_quota() or available)
    return min(limits)


def _cgroup_quota() -> int | None:
    """Whole processors that the control group grants, if it limits them (Linux)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))


@lru_cache(maxsize=256)
def shares(limit: int, flops: float) -> int:
    """In how many shares work of so many floating-point operations is worth splitting."""
    return max(1, min(limit, int(flops / FLOPS_PER_SHARE)))


@contextmanager
def parallel(count: int) -> Iterator[None]:
    """Run compiled parallel regions with ``count`` threads; the user's setting returns after."""
    with _PARALLEL_REGION:
        before = numba.get_num_threads()
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
        try:
            yield
        finally:
            numba.set_num_threads(before)
