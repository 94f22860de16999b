"""A fit whose batch is refused: back at the end of the epoch before, with its history."""

import numpy as np
import pytest

import fastbp
from fastbp.training import snapshot
from fastbp.training.cursor import FitCursor
from support.cases import THREE_CLASSES, Case, each_engine
from support.internals import core
from support.trainers import training_state

DIVERGES = Case((4, 9, 3), 12)

LOOK = fastbp.LambdaCallback(on_epoch_end=lambda _: None)
STEPS = fastbp.LambdaCallback(on_step_end=lambda _: None)


def diverging(engine="numba", lr=2.0):
    """In epoch 10, step 2."""
    return DIVERGES.trainer("float32", engine, fastbp.SGD(lr=lr), batch_size=4)


@each_engine
@pytest.mark.parametrize("called", [[], [LOOK], [STEPS]], ids=["fast", "epochs", "steps"])
def test_a_fit_that_diverges_goes_back_to_the_end_of_an_epoch(engine, called):
    one, other = diverging(engine), diverging(engine)
    X, y = DIVERGES.batch()
    with pytest.raises(FloatingPointError, match=r"epoch (\d+), step (\d+)") as caught:
        one.fit(X, y, epochs=100, callbacks=called)
    made = core(one).epoch
    assert f"epoch {made + 1}, step" in str(caught.value)
    assert "as it was at the end of the epoch before" in caught.value.__notes__[0]
    history = other.fit(X, y, epochs=made)
    assert made > 5
    assert training_state(one) == training_state(other)
    assert one.history["loss"] == history["loss"]
    one.lr = other.lr = 1e-3
    assert one.fit(X, y)["loss"] == other.fit(X, y)["loss"]


def test_the_first_epoch_goes_back_to_the_beginning():
    trainer = diverging(lr=1e6)
    before = training_state(trainer)
    X, y = DIVERGES.batch()
    y = y * 1e15
    with pytest.raises(FloatingPointError, match="epoch 1, step 2"):
        trainer.fit(X, y, epochs=9)
    assert training_state(trainer) == before
    assert trainer.history == {}


def test_without_a_snapshot_the_updates_stay():
    one, other = diverging(lr=1e6), diverging(lr=1e6)
    X, y = DIVERGES.batch()
    y = y * 1e15
    with pytest.raises(FloatingPointError, match="epoch 1, step 2") as caught:
        one.fit(X, y, epochs=9, shuffle=False, snapshot=False)
    other.step(X[:4], y[:4])
    assert training_state(one) == training_state(other)
    assert not hasattr(caught.value, "__notes__")


def test_an_invalid_value_in_the_data_goes_back_too():
    one, other = (
        THREE_CLASSES.trainer("float32", optimizer=fastbp.Adam(), batch_size=8) for _ in range(2)
    )
    X, y = THREE_CLASSES.batch()
    bad = X.copy()
    bad[13, 2] = np.nan
    one.fit(X, y)
    with pytest.raises(ValueError, match="X has nan at row 13, column 2"):
        one.fit(bad, y, epochs=4, shuffle=False)  # in the second batch
    other.fit(X, y)
    assert training_state(one) == training_state(other)
    assert core(one).epoch == 1


def test_what_a_callback_has_set_is_not_undone():
    """A replay of epochs could not know of it: with callbacks each epoch has a copy."""

    def halve(state):
        state.trainer.lr = state.trainer.lr * 0.99

    halving = fastbp.LambdaCallback(on_epoch_end=halve)
    one, other = diverging(), diverging()
    X, y = DIVERGES.batch()
    with pytest.raises(FloatingPointError):
        one.fit(X, y, epochs=100, callbacks=[halving])
    other.fit(X, y, epochs=core(one).epoch, callbacks=[halving])
    assert training_state(one) == training_state(other)


def test_a_copy_is_rare_where_epochs_can_be_repeated(monkeypatch):
    taken = []
    arrays = snapshot.Snapshot.arrays
    monkeypatch.setattr(
        snapshot.Snapshot, "arrays", lambda self: taken.append(self) or arrays(self)
    )
    trainer = THREE_CLASSES.trainer("float32", batch_size=8)
    trainer.fit(*THREE_CLASSES.batch(), epochs=3)
    assert len(taken) == 1
    trainer.fit(*THREE_CLASSES.batch(), epochs=3, callbacks=[LOOK])
    assert len(taken) == 4
    trainer.fit(*THREE_CLASSES.batch(), epochs=3, snapshot=False)
    assert len(taken) == 4


def test_a_resumed_fit_goes_back_to_where_it_was_resumed(tmp_path):
    path = tmp_path / "run.safetensors"

    def fit(trainer, X, epochs, **more):
        checkpoint = fastbp.ModelCheckpoint(path, every_updates=2)
        trainer.fit(X, y, epochs=epochs, shuffle=False, callbacks=[checkpoint], **more)

    X, y = THREE_CLASSES.batch()
    fit(THREE_CLASSES.trainer("float32", batch_size=4), X, 1)  # updates 2 and 4 of 5; the end
    first = THREE_CLASSES.trainer("float32", batch_size=4)

    class Stop(fastbp.ModelCheckpoint):
        def on_step_end(self, state):
            super().on_step_end(state)
            raise KeyboardInterrupt

    Stop.__name__ = "ModelCheckpoint"
    with pytest.raises(KeyboardInterrupt):
        first.fit(X, y, epochs=2, shuffle=False, callbacks=[Stop(path, every_updates=2)])
    before = training_state(first)
    bad = X.copy()
    bad[12, 0] = np.nan
    second = THREE_CLASSES.trainer("float32", batch_size=4)
    with pytest.raises(ValueError, match="row 12"):
        fit(second, bad, 2, resume=path)
    assert training_state(second) == before


def test_history_of_a_fit_that_ctrl_c_ended():
    trainer = THREE_CLASSES.trainer("float32", batch_size=8)

    def stop(state):
        if state.epoch == 3:
            raise KeyboardInterrupt

    stopper = fastbp.LambdaCallback(on_epoch_end=stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*THREE_CLASSES.batch(), epochs=9, callbacks=[stopper])
    assert len(trainer.history["loss"]) == 3


@pytest.mark.parametrize("repeats", [True, False])
def test_a_copy_is_taken_again_only_where_it_is_worth_it(monkeypatch, repeats):
    """At once after the first: epochs that can be made again wait."""
    monkeypatch.setattr(snapshot, "WORTH", 1e9)
    trainer = THREE_CLASSES.trainer("float32", batch_size=8)
    copy = snapshot.Snapshot(core(trainer), None, repeats)
    copy.take(FitCursor(epochs=1))
    copy.take(FitCursor(epochs=2))
    assert copy.cursor.epochs == (1 if repeats else 2)
