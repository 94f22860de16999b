"""Long calls are cut into short ones of the kernels: the same bits, and Ctrl-C ends them."""

import _thread
import gc
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp.kernels.tables import job_table
from fastbp.runtime import chunking, compiled_engine, threads
from support.cases import CASES, each_dtype
from support.internals import checked_outputs, core
from support.trainers import bits, trainer_in_thirds

ROWS = 1500
"""Some blocks of one share's rows, and of three shares', and a part of one."""

KINDS = ("odd", "batch of one", "one output")
"""Labels, probabilities and targets."""


@pytest.fixture
def runs(monkeypatch):
    """The rows of each call of the kernels."""
    rows, run = [], compiled_engine._run

    def watched(job, state, workers):
        rows.append(job[job_table.ROWS])
        return run(job, state, workers)

    monkeypatch.setattr(compiled_engine, "_run", watched)
    return rows


def cut(monkeypatch, first, following=None):
    """Make the first call take on so much, and each that follows ``following``."""
    monkeypatch.setattr("fastbp.runtime.chunking.first_rows", lambda *_: first)
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: following or first)


def inferred(trainer, X, y):
    return [
        trainer.predict(X).tobytes(),
        checked_outputs(trainer.net, X, core(trainer).workers).tobytes(),
        list(trainer.evaluate(X, y).items()),
    ]


@pytest.mark.slow
@each_dtype
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("workers", [1, 3])
def test_how_an_inference_is_cut_changes_no_bits(name, workers, dtype, monkeypatch, runs):
    case = replace(CASES[name], rows=ROWS)
    trainer = trainer_in_thirds(case, dtype)
    core(trainer).workers = workers
    X, y = case.batch()
    X, y = X[::-1], y[::-1]
    cut(monkeypatch, 2**40)
    whole = inferred(trainer, X, y)
    assert runs == [ROWS] * 3
    for first, following in ((1, 1), (500, 100), (1, 2**40)):
        runs.clear()
        cut(monkeypatch, first, following)
        assert inferred(trainer, X, y) == whole
        assert len(runs) > 3
        assert sum(runs) == 3 * ROWS


def test_no_call_of_an_inference_has_few_rows(monkeypatch, runs):
    """They might go another way than they would among many."""
    case = CASES["many rows"]
    trainer = trainer_in_thirds(case)
    lanes = core(trainer).arrays.spec.lanes
    core(trainer).workers = 1
    cut(monkeypatch, 1)
    for rows in range(1, 4 * compiled_engine.BLOCKS * lanes, lanes // 2 - 1):
        runs.clear()
        trainer.predict(np.ones((rows, case.sizes[0])))
        assert sum(runs) == rows
        assert all(n % (compiled_engine.BLOCKS * lanes) == 0 for n in runs[:-1])
        assert len(runs) == 1 or runs[-1] >= compiled_engine.BLOCKS * lanes


def test_many_rows_do_not_go_the_short_way_which_is_not_cut(monkeypatch, runs):
    monkeypatch.setattr(threads, "maximum", lambda *_: 1)
    net = fastbp.Network([20, 400, 400, 1], seed=0)
    rows = chunking.first_rows(net.arrays.spec)
    net.predict(np.ones((rows, 20), np.float32))
    assert not runs
    net.predict(np.ones((rows + 1, 20), np.float32))
    assert runs


@pytest.mark.parametrize("bad", [0, 700, 4 * ROWS - 1])
def test_a_bad_value_is_named_however_the_call_is_cut(bad, monkeypatch):
    case = replace(CASES["odd"], rows=4 * ROWS)
    trainer = trainer_in_thirds(case)
    X, y = case.batch()
    wrong_X, wrong_y = X.copy(), y.copy()
    wrong_X[bad, 3], wrong_y[bad, 1] = np.nan, -1.0
    cut(monkeypatch, 1)
    with pytest.raises(ValueError, match=rf"X has nan at row {bad}, column 3"):
        trainer.predict(wrong_X)
    with pytest.raises(ValueError, match=rf"y has -1.0 at row {bad}, column 1"):
        trainer.evaluate(X, wrong_y)


def test_a_bad_value_far_into_a_call_is_named():
    """The search for it begins at the vector of rows that was refused, and looks at 1024 rows."""
    net = fastbp.Network([4, 2], seed=0)
    X = np.ones((5000, 4))
    X[4000, 3] = np.nan
    assert chunking.first_rows(net.arrays.spec) > len(X)
    with pytest.raises(ValueError, match="X has nan at row 4000, column 3"):
        net.predict(X)


def test_many_epochs_are_fitted_some_at_a_time(monkeypatch, runs):
    """Their losses wait in memory that does not grow with ``epochs``."""
    case = CASES["odd"]

    def fitted():
        trainer = trainer_in_thirds(case)
        losses = trainer.fit(*case.batch(), epochs=11)["loss"]
        return losses, bits(trainer), core(trainer).epoch

    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: 2**40)
    together = fitted()
    calls = len(runs)
    monkeypatch.setattr("fastbp.training.array_loop.EPOCHS_AT_ONCE", 3)
    for budget in (1, 2, 5, 2**40):
        monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_, budget=budget: budget)
        runs.clear()
        assert fitted() == together
        assert len(runs) > calls


@pytest.mark.parametrize("kind", ["numba", "numpy"])
def test_calls_that_end_early_do_not_grow_forever(kind, monkeypatch):
    """Epochs one by one, for validation, and epochs that fill the room for losses."""
    monkeypatch.setattr("fastbp.training.array_loop.EPOCHS_AT_ONCE", 1)
    monkeypatch.setattr("fastbp.runtime.chunking.CHUNK_SECONDS", 1e9)
    X, y = np.ones((4, 1)), np.ones((4, 1))
    for options in ({}, {"validation_data": (X, y)}):
        net = fastbp.Network([1, 1], seed=0)
        trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(1e-3), engine=kind)
        assert len(trainer.fit(X, y, epochs=40, **options)["loss"]) == 40


def test_the_epoch_of_a_failure_counts_from_the_first(monkeypatch):
    case, found = CASES["whole vectors"], set()
    for at_once in (1, 2, 4096):
        monkeypatch.setattr("fastbp.training.array_loop.EPOCHS_AT_ONCE", at_once)
        trainer = trainer_in_thirds(case, optimizer=fastbp.SGD(lr=2))
        with pytest.raises(FloatingPointError) as caught:
            trainer.fit(*case.batch(), epochs=10**15)
        found.add((str(caught.value), core(trainer).epoch))
    ((message, epoch),) = found
    assert f"epoch {epoch + 1}," in message
    assert epoch > 0


def test_an_epoch_is_counted_once_though_validation_fails_later():
    """What a failed fit leaves behind, as long as its traceback is kept, changes nothing later."""
    case = CASES["odd"]
    trainer, (X, y) = trainer_in_thirds(case), case.batch()

    def fail(_y, _p):
        raise LookupError

    with pytest.raises(LookupError) as kept:
        trainer.fit(X, y, epochs=5, validation_data=(X, y), metrics={"failing": fail})
    assert core(trainer).epoch == 1
    trainer.fit(X, y, epochs=3)
    del kept
    gc.collect()
    assert core(trainer).epoch == 4


# Ctrl-C


@pytest.fixture(scope="module")
def long():
    """A trainer, and data on which all that it does would take many seconds, in little memory."""
    net = fastbp.Network([20, 400, 400, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(1e-9), batch_size=512, seed=0)
    X = np.broadcast_to(np.full(20, 0.1, np.float32), (10**7, 20))
    y = np.broadcast_to(np.float32(0), 10**7)
    trainer.step(X[:512], y[:512])
    return trainer, X, y


CALLS = {
    "fit": lambda trainer, X, y: trainer.fit(X, y, shuffle=False),
    "validation": lambda trainer, X, y: trainer.fit(X[:9], y[:9], validation_data=(X, y)),
    "loss_and_gradients": lambda trainer, X, y: trainer.loss_and_gradients(X, y),
    "evaluate": lambda trainer, X, y: trainer.evaluate(X, y),
    "predict": lambda trainer, X, _: trainer.predict(X),
    "net.predict": lambda trainer, X, _: trainer.net.predict(X),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("call", CALLS)
def test_an_interrupt_ends_a_long_call(call, workers, long):
    trainer, X, y = long
    core(trainer).workers = workers
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        _thread.interrupt_main()

    timer = threading.Timer(0.3, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            CALLS[call](trainer, X, y)
        assert time.perf_counter() - sent[0] < 20 * chunking.CHUNK_SECONDS
    finally:
        timer.join()
    trainer.step(X[:512], y[:512])
    assert trainer.predict(X[:512]).shape == (512, 1)


def test_a_pace_follows_the_clock_and_grows_step_by_step():
    assert chunking.next_count(100, chunking.CHUNK_SECONDS) == 100
    assert chunking.next_count(100, 2 * chunking.CHUNK_SECONDS) == 50
    assert chunking.next_count(100, chunking.CHUNK_SECONDS / 2) == 200
    assert chunking.next_count(100, 0.0) == 6400
    assert chunking.next_count(1, 1e6) == 1
