"""Learning rates of biases, weight decay by layers and parts, schedules of decay and dropout."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.kernels import reference
from fastbp.kernels.base import codes
from fastbp.kernels.tables import settings
from fastbp.schedules import (
    Constant,
    Cosine,
    FlatCosine,
    LogCosine,
    OneCycle,
    StepDecay,
    Table,
    Warmup,
)
from support.cases import Case, each_dtype, each_engine
from support.closeness import AMPLIFICATION, tolerance
from support.features import FEATURES, FEW, MANY, WIDE
from support.internals import core
from support.trainers import bits, flat_parameters, training_state

NORMS = Case((7, 12, 12, 3), 20, "tanh", layer_norm=True, residual=True)
PARTS = ("weights", "biases", "gains", "shifts")
UPDATES = 12

OPTIMIZERS = {
    "SGD": fastbp.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "Adam": fastbp.Adam(0.01, eps=1e-4, weight_decay=0.1),
    "AdamW": fastbp.AdamW(0.01, eps=1e-4, weight_decay=0.5),
    "NAdam": fastbp.NAdam(0.01, eps=1e-4, weight_decay=0.1),
    "RAdam": fastbp.RAdam(0.01, eps=1e-4, weight_decay=0.5, decoupled_weight_decay=True),
    "RMSprop": fastbp.RMSprop(0.01, eps=1e-4, weight_decay=0.1),
    "Adagrad": fastbp.Adagrad(0.01, eps=1e-4, weight_decay=0.1),
}
"""eps as in support/features.py."""

RATES = {
    "schedule": Warmup(3, Cosine(20)),
    "lr_factors": [0.5, 1.0, 2.0],
    "bias_lr_factor": [0.25, 1.0, 4.0],
    "weight_decay_on": "weights",
    "weight_decay_factors": [2.0, 0.0, 0.5],
    "weight_decay_schedule": LogCosine(20, 2),
}

ROUNDINGS = 2.5 * np.finfo(np.float64).eps
"""Four of half an eps each, with room for their products."""

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


def parts(net):
    """{(layer, part): array} of all parameters, which can be written to."""
    arrays = {part: getattr(net, part) for part in PARTS}
    return {(i, p): one.copy() for p, of_part in arrays.items() for i, one in enumerate(of_part)}


def rates(given, layer, part, t):
    """(factor on lr, factor on weight decay), as the guide says."""
    lr, _ = reference.scheduled(given.get("schedule", Constant()).encoded(), t)
    decay, _ = reference.scheduled(given.get("weight_decay_schedule", Constant()).encoded(), t)
    lr *= given.get("lr_factors", [1.0] * 9)[layer]
    decay *= given.get("weight_decay_factors", [1.0] * 9)[layer]
    if part == "biases":
        lr *= given.get("bias_lr_factor", [1.0] * 9)[layer]
    if part != "weights" and given.get("weight_decay_on") == "weights":
        decay = 0.0
    return lr, decay


def by_hand(case, optimizer, given, updates):
    """Parameters after so many of the twin's ``update``, each part with rates of its own."""
    trainer = case.trainer(optimizer=optimizer)
    net, w = trainer.net, parts(trainer.net)
    moments = {place: (np.zeros_like(one), np.zeros_like(one)) for place, one in w.items()}
    for t in range(updates):
        _, gradients = trainer.loss_and_gradients(*case.batch())
        for (layer, part), one in w.items():
            hyper = optimizer.hyper()
            lr, decay = rates(given, layer, part, t)
            hyper[codes.LR] *= lr
            hyper[codes.WEIGHT_DECAY] *= decay
            g = gradients[layer][PARTS.index(part)]
            reference.update(optimizer.code, hyper, t + 1, one, g, *moments[layer, part])
        net.set_parameters(
            *([one for (_, part), one in w.items() if part == kind] for kind in PARTS[:2]),
            *([one for (_, p), one in w.items() if p == kind] or None for kind in PARTS[2:]),
        )
    return w


@pytest.mark.law2
@each_engine
@each_optimizer
def test_each_parameter_has_the_rates_of_its_part_layer_and_update(optimizer, engine):
    trainer = NORMS.trainer(engine=engine, optimizer=optimizer, **RATES)
    for _ in range(UPDATES):
        trainer.step(*NORMS.batch())
    expected = by_hand(NORMS, optimizer, RATES, UPDATES)
    for place, one in parts(trainer.net).items():
        np.testing.assert_allclose(one, expected[place], rtol=1e-9, atol=1e-12, err_msg=str(place))


@pytest.mark.law2
@pytest.mark.parametrize("case", [MANY, FEW, WIDE], ids=["many", "few", "wide"])
@pytest.mark.parametrize("clip", [{}, {"clip_norm": 1e6}], ids=["fused", "stored"])
def test_each_route_has_these_rates(case, clip):
    """A large clip_norm stores the gradient, and changes nothing."""
    optimizer = OPTIMIZERS["AdamW"]
    trainer = case.trainer(optimizer=optimizer, **RATES, **clip)
    core(trainer).workers = 3
    for _ in range(2):
        trainer.step(*case.batch())
    expected = by_hand(case, optimizer, RATES, 2)
    for place, one in parts(trainer.net).items():
        np.testing.assert_allclose(one, expected[place], rtol=1e-9, atol=1e-12, err_msg=str(place))


# Weight decay alone: where predictions are the targets, the gradient is 0.


def decayed(case, engine="numba", **options):
    """{(layer, part): the factor that one update has multiplied it by}."""
    trainer = case.trainer(engine=engine, optimizer=fastbp.AdamW(0.1, weight_decay=0.5), **options)
    X = case.batch()[0]
    before = parts(trainer.net)
    trainer.step(X, trainer.predict(X))
    return {place: one / before[place] for place, one in parts(trainer.net).items()}


@each_engine
def test_weights_alone_decay(engine):
    """1 - lr weight_decay = 0.95 is rounded twice, its product and the quotient here once each."""
    for (_, part), factors in decayed(NORMS, engine, weight_decay_on="weights").items():
        expected = 0.95 if part == "weights" else 1.0
        np.testing.assert_allclose(factors, expected, rtol=ROUNDINGS, atol=0)
    for factors in decayed(NORMS, engine).values():
        np.testing.assert_allclose(factors, 0.95, rtol=ROUNDINGS)


@each_engine
def test_layers_decay_alike_where_factors_undo_those_of_the_learning_rate(engine):
    lr_factors = [0.5, 0.25, 4.0]
    for (layer, _), factors in decayed(NORMS, engine, lr_factors=lr_factors).items():
        np.testing.assert_allclose(factors, 1 - 0.05 * lr_factors[layer], rtol=ROUNDINGS)
    undone = {"lr_factors": lr_factors, "weight_decay_factors": [2.0, 4.0, 0.25]}
    for factors in decayed(NORMS, engine, **undone).values():
        np.testing.assert_allclose(factors, 0.95, rtol=ROUNDINGS)


@each_engine
def test_a_factor_of_0_lets_a_layer_be(engine):
    for (layer, _), factors in decayed(NORMS, engine, weight_decay_factors=[1, 0, 1]).items():
        np.testing.assert_allclose(factors, 1.0 if layer == 1 else 0.95, rtol=ROUNDINGS)


# Dropout


@each_engine
@pytest.mark.parametrize("case", [MANY, FEW], ids=["many", "few"])
def test_scheduled_dropout_is_the_dropout_of_the_moment(case, engine):
    """Rates of a few bits, so that their products are exact. 1.5 * 0.5 is more than the rate."""
    factors = [1.0, 0.5, 0.25, 0.0, 1.5]
    X, y = case.batch()
    scheduled = case.trainer(engine=engine, dropout=0.5, dropout_schedule=Table(factors))
    constant = {f: case.trainer(engine=engine, dropout=0.5 * f) for f in factors}
    assert len({twin.loss_and_gradients(X, y)[0] for twin in constant.values()}) == len(factors)
    for t, factor in enumerate(factors):
        twin = constant[factor]
        core(twin).arrays.hyper[settings.UPDATES] = t
        twin.net.set_parameters(scheduled.net.weights, scheduled.net.biases)
        expected, gradients = twin.loss_and_gradients(X, y)
        loss, found = scheduled.loss_and_gradients(X, y)
        assert loss == expected
        for one, other in zip(found, gradients, strict=True):
            for part, twin_part in zip(one, other, strict=True):
                np.testing.assert_array_equal(part, twin_part)
        scheduled.step(X, y)


@each_dtype
def test_engines_agree_on_a_schedule_of_dropout(dtype):
    """To the unit: the masks are those of the twin."""
    options = {"dropout": [0.3, 0.7], "dropout_schedule": FlatCosine(9, 0.25)}
    compiled, twin = (MANY.trainer(dtype, engine, **options) for engine in ("numba", "numpy"))
    allowed = tolerance(MANY, dtype) * AMPLIFICATION
    for seed in range(8):
        X, y = MANY.batch(seed)
        assert compiled.step(X, y) == pytest.approx(twin.step(X, y), rel=allowed)


def test_own_gradients_know_no_dropout_whatever_its_schedule():
    one, other = (MANY.trainer(dropout=rate, dropout_schedule=Constant()) for rate in (0.5, 0.0))
    X, v = MANY.batch()[0], np.ones((MANY.rows, MANY.sizes[-1]))
    one.step(*MANY.batch())
    other.net.set_parameters(one.net.weights, one.net.biases)
    for trainer in (one, other):
        v[:, 0] = 0
        assert embed.step_from(trainer.compiled(), X, v)
    assert bits(one) == bits(other)


@each_engine
def test_the_finder_follows_the_schedule_of_dropout_alone(engine):
    """Rates that it tries are constant ones."""
    plain = MANY.trainer(engine=engine)
    scheduled = MANY.trainer(
        engine=engine, dropout=0.5, dropout_schedule=Table([0.0]), schedule=Table([0.5])
    )
    curves = [trainer.find_lr(*MANY.batch(), updates=10).losses for trainer in (plain, scheduled)]
    np.testing.assert_array_equal(*curves)


# Ends


ENDING = {
    "schedule": {"schedule": Cosine(3)},
    "weight_decay_schedule": {"weight_decay_schedule": FlatCosine(3), "schedule": Cosine(9)},
    "dropout_schedule": {"dropout_schedule": LogCosine(3), "dropout": 0.5},
}


@each_engine
@pytest.mark.parametrize("name", ENDING)
def test_no_call_goes_on_past_the_end_of_a_schedule(name, engine):
    trainer = MANY.trainer(engine=engine, optimizer=fastbp.AdamW(0.01), **ENDING[name])
    X, y = MANY.batch()
    with pytest.raises(ValueError, match="is for 3 updates, but 0 have been made and 4 more"):
        trainer.fit(X, y, epochs=4)
    for _ in range(3):
        trainer.step(X, y)
    before = training_state(trainer)
    calls = (lambda: trainer.step(X, y), lambda: trainer.fit(X, y))
    for call in calls:
        with pytest.raises(ValueError, match=rf"but 3 .* trainer\.replace\({name}=\.\.\.\)"):
            call()
    assert training_state(trainer) == before
    longer = trainer.replace(**{name: Cosine(9)})
    longer.step(X, y)
    assert longer.updates == 4


def test_compiled_code_goes_on_with_the_last_factors():
    options = {
        "dropout": 0.5,
        "dropout_schedule": Table([1.0, 0.5]),
        "weight_decay_schedule": Table([1.0, 0.25]),
    }
    ending = MANY.trainer("float32", optimizer=fastbp.AdamW(0.01), **options)
    endless = ending.replace(
        dropout_schedule=StepDecay(1, 0.5), weight_decay_schedule=StepDecay(1, 0.25)
    )
    X, y = MANY.batch()
    X = X.astype(np.float32)
    start = ending.net.weights, ending.net.biases
    losses = []
    for trainer in (ending, endless):
        trainer.net.set_parameters(*start)
        model = trainer.compiled()
        losses.append([embed.step(model, X, y) for _ in range(2)])
        losses[-1].append(flat_parameters(trainer.net))
    np.testing.assert_array_equal(losses[0][2], losses[1][2])
    assert losses[0][:2] == losses[1][:2]
    assert np.isfinite(embed.step(ending.compiled(), X, y))


# Copies


@each_engine
def test_a_copy_goes_on_as_the_trainer(engine):
    """Two tables, whose factors lie behind the weights of the classes."""
    options = RATES | {
        "class_weight": "balanced",
        "weight_decay_schedule": Table([1.0, 0.5, 0.25, 0.125, 2.0]),
        "dropout": 0.5,
        "dropout_schedule": Warmup(1, Table([1.0, 0.5, 0.25, 0.0])),
    }
    trainer = MANY.trainer("float32", engine, fastbp.NAdam(0.01, weight_decay=0.1), **options)
    X, y = MANY.batch()
    trainer.fit(X, y, epochs=2)
    trainer.lr = 0.02
    copies = [copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer)), trainer.replace()]
    for twin in copies:
        assert training_state(twin) == training_state(trainer)
    start = trainer.net.weights, trainer.net.biases
    states = []
    for one in (trainer, *copies):
        one.net.set_parameters(*start)
        states.append((one.fit(X, y, epochs=3)["loss"], training_state(one)))
    assert all(state == states[0] for state in states)


@each_engine
def test_options_of_rates_leave_plain_kernels_where_they_change_nothing(engine):
    trainer = MANY.trainer(
        engine=engine, weight_decay_factors=[1, 1, 1], weight_decay_on="all", bias_lr_factor=[1] * 3
    )
    assert not core(trainer).extended
    for name, value in FEATURES["rates"].options.items():
        assert core(trainer.replace(**{name: value})).extended
    assert core(trainer.replace(dropout_schedule=Constant())).extended


# What is refused


HIGH = OneCycle(9, div_factor=0.5, cycle_momentum=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias_lr_factor": 0}, "bias_lr_factor is 0.0, expected a finite number above 0"),
        ({"bias_lr_factor": math.nan}, "bias_lr_factor is nan"),
        ({"bias_lr_factor": [1, 2]}, "bias_lr_factor has 2 numbers, expected 3, one per layer"),
        ({"weight_decay_on": "biases"}, "weight_decay_on is 'biases', .* one of 'all', 'weights'"),
        ({"weight_decay_factors": [1, 2]}, "weight_decay_factors has 2 numbers, expected 3"),
        ({"weight_decay_factors": [1, 2, -1]}, r"weight_decay_factors\[2\] is -1.0"),
        ({"weight_decay_schedule": OneCycle(9)}, "weight_decay_schedule is .*cycle_momentum=False"),
        ({"dropout_schedule": Warmup(3, OneCycle(9))}, "dropout_schedule is .*cycle_momentum=F"),
        (
            {"dropout": 0.5, "dropout_schedule": Table([1.0, 2.0])},
            r"dropout_schedule is .*factors up to 2, and dropout is 0.5: their product",
        ),
        ({"dropout": [0.1, 0.6], "dropout_schedule": HIGH}, "factors up to 2, and dropout is 0.6"),
    ],
)
def test_numbers_and_names_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        MANY.trainer(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bias_lr_factor": "0.1"}, "bias_lr_factor is '0.1', of type str"),
        ({"weight_decay_on": None}, "weight_decay_on is None, of type NoneType"),
        ({"weight_decay_factors": "111"}, "weight_decay_factors is '111'"),
        ({"weight_decay_schedule": 0.5}, "weight_decay_schedule is 0.5: it must be an instance"),
        ({"dropout_schedule": "flat_cos"}, "dropout_schedule is 'flat_cos': it must be an"),
        ({"dropout_schedule": lambda _: 1.0}, "dropout_schedule is the function"),
    ],
)
def test_what_is_no_number_or_no_schedule(options, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        MANY.trainer(**options)


def test_a_rate_of_0_may_have_a_schedule():
    """A search over rates need not tell 0 apart."""
    options = {"dropout_schedule": Cosine(9), "weight_decay_schedule": Cosine(9)}
    trainer, plain = MANY.trainer(**options), MANY.trainer()
    assert trainer.step(*MANY.batch()) == plain.step(*MANY.batch())
    assert bits(trainer) == bits(plain)
