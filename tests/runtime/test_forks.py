"""A process forked from one that has trained: it trains and predicts the same, or says why not."""

import os
import signal
import threading
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numba
import numpy as np
import pytest

import fastbp
from fastbp.kernels.entry import embed_server
from fastbp.runtime import forks
from support import processes, threading_layers
from support.internals import core, fast_path
from support.trainers import LARGE, fingerprint, trainer_in_thirds

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

SINGLE = ["RuntimeWarning: this process was forked"]
"""What a child says that does without threads."""

PATIENCE = 60.0
"""Seconds after which a child counts as hanging: a hundred times what it takes."""


# What a child may do. Each returns what the parent compares.


def learned():
    """What a trainer in several shares learns and predicts."""
    trainer = trainer_in_thirds(LARGE)
    core(trainer).workers = 2
    return fingerprint(trainer, *LARGE.batch())


def learned_and_said():
    """And the beginnings of the warnings meanwhile."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = learned(), learned()
    said = [f"{w.category.__name__}: {w.message}"[: len(SINGLE[0])] for w in caught]
    return *found, said


def in_child(function):
    """What it returned in a forked process, as text, or how that ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(function()).encode())
        except BaseException:  # noqa: BLE001 - the child must not go on as the parent
            os.write(writing, traceback.format_exc().encode())
        os._exit(0)
    os.close(writing)
    status = ended(child)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read().decode() if status == 0 else f"status {status}"


def ended(child):
    """Its status; "hangs" if it had to be killed."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        if (done := os.waitpid(child, os.WNOHANG))[0]:
            return done[1]
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


@contextmanager
def training(workers):
    """A trainer that another thread trains all the while."""
    trainer = trainer_in_thirds(LARGE)
    core(trainer).workers = workers
    X, y = LARGE.batch()
    trainer.step(X[:9], y[:9])
    stop, begun = threading.Event(), threading.Event()

    def watch(_state):
        begun.set()
        if stop.is_set():
            raise fastbp.StopTraining

    watcher = fastbp.LambdaCallback(on_epoch_end=watch)
    thread = threading.Thread(
        target=lambda: trainer.fit(X, y, epochs=10**9, callbacks=[watcher]), daemon=True
    )
    thread.start()
    begun.wait()
    try:
        yield trainer
    finally:
        stop.set()
        thread.join()


# Programs


def after_training():
    """A child of a process that has trained, and its own child."""
    mine = learned()
    expected = repr((mine, mine, SINGLE if numba.threading_layer() == "omp" else []))
    assert in_child(learned_and_said) == expected
    assert in_child(lambda: in_child(learned_and_said)) == repr(expected)
    assert learned() == mine


def before_training():
    """A child of a process that has started no threads has those of its own."""
    found = in_child(learned_and_said)
    assert found == repr((mine := learned(), mine, []))


def in_a_pool():
    """Of multiprocessing's."""
    mine = learned()
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        calls = [pool.submit(learned_and_said) for _ in range(4)]
        found = [call.result(PATIENCE) for call in calls]
    assert {(one, other) for one, other, _ in found} == {(mine, mine)}
    spoke = sum(said == SINGLE for *_, said in found)
    assert spoke in ((1, 2) if numba.threading_layer() == "omp" else (0,))


def while_another_thread_trains(count=3):
    """What is not in use goes on in the child; what is in use is refused."""
    mine = learned()
    X, y = LARGE.batch()
    for workers in (1, 2):
        with training(workers) as trainer:
            calls = (lambda: trainer.fit(X, y), lambda: trainer.step(X[:1], y[:1]))

            def child(calls=calls):
                with warnings.catch_warnings(record=True):
                    warnings.simplefilter("always")
                    return learned(), [refused(call) for call in calls]

            for _ in range(count):
                time.sleep(np.random.default_rng().uniform(0, 0.02))
                assert in_child(child) == repr((mine, [True, True]))
    assert learned() == mine


def refused(call):
    """Whether it says that a fork may have come between."""
    try:
        call()
    except RuntimeError as error:
        return "when this process was forked" in str(error)
    return False


def embedded():
    """A model goes on in the child, in its own copy of the memory, and needs no threads."""
    learned()
    trainer, (X, y) = trainer_in_thirds(LARGE), LARGE.batch()
    X, y = (a[:5].astype("float32") for a in (X, y))
    model = trainer.compiled()

    def step():
        losses = [fastbp.embed.step(model, X, y), trainer.step(X, y)]
        return losses, trainer.predict(X).tobytes()

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert in_child(step) == repr(step())


def locks_and_slots():
    """What another thread holds at the fork does not stop the child."""
    learned()
    net = trainer_in_thirds(LARGE).net
    X = np.zeros((1, 40), np.float32)
    net.predict(X)
    header = fast_path(net).memory
    first, slots = embed_server.FIRST_SLOT + embed_server.BUSY, header.array[embed_server.SLOTS]
    every = slice(first, first + slots * embed_server.SLOT_STRIDE, embed_server.SLOT_STRIDE)
    held, done = threading.Event(), []

    def hold():
        with forks.global_compiler_lock:
            held.set()
            time.sleep(0.2)
            done.append(True)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    header.array[every] = 1

    def child():
        return done, net.predict(X).shape, forks.global_compiler_lock._lock.acquire(timeout=1)

    assert in_child(child) == repr(([True], (1, 10), True))
    header.array[every] = 0
    thread.join()


def in_joblib():
    """In processes that joblib starts, by fork and by its own way."""
    joblib = pytest.importorskip("joblib")
    mine = learned()
    for backend in ("multiprocessing", "loky"):
        calls = [joblib.delayed(learned_and_said)() for _ in range(2)]
        found = joblib.Parallel(2, backend=backend, timeout=PATIENCE)(calls)
        assert {(one, other) for one, other, _ in found} == {(mine, mine)}


PROGRAMS = {
    "before it has trained": (before_training,),
    "that has trained": (after_training, in_a_pool, embedded, locks_and_slots),
    "that trains": (while_another_thread_trains,),
}
# Python 3.12 warns of any fork in a process that has threads.
PROGRAM = """
import signal, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import test_forks as t
signal.alarm(int(4 * t.PATIENCE))
{}
print(t.numba.threading_layer())
"""


def run(programs, layer):
    calls = "\n".join(f"t.{program.__name__}()" for program in programs)
    found = processes.run(PROGRAM.format(calls), **threading_layers.settings(layer))
    assert found.splitlines()[-1] == layer  # TBB may have said before that it found other threads


@pytest.mark.slow
@pytest.mark.process
@threading_layers.each_layer
@pytest.mark.parametrize("programs", PROGRAMS.values(), ids=PROGRAMS)
def test_a_process_goes_on_that_is_forked_from_one(programs, layer):
    run(programs, layer)


@pytest.mark.slow
@pytest.mark.process
@threading_layers.each_layer
def test_a_process_of_joblib_goes_on(layer):
    pytest.importorskip("joblib")
    run((in_joblib,), layer)
