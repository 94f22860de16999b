"""One thread at a time: to change a network, or to look at it while nobody changes it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import forks


def new_lock() -> threading.RLock:
    """The lock of a network, and of all its trainers."""
    return threading.RLock()


@contextmanager
def exclusive(lock: threading.RLock) -> Iterator[None]:
    """RuntimeError where another thread has the lock: to wait for the end of a fit helps nobody."""
    # Ctrl-C may come as soon as acquire returns: it must be inside.
    try:
        if not lock.acquire(blocking=False):
            raise RuntimeError(_refusal())
        yield
    finally:
        # No function of ours, no contextlib.suppress: Ctrl-C may end any before the release.
        try:  # noqa: SIM105
            lock.release()
        except RuntimeError:  # not ours: refused, or Ctrl-C before it was
            pass


def _refusal() -> str:
    if forks.is_child:
        return (
            "this network is in use by another thread, or was when this process was forked, which "
            "may have left it half updated here: fork while no thread trains, or give the process "
            "a copy made before"
        )
    return (
        "this network is in use by another thread, in which a trainer is training or evaluating: "
        "wait for it, or make a Network and a Trainer for each thread"
    )
