"""Fits that are interrupted, saved and resumed, and what must be the same at their ends."""

import fastbp
from fastbp.schedules import Cosine, FlatCosine, LogCosine, Warmup
from support.cases import Case
from support.trainers import training_state

CASE = Case((6, 16, 8, 3), 100, "relu", "softmax", "cross_entropy", labels=True)


EPOCHS, BATCH = 9, 16


ENDED = r"ended by a callback after \d+ epochs .* trains nothing.*Trainer\.load\(path\)\.fit"
"""Of the warning where a fit that a callback has ended is resumed."""


OPTIONS = {
    "dropout": 0.2,
    "clip_norm": 1.0,
    "ema_decay": 0.9,
    "class_weight": "balanced",
    "schedule": Warmup(5, Cosine(300)),
    "bias_lr_factor": 0.5,
    "weight_decay_on": "weights",
    "weight_decay_factors": 2.0,
    "weight_decay_schedule": FlatCosine(305),
    "dropout_schedule": LogCosine(305),
}


PLAIN, EVERY = {}, OPTIONS


class Crash(Exception):
    pass


class Crasher(fastbp.Callback):
    """Ends a fit at an update. Hears last: after what is written."""

    run_last = True

    def __init__(self, at=None):
        self.at = at

    def on_step_end(self, state):
        if state.steps == self.at:
            raise Crash


def new_trainer(options=EVERY, engine="numba", **more):
    return CASE.trainer("float32", engine, fastbp.AdamW(0.01), BATCH, **options, **more)


def fit_with(trainer, called, **more):
    X, y = CASE.batch()
    asked = {"epochs": EPOCHS, "validation_fraction": 0.2, "callbacks": called} | more
    return trainer.fit(X, y, **asked)


def timeless(history):
    return {key: column for key, column in history.items() if key != "samples_per_second"}


def assert_same(trainer, history, other, other_history):
    assert timeless(history) == timeless(other_history)
    assert training_state(trainer) == training_state(other)
