"""Initial parameters by rows of data."""

import copy

import numpy as np
import pytest
from numba import njit

import fastbp
from fastbp.components import activations
from fastbp.kernels import reference
from support.cases import LAYER_KINDS, Case, each_dtype
from support.internals import core
from support.sparse_data import csr_of
from support.trainers import flat_parameters

ROWS = np.random.default_rng(0).normal(3, 2, (200, 7))


@njit
def bent(z):
    return (z, 1.0) if z > 0 else (0.5 * z, 0.5)


def products(net, X):
    """x W of the units of each layer, without the bias, and z with it, by the twin."""
    units = net.input_mean, net.input_scale
    outs = X if units[0] is None else (X - units[0]) / units[1]
    found = []
    names = zip(net.activations, net.custom_activations, strict=True)
    codes = [function or activations.lookup(name, "output").code for name, function in names]
    spec = net.arrays.spec
    for layer, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        norm = (net.gains[layer], net.shifts[layer]) if spec.normalized[layer] else None
        more = None, [norm], [spec.adds_inputs[layer]]
        (z,), (_, after) = reference.forward([W], [b], [codes[layer]], outs, *more)
        found.append((outs @ W, z))
        outs = after
    return found


def network(**options):
    return fastbp.Network([7, 30, 30, 4], seed=1, **{"dtype": "float64"} | options)


@pytest.mark.parametrize("activation", ["relu", "selu", "mish", "tanh", bent])
@pytest.mark.parametrize("kind", LAYER_KINDS.values(), ids=LAYER_KINDS)
def test_products_have_variance_1_and_0_lies_amid_them(kind, activation):
    net = network(activation=activation, **kind)
    net.initialize_from(ROWS)
    for product, z in products(net, ROWS):
        # 200 rows of 30 terms, and a sum over the rows
        np.testing.assert_allclose(product.std(axis=0), 1, rtol=1e-12)
        assert (z.min(axis=0) < 0).all()
        assert (z.max(axis=0) > 0).all()
    assert all((gain == 1).all() for gain in net.gains)
    assert not any(shift.any() for shift in net.shifts)


@each_dtype
def test_what_is_predicted_has_variance_1(dtype):
    net = network(dtype=dtype)
    net.initialize_from(ROWS)
    # sums of 30 terms, in three layers, and of 200 rows
    allowed = 500 * np.finfo(dtype).eps
    np.testing.assert_allclose(net.predict(ROWS).std(axis=0), 1, rtol=allowed)


def test_biases_combine_five_rows():
    """Shares that are uniform on a simplex of five have squares of mean sum 1/3."""
    net = fastbp.Network([7, 20_000], seed=0, dtype="float64")
    net.initialize_from(ROWS)
    ((product, _),) = products(net, ROWS)
    distances = (net.biases[0] + product.mean(axis=0)) ** 2  # in standard deviations
    error = distances.std() / len(distances) ** 0.5
    assert abs(distances.mean() - 1 / 3) < 6 * error
    assert 6 * error < 1 / 3 - 1 / 4  # that of seven would be seen


def test_scaling_comes_first():
    net = network()
    net.standardize(ROWS)
    net.initialize_from(ROWS)
    for product, _ in products(net, ROWS):
        np.testing.assert_allclose(product.std(axis=0), 1, rtol=1e-12)
    before = net.predict(ROWS)
    net.standardize(2 * ROWS)  # keeps the function: the parameters were fitted
    np.testing.assert_allclose(net.predict(ROWS), before, rtol=0, atol=1e-12)


def test_standardizing_later_keeps_the_function():
    net = network()
    net.initialize_from(ROWS)
    before = net.predict(ROWS)
    net.standardize(ROWS)
    np.testing.assert_allclose(net.predict(ROWS), before, rtol=0, atol=1e-12)


def test_the_seed_is_that_of_the_network_or_the_one_given():
    found = []
    for seed in (None, 1, 2):
        net = network()
        net.initialize_from(ROWS, seed=seed)
        found.append(flat_parameters(net))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.isclose(found[0], found[2]).any()


def test_what_was_there_before_plays_no_part():
    one, other = network(), network(init="zeros")
    one.initialize_from(ROWS)
    other.initialize_from(ROWS)
    np.testing.assert_array_equal(flat_parameters(one), flat_parameters(other))


def test_rows_that_do_not_vary_make_finite_weights():
    """A constant column, and rows that are all alike, or 0."""
    constant = ROWS.copy()
    constant[:, 2] = 5.0
    alike, zeros = np.tile(ROWS[:1], (9, 1)), np.zeros((9, 7))
    for X in (constant, alike, zeros):
        net = network(dtype="float32")
        net.initialize_from(X)
        assert np.isfinite(net.predict(X)).all()
        assert max(np.abs(w).max() for w in net.weights) < 1000
    net.initialize_from(alike)
    product, _ = products(net, alike)[0]
    np.testing.assert_allclose(np.abs(product), 1, rtol=1e-4)  # seven terms of either sign


def test_kinds_of_rows():
    X = np.round(ROWS).astype(np.int8)
    X[np.abs(X) < 3] = 0
    net, twins = network(), [network() for _ in range(3)]
    net.initialize_from(X.astype(float))
    for twin, kind in zip(twins, (X, csr_of(X.astype(float)), X.tolist()), strict=True):
        twin.initialize_from(kind)
        np.testing.assert_array_equal(flat_parameters(twin), flat_parameters(net))


def test_trainers_go_on_with_their_moments():
    case = Case((7, 12, 3), 20)
    trainer = case.trainer(optimizer=fastbp.Adam())
    X, y = case.batch()
    trainer.step(X, y)
    moments = core(trainer).arrays.moments.copy()
    twin = copy.deepcopy(trainer)
    for one in (trainer, twin):
        one.net.initialize_from(X, seed=5)
    np.testing.assert_array_equal(core(trainer).arrays.moments, moments)
    assert trainer.step(X, y) == twin.step(X, y)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((ROWS[:1],), ValueError, "X has 1 row, which has no variance"),
        ((ROWS[:, :3],), ValueError, r"X has shape \(200, 3\)"),
        ((np.where(ROWS[3, 2] == ROWS, np.nan, ROWS),), ValueError, "X .*nan.* row 3, column 2"),
        ((ROWS.astype(complex),), TypeError, "complex"),
        ((ROWS, -1), ValueError, "seed is -1"),
        ((ROWS, 1.5), TypeError, "seed is 1.5"),
    ],
)
def test_bad_rows_and_seeds_change_nothing(arguments, error, message):
    net = network()
    before = flat_parameters(net)
    with pytest.raises(error, match=message):
        net.initialize_from(*arguments)
    np.testing.assert_array_equal(flat_parameters(net), before)
