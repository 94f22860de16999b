"""Reprs: each reads as the call that makes the object, without the arguments that have defaults."""

import copy
import dataclasses
import inspect

import numpy as np
import pytest
from numba import njit

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
    "fastbp.RAdam(decoupled_weight_decay=True)": fastbp.RAdam(decoupled_weight_decay=True),
    "fastbp.LBFGS(history=3)": fastbp.LBFGS(3),
    "fastbp.Huber(delta=0.5)": fastbp.Huber(0.5),
    "fastbp.Quantile(q=0.25)": fastbp.Quantile(0.25),
    "fastbp.BetaNLL(beta=0.25)": fastbp.BetaNLL(0.25),
    "fastbp.schedules.Constant()": schedules.Constant(),
    "fastbp.schedules.StepDecay(every=2)": schedules.StepDecay(2),
    "fastbp.schedules.ExponentialDecay(gamma=0.5)": schedules.ExponentialDecay(0.5),
    "fastbp.schedules.InverseScaling(power=2.0)": schedules.InverseScaling(2),
    "fastbp.schedules.Cosine(updates=9)": schedules.Cosine(9),
    "fastbp.schedules.FlatCosine(updates=9, flat=0.25)": schedules.FlatCosine(9, 0.25),
    "fastbp.schedules.LogCosine(updates=9)": schedules.LogCosine(9),
    "fastbp.schedules.Table(factors=(1.0, 0.5))": schedules.Table([1, 0.5]),
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


@njit
def swish(z):
    """An activation of the user's own."""
    s = 1 / (1 + np.exp(-z))
    return z * s, s * (1 + z * (1 - s))


@njit
def squared(p, y, dloss_dp):
    """A loss of the user's own."""
    loss = 0.0
    for i in range(len(p)):  # whole arrays would take 30 s to compile
        dloss_dp[i] = 2 * (p[i] - y[i])
        loss += (p[i] - y[i]) ** 2
    return loss


NAMES = {"fastbp": fastbp, "swish": swish, "squared": squared}

NETWORKS = {
    "fastbp.Network([2, 1], seed=0)": fastbp.Network([2, 1], seed=0),
    "fastbp.Network([4, 8, 3], activation='tanh', output='softmax', seed=1)": (
        fastbp.Network((4, 8, 3), "tanh", "softmax", seed=1)
    ),
    "fastbp.Network([4, 8, 8, 3], activation=['relu', 'silu'], init='zeros', seed=2)": (
        fastbp.Network([4, 8, 8, 3], ("relu", "silu"), init="zeros", seed=2)
    ),
    "fastbp.Network([2, 2, 1], seed=3, dtype='float64', layer_norm=True, residual=True)": (
        fastbp.Network([2, 2, 1], seed=3, dtype=np.float64, layer_norm=True, residual=True)
    ),
    "fastbp.Network([2, 3, 3, 1], activation=[swish, 'relu'], output=swish, seed=4)": (
        fastbp.Network([2, 3, 3, 1], [swish, "relu"], swish, seed=4)
    ),
    "fastbp.Network([4, 8, 3], seed=5, "
    "number_embedding=fastbp.NumberEmbedding(columns=(1, 3), width=3))": fastbp.Network(
        [4, 8, 3], seed=5, number_embedding=fastbp.NumberEmbedding([1, 3], width=3)
    ),
}


@pytest.mark.parametrize("call", NETWORKS)
def test_a_network_is_the_call_that_makes_it(call):
    net = NETWORKS[call]
    assert repr(net) == f"{call}  # {net.n_parameters} parameters"
    again = eval(repr(net), NAMES)
    assert repr(again) == repr(net)
    assert all(map(np.array_equal, again.weights, net.weights))
    assert repr(copy.deepcopy(net)) == repr(net)


def test_a_network_counts_its_parameters_with_commas():
    assert repr(fastbp.Network([1000, 10])).endswith("  # 10,010 parameters")


def test_a_network_of_a_file_does_not_say_that_it_has_no_weights(tmp_path):
    net = fastbp.Network([2, 1], init="lecun_normal", seed=0)
    net.save(tmp_path / "net")
    assert repr(fastbp.load(tmp_path / "net")) == "fastbp.Network([2, 1], seed=0)  # 3 parameters"


NET = NETWORKS["fastbp.Network([4, 8, 3], activation='tanh', output='softmax', seed=1)"]

TRAINERS = {
    "loss='cross_entropy', optimizer=fastbp.Adam(), seed=0": {
        "loss": "cross_entropy",
        "optimizer": fastbp.Adam(),
    },
    "loss=fastbp.Huber(delta=0.5), optimizer=fastbp.SGD(lr=0.1), threads=1, seed=0": {
        "loss": fastbp.Huber(0.5),
        "optimizer": fastbp.SGD(0.1),
        "threads": 1,
    },
    "loss=squared, optimizer=fastbp.LBFGS(), batch_size=9, seed=0, engine='numpy', l2=0.5": {
        "loss": squared,
        "optimizer": fastbp.LBFGS(),
        "batch_size": 9,
        "engine": "numpy",
        "l2": 0.5,
    },
    "loss='cross_entropy', optimizer=fastbp.Adam(), seed=0, l1=0.1, dropout=0.5, "
    "label_smoothing=0.1, clip_value=1.0, clip_norm=2.0, ema_decay=0.9, class_weight={1: 3.0}, "
    "schedule=fastbp.schedules.Cosine(updates=9), lr_factors=[0.0, 1.0], input_scaling=6.0": {
        "loss": "cross_entropy",
        "optimizer": fastbp.Adam(),
        "l1": 0.1,
        "dropout": [0.5],
        "label_smoothing": 0.1,
        "clip_value": 1,
        "clip_norm": 2,
        "ema_decay": 0.9,
        "class_weight": {1: 3, 0: 1},
        "schedule": schedules.Cosine(9),
        "lr_factors": [0, 1],
        "input_scaling": 6,
    },
    "loss='cross_entropy', optimizer=fastbp.AdamW(), seed=0, bias_lr_factor=[0.5, 1.0], "
    "weight_decay_on='weights', weight_decay_factors=[2.0, 0.0], "
    "weight_decay_schedule=fastbp.schedules.FlatCosine(updates=9), "
    "dropout_schedule=fastbp.schedules.LogCosine(updates=9, cycles=2)": {
        "loss": "cross_entropy",
        "optimizer": fastbp.AdamW(),
        "bias_lr_factor": [0.5, 1],
        "weight_decay_on": "weights",
        "weight_decay_factors": [2, 0],
        "weight_decay_schedule": schedules.FlatCosine(9),
        "dropout_schedule": schedules.LogCosine(9, 2),
    },
    "loss='cross_entropy', optimizer=fastbp.Adam(), seed=0, class_weight='balanced'": {
        "loss": "cross_entropy",
        "optimizer": fastbp.Adam(),
        "class_weight": "balanced",
    },
    "loss='mse', optimizer=fastbp.Adam(), seed=0, data='local', reduction='fast', parts=4": {
        "loss": "mse",
        "optimizer": fastbp.Adam(),
        "data": "local",
        "reduction": "fast",
        "parts": 4,
    },
    "loss='bce', optimizer=fastbp.Adam(), seed=0, class_weight=[{1: 3.0}, {}, {0: 0.5}], "
    "ignore_nan=True": {
        "loss": "bce",
        "optimizer": fastbp.Adam(),
        "class_weight": [{1: 3}, {}, {0: 0.5}],
        "ignore_nan": True,
    },
    "loss='mse', optimizer=fastbp.Adam(), seed=0, embedding_lr_factor=0.5": {
        "loss": "mse",
        "optimizer": fastbp.Adam(),
        "embedding_lr_factor": 0.5,
    },
}


@pytest.mark.parametrize("arguments", TRAINERS)
def test_a_trainer_is_the_call_that_makes_it(arguments, monkeypatch):
    options = TRAINERS[arguments]
    if "threads" in options:  # of one processor, 1 would be the default
        monkeypatch.setattr("fastbp.training.description.maximum", lambda _: 2)
    net = NET if options["loss"] == "cross_entropy" else fastbp.Network([4, 8, 3], seed=1)
    if options["loss"] == "bce":
        net = fastbp.Network([4, 8, 3], output="sigmoid", seed=1)
    if "embedding_lr_factor" in options:
        net = fastbp.Network([4, 8, 3], seed=1, number_embedding=fastbp.NumberEmbedding())
    trainer = fastbp.Trainer(net, seed=0, **options)
    call, _, _ = repr(net).partition("  #")
    assert repr(trainer) == f"fastbp.Trainer({call}, {arguments})"
    assert repr(eval(repr(trainer), NAMES)) == repr(trainer)


def test_every_argument_of_a_trainer_and_of_a_network_is_shown():
    shown = " ".join((*TRAINERS, *NETWORKS))
    for kind in (fastbp.Network, fastbp.Trainer):
        # A communicator has no repr that makes it.
        names = set(inspect.signature(kind).parameters) - {"net", "sizes", "comm"}
        assert {name for name in names if f"{name}=" not in shown} == set()


def test_a_learning_rate_that_was_set_is_a_comment():
    trainer = fastbp.Trainer(NET, loss="cross_entropy", optimizer=fastbp.Adam(lr=0.1), seed=0)
    assert "#" not in repr(trainer)
    trainer.lr = 0.025
    assert repr(trainer).endswith("optimizer=fastbp.Adam(lr=0.1), seed=0)  # lr is now 0.025")
    assert eval(repr(trainer), NAMES).lr == 0.1


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


def test_a_table_of_many_factors_is_short():
    table = schedules.Table.of(lambda t: 0.5**t, updates=9)
    assert repr(table) == "<fastbp.schedules.Table: 9 factors, 1 to 0.00390625>"


def test_a_callback_of_the_users_own_is_its_name():
    class Print(fastbp.Callback):
        """Of the user's own."""

    assert repr(Print()) == "<callback Print>"


def test_a_state_of_a_fit_is_a_line():
    seen = []
    net = fastbp.Network([1, 1], init="zeros")
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), engine="numpy")
    show = fastbp.LambdaCallback(
        on_fit_begin=lambda state: seen.append(repr(state)),
        on_epoch_end=lambda state: seen.append(repr(state)),
    )
    trainer.fit([[1.0]], [2.0], epochs=3, callbacks=[show])
    assert seen[0] == "<FitState: epoch 0 of 3, 0 steps>"
    assert seen[1].startswith("<FitState: epoch 1 of 3, 1 steps, loss 4, samples_per_second ")


def test_a_history_is_a_dict():
    assert repr(fastbp.History(loss=[0.5])) == "{'loss': [0.5]}"
