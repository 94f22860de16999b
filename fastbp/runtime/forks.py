"""What a forked process needs: it has one thread, and copies of the locks of its parent's threads.

Numba's threading layers after a fork, measured on Linux (tests/runtime/test_forks.py): workqueue
starts threads anew. GNU OpenMP ends the process as soon as a region begins. TBB starts threads
anew, but one child in forty waits for ever if another thread of the parent was using TBB. A
child whose threads would fail uses one thread: every region has one worker, with the same bits.
"""

import os
import sys
import threading
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock

from ..kernels.base import caution
from . import model_handle, threads

is_child = False
"""Whether this process was forked after fastbp was imported."""

_is_single = _has_warned = False
"""Whether this process uses one thread, and whether it has warned of that."""

_others = False
"""Whether the process had several Python threads at the last fork."""


def can_split() -> bool:
    """Whether regions may have several threads in this process. Warns once where they may not."""
    global _has_warned
    if _is_single and not _has_warned:
        _has_warned = True
        layer = numba.threading_layer()
        caution.warn(
            f"this process was forked from one that had used Numba's threading layer {layer!r}, "
            "whose threads cannot go on in it: fastbp computes in one thread here, with the same "
            "results. For more, start processes by multiprocessing.get_context('spawn'), or set "
            "NUMBA_THREADING_LAYER=workqueue",
            RuntimeWarning,
            stacklevel=2,
        )
    return not _is_single


def _locks() -> tuple[Any, ...]:
    """The locks that a child would wait for without end if another thread had them at the fork."""
    return threads.NEXT_TURN, threads.PARALLEL_REGION, global_compiler_lock


def wait() -> None:
    """Before a fork: wait for the regions of other threads, a chunk at most, and compilations."""
    global _others
    _others = threading.active_count() > 1
    for lock in _locks():
        lock.acquire()


def go_on() -> None:
    """After ``wait``, in parent and child: release its locks."""
    for lock in _locks():
        try:  # noqa: SIM105  # see locking.py
            lock.release()
        except RuntimeError:  # Ctrl-C ended the wait for it
            pass


def _begin() -> None:
    """In the child: release the locks, and decide whether threads work here."""
    global is_child, _is_single, _has_warned
    is_child, _is_single, _has_warned = True, _is_single or _threads_fail(), False
    go_on()
    model_handle.free_slots()


def _threads_fail() -> bool:
    try:
        layer = numba.threading_layer()
    except ValueError:  # none has been started
        return False
    if layer == "omp":
        return sys.platform != "darwin"  # LLVM's OpenMP there can be forked
    return layer == "tbb" and _others


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=wait, after_in_parent=go_on, after_in_child=_begin)
