"""The limits on threads at the moment: the smallest of all counts.

A scheduler may take processors away from a running process, by affinity or by a control group's
quota. ``numba.set_num_threads`` and ``omp_set_num_threads`` (which threadpoolctl calls) limit a
thread of the user's. A limit counts where it has fallen since fastbp was imported: what was there
before is in ``threads.maximum``.
"""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import cache

from . import layer, quota, threads

SECONDS = 0.25
"""How long a count of processors is taken for true: reading affinity and quota takes 50 us."""

NO_LIMIT = 2**31


def _processors() -> int:
    """Processors that this thread, and those it starts, may use now."""
    if hasattr(os, "sched_getaffinity"):
        granted = len(os.sched_getaffinity(0))
    else:
        granted = os.cpu_count() or 1
    return min(granted, quota.granted() or granted)


_at_import = _processors()


class _Known(threading.local):
    """What a thread has read last: each has an affinity of its own."""

    limit = NO_LIMIT
    read_at = -SECONDS


_known = _Known()


def _system_limit() -> int:
    now = time.monotonic()
    if now - _known.read_at >= SECONDS:
        found = _processors()
        _known.limit = found if found < _at_import else NO_LIMIT
        _known.read_at = now
    return _known.limit


@cache
def _openmp() -> tuple[Callable[[], int], int]:
    """(omp_get_max_threads of the OpenMP that Numba uses, what it says without a limit)."""
    if layer.start() == "omp" and sys.platform == "linux":
        try:
            library = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
            usual = threads.omp_num_threads() or int(library.omp_get_num_procs())
            count: Callable[[], int] = library.omp_get_max_threads
            return count, usual
        except (OSError, AttributeError):  # another OpenMP
            pass
    return lambda: NO_LIMIT, NO_LIMIT


def allowed(count: int) -> int:
    """``count``, or fewer threads where a limit is lower now; at least 1."""
    if count == 1:
        return 1
    counted, usual = _openmp()
    of_openmp = counted()
    limits = (
        _system_limit(),
        layer.num_threads(),
        of_openmp if of_openmp < usual else NO_LIMIT,
    )
    return max(1, min(count, *limits))
