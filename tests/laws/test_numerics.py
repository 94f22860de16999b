"""Numbers on the edge: float32 training agrees with plain float64 formulas, or raises.

The tolerances are bounds, derived where they stand, in the terms of Higham (Accuracy and Stability
of Numerical Algorithms, 2002): U is the unit roundoff, and a sum of n products in any order lies
within gamma(n) times the sum of their sizes. Elementwise functions are within ULP units in the last
place (tests/unit/test_elementwise.py measures less), which is twice as many U. TINY is the smallest
normal number: what is below it may count as 0.
"""

import math

import numpy as np
import pytest

import fastbp
from fastbp.components import losses
from fastbp.kernels import reference
from fastbp.kernels.base import codes
from support.cases import each_hidden, each_pair

U, TINY, LARGEST = 2.0**-24, 2.0**-126, float(np.finfo(np.float32).max)
ULP = 3


def gamma(n):
    return n * U / (1 - n * U)


def line(weights, biases, output="identity", hidden=()):
    """A network of layers of so many columns, with these float32 parameters."""
    weights, biases = ([np.array(a, np.float32) for a in arrays] for arrays in (weights, biases))
    net = fastbp.Network([len(weights[0]), *map(len, biases)], hidden, output, seed=0)
    net.set_parameters(weights, biases)
    return net


def sgd_trainer(net, lr=0.1, loss="mse", **options):
    return fastbp.Trainer(net, loss=loss, optimizer=fastbp.SGD(lr), seed=0, **options)


# Logits of +-1e4

LOGITS = [1e4, -1e4, 1e4, -1e4]
TARGETS = {
    codes.REAL: [1.0, 2.0, -3.0, 4.0],
    codes.COUNT: [1.0, 2.0, 0.0, 3.0],
    codes.UNIT: [1.0, 1.0, 0.0, 0.5],
    codes.CLASS: [0.0, 0.25, 0.5, 0.25],
}


@each_pair
def test_logits_of_ten_thousand(pair):
    """x = 1 and no biases: the logits are exact, and dLoss/dz is the gradient of the weights.

    A loss is a sum of terms of a dozen roundings and two functions each: of relative error 16 U,
    and of a size that the terms of the definition have, taken without signs.
    """
    loss, output = pair
    known = losses.lookup(loss)
    z, y = np.array([LOGITS]), np.array([TARGETS[known.targets][: known.n_targets(4)]])
    trainer = sgd_trainer(line([z], [np.zeros(4)], output), loss=loss)
    code = trainer.net.arrays.activations[-1].code
    with np.errstate(over="ignore", invalid="ignore"):
        p = reference.activation(code, z)
        expected = reference.row_losses(known.code, z, p, y, code, known.parameter)[0]
        delta = reference.output_delta(known.code, code, z, p, y, 1, known.parameter)
    X = np.ones((1, 1))
    if not abs(expected) < LARGEST:
        before = trainer.net.weights
        with pytest.raises(FloatingPointError, match="not finite"):
            trainer.step(X, y)
        assert np.array_equal(trainer.net.weights, before)
        return
    size = np.abs(z).max() + np.abs(p).max() + np.abs(y).max()
    found, ((gradient, _),) = trainer.loss_and_gradients(X, y)
    assert abs(found - expected) <= 16 * U * size * (size if known.code in SQUARES else 4)
    assert np.all(np.abs(gradient - delta) <= 16 * U * size)


SQUARES = {losses.lookup(name).code for name in ("mse", "squared_error")}


# A 1-1-1 network

SLOPE, BEND = 1.76, 1.76
"""No activation is steeper, and none has a larger second derivative (selu's at 0)."""


@each_hidden
@pytest.mark.parametrize("x", [-3.0, -0.3, 0.7, 20.0])
def test_an_update_of_a_network_of_one_unit_a_layer(hidden, x):
    """Errors of each quantity follow from those before it, to first order; a rounding adds U.

    x keeps z off the bends of relu and its kin.
    """
    w1, b1, w2, b2, y, lr = (np.float32(v).item() for v in (0.8, 0.1, -1.3, 0.4, 0.9, 0.05))
    x = np.float32(x).item()
    net = line([[[w1]], [[w2]]], [[b1], [b2]], hidden=[hidden])
    trainer, code = sgd_trainer(net, lr), net.arrays.activations[0].code
    loss = trainer.step([[x]], [[y]])

    z = w1 * x + b1
    a = reference.activation(code, np.array([z])).item()
    derivative = reference.derivative(code, np.array([z]), np.array([a])).item()
    p = w2 * a + b2
    d = p - y
    z_off = 2 * U * (abs(w1 * x) + abs(b1))
    a_off = SLOPE * z_off + 2 * ULP * U * max(abs(a), abs(z))
    d_off = abs(w2) * a_off + 3 * U * (abs(w2 * a) + abs(b2) + abs(y))
    slope_off = BEND * z_off + 4 * ULP * U * (1 + abs(z))
    delta, rate = 2 * d * w2 * derivative, 2 * d
    delta_off = 2 * abs(w2) * (d_off * SLOPE + abs(d) * slope_off) + 4 * U * abs(delta)
    gradients = delta * x, delta, rate * a, rate
    offs = abs(x) * delta_off, delta_off, 2 * (d_off * abs(a) + abs(d) * a_off), 2 * d_off
    found = [net.weights[0], net.biases[0], net.weights[1], net.biases[1]]
    for new, old, g, off in zip(found, (w1, b1, w2, b2), gradients, offs, strict=True):
        assert abs(new.item() - (old - lr * g)) <= lr * off + 4 * U * (abs(old) + lr * abs(g))
    assert abs(loss - d * d) <= 2 * abs(d) * d_off + 2 * U * d * d


# A batch of one row, and a million rows


def test_a_batch_of_one_row():
    rng = np.random.default_rng(0)
    W, x, b, y = (rng.normal(size=n).astype(np.float32) for n in ((300, 5), (1, 300), 5, (1, 5)))
    net = line([W], [b])
    sgd_trainer(net).step(x, y)
    W, x, b, y = (a.astype(float) for a in (W, x, b, y))
    d = x @ W + b - y
    d_off = gamma(302) * (np.abs(x) @ np.abs(W) + np.abs(b) + np.abs(y))
    for new, old, factor in ((net.weights[0], W, x.T), (net.biases[0], b, 1)):
        step = 0.1 * 2 / 5 * factor * d
        off = 0.1 * 2 / 5 * np.abs(factor) * d_off + gamma(6) * (np.abs(old) + np.abs(step))
        assert np.all(np.abs(new - (old - step)) <= off)


MILLION = 10**6


@pytest.mark.parametrize("batch_size", [MILLION, 4096])
def test_a_million_rows_of_one_column(batch_size):
    """All terms are of one sign, so that relative errors hold for the sums.

    The gradient of a weight is one chain over the rows of a batch; that of a bias has chains of
    1024 at most, which are added up. The gradients of several batches are added up in double
    precision, and so are losses.
    """
    x = np.float32(0.1)
    X, y = np.broadcast_to(x, (MILLION, 1)), np.zeros(MILLION, np.float32)
    trainer = sgd_trainer(line([[[0.75]]], [[0.3]]), batch_size=batch_size)
    d = 0.75 * float(x) + float(np.float32(0.3))
    loss, ((dW, db),) = trainer.loss_and_gradients(X, y)
    batches = MILLION / batch_size + 8
    assert abs(dW.item() - 2 * d * float(x)) <= gamma(batch_size + batches) * 2 * d * float(x)
    in_parts = min(batch_size, 1024) + batch_size / 1024
    assert abs(db.item() - 2 * d) <= gamma(in_parts + batches) * 2 * d
    judged = trainer.evaluate(X, y)["loss"]
    for found in (loss, judged):
        assert abs(found - d * d) <= gamma(8) * d * d
    assert np.all(np.abs(trainer.predict(X) - d) <= gamma(3) * d)


@pytest.mark.parametrize(
    ("engine", "batch_size"), [("numba", 32), ("numba", 4096), ("numpy", 4096)]
)
def test_a_million_equal_rows_have_a_gradient_right_to_1e_5(engine, batch_size):
    """Whatever the number, all of whose roundings may go the same way."""
    for x in np.random.default_rng(0).uniform(0.05, 1, 6).astype("f4"):
        net = line([[[0.75]]], [[0.3]])
        options = {"optimizer": fastbp.SGD(lr=0.1), "batch_size": batch_size, "engine": engine}
        trainer = fastbp.Trainer(net, loss="mse", **options)
        X, y = np.broadcast_to(x, (MILLION, 1)), np.zeros(MILLION, np.float32)
        _, ((dW, db),) = trainer.loss_and_gradients(X, y)
        d = float(trainer.predict(X[:1])[0, 0])
        assert dW.item() == pytest.approx(2 * d * float(x), rel=1e-5)
        assert db.item() == pytest.approx(2 * d, rel=1e-5)


# Learning rates


@pytest.mark.parametrize("lr", [1e-300, 1e-45, 1e-38, 1e-10, 1e-3, 10.0, 1e10, 1e18])
def test_tiny_and_huge_learning_rates(lr):
    """w - lr g, with g = 2 (w + b) exact and x = 1; what is below TINY may be left out."""
    net = line([[[0.75]]], [[0.25]])
    sgd_trainer(net, lr).step([[1.0]], [[0.0]])
    for new, old in ((net.weights[0], 0.75), (net.biases[0], 0.25)):
        expected = old - lr * 2
        assert abs(new.item() - expected) <= gamma(3) * (old + lr * 2) + TINY


@pytest.mark.parametrize("lr", [1e20, 1e38, 1e300])
def test_a_learning_rate_too_huge_is_told_at_the_next_step(lr):
    trainer = sgd_trainer(line([[[0.75]]], [[0.25]]), lr)
    trainer.step([[1.0]], [[0.0]])
    with pytest.raises(FloatingPointError, match=r"not finite.*Lower lr"):
        trainer.step([[1.0]], [[0.0]])


# Denormal weights


def test_denormal_weights_and_inputs():
    """Each product is off by TINY (|x| + |w| + 1) at most, and each partial sum by TINY more.

    Either factor may have counted as 0, or the product.
    """
    rng = np.random.default_rng(0)
    n = 40
    w = np.ldexp(rng.uniform(-1, 1, (n, 3)), rng.integers(-140, -110, (n, 3))).astype(np.float32)
    X = np.ldexp(rng.uniform(-1, 1, (9, n)), rng.integers(-140, 20, (9, n))).astype(np.float32)
    net = line([w], [np.full(3, 2.0**-130)])
    assert 0 < np.abs(w).min() < TINY
    sizes, exact = np.abs(X).astype(float), X.astype(float) @ w.astype(float) + 2.0**-130
    flushed = TINY * (sizes.sum(1, keepdims=True) + np.abs(w).astype(float).sum(0) + 2 * n + 1)
    off = gamma(n + 1) * (sizes @ np.abs(w).astype(float)) + flushed
    assert np.all(np.abs(net.predict(X) - exact) <= off)
    trainer = sgd_trainer(net, 1e-3)
    before = net.weights[0].astype(float)
    trainer.step(np.zeros((1, n)), np.zeros((1, 3)))
    assert np.all(np.abs(net.weights[0] - before) <= TINY)
    assert np.float32(1e-40) * np.float32(1) > 0, "flushing is left on in this thread"


# One class only, and constant features


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_one_class_only(class_weight):
    """Against gradient descent in float64 on z = b1 - b0, of which the loss is ln(1 + e^-z).

    With a step below 2 / (the largest curvature) an update moves no two points apart, so that each
    adds its own rounding: of b by U |b|, and 16 U of the step, whose rate is at most 1.
    """
    net, lr, steps = line([np.zeros((1, 2))], [np.zeros(2)], "softmax"), 0.5, 200
    trainer = sgd_trainer(net, lr, "cross_entropy", batch_size=9, class_weight=class_weight)
    history = trainer.fit(np.zeros((9, 1)), np.ones(9, int), epochs=steps)
    weight = 1.0 if class_weight is None else 9 / (1 * 9)
    b, expected = 0.0, []
    for _ in range(steps):
        expected.append(math.log1p(math.exp(-2 * b)))
        b += lr * weight / (1 + math.exp(2 * b))
    off = steps * (U * b + 16 * U * lr)
    assert np.all(np.abs(net.biases[0] - [-b, b]) <= off)
    losses_off = 2 * off + 16 * U * np.array(expected)
    assert np.all(np.abs(np.array(history["loss"]) - expected) <= losses_off)
    assert trainer.evaluate(np.zeros((9, 1)), np.ones(9, int))["accuracy"] == 1


def test_a_network_of_one_class_has_nothing_to_learn():
    trainer = sgd_trainer(line([[[2.0]]], [[1.0]], "softmax"), loss="cross_entropy")
    assert trainer.step(np.ones((3, 1)), np.zeros(3, int)) == 0
    assert trainer.net.weights[0] == 2
    assert np.all(trainer.predict(np.ones((3, 1))) == 1)


@pytest.mark.parametrize("value", [0.0, 1e6 + 0.1, -1e-30, 3e38])
def test_constant_features_count_as_nothing_once_standardized(value):
    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    net = fastbp.Network([2, 3, 1], "tanh", seed=0)
    net.standardize(np.stack([x, np.full(50, value)], 1))
    assert net.input_scale[1] == 1
    first, *others = net.weights
    found = net.predict(np.stack([x, np.full(50, value)], 1))
    net.set_parameters([first * [[1], [1e6]], *others], net.biases)
    assert np.array_equal(net.predict(np.stack([x, np.full(50, value)], 1)), found)


def test_constant_features_as_they_are():
    """The only thing to learn is w c + b: one update of gradient descent in float64."""
    c, y = float(np.float32(123.4)), np.linspace(-1, 1, 8).astype(np.float32)
    net = line([[[0.5]]], [[-60.0]])
    sgd_trainer(net, 1e-5, batch_size=8).step(np.full((8, 1), c), y)
    d = 0.5 * c - 60 - y.astype(float)
    d_off = gamma(3) * (0.5 * c + 61)
    for new, old, factor in ((net.weights[0], 0.5, c), (net.biases[0], -60.0, 1.0)):
        step = 1e-5 * 2 * d.mean() * factor
        off = 2e-5 * factor * (d_off + gamma(11) * np.abs(d).mean())
        assert abs(new.item() - (old - step)) <= off + 4 * U * (abs(old) + abs(step))
