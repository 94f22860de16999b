"""Regions on threads of Python, for where Numba has the workqueue layer alone.

Workqueue ends the process as soon as two threads are in parallel regions at once. fastbp's own
regions take turns (threads.py), but a ``prange`` of the user's in another thread knows nothing of
that. So nothing of fastbp runs on workqueue: each worker is a call of compiled code, without the
GIL, in a thread of a pool.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache

import numba

from ..kernels.entry import run as entry
from ..kernels.tables import job_table
from . import forks


@cache
def _threads() -> ThreadPoolExecutor:
    count = max(2, numba.config.NUMBA_NUM_THREADS)  # one of them leads the others
    return ThreadPoolExecutor(count, "fastbp")


def _begin() -> None:
    """In a forked process: the threads of its parent are not in it."""
    forks.go_on()
    _threads.cache_clear()


# Before a fork, concurrent.futures takes a lock without which no region can end. So regions are
# waited for before that: what is registered last runs first.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=forks.wait, after_in_parent=forks.go_on, after_in_child=_begin)


def run(address: int, kind: tuple[int, ...], workers: int) -> None:
    """Run the job at an address as ``kernels.entry.run.parallel`` does, to the same bits.

    kind: the arguments of ``kernels.entry.run.code``.
    """
    done: Future[None] = Future()
    try:  # Ctrl-C may come at any time: no batch is left half made, or running
        _submit(done, address, kind, workers)
        done.result()
    except BaseException:
        while not done.cancel() and not done.done():
            with suppress(KeyboardInterrupt):
                wait([done])
        raise


def _submit(done: Future[None], address: int, kind: tuple[int, ...], workers: int) -> None:
    try:
        _threads().submit(_lead, done, address, kind, workers)
    except RuntimeError:  # the interpreter is shutting down
        _lead(done, address, kind, 1)


def _lead(done: Future[None], address: int, kind: tuple[int, ...], workers: int) -> None:
    """Run the stages, unless ``done`` has been cancelled."""
    if not done.set_running_or_notify_cancel():
        return
    try:
        _stages(address, kind, workers)
    finally:
        done.set_result(None)


def _stages(address: int, kind: tuple[int, ...], workers: int) -> None:
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


def run_stage(call: Callable[[int, int, int, int], int], address: int, stage: int, n: int) -> None:
    """Run one stage of the job at an address by ``n`` workers: call(address, stage, worker, n)."""
    others: list[Future[int]] = []
    with suppress(RuntimeError):  # the interpreter is shutting down: the rest is done here
        for worker in range(1, n):
            others += [_threads().submit(call, address, stage, worker, n)]
    try:
        for worker in (0, *range(1 + len(others), n)):
            call(address, stage, worker, n)
    finally:  # Ctrl-C may come at any time: nobody writes on in memory that is free
        while not all(other.done() for other in others):
            with suppress(KeyboardInterrupt):
                wait(others)
