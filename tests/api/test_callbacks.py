"""What fit tells its callbacks, when, and what they may do."""

import _thread
import copy
import math
import pickle
import threading
import time

import numpy as np
import pytest

import fastbp
from fastbp.callbacks.base import EVENTS, Callback, LambdaCallback, StopTraining
from fastbp.kernels import reference
from fastbp.runtime import compiled_engine as compiled
from fastbp.training import row_weights
from fastbp.training.row_order import RowOrder
from support.cases import THREE_CLASSES, each_case, each_engine
from support.internals import core, dataset
from support.trainers import adam_trainer, bits, trainer_in_thirds

BATCH, STEPS = 8, 3
"""Rows of a batch, and batches of an epoch, the last a partial one."""


def fit(trainer, epochs=2, **options):
    return trainer.fit(*THREE_CLASSES.batch(), epochs=epochs, shuffle=False, **options)


def steps_of(trainer, count):
    """The losses of so many steps, by hand, of epochs as the rows lie."""
    X, y = THREE_CLASSES.batch()
    starts = [BATCH * (i % STEPS) for i in range(count)]
    return [trainer.step(X[i : i + BATCH], y[i : i + BATCH]) for i in starts]


class Diary(Callback):
    """Writes down what it hears, and does something at some point of it."""

    def __init__(self, when="", number=0, act=None):
        self.heard, self.errors = [], []
        self._when, self._number, self._act = when, number, act

    def _hear(self, event, state):
        self.heard.append((event, state.epoch, state.steps, state.samples))
        if event == self._when and self._number in (0, state.steps, state.epoch):
            self._act(state)

    def on_fit_begin(self, state):
        self._hear("begin", state)

    def on_step_end(self, state):
        self._hear("step", state)

    def on_epoch_end(self, state):
        self._hear("epoch", state)

    def on_fit_end(self, state):
        self.errors.append(state.error)
        self._hear("end", state)

    def names(self):
        return [event for event, *_ in self.heard]


def stop(_state):
    raise StopTraining


def fail(_state):
    raise LookupError("on purpose")


# What they hear


@each_engine
def test_all_events_in_their_order(engine):
    diary = Diary()
    fit(adam_trainer(THREE_CLASSES, engine), callbacks=[diary])
    assert diary.heard == [
        ("begin", 0, 0, 0),
        ("step", 0, 1, 8),
        ("step", 0, 2, 16),
        ("step", 0, 3, 20),
        ("epoch", 1, 3, 20),
        ("step", 1, 4, 28),
        ("step", 1, 5, 36),
        ("step", 1, 6, 40),
        ("epoch", 2, 6, 40),
        ("end", 2, 6, 40),
    ]
    assert diary.errors == [None]


@each_engine
@pytest.mark.parametrize("events", [("on_epoch_end",), ("on_fit_begin", "on_fit_end")])
def test_counts_are_right_without_steps_too(engine, events):
    heard = []

    def hear(state):
        heard.append((state.epoch, state.steps, state.samples, math.isnan(state.step_loss)))

    fit(
        adam_trainer(THREE_CLASSES, engine),
        callbacks=[LambdaCallback(**dict.fromkeys(events, hear))],
    )
    epochs = {"on_epoch_end": [1, 2], "on_fit_begin": [0, 2]}[events[0]]
    assert heard == [(n, n * STEPS, n * THREE_CLASSES.rows, True) for n in epochs]


@each_engine
def test_the_loss_of_a_step_is_what_step_returns(engine):
    losses, trainer = [], adam_trainer(THREE_CLASSES, engine)
    watcher = LambdaCallback(on_step_end=lambda state: losses.append(state.step_loss))
    fit(trainer, callbacks=[watcher])
    assert losses == steps_of(adam_trainer(THREE_CLASSES, engine), 2 * STEPS)
    assert {type(loss) for loss in losses} == {float}


@each_engine
def test_a_state_says_what_is_trained_and_how_far_it_is(engine):
    trainer, states = adam_trainer(THREE_CLASSES, engine), []

    def look(state):
        states.append((state.trainer, state.epochs, state.rows, dict(state.values)))

    history = fit(
        trainer,
        validation_data=THREE_CLASSES.batch(3),
        callbacks=[LambdaCallback(on_epoch_end=look)],
    )
    for i, state in enumerate(states):
        assert state == (trainer, 2, 20, {key: column[i] for key, column in history.items()})
    assert set(history) == {"loss", "val_loss", "val_accuracy", "samples_per_second"}


@pytest.mark.parametrize(
    ("method", "meant"),
    [
        ("on_batch_end", "did you mean on_step_end"),
        ("on_train_begin", "did you mean on_fit_begin"),
        ("on_epoch_begin", "on_fit_begin, on_step_end, on_epoch_end, on_fit_end"),
        ("on_qwertz", "which fit never calls: There are on_fit_begin"),
    ],
)
@pytest.mark.parametrize("base", [fastbp.Callback, fastbp.EarlyStopping])
def test_a_method_that_would_never_be_called_is_refused(method, meant, base):
    trainer = adam_trainer(THREE_CLASSES)
    callback = type("Mine", (base,), {method: stop})()
    with pytest.raises(TypeError, match=rf"callbacks\[1\] .*a method {method}, .*{meant}"):
        fit(trainer, callbacks=[LambdaCallback(), callback])
    assert trainer.updates == 0


def test_a_callback_may_add_a_column():
    watcher = LambdaCallback(on_epoch_end=lambda state: state.history.extend(lr=[state.trainer.lr]))
    later = LambdaCallback(on_epoch_end=lambda state: state.values["lr"])
    assert fit(adam_trainer(THREE_CLASSES), callbacks=[watcher, later])["lr"] == [0.01, 0.01]


# What they cost


KINDS = {
    "begin and end": ("on_fit_begin", "on_fit_end"),
    "epochs": ("on_epoch_end",),
    "steps": ("on_step_end",),
    "all": EVENTS,
}


def callbacks_of(kind):
    return [LambdaCallback(**dict.fromkeys(KINDS[kind], lambda _: None))]


def trained(case, engine, **options):
    trainer = trainer_in_thirds(case, engine=engine)
    losses = trainer.fit(*case.batch(), epochs=3, **options)["loss"]
    return bits(trainer), losses, core(trainer).epoch


@each_engine
@each_case
def test_callbacks_change_no_bits(case, engine):
    plain = trained(case, engine)
    for kind in KINDS:
        assert trained(case, engine, callbacks=callbacks_of(kind)) == plain


@pytest.mark.parametrize(
    ("kind", "calls"), [("", 2), ("begin and end", 2), ("epochs", 12), ("steps", 33)]
)
def test_a_call_of_the_kernels_takes_as_much_as_nobody_watches(kind, calls, monkeypatch):
    """The fit has 11 epochs; its first call makes one batch, to measure the speed."""
    runs, run = [], compiled._run
    monkeypatch.setattr(compiled, "_run", lambda *job: runs.append(job) or run(*job))
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: 2**40)
    fit(adam_trainer(THREE_CLASSES), 11, callbacks=callbacks_of(kind) if kind else ())
    assert len(runs) == calls


def rich_trainer(engine):
    """With dropout, whose masks are keyed by the update, penalties, a norm that is clipped."""
    return fastbp.Trainer(
        THREE_CLASSES.network("float32"),
        loss=THREE_CLASSES.loss,
        optimizer=fastbp.Adam(lr=0.01),
        batch_size=BATCH,
        seed=0,
        engine=engine,
        dropout=0.3,
        l2=0.01,
        clip_norm=0.5,
        ema_decay=0.9,
        class_weight="balanced",
    )


WEIGHTS = np.array([*np.linspace(0.1, 2, 8), *np.zeros(8), 1, 0, 3, 1])
"""Of the rows; those of the second batch are 0."""


@each_engine
@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_change_no_bits_of_a_fit_with_weights(kind, engine):
    watched, plain = rich_trainer(engine), rich_trainer(engine)
    one = fit(watched, 3, sample_weight=WEIGHTS, callbacks=callbacks_of(kind))
    other = fit(plain, 3, sample_weight=WEIGHTS)
    assert one["loss"] == other["loss"]
    assert bits(watched) == bits(plain)


@each_engine
def test_the_loss_of_a_step_with_weights_is_what_step_returns(engine):
    losses, trainer, by_hand = [], rich_trainer(engine), rich_trainer(engine)
    watcher = LambdaCallback(on_step_end=lambda state: losses.append(state.step_loss))
    fit(trainer, sample_weight=WEIGHTS, callbacks=[watcher])
    X, y = THREE_CLASSES.batch()
    row_weights.weigh(core(by_hand), RowOrder(dataset(by_hand, X, y), shuffle=False))
    divided = WEIGHTS / (WEIGHTS * core(by_hand).class_weights[y]).mean()
    parts = [slice(0, 8), slice(8, 16), slice(16, 20)] * 2
    assert losses == [by_hand.step(X[rows], y[rows], divided[rows]) for rows in parts]
    assert losses[1] == losses[4] == 0
    assert bits(trainer) == bits(by_hand)


@each_engine
def test_the_loss_of_an_epoch_is_right_though_a_callback_brings_weights(engine):
    """From then on, other kernels run."""
    X, y = THREE_CLASSES.batch()
    losses, trainer = [], adam_trainer(THREE_CLASSES, engine)

    def step(state):
        losses.append(state.step_loss)
        if len(losses) == 1:
            state.trainer.step(X[:2], y[:2], [1.0, 2.0])

    history = fit(trainer, 2, callbacks=[LambdaCallback(on_step_end=step)])
    means = [np.average(part, weights=(8, 8, 4)) for part in (losses[:3], losses[3:])]
    np.testing.assert_allclose(history["loss"], means, rtol=1e-14)


# Stopping


@each_engine
@pytest.mark.parametrize(
    ("when", "number", "steps", "epochs"),
    [
        ("begin", 0, 0, 0),
        ("step", 5, 5, 1),
        ("step", 6, 6, 2),
        ("epoch", 2, 6, 2),
        ("end", 0, 9, 3),
    ],
)
def test_stop_training_ends_fit(when, number, steps, epochs, engine):
    trainer, other = adam_trainer(THREE_CLASSES, engine), Diary()
    stopper, later = Diary(when, number, stop), Diary()
    history = fit(trainer, 3, callbacks=[other, stopper, later])
    assert len(history.get("loss", ())) == epochs + (steps % 3 > 0)  # and the part of an epoch
    assert other.heard == stopper.heard == later.heard
    assert other.names().count("end") == 1
    assert other.heard[-1][1:3] == (epochs, steps)
    assert other.errors == [None]
    by_hand = adam_trainer(THREE_CLASSES, engine)
    steps_of(by_hand, steps)
    assert bits(trainer) == bits(by_hand)


@each_engine
def test_an_epoch_that_was_stopped_begins_anew(engine):
    """With its own order: a fit's epochs depend on (seed, epoch) alone."""
    X, y = THREE_CLASSES.batch()
    stopped, by_hand = adam_trainer(THREE_CLASSES, engine), adam_trainer(THREE_CLASSES, engine)
    stopped.fit(X, y, epochs=3, callbacks=[Diary("step", 4, stop)])
    assert core(stopped).epoch == 1
    by_hand.fit(X, y, callbacks=[])
    order = reference.shuffled(0, 1, len(X))[:BATCH]
    by_hand.step(X[order], y[order])
    assert bits(stopped) == bits(by_hand)
    assert stopped.fit(X, y)["loss"] == by_hand.fit(X, y)["loss"]


def test_the_epoch_that_stops_is_validated():
    history = fit(
        adam_trainer(THREE_CLASSES),
        9,
        validation_data=THREE_CLASSES.batch(3),
        callbacks=[Diary("step", 3, stop)],
    )
    assert {len(column) for column in history.values()} == {1}
    assert "val_loss" in history


# Failing


def is_free(trainer):
    """Another thread can train, and a new fit begins."""
    losses = []
    thread = threading.Thread(target=lambda: losses.extend(fit(trainer, 1)["loss"]))
    thread.start()
    thread.join()
    return len(losses) == 1


@each_engine
@pytest.mark.parametrize("when", ["begin", "step", "epoch", "end"])
def test_what_a_callback_raises_reaches_the_caller(when, engine):
    trainer, earlier, later = adam_trainer(THREE_CLASSES, engine), Diary(), Diary()
    failing = Diary(when, 0, fail)
    with pytest.raises(LookupError, match="on purpose") as caught:
        fit(trainer, callbacks=[earlier, failing, later])
    assert earlier.names().count("end") == 1
    assert failing.names().count("end") == (when != "begin")
    assert later.names().count("end") == (when != "begin")
    assert earlier.errors == [None if when == "end" else caught.value]
    assert is_free(trainer)


def test_every_end_is_told_though_others_fail():
    first, last = Diary(), Diary()
    failing = [Diary("end", 0, fail), Diary("end", 0, stop), Diary("end", 0, fail)]
    with pytest.raises(LookupError):
        fit(adam_trainer(THREE_CLASSES), callbacks=[first, *failing, last])
    assert all(diary.names()[-1] == "end" for diary in (first, *failing, last))


def test_the_last_to_begin_is_the_first_to_end():
    ended = []
    callbacks = [LambdaCallback(on_fit_end=lambda _, i=i: ended.append(i)) for i in range(3)]
    fit(adam_trainer(THREE_CLASSES), callbacks=callbacks)
    assert ended == [2, 1, 0]


@each_engine
def test_the_updates_before_a_failure_stay(engine):
    trainer, by_hand = adam_trainer(THREE_CLASSES, engine), adam_trainer(THREE_CLASSES, engine)
    with pytest.raises(LookupError):
        fit(trainer, callbacks=[Diary("step", 4, fail)])
    steps_of(by_hand, 4)
    assert bits(trainer) == bits(by_hand)
    assert core(trainer).epoch == 1


@each_engine
def test_the_end_is_told_of_a_loss_that_is_not_finite(engine):
    trainer, diary = adam_trainer(THREE_CLASSES, engine), Diary()
    weights, biases = trainer.net.weights, trainer.net.biases
    trainer.net.arrays.parameters[:] = np.nan
    with pytest.raises(FloatingPointError) as caught:
        fit(trainer, callbacks=[diary])
    assert diary.names() == ["begin", "end"]
    assert diary.errors == [caught.value]
    trainer.net.set_parameters(weights, biases)
    assert is_free(trainer)


def test_an_interrupt_in_a_callback_ends_fit():
    def interrupt(_state):
        _thread.interrupt_main()
        time.sleep(10)

    trainer, diary = adam_trainer(THREE_CLASSES), Diary()
    with pytest.raises(KeyboardInterrupt):
        fit(trainer, callbacks=[diary, LambdaCallback(on_epoch_end=interrupt)])
    assert diary.names()[-1] == "end"
    assert isinstance(diary.errors[0], KeyboardInterrupt)
    assert is_free(trainer)


# What they may do


@each_engine
@pytest.mark.parametrize("when", ["on_step_end", "on_epoch_end"])
def test_looking_at_the_trainer_changes_nothing(when, engine):
    X, y = THREE_CLASSES.batch(3)

    def look(state):
        state.trainer.predict(X)
        state.trainer.net.predict(X)
        state.trainer.evaluate(X, y)
        state.trainer.loss_and_gradients(X, y)

    watched, plain = adam_trainer(THREE_CLASSES, engine), adam_trainer(THREE_CLASSES, engine)
    fit(watched, callbacks=[LambdaCallback(**{when: look})])
    fit(plain)
    assert bits(watched) == bits(plain)


@each_engine
def test_lr_set_by_a_callback_is_that_of_the_next_update(engine):
    def halve(state):
        state.trainer.lr /= 2

    trainer, by_hand = adam_trainer(THREE_CLASSES, engine), adam_trainer(THREE_CLASSES, engine)
    fit(trainer, callbacks=[LambdaCallback(on_step_end=halve)])
    X, y = THREE_CLASSES.batch()
    for start in (0, 8, 16, 0, 8, 16):
        by_hand.step(X[start : start + 8], y[start : start + 8])
        by_hand.lr /= 2
    assert bits(trainer) == bits(by_hand)


@each_engine
@pytest.mark.parametrize("when", ["on_step_end", "on_epoch_end"])
def test_a_step_within_fit_is_one_more_update(when, engine):
    other = THREE_CLASSES.batch(3)
    X, y = other[0][:5].astype("f4"), other[1][:5]
    trainer, by_hand = adam_trainer(THREE_CLASSES, engine), adam_trainer(THREE_CLASSES, engine)
    fit(trainer, callbacks=[LambdaCallback(**{when: lambda state: state.trainer.step(X, y)})])
    every = 1 if when == "on_step_end" else STEPS
    for i in range(0, 2 * STEPS, every):
        rows = THREE_CLASSES.batch()
        for j in range(i, i + every):
            start = BATCH * (j % STEPS)
            by_hand.step(rows[0][start : start + BATCH], rows[1][start : start + BATCH])
        by_hand.step(X, y)
    assert bits(trainer) == bits(by_hand)


@each_engine
@pytest.mark.parametrize("when", EVENTS)
def test_a_fit_within_fit_is_refused(when, engine):
    trainer = adam_trainer(THREE_CLASSES, engine)
    with pytest.raises(RuntimeError, match="within a fit of the same trainer"):
        fit(trainer, callbacks=[LambdaCallback(**{when: lambda _: fit(trainer)})])
    assert is_free(trainer)


def test_another_trainer_may_fit_within_fit():
    losses = []
    other = LambdaCallback(
        on_epoch_end=lambda _: losses.extend(fit(adam_trainer(THREE_CLASSES))["loss"])
    )
    fit(adam_trainer(THREE_CLASSES), callbacks=[other])
    assert len(losses) == 4


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_made_within_fit_goes_on_by_itself(copied):
    copies, trainer = [], adam_trainer(THREE_CLASSES)
    watcher = LambdaCallback(on_epoch_end=lambda state: copies.append(copied(state.trainer)))
    history = fit(trainer, 3, callbacks=[watcher])
    if copied is copy.copy:  # which shares the network
        assert is_free(copies[0])
        return
    assert fit(copies[0])["loss"] == history["loss"][1:]
    assert bits(copies[0]) == bits(trainer)


# What is no callback


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (Diary(), r"callbacks is a Diary, expected a list"),
        (None, r"callbacks is a NoneType, expected a list"),
        ([print], r"callbacks\[0\] is <built-in.*LambdaCallback"),
        ([Diary(), Diary], r"callbacks\[1\] is <class.*an instance"),
    ],
)
def test_what_is_no_callback_is_refused_before_fit_begins(callbacks, message):
    trainer = adam_trainer(THREE_CLASSES)
    before = bits(trainer)
    with pytest.raises(TypeError, match=message):
        fit(trainer, callbacks=callbacks)
    assert bits(trainer) == before


def test_callbacks_are_any_iterable():
    diary = Diary()
    fit(adam_trainer(THREE_CLASSES), callbacks=(one for one in [diary]))
    assert diary.names()[-1] == "end"


def test_a_lambda_callback_takes_functions():
    with pytest.raises(TypeError, match=r"on_epoch_end is 3, of type int, expected a function"):
        LambdaCallback(on_epoch_end=3)
