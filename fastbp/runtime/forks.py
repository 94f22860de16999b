"""What a forked process needs: it has one thread, and the locks that its parent's threads held.

Numba's threading layers after a fork, measured on Linux (tests/runtime/test_forks.py): workqueue
starts threads anew. GNU OpenMP ends the process as soon as a region begins. TBB starts threads
anew, but one child in forty waits for ever if another thread of the parent was using TBB. Where a
child's threads would fail, it does without: every region then has one share, with the same bits.
"""

import os
import sys
import threading
import warnings
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock

from . import model_handle, threads

is_child = False
"""Whether this process was forked after fastbp was imported."""

_is_single = _has_warned = False
"""Whether this process does without threads, and has said so."""

_others = False
"""Whether the last fork was of a process with several Python threads."""


def can_split() -> bool:
    """Whether regions may have several threads here; where they may not, warns of it, once."""
    global _has_warned
    if _is_single and not _has_warned:
        _has_warned = True
        layer = numba.threading_layer()
        warnings.warn(
            f"this process was forked from one that had used Numba's threading layer {layer!r}, "
            "whose threads cannot go on in it: fastbp computes in one thread here, with the same "
            "results. For more, start processes by multiprocessing.get_context('spawn'), or set "
            "NUMBA_THREADING_LAYER=workqueue",
            RuntimeWarning,
            stacklevel=2,
        )
    return not _is_single


def _locks() -> tuple[Any, ...]:
    """What a child would wait for without end if another thread of its parent had it."""
    return threads.NEXT_TURN, threads.PARALLEL_REGION, global_compiler_lock


def _wait() -> None:
    """Before a fork: for the regions of other threads, a chunk at most, and for compilations."""
    global _others
    _others = threading.active_count() > 1
    for lock in _locks():
        lock.acquire()


def _go_on() -> None:
    for lock in _locks():
        # No contextlib.suppress: Ctrl-C may end any call that is made before the release.
        try:  # noqa: SIM105
            lock.release()
        except RuntimeError:  # not ours: Ctrl-C ended the wait
            pass


def _begin() -> None:
    """In the child."""
    global is_child, _is_single, _has_warned
    is_child, _is_single, _has_warned = True, _is_single or _threads_fail(), False
    _go_on()
    model_handle.free_slots()


def _threads_fail() -> bool:
    try:
        layer = numba.threading_layer()
    except ValueError:  # none has been started
        return False
    if layer == "omp":
        return sys.platform != "darwin"  # where it is another OpenMP, which can be forked
    return layer == "tbb" and _others


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_begin)
