"""One thread at a time changes a network, or reads it while nobody changes it.

Ctrl-C raises KeyboardInterrupt between any two instructions of Python code. Everywhere in fastbp
(here, threads.py, forks.py, ``Trainer.step``) a lock is released like this:

    try:
        lock.acquire()  # inside the block: Ctrl-C may come as soon as it returns
        ...
    finally:
        try:
            lock.release()  # the first call of the block: Ctrl-C may end a Python function
        except RuntimeError:  # this thread does not have the lock: refused, or Ctrl-C came first
            pass

The lock is an RLock, which raises RuntimeError where another thread, or none, has it. The three
lines of ``finally`` cannot move into a function, nor into ``contextlib.suppress``: Ctrl-C may come
when that is entered, and the lock would never be released.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import forks


def new_lock() -> threading.RLock:
    """The lock of a network, and of all its trainers."""
    return threading.RLock()


@contextmanager
def exclusive(lock: threading.RLock) -> Iterator[None]:
    """Hold the lock. RuntimeError where another thread has it, perhaps until its fit ends."""
    try:  # see above
        if not lock.acquire(blocking=False):
            raise RuntimeError(_refusal())
        yield
    finally:
        try:  # noqa: SIM105
            lock.release()
        except RuntimeError:
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
