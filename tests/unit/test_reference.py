"""The NumPy twins: against torch's recorded values, and against central differences (law 1)."""

from itertools import pairwise

import numpy as np
import pytest

from fastbp.components import activations, losses
from fastbp.kernels import reference
from fastbp.kernels.base import codes
from support import torch_record
from support.torch_record import RECORD

pytestmark = [pytest.mark.law1, pytest.mark.law3]

DTYPES = ("float32", "float64")
HIDDEN = tuple(activations.HIDDEN)
SMOOTH = tuple(name for name, one in activations.HIDDEN.items() if one.smooth)
PAIRS = tuple((loss.name, output) for loss in losses.LOSSES.values() for output in loss.outputs)
CLOSE = {"float64": {"rtol": 1e-10, "atol": 1e-14}, "float32": {"rtol": 2e-6, "atol": 2e-7}}


def code(name):
    return activations.lookup(name).code


def random_targets(loss, n, n_out, rng, labels=False):
    targets = losses.lookup(loss).targets
    if targets == codes.CLASS:
        rows = rng.dirichlet(np.ones(n_out), n) * rng.uniform(0.9995, 1.0005, (n, 1))
        return rng.integers(0, n_out, n) if labels else rows
    if targets == codes.COUNT:
        return rng.poisson(2.0, (n, n_out)).astype(float)
    return rng.random((n, n_out)) if targets == codes.UNIT else rng.normal(size=(n, n_out))


class Net:
    """A network of random parameters and a batch for it, in natural shapes."""

    def __init__(self, sizes, hidden, pair, rng, labels=False, n=6, dtype="float64"):
        self.loss_name, output = pair
        loss = losses.lookup(self.loss_name)
        self.loss, self.parameter, self.output = loss.code, loss.parameter, code(output)
        if loss.weighs_gradient:
            self.parameter = 0.0  # where its gradient is that of its value
        if loss.outputs_per_target == 2:
            sizes = [*sizes[:-1], 2 * sizes[-1]]
        self.codes = [code(hidden)] * (len(sizes) - 2) + [code(output)]
        self.weights = [
            rng.normal(0, (2 / n_in) ** 0.5, (n_in, n_out)).astype(dtype)
            for n_in, n_out in pairwise(sizes)
        ]
        self.biases = [rng.normal(0, 0.5, n_out).astype(dtype) for n_out in sizes[1:]]
        self.X = rng.normal(size=(n, sizes[0])).astype(dtype)
        self.y = random_targets(self.loss_name, n, loss.n_targets(sizes[-1]), rng, labels)

    def row_losses(self):
        zs, outs = reference.forward(self.weights, self.biases, self.codes, self.X)
        return reference.row_losses(
            self.loss, zs[-1], outs[-1], self.y, self.output, self.parameter
        )

    def gradients(self, rows=slice(None)):
        zs, outs = reference.forward(self.weights, self.biases, self.codes, self.X[rows])
        delta = reference.output_delta(
            self.loss, self.output, zs[-1], outs[-1], self.y[rows], len(self.X), self.parameter
        )
        deltas = reference.backward(self.weights, self.codes, zs, outs, delta)
        return reference.gradients(outs, deltas)

    def numerical_gradient(self, parameter, h=1e-5):
        """Central differences of the mean loss, entry by entry of one parameter array."""
        gradient = np.empty_like(parameter)
        for index, value in np.ndenumerate(parameter):
            parameter[index] = value + h
            above = self.row_losses().mean()
            parameter[index] = value - h
            gradient[index] = (above - self.row_losses().mean()) / (2 * h)
            parameter[index] = value
        return gradient

    def check_gradients(self):
        for W, b, (dW, db) in zip(self.weights, self.biases, self.gradients(), strict=True):
            assert dW.any()
            np.testing.assert_allclose(dW, self.numerical_gradient(W), rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(db, self.numerical_gradient(b), rtol=1e-7, atol=1e-9)


# Against central differences


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_gradients_equal_central_differences(hidden, pair):
    Net([3, 5, 4, 3], hidden, pair, np.random.default_rng(1)).check_gradients()


@pytest.mark.parametrize("sizes", [[1, 1], [5, 3], [2, 4, 2], [1, 7, 1, 3, 2]], ids=str)
@pytest.mark.parametrize("labels", [False, True])
def test_gradients_of_odd_sizes(sizes, labels):
    pair = ("mse", "sigmoid") if sizes[-1] == 1 else ("cross_entropy", "softmax")
    Net(sizes, "tanh", pair, np.random.default_rng(2), labels, n=1).check_gradients()


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_blocks_of_a_batch_add_up_to_its_gradient(pair):
    net = Net([3, 5, 2], "silu", pair, np.random.default_rng(3), n=7)
    blocks = zip(net.gradients(slice(0, 4)), net.gradients(slice(4, 7)), strict=True)
    for (dW, db), (first, second) in zip(net.gradients(), blocks, strict=True):
        np.testing.assert_allclose(first[0] + second[0], dW, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(first[1] + second[1], db, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_equal_central_differences(name):
    z, h = np.linspace(-8, 8, 201)[None], 2.0**-14
    above, below = (
        reference.derivative(code(name), x, reference.activation(code(name), x))
        for x in (z + h, z - h)
    )
    found = reference.second_derivative(code(name), z, reference.activation(code(name), z))
    np.testing.assert_allclose(found, (above - below) / (2 * h), atol=1e-8)  # h^2/6 of a fourth


# Against torch


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", HIDDEN)
def test_activation_and_slope_equal_torch(name, dtype):
    z = RECORD["activations/z"].astype(dtype)
    a = reference.activation(code(name), z)
    derivative = reference.derivative(code(name), z, a)
    assert a.dtype == derivative.dtype == dtype
    np.testing.assert_allclose(a, RECORD[f"activations/{name}"], **CLOSE[dtype])
    np.testing.assert_allclose(derivative, RECORD[f"activations/{name}/slope"], **CLOSE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_equals_torch(dtype):
    p = reference.activation(codes.SOFTMAX, RECORD["softmax/z"].astype(dtype))
    assert p.dtype == dtype
    np.testing.assert_allclose(p, RECORD["softmax/a"], **CLOSE[dtype])


SMALL = {"poisson", "gaussian_nll", "beta_nll"}
"""Losses with e^p, which are recorded at small p."""

TARGETS = {
    "bce": "rows",
    "cross_entropy": "probabilities",
    "poisson": "counts",
    "gaussian_nll": "two",
    "beta_nll": "two",
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "output", "suffix"),
    [(*pair, "") for pair in PAIRS] + [("cross_entropy", "softmax", "_labels")],
)
def test_loss_and_delta_equal_torch(loss, output, suffix, dtype):
    z = RECORD["losses/small" if loss in SMALL else "losses/z"].astype(dtype)
    y = RECORD["losses/labels"] if suffix else RECORD[f"losses/{TARGETS.get(loss, 'y')}"]
    known, activation = losses.lookup(loss), code(output)
    p = reference.activation(activation, z)
    value = reference.row_losses(known.code, z, p, y, activation, known.parameter)
    delta = reference.output_delta(known.code, activation, z, p, y, len(z), known.parameter)
    assert value.dtype == delta.dtype == dtype
    assert value.shape == (len(z),)
    expected = f"losses/{loss}/{output}{suffix}"
    np.testing.assert_allclose(value.mean(), RECORD[expected], **CLOSE[dtype])
    assert torch_record.distance(delta, RECORD[f"{expected}/delta"]) < torch_record.TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", torch_record.CASES)
def test_twenty_steps_follow_torch(case, dtype):
    optimizer = torch_record.optimizer(case)
    weights, biases = torch_record.initial(dtype)
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights + biases]
    network = [
        code(name) for name in (*torch_record.NETWORK["activation"], torch_record.NETWORK["output"])
    ]
    for step in range(torch_record.STEPS):
        X, y = torch_record.batch(step, dtype)
        zs, outs = reference.forward(weights, biases, network, X)
        args = (zs[-1], outs[-1], y)
        loss = reference.row_losses(codes.CROSS_ENTROPY, *args).mean()
        assert loss == pytest.approx(RECORD[f"{case}/{dtype}/loss"][step], rel=3e-6)
        delta = reference.output_delta(codes.CROSS_ENTROPY, network[-1], *args, len(X))
        deltas = reference.backward(weights, network, zs, outs, delta)
        dW, db = zip(*reference.gradients(outs, deltas), strict=True)
        for w, g, (m, v) in zip(weights + biases, dW + db, moments, strict=True):
            reference.update(optimizer.code, optimizer.hyper(), step + 1, w, g, m, v)
            assert w.dtype == m.dtype == v.dtype == dtype
        if step + 1 in torch_record.RECORDED_STEPS:
            torch_record.assert_follows(case, dtype, step + 1, weights, biases)


@pytest.mark.parametrize("case", torch_record.CASES)
def test_an_optimizer_uses_as_many_moments_as_it_says(case):
    optimizer = torch_record.optimizer(case)
    m, v = np.zeros(3), np.zeros(3)
    w, g = np.ones(3), np.ones(3)
    reference.update(optimizer.code, optimizer.hyper(), 1, w, g, m, v)
    assert (w < 1).all()
    assert (g == 1).all()
    assert bool(m.any()) + bool(v.any()) == optimizer.n_moments


# Bad numbers


def test_large_numbers_neither_overflow_nor_warn():
    z = np.array([[-3e4, 3e4, -90.0, 90.0]], dtype=np.float32)
    for activation in activations.ACTIVATIONS.values():
        assert np.isfinite(reference.activation(activation.code, z)).all()
    for name in HIDDEN:
        a = reference.activation(code(name), z)
        assert np.isfinite(reference.derivative(code(name), z, a)).all()
    y = np.array([[1, 0, 0, 1]])
    assert reference.row_losses(codes.BCE, z, None, y)[0] == pytest.approx(15000)
    assert reference.row_losses(codes.CROSS_ENTROPY, z, None, np.array([0]))[0] == 60000


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_nan_in_a_weight_reaches_the_loss(hidden, pair, layer):
    net = Net([3, 5, 4, 3], hidden, pair, np.random.default_rng(4), dtype="float32")
    net.weights[layer][-1, -1] = np.nan
    assert np.isnan(net.row_losses()).all()


# Accuracy and order


def test_correct_takes_the_lowest_index_on_ties():
    p = np.array([[0.5, 0.5, 0], [0.2, 0.4, 0.4], [0, 0, 1]], dtype=np.float32)
    for y in (np.array([0, 2, 2]), np.array([[0.5, 0.5, 0], [0, 0, 1], [0, 0, 1]])):
        assert reference.correct(codes.CROSS_ENTROPY, p, y).tolist() == [1, 0, 1]


def test_correct_counts_entries_for_bce():
    p = np.array([[0.5, 0.49, 0.9], [0.1, 0.2, 0.3]], dtype=np.float32)
    y = np.array([[1, 0, 0.4], [0.5, 1, 0.6]])
    np.testing.assert_allclose(reference.correct(codes.BCE, p, y), [2 / 3, 0])


@pytest.mark.parametrize("loss", [codes.MSE, codes.SQUARED_ERROR])
def test_other_losses_have_no_accuracy(loss):
    with pytest.raises(ValueError, match="no accuracy"):
        reference.correct(loss, np.zeros((1, 1)), np.zeros((1, 1)))


def splitmix64(state, count):
    """The published generator, in NumPy's wrapping arithmetic: its outputs from ``state``."""
    state = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
        0x9E3779B97F4A7C15
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))


def test_splitmix64_in_this_file_is_the_published_one():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert splitmix64(1234567, 3).tolist() == published


@pytest.mark.parametrize(("seed", "epoch", "n"), [(0, 0, 13), (7, 3, 1000), (2**63 - 1, 9, 50)])
def test_shuffled_is_fisher_yates_on_splitmix64(seed, epoch, n):
    with np.errstate(over="ignore"):
        inner = splitmix64(seed, 1)[0] + np.uint64(epoch) - np.uint64(0x9E3779B97F4A7C15)
        draws = splitmix64(splitmix64(inner, 1)[0], n).tolist()
    order = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = (draws[i - 1] >> 32) * (i + 1) >> 32
        order[[i, j]] = order[[j, i]]
    actual = reference.shuffled(seed, epoch, n)
    assert actual.dtype == np.int64
    assert actual.tolist() == order.tolist()


def test_shuffled_depends_on_seed_and_epoch():
    orders = {tuple(reference.shuffled(s, e, 20)) for s in range(20) for e in range(20)}
    assert len(orders) == 400


def test_every_order_is_equally_likely():
    counts = {}
    for epoch in range(2400):
        order = tuple(reference.shuffled(5, epoch, 4))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    chi_square = sum((count - 100) ** 2 / 100 for count in counts.values())
    assert chi_square < 49.7  # 23 degrees of freedom: one in a thousand is above


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_shuffle(n):
    assert reference.shuffled(0, 0, n).tolist() == list(range(n))
