"""Reprs: each reads as the call that makes the object, without the arguments that have defaults."""

import dataclasses

import pytest

import fastbp
from fastbp import schedules
from fastbp.components import losses, optimizers

SPECS = {
    "fastbp.SGD(lr=0.1)": fastbp.SGD(0.1),
    "fastbp.SGD(lr=0.1, momentum=0.9, nesterov=True)": fastbp.SGD(0.1, 0.9, True),
    "fastbp.Adam()": fastbp.Adam(),
    "fastbp.Adam(betas=(0.5, 0.9), eps=1e-06)": fastbp.Adam(betas=(0.5, 0.9), eps=1e-6),
    "fastbp.AdamW(weight_decay=0.0)": fastbp.AdamW(weight_decay=0),
    "fastbp.RMSprop(lr=0.5, alpha=0.0)": fastbp.RMSprop(0.5, alpha=0),
    "fastbp.Adagrad(lr_decay=0.5)": fastbp.Adagrad(lr_decay=0.5),
    "fastbp.NAdam(momentum_decay=0.5)": fastbp.NAdam(momentum_decay=0.5),
    "fastbp.LBFGS(history=3)": fastbp.LBFGS(3),
    "fastbp.Huber(delta=0.5)": fastbp.Huber(0.5),
    "fastbp.Quantile(q=0.25)": fastbp.Quantile(0.25),
    "fastbp.schedules.Constant()": schedules.Constant(),
    "fastbp.schedules.StepDecay(every=2)": schedules.StepDecay(2),
    "fastbp.schedules.ExponentialDecay(gamma=0.5)": schedules.ExponentialDecay(0.5),
    "fastbp.schedules.InverseScaling(power=2.0)": schedules.InverseScaling(2),
    "fastbp.schedules.Cosine(updates=9)": schedules.Cosine(9),
    "fastbp.schedules.OneCycle(updates=9, anneal_strategy='linear')": schedules.OneCycle(
        9, anneal_strategy="linear"
    ),
    "fastbp.schedules.Warmup(updates=5)": schedules.Warmup(5),
    "fastbp.schedules.Warmup(updates=5, then=fastbp.schedules.Cosine(updates=9))": schedules.Warmup(
        5, schedules.Cosine(9)
    ),
}


@pytest.mark.parametrize("expected", SPECS)
def test_a_specification_is_the_call_that_makes_it(expected):
    spec = SPECS[expected]
    assert repr(spec) == expected
    assert eval(repr(spec), {"fastbp": fastbp}) == spec


def test_every_kind_of_specification_is_tried():
    kinds = {*optimizers.OPTIMIZERS.values(), *schedules.SCHEDULES.values()}
    kinds |= {*losses.NUMBERED.values(), fastbp.LBFGS}
    assert {type(spec) for spec in SPECS.values()} == kinds


def on_epoch(state):
    """Of a LambdaCallback: its repr has the name alone."""


CALLBACKS = {
    "fastbp.EarlyStopping()": fastbp.EarlyStopping(),
    "fastbp.EarlyStopping(monitor='val_f1', patience=3, mode='max', restore_best=False)": (
        fastbp.EarlyStopping("val_f1", 3, mode="max", restore_best=False)
    ),
    "fastbp.ReduceLROnPlateau()": fastbp.ReduceLROnPlateau(),
    "fastbp.ReduceLROnPlateau(factor=0.5, threshold=0.0, cooldown=2, min_lr=0.001)": (
        fastbp.ReduceLROnPlateau(factor=0.5, threshold=0, cooldown=2, min_lr=1e-3)
    ),
    "fastbp.CSVLogger('run.csv')": fastbp.CSVLogger("run.csv"),
    "fastbp.TimeLimit(seconds=60.0)": fastbp.TimeLimit(60),
    "fastbp.ModelCheckpoint('run.safetensors')": fastbp.ModelCheckpoint("run.safetensors"),
    "fastbp.ModelCheckpoint('run', every_updates=100, keep=3)": (
        fastbp.ModelCheckpoint("run", every_updates=100, keep=3)
    ),
    "fastbp.LambdaCallback()": fastbp.LambdaCallback(),
    "fastbp.LambdaCallback(on_epoch_end=on_epoch)": fastbp.LambdaCallback(on_epoch_end=on_epoch),
}


@pytest.mark.parametrize("expected", CALLBACKS)
def test_a_callback_is_the_call_that_makes_it(expected):
    callback = CALLBACKS[expected]
    assert repr(callback) == expected
    assert repr(eval(expected, {"fastbp": fastbp, "on_epoch": on_epoch})) == expected


def test_every_callback_is_tried():
    kinds = {vars(fastbp)[name] for name in fastbp.__all__}
    kinds = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, fastbp.Callback)}
    assert {type(callback) for callback in CALLBACKS.values()} == kinds - {fastbp.Callback}


def test_a_callback_that_has_run_is_the_same_call():
    net = fastbp.Network([1, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), engine="numpy")
    callback = fastbp.EarlyStopping("loss", 1, min_delta=9.0)
    trainer.fit([[1.0]], [1.0], epochs=5, callbacks=[callback])
    assert repr(callback) == "fastbp.EarlyStopping(monitor='loss', patience=1, min_delta=9.0)"


def test_a_class_of_the_users_own_has_no_path():
    @dataclasses.dataclass(frozen=True, repr=False)
    class Mine(fastbp.Adam):
        lr: float = 0.5

    assert repr(Mine(eps=0.1)) == "Mine(eps=0.1)"


def test_a_compiled_model_is_short():
    net = fastbp.Network([3, 4, 2], seed=0, dtype="float64")
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), batch_size=7)
    model = trainer.compiled()
    trainer.lr = 0.5
    assert repr(model) == "<fastbp model: float64, at most 7 rows, lr 0.5>"


def test_a_curve_of_learning_rates_is_short():
    net = fastbp.Network([1, 1], init="zeros")
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), engine="numpy")
    curve = trainer.find_lr([[1.0]], [1.0], start_lr=1e-3, end_lr=0.1, updates=5)
    expected = "<LRCurve: 5 updates, lr 0.001 to 0.1, suggestion 0.01>"
    assert repr(curve) == expected


def test_a_history_is_a_dict():
    assert repr(fastbp.History(loss=[0.5])) == "{'loss': [0.5]}"
