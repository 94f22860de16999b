"""Whoever saves within fit, in whatever event, and whatever ends it: the file can be resumed."""

import numpy as np
import pytest

import fastbp
from fastbp.callbacks.base import EPOCH, STEP
from fastbp.kernels.tables import job_table
from support.internals import core
from support.resumed_fits import (
    CASE,
    EVERY,
    Crash,
    Crasher,
    assert_same,
    fit_with,
    new_trainer,
    timeless,
)
from support.trainers import training_state

NAME = "run.safetensors"
LONGEST = 17
"""Batches of a compiled call, at most: more than two epochs."""
ENDLESS = {key: value for key, value in EVERY.items() if "schedule" not in key}


class Saver(fastbp.Callback):
    """Saves in one event, at an update of the fit."""

    def __init__(self, path, event="", at=None):
        self._path, self._event, self._at = path, event, at

    def _hear(self, event, state):
        if event == self._event and state.steps == self._at:
            state.trainer.save(self._path)

    def on_fit_begin(self, state):
        self._hear("on_fit_begin", state)

    def on_step_end(self, state):
        self._hear(STEP, state)

    def on_epoch_end(self, state):
        self._hear(EPOCH, state)


class AtEnd(fastbp.Callback):
    """Saves whatever has ended fit; hears of nothing else."""

    def __init__(self, path):
        self._path = path

    def on_fit_end(self, state):
        state.trainer.save(self._path)


def callbacks(saver, heard):
    """Some that hear of each event after the one that saves."""

    def hear_step(state):
        heard.append((STEP, state.steps, state.step_loss))

    def hear_epoch(state):
        heard.append((EPOCH, state.steps, state.epoch))

    return [
        saver,
        fastbp.EarlyStopping(patience=3),
        fastbp.ReduceLROnPlateau(patience=0),
        fastbp.LambdaCallback(on_step_end=hear_step, on_epoch_end=hear_epoch),
    ]


def interrupt(trainer, call, instead=KeyboardInterrupt):
    """Let Ctrl-C come while a compiled call runs, of so many: Python learns of it afterwards."""
    engine, count = core(trainer).engine, iter(range(1, 10**9))
    train = engine.train

    def trained(data, job, into):
        job[job_table.BUDGET] = min(job[job_table.BUDGET], LONGEST)
        waited = train(data, job, into)
        if next(count) == call:
            raise instead
        return waited

    engine.train = trained


@pytest.mark.parametrize("event", [STEP, EPOCH])
@pytest.mark.parametrize("at", [5, 10])
def test_who_hears_later_hears_when_the_fit_is_resumed(event, at, tmp_path):
    path, heard, after = tmp_path / NAME, [], []
    whole, second = new_trainer(), new_trainer()
    history = fit_with(whole, callbacks(Saver(path, event, at), heard))
    resumed = fit_with(second, callbacks(Saver(path), after), resume=path)
    assert_same(second, resumed, whole, history)
    first = [call[:2] for call in heard].index((event, at))
    assert after == heard[first:]


@pytest.mark.parametrize("event", [STEP, EPOCH])
def test_who_has_heard_of_an_event_does_not_hear_of_it_again(event, tmp_path):
    path, heard, after = tmp_path / NAME, [], []
    for calls, resume in ((heard, None), (after, path)):
        listener = fastbp.LambdaCallback(
            on_step_end=lambda state, calls=calls: calls.append((STEP, state.steps)),
            on_epoch_end=lambda state, calls=calls: calls.append((EPOCH, state.steps)),
        )
        saver = Saver(path, "" if resume else event, 10)
        fit_with(new_trainer(), [listener, saver], resume=resume)
    assert after == heard[heard.index((event, 10)) + 1 :]


def test_a_file_that_is_written_as_a_resumed_fit_begins(tmp_path):
    path, other = tmp_path / NAME, tmp_path / "other"
    whole, second, third = new_trainer(), new_trainer(), new_trainer()
    history = fit_with(whole, callbacks(Saver(path, STEP, 23), []))
    fit_with(second, callbacks(Saver(other, "on_fit_begin", 23), []), resume=path)
    assert_same(third, fit_with(third, callbacks(Saver(path), []), resume=other), whole, history)


def test_a_callback_that_stops_a_resumed_fit_as_it_begins(tmp_path):
    path = tmp_path / NAME

    def stop(_state):
        raise fastbp.StopTraining

    fit_with(new_trainer(), [fastbp.ModelCheckpoint(path), fastbp.LambdaCallback()], epochs=2)
    called = [fastbp.ModelCheckpoint(path), fastbp.LambdaCallback(on_fit_begin=stop)]
    assert len(fit_with(new_trainer(), called, epochs=6, resume=path)["loss"]) == 2


def test_the_best_beside_the_newest(tmp_path):
    """The newest is written first: the best hears of the same epoch when the fit is resumed."""
    newest, best = tmp_path / NAME, tmp_path / "best"

    def train(scores, at=None, **more):
        scores = iter(scores)
        called = [
            fastbp.ModelCheckpoint(newest),
            fastbp.ModelCheckpoint(best, monitor="val_m", mode="max", save_best_only=True),
            Crasher(at),
        ]
        metrics = {"m": lambda *_: next(scores)}
        return fit_with(new_trainer(), called, epochs=3, metrics=metrics, **more)

    with pytest.raises(Crash):
        train([1.0, 3.0], 12)
    best.unlink()  # as if the process had been killed between the two
    train([2.0], resume=newest)
    assert fastbp.Trainer.load(best).history["val_m"] == [1.0, 3.0]


# Ctrl-C, and batches that are refused


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_ctrl_c_within_a_chunk_keeps_the_history_of_the_epochs_made(call):
    trainer, other = new_trainer(ENDLESS), new_trainer(ENDLESS)
    interrupt(trainer, call)
    with pytest.raises(KeyboardInterrupt):
        fit_with(trainer, [], epochs=10**6, validation_fraction=None)
    made = core(trainer).epoch
    assert len(trainer.history.get("loss", ())) == made
    if made:
        history = fit_with(other, [], epochs=made, validation_fraction=None)
        assert trainer.history["loss"] == history["loss"]


@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("fraction", [None, 0.2])
def test_what_is_saved_after_ctrl_c_can_be_resumed(call, fraction, tmp_path):
    path = tmp_path / NAME
    whole, first, second = new_trainer(ENDLESS), new_trainer(ENDLESS), new_trainer(ENDLESS)
    settings = {"epochs": 40, "validation_fraction": fraction}
    history = fit_with(whole, [AtEnd(tmp_path / "whole")], **settings)
    interrupt(first, call)
    with pytest.raises(KeyboardInterrupt):
        fit_with(first, [AtEnd(path)], **settings)
    assert_same(second, fit_with(second, [AtEnd(path)], resume=path, **settings), whole, history)


def test_a_signal_handler_cannot_save_in_the_middle_of_updates(tmp_path):
    trainer = new_trainer(ENDLESS)
    train = core(trainer).engine.train

    def handled(data, job, into):
        waited = train(data, job, into)
        trainer.save(tmp_path / NAME)
        return waited

    core(trainer).engine.train = handled
    with pytest.raises(RuntimeError, match="by a signal handler in the middle of updates"):
        fit_with(trainer, [])
    assert not (tmp_path / NAME).exists()
    core(trainer).engine.train = train
    trainer.save(tmp_path / NAME)


@pytest.mark.parametrize("call", range(2, 9))
@pytest.mark.parametrize("called", [[], [AtEnd]], ids=["no callback", "one"])
def test_what_is_saved_after_a_refused_batch_is_where_the_trainer_went_back_to(
    call, called, tmp_path
):
    """Also where the call that met it had ended epochs."""
    path, trainer, other = tmp_path / NAME, new_trainer(ENDLESS), new_trainer(ENDLESS)
    called = [kind(path) for kind in called]
    interrupt(trainer, call, FloatingPointError("not finite"))
    with pytest.raises(FloatingPointError):
        fit_with(trainer, called, epochs=1000, validation_fraction=None)
    made = core(trainer).epoch
    if made:
        fit_with(other, [], epochs=made, validation_fraction=None)
        assert training_state(trainer) == training_state(other)
    assert len(trainer.history.get("loss", ())) == made
    if called:
        position = fastbp.training.checkpoints.read(path).fit["position"]
        assert (position["epochs"], position["row"], position["loss"]) == (made, 0, 0.0)


def test_a_resumed_fit_goes_back_through_the_epoch_that_it_was_resumed_in(tmp_path):
    """That epoch is made again from where it was resumed, and not from its beginning."""
    path, settings = tmp_path / NAME, {"epochs": 1000, "validation_fraction": None}
    first, second, third = new_trainer(ENDLESS), new_trainer(ENDLESS), new_trainer(ENDLESS)
    interrupt(first, 1)
    with pytest.raises(KeyboardInterrupt):
        fit_with(first, [AtEnd(path)], **settings)
    assert fastbp.training.checkpoints.read(path).fit["position"]["row"] > 0
    interrupt(second, 3, FloatingPointError("not finite"))
    with pytest.raises(FloatingPointError):
        fit_with(second, [AtEnd(tmp_path / "end")], resume=path, **settings)
    assert core(second).epoch > 0
    fit_with(third, [], **settings | {"epochs": core(second).epoch})
    assert training_state(second) == training_state(third)


def test_losses_do_not_depend_on_what_the_trainer_did_before(tmp_path):
    """Once rows had weights the kernels are others."""
    path, settings = tmp_path / NAME, {"epochs": 3, "validation_fraction": None}
    options = {key: value for key, value in EVERY.items() if key != "class_weight"}
    whole, first, second = new_trainer(options), new_trainer(options), new_trainer(options)
    history = fit_with(whole, [AtEnd(path)], **settings)
    interrupt(first, 2)
    with pytest.raises(KeyboardInterrupt):
        fit_with(first, [AtEnd(path)], **settings)
    X, y = CASE.batch()
    second.step(X[:4], y[:4], np.ones(4))
    resumed = fit_with(second, [AtEnd(path)], resume=path, **settings)
    assert timeless(resumed) == timeless(history)


def test_plain_kernels_and_then_others(tmp_path):
    path, settings = tmp_path / NAME, {"epochs": 3, "validation_fraction": None}
    whole, first, second = new_trainer({}), new_trainer({}), new_trainer({})
    history = fit_with(whole, [AtEnd(path)], **settings)
    interrupt(first, 2)
    with pytest.raises(KeyboardInterrupt):
        fit_with(first, [AtEnd(path)], **settings)
    X, y = CASE.batch()
    second.step(X[:4], y[:4], np.ones(4))
    resumed = fit_with(second, [AtEnd(path)], resume=path, **settings)
    assert timeless(resumed) == timeless(history)


def test_history_of_batches():
    trainer = new_trainer({})
    X, y = CASE.batch()
    fit_with(trainer, [])
    history = trainer.fit_batches([(X[:8], y[:8])], epochs=1)
    assert trainer.history is history


def test_batches_within_fit_leave_its_history():
    trainer = new_trainer({})
    X, y = CASE.batch()
    more = fastbp.LambdaCallback(
        on_epoch_end=lambda state: state.trainer.fit_batches([(X[:8], y[:8])])
    )
    history = fit_with(trainer, [more], epochs=2)
    assert trainer.history is history
