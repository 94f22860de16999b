"""The tables of named things: what is known, and what an unknown or bad argument is told."""

import dataclasses
import math
from typing import get_args

import numpy as np
import pytest

from fastbp.common import literals, suggestions
from fastbp.components import activations, initializers, losses, optimizers
from fastbp.components.optimizers import SGD, Adam, AdamW, RMSprop
from fastbp.kernels.base import codes
from fastbp.model import network_checks
from fastbp.training import setup

TABLES = {
    "activation": (activations.lookup_hidden, activations.HIDDEN),
    "output": (activations.lookup, activations.ACTIVATIONS),
    "loss": (losses.lookup, losses.LOSSES),
    "init": (lambda name: initializers.lookup(name, rectifier=True), initializers.INITIALIZERS),
}


@pytest.mark.parametrize("argument", TABLES)
def test_lookup_finds_every_name(argument):
    lookup, table = TABLES[argument]
    for name in table:
        assert lookup(name) is table[name]
        assert lookup(name).name == name


@pytest.mark.parametrize("argument", TABLES)
def test_an_unknown_name_lists_the_known_ones(argument):
    lookup, table = TABLES[argument]
    with pytest.raises(ValueError, match=f"{argument} is 'swoosh'") as error:
        lookup("swoosh")
    assert all(repr(name) in str(error.value) for name in table)


MEANT = {
    "activation": {
        "swish": "silu",
        "linear": "identity",
        "ReLU": "relu",
        "LeakyReLU": "leaky_relu",
    },
    "output": {"sigmoid ": "sigmoid", "Softmax": "softmax", "logistic": "sigmoid"},
    "loss": {
        "MSE": "mse",
        "mean_squared_error": "mse",
        "cross-entropy": "cross_entropy",
        "CrossEntropyLoss": "cross_entropy",
        "BCEWithLogitsLoss": "bce",
        "binary_crossentropy": "bce",
        "crossentrpy": "cross_entropy",
    },
    "init": {"xavier": "glorot_uniform", "kaiming_normal": "he_normal", "zero": "zeros"},
}
CASES = [(argument, *pair) for argument, names in MEANT.items() for pair in names.items()]


@pytest.mark.parametrize(("argument", "name", "expected"), CASES)
def test_an_unknown_name_is_told_which_one_was_meant(argument, name, expected):
    message = f"^{argument} is '{name}', which is not known: did you mean '{expected}'. It must be"
    with pytest.raises(ValueError, match=message):
        TABLES[argument][0](name)


def test_every_name_of_another_library_stands_for_one_that_is_known():
    known = {name for _, table in TABLES.values() for name in table}
    known |= {*network_checks.DTYPES, *setup.ENGINES}
    assert set(suggestions.OTHERS.values()) <= known


LITERALS = {
    literals.ActivationName: activations.HIDDEN,
    literals.OutputName: activations.ACTIVATIONS,
    literals.LossName: losses.LOSSES,
    literals.InitName: ("auto", *initializers.INITIALIZERS),
    literals.DtypeName: network_checks.DTYPES,
    literals.EngineName: setup.ENGINES,
}


@pytest.mark.parametrize("literal", LITERALS)
def test_the_types_of_names_are_the_names(literal):
    assert get_args(literal) == tuple(LITERALS[literal])


@pytest.mark.parametrize("argument", TABLES)
@pytest.mark.parametrize("name", [None, 3, b"relu", ["relu"], math.tanh])
def test_a_name_that_is_no_string(argument, name):
    lookup, table = TABLES[argument]
    with pytest.raises(TypeError, match=f"{argument} is .*type {type(name).__name__}") as error:
        lookup(name)
    assert all(repr(name) in str(error.value) for name in table)


CODED = (activations.ACTIVATIONS, losses.LOSSES, optimizers.OPTIMIZERS)


@pytest.mark.parametrize("table", CODED, ids=["activations", "losses", "optimizers"])
def test_codes_are_distinct_and_below_those_of_custom_functions(table):
    found = [thing.code for thing in table.values()]
    assert len(set(found)) == len(found)
    assert max(found) < codes.CUSTOM_ACTIVATION == codes.CUSTOM_LOSS


def test_softmax_is_for_the_output_only():
    assert activations.lookup("softmax").output_only
    with pytest.raises(ValueError, match="activation is 'softmax'"):
        activations.lookup_hidden("softmax")


# Losses

SOME = {
    "bce": ["sigmoid"],
    "cross_entropy": ["softmax"],
    "beta_nll": ["identity"],
    "gaussian_nll": ["identity"],
    "poisson": ["identity", "softplus"],
}
"""The losses that do not go with every hidden activation as output."""
REMEDIES = {
    ("cross_entropy", "sigmoid"): "use loss='bce'",
    ("bce", "softmax"): (
        "use loss='cross_entropy', or output='sigmoid' where a row may belong to several classes"
    ),
}
"""Pairs in which the loss is to change, and not the output."""
PAIRS = [(loss, output) for loss in losses.LOSSES for output in SOME.get(loss, activations.HIDDEN)]


@pytest.mark.quick
@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("output", activations.ACTIVATIONS)
def test_pairs_of_loss_and_output(loss, output):
    if (loss, output) in PAIRS:
        losses.check_pair(losses.lookup(loss), activations.lookup(output), 4)
        return
    with pytest.raises(ValueError, match=f"loss '{loss}' .*output '{output}': ") as error:
        losses.check_pair(losses.lookup(loss), activations.lookup(output), 4)
    needs = SOME.get(loss)
    other = f"make the Network with output={needs[0]!r}" if needs else "use loss='cross_entropy'"
    remedy = REMEDIES.get((loss, output), other)
    assert str(error.value).endswith(f": {remedy}")


# Optimizers


def test_defaults_are_torch_s():
    assert SGD(0.1) == SGD(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    assert Adam() == Adam(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    assert AdamW() == AdamW(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2)
    assert RMSprop() == RMSprop(lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0)


def test_lr_of_sgd_is_required():
    with pytest.raises(TypeError, match="lr"):
        SGD()


def test_specifications_are_frozen_and_can_be_replaced():
    adam = Adam(lr=0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        adam.lr = 0.2
    assert dataclasses.replace(adam, lr=0.2) == Adam(lr=0.2)
    with pytest.raises(ValueError, match="lr"):
        dataclasses.replace(adam, lr=0)


def test_numbers_become_plain_floats():
    adam = Adam(lr=np.float32(0.5), betas=[0, np.float64(0.5)], weight_decay=1)
    assert repr(adam) == "fastbp.Adam(lr=0.5, betas=(0.0, 0.5), weight_decay=1.0)"
    assert SGD(np.int64(1), 0.5, np.True_).nesterov is True
    assert hash(adam) == hash(Adam(lr=0.5, betas=(0, 0.5), weight_decay=1))


def test_hyper_lies_in_the_columns_of_the_codes():
    def hyper(**columns):
        vector = np.zeros(codes.N_HYPER)
        for name, value in columns.items():
            vector[getattr(codes, name)] = value
        return vector.tolist()

    assert SGD(0.1, 0.9, True, 0.2).hyper().tolist() == hyper(
        LR=0.1, MOMENTUM=0.9, NESTEROV=1, WEIGHT_DECAY=0.2
    )
    expected = hyper(LR=0.1, BETA1=0.8, BETA2=0.7, EPS=0.3, WEIGHT_DECAY=0.2)
    assert Adam(0.1, (0.8, 0.7), 0.3, 0.2).hyper().tolist() == expected
    assert AdamW(0.1, (0.8, 0.7), 0.3, 0.2).hyper().tolist() == expected
    assert RMSprop(0.1, 0.8, 0.3, 0.2, 0.9).hyper().tolist() == hyper(
        LR=0.1, BETA2=0.8, EPS=0.3, WEIGHT_DECAY=0.2, MOMENTUM=0.9
    )
    assert Adam().hyper().dtype == np.float64


FIELDS = [
    (kind, field.name)
    for kind in optimizers.OPTIMIZERS.values()
    for field in dataclasses.fields(kind)
    if field.type is float
]
BAD = {
    "lr": [0, 0.0, -1e-3],
    "momentum": [-0.1, 1, 1.5],
    "alpha": [-0.1, 1],
    "eps": [0, -1e-8, 1e-39],
    "weight_decay": [-1e-9],
    "lr_decay": [-1e-9],
    "momentum_decay": [-1e-9],
}
BAD_VALUES = [
    (kind, field, value)
    for kind, field in FIELDS
    for value in (*BAD[field], math.nan, math.inf, -math.inf, np.float32(np.nan))
]


@pytest.mark.parametrize(("kind", "field", "value"), BAD_VALUES)
def test_numbers_out_of_range(kind, field, value):
    message = rf"^{kind.__name__}: {field} is {float(value)}, expected .*(number|least)"
    with pytest.raises(ValueError, match=message):
        kind(**{"lr": 0.1, field: value})


@pytest.mark.parametrize(("kind", "field"), FIELDS)
@pytest.mark.parametrize("value", [True, None, "0.1", [0.1], 1j, np.ones(1), np.True_])
def test_what_is_no_number(kind, field, value):
    with pytest.raises(
        TypeError, match=f"{kind.__name__}: {field} is .*, of type .*, expected a number"
    ):
        kind(**{"lr": 0.1, field: value})


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize(
    ("betas", "error", "message"),
    [
        (0.9, TypeError, "betas is 0.9.*pair"),
        ("ab", TypeError, "betas is 'ab'.*pair"),
        ((0.9,), TypeError, "pair"),
        ((0.9, 0.99, 0.999), TypeError, "pair"),
        ((0.9, "b"), TypeError, r"betas\[1\] is 'b'.*number"),
        ((True, 0.9), TypeError, r"betas\[0\] is True.*number"),
        ((0.9, 1), ValueError, r"betas\[1\] is 1.0, expected a finite number in \[0, 1\)"),
        ((-0.1, 0.9), ValueError, r"betas\[0\] is -0.1, expected a finite number in \[0, 1\)"),
        ((math.nan, 0.9), ValueError, r"betas\[0\] is nan"),
    ],
)
def test_betas(kind, betas, error, message):
    with pytest.raises(error, match=message):
        kind(betas=betas)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match=r"nesterov is True but momentum is 0"):
        SGD(0.1, nesterov=True)


@pytest.mark.parametrize("value", [1, 0, None, "yes"])
def test_nesterov_is_a_flag(value):
    with pytest.raises(TypeError, match=r"nesterov is .*, expected a bool"):
        SGD(0.1, momentum=0.9, nesterov=value)


@pytest.mark.parametrize("optimizer", [SGD(0.1), Adam(), AdamW(), RMSprop()])
def test_check_takes_a_specification(optimizer):
    assert optimizers.check(optimizer) is optimizer


@pytest.mark.parametrize("optimizer", ["adam", Adam, None, 0.1])
def test_check_refuses_what_is_no_specification(optimizer):
    with pytest.raises(TypeError, match=r"optimizer is .*instance of one of fastbp\.SGD") as error:
        optimizers.check(optimizer)
    assert "fastbp.Adam, fastbp.AdamW, fastbp.RMSprop" in str(error.value)


# Initializers

N_IN, N_OUT = 300, 500

VARIANCES = {
    "he": 2 / N_IN,
    "glorot": 2 / (N_IN + N_OUT),
    "lecun": 1 / N_IN,
}


def draw(init, activation="tanh", n_in=N_IN, n_out=N_OUT):
    rng = np.random.default_rng(0)
    rectifier = activations.lookup(activation).rectifier
    return initializers.initial_weights(init, rectifier, n_in, n_out, rng)


@pytest.mark.parametrize("init", ["auto", *initializers.INITIALIZERS])
def test_weights_have_their_shape_and_come_from_the_generator(init):
    weights = draw(init, n_in=3, n_out=5)
    assert weights.shape == (3, 5)
    assert weights.dtype == np.float64
    np.testing.assert_array_equal(weights, draw(init, n_in=3, n_out=5))


@pytest.mark.parametrize("family", VARIANCES)
def test_variances(family):
    variance = VARIANCES[family]
    normal, uniform = draw(f"{family}_normal"), draw(f"{family}_uniform")
    limit = math.sqrt(3 * variance)
    for weights in (normal, uniform):
        assert abs(weights.mean()) < 0.01 * limit
        assert weights.var() == pytest.approx(variance, rel=0.02)
    assert abs(normal).max() > 1.5 * limit
    assert 0.999 * limit < abs(uniform).max() <= limit


def test_plain_distributions():
    normal, uniform = draw("normal"), draw("uniform")
    assert normal.mean() == pytest.approx(0, abs=0.01)
    assert normal.var() == pytest.approx(1, rel=0.02)
    assert 0 <= uniform.min() < 1e-4
    assert 0.9999 < uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, rel=0.01)
    assert not draw("zeros").any()


@pytest.mark.parametrize("activation", activations.ACTIVATIONS)
def test_auto_is_he_for_the_relu_family_and_glorot_otherwise(activation):
    rectifier = activations.ACTIVATIONS[activation].rectifier
    expected = draw("he_normal" if rectifier else "glorot_uniform")
    np.testing.assert_array_equal(draw("auto", activation), expected)
