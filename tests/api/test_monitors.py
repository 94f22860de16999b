"""Callbacks that follow a value: early stopping, checkpoints, a learning rate that falls."""

import numpy as np
import pytest

import fastbp
from fastbp import EarlyStopping, LambdaCallback, ModelCheckpoint, ReduceLROnPlateau
from fastbp.training.validation import split
from support.cases import THREE_CLASSES, each_engine
from support.internals import core
from support.trainers import adam_trainer, flat_parameters

NAN = float("nan")


def follow(values, *callbacks, trainer=None):
    """Fit with val_score taking these values, one an epoch; the History."""
    scores = iter(values)
    return (trainer or adam_trainer(THREE_CLASSES)).fit(
        *THREE_CLASSES.batch(),
        epochs=len(values),
        validation_data=THREE_CLASSES.batch(3),
        metrics={"score": lambda *_: next(scores)},
        callbacks=callbacks,
    )


class Weights(fastbp.Callback):
    """The parameters after each epoch."""

    def __init__(self):
        self.after = []

    def on_epoch_end(self, state):
        self.after.append(flat_parameters(state.trainer.net).tobytes())


# EarlyStopping


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([3, 2, 2, 2, 1, 0], {"patience": 2}, 4, 2),
        ([3, 2, 2, 1, 1, 1, 0], {"patience": 2}, 6, 4),
        ([3, 2, 1, 0], {"patience": 1}, 4, 4),
        ([3, 3, 2], {"patience": 1}, 2, 1),
        ([3, 2.6, 2.5, 1.9, 1.8], {"patience": 2, "min_delta": 0.5}, 3, 1),
        ([3, 2.4, 2.2, 1.8, 1.7], {"patience": 2, "min_delta": 0.5}, 5, 4),
        ([NAN, NAN, 3, NAN, 4, 5], {"patience": 3}, 6, 3),
        ([NAN, NAN, NAN], {"patience": 2}, 2, 0),
        ([1, 2, 2, 2, 3], {"patience": 2, "mode": "max"}, 4, 2),
        ([1, 1.5, 1.4, 9], {"patience": 2, "mode": "max", "min_delta": 0.5}, 3, 1),
    ],
)
def test_early_stopping_stops_and_brings_the_best_back(values, options, epochs, best):
    stopping, weights = EarlyStopping("val_score", **{"mode": "min"} | options), Weights()
    trainer = adam_trainer(THREE_CLASSES)
    history = follow(values, weights, stopping, trainer=trainer)
    assert history["val_score"] == pytest.approx(values[:epochs], nan_ok=True)
    assert stopping.best_epoch == best
    assert not best or stopping.best == values[best - 1]
    assert flat_parameters(trainer.net).tobytes() == weights.after[best - 1]


@each_engine
def test_early_stopping_can_leave_the_last(engine):
    stopping, weights = EarlyStopping("val_score", 2, mode="min", restore_best=False), Weights()
    trainer = adam_trainer(THREE_CLASSES, engine)
    follow([2, 1, 3, 4, 5], weights, stopping, trainer=trainer)
    assert len(weights.after) == 4
    assert flat_parameters(trainer.net).tobytes() == weights.after[3]


@each_engine
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_early_stopping_brings_the_best_back_however_fit_ends(error, engine):
    def end(state):
        if state.epoch == 3:
            raise error

    stopping, weights, trainer = (
        EarlyStopping("val_score", mode="min"),
        Weights(),
        adam_trainer(THREE_CLASSES, engine),
    )
    with pytest.raises(error):
        follow([2, 1, 3, 4], weights, stopping, LambdaCallback(on_epoch_end=end), trainer=trainer)
    assert flat_parameters(trainer.net).tobytes() == weights.after[1]


def test_early_stopping_forgets_an_earlier_fit():
    stopping, trainer = EarlyStopping("val_score", 2, mode="min"), adam_trainer(THREE_CLASSES)
    assert len(follow([2, 1, 1, 1, 1], stopping, trainer=trainer)["loss"]) == 4
    assert len(follow([7, 8, 6, 8, 8, 8], stopping, trainer=trainer)["loss"]) == 5
    assert (stopping.best, stopping.best_epoch) == (6, 3)


def test_early_stopping_by_what_fit_itself_reports():
    """A network that learns noise: the loss falls, and the validation loss soon does not."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 8)), rng.normal(size=60)
    net = fastbp.Network([8, 64, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(0.01), batch_size=8, seed=0)
    stopping = EarlyStopping(patience=5)
    history = trainer.fit(X, y, 200, validation_fraction=0.3, callbacks=[stopping])
    assert len(history["loss"]) == stopping.best_epoch + 5 < 200
    assert stopping.best == min(history["val_loss"])
    _, held = split(60, 0.3, 0)
    assert trainer.evaluate(X[held], y[held])["loss"] == stopping.best


# What is monitored


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_monitor_that_is_not_there_names_those_that_are(kind):
    trainer = adam_trainer(THREE_CLASSES)
    with pytest.raises(ValueError, match=r"'val_loss', but .* only 'loss', 'samples_per_second'"):
        trainer.fit(*THREE_CLASSES.batch(), 3, callbacks=[kind()])
    assert core(trainer).epoch == 1
    message = r"'val_auc', but .* only 'loss', 'val_loss', 'val_accuracy', 'val_score', 'samples"
    with pytest.raises(ValueError, match=message):
        follow([1, 2], kind("val_auc", mode="max"))


@pytest.mark.parametrize("key", ["loss", "val_loss"])
def test_a_loss_is_the_better_for_being_smaller(key):
    assert EarlyStopping(key).best == np.inf


def test_an_accuracy_is_the_better_for_being_greater():
    assert EarlyStopping("val_accuracy").best == -np.inf


MAKERS = {
    "EarlyStopping": EarlyStopping,
    "ReduceLROnPlateau": ReduceLROnPlateau,
    "ModelCheckpoint": lambda monitor="val_loss", **options: ModelCheckpoint(
        "x", monitor=monitor, **options
    ),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_cannot_be_monitored_is_refused_at_once(kind):
    make = MAKERS[kind]
    with pytest.raises(ValueError, match=r"monitor is 'val_auc': .* mode='min' .* mode='max'"):
        make("val_auc")
    with pytest.raises(ValueError, match=r"mode is 'up', expected 'auto', 'min' or 'max'"):
        make("val_auc", mode="up")
    with pytest.raises(TypeError, match=r"monitor is 3, expected a key"):
        make(3)


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        (EarlyStopping, {"patience": 0}, ValueError, "patience is 0, expected an integer >= 1"),
        (EarlyStopping, {"patience": 1.5}, TypeError, "patience is 1.5"),
        (EarlyStopping, {"min_delta": -1}, ValueError, "min_delta is -1.0, .* 0 or more"),
        (EarlyStopping, {"mode": np.array(["min", "max"])}, ValueError, "mode is array"),
        (EarlyStopping, {"restore_best": 1}, TypeError, "restore_best is 1"),
        (ReduceLROnPlateau, {"factor": 1.0}, ValueError, "factor is 1.0, .* below 1"),
        (ReduceLROnPlateau, {"factor": 0}, ValueError, "factor is 0.0"),
        (ReduceLROnPlateau, {"patience": -1}, ValueError, "patience is -1"),
        (ReduceLROnPlateau, {"threshold": -1e-9}, ValueError, "threshold is -1e-09"),
        (ReduceLROnPlateau, {"threshold": NAN}, ValueError, "threshold is nan"),
        (ReduceLROnPlateau, {"cooldown": -1}, ValueError, "cooldown is -1"),
        (ReduceLROnPlateau, {"min_lr": "0"}, TypeError, "min_lr is '0'"),
    ],
)
def test_other_arguments_are_refused_at_once(kind, options, error, message):
    with pytest.raises(error, match=message):
        kind(**options)


# ReduceLROnPlateau


LOW = [1.0, 0.9, 0.9, 0.89999, 0.95, 0.8, 0.85, 0.85, 0.85, *[0.79] * 7]
WIDE = [100.0, 99.9, 99.8, 98.0, 97.9, 97.8, 97.7]
HIGH = [0.5, 0.6, 0.6, 0.6, 0.600059, 0.600059, 0.60007, 0.55, 0.7, NAN, 0.7, 0.7]

TORCH = {
    "min": (
        LOW,
        {"mode": "min", "factor": 0.5, "patience": 1},
        [*[0.1] * 3, *[0.05] * 4, *[0.025] * 4, *[0.0125] * 2, *[0.00625] * 2, 0.003125],
    ),
    "cooldown": (
        LOW,
        {"mode": "min", "factor": 0.5, "patience": 0, "cooldown": 2, "min_lr": 0.03},
        [0.1, 0.1, *[0.05] * 4, *[0.03] * 10],
    ),
    "threshold": (
        LOW,
        {"mode": "min", "factor": 0.1, "patience": 2, "threshold": 0.12},
        [
            *[0.1] * 3,
            *[0.010000000000000002] * 5,
            *[0.0010000000000000002] * 3,
            *[0.00010000000000000003] * 3,
            *[1.0000000000000004e-05] * 2,
        ],
    ),
    "threshold of a large value": (
        WIDE,
        {"mode": "min", "factor": 0.5, "patience": 1, "threshold": 0.01},
        [0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025],
    ),
    "max": (
        HIGH,
        {"mode": "max", "factor": 0.5, "patience": 1},
        [0.1, 0.1, 0.1, 0.05, 0.05, *[0.025] * 5, 0.0125, 0.0125],
    ),
    "too small a change": (
        [1.0] * 6,
        {"mode": "min", "factor": 0.5, "patience": 0, "min_lr": 0.099999999},
        [0.1] * 6,
    ),
}
"""Values, arguments, and what torch 2.13's class of this name made of a learning rate of 0.1 after
each."""


@pytest.mark.parametrize("case", TORCH)
def test_the_learning_rate_falls_as_in_torch(case):
    values, options, expected = TORCH[case]
    found = []
    watcher = LambdaCallback(on_epoch_end=lambda state: found.append(state.trainer.lr))
    follow(
        values,
        ReduceLROnPlateau("val_score", **options),
        watcher,
        trainer=adam_trainer(THREE_CLASSES, lr=0.1),
    )
    assert found == expected


def test_a_learning_rate_that_has_fallen_counts_anew_in_the_next_fit():
    plateau, trainer = (
        ReduceLROnPlateau("val_score", 0.5, 1, mode="min"),
        adam_trainer(THREE_CLASSES, lr=0.1),
    )
    follow([1, 1], plateau, trainer=trainer)
    assert trainer.lr == 0.1
    follow([2, 1, 1], plateau, trainer=trainer)
    assert trainer.lr == 0.1
    follow([2, 2, 2], plateau, trainer=trainer)
    assert trainer.lr == 0.05
