"""A loss of the user's own: called by its address, as fast kernels know nothing of it."""

import copy
import math
import pickle

import numpy as np
import pytest
from numba import njit
from numba.core import event

import fastbp
from fastbp import embed
from support.cases import Case, each_dtype, each_engine, flat
from support.closeness import assert_layers_close, tolerance
from support.internals import core
from support.trainers import bits

ODD = Case((7, 19, 3), 21, "gelu", "tanh")
FEW = Case((7, 19, 3), 2, "gelu", "sigmoid")
SOFT = Case((7, 19, 3), 21, "gelu", "softmax")

both = pytest.mark.parametrize("case", [ODD, FEW], ids=["many", "few"])


@njit
def my_mse(p, y, dloss_dp):
    loss = 0.0
    for i in range(len(p)):
        d = p[i] - y[i]
        loss += d * d / len(p)
        dloss_dp[i] = 2 * d / len(p)
    return loss


@njit
def log_cosh(p, y, dloss_dp):
    loss = 0.0
    for i in range(len(p)):
        loss += math.log(math.cosh(p[i] - y[i]))
        dloss_dp[i] = math.tanh(p[i] - y[i])
    return loss


@njit
def cross_entropy(p, y, dloss_dp):
    loss = 0.0
    for i in range(len(p)):
        loss -= y[i] * math.log(p[i])
        dloss_dp[i] = -y[i] / p[i]
    return loss


@njit
def wrong(p, y, dloss_dp):
    dloss_dp[0] = p[0] - y[0]
    return p[0] - y[0]


def trainer(case, loss, dtype="float64", **options):
    defaults = {"optimizer": fastbp.SGD(lr=0.1), "batch_size": case.rows, "seed": 0}
    return fastbp.Trainer(case.network(dtype), loss=loss, **defaults | options)


@both
@each_dtype
def test_an_own_mse_is_the_mse(case, dtype):
    own, known = trainer(case, my_mse, dtype), trainer(case, "mse", dtype)
    X, y = case.batch()
    loss, gradients = own.loss_and_gradients(X, y)
    expected, known_gradients = known.loss_and_gradients(X, y)
    assert loss == pytest.approx(expected, rel=tolerance(case, dtype))
    assert_layers_close(gradients, known_gradients, tolerance(case, dtype))
    assert own.evaluate(X, y)["loss"] == pytest.approx(known.evaluate(X, y)["loss"], rel=1e-6)


def test_it_goes_through_softmax():
    X, _ = SOFT.batch()
    y = np.random.default_rng(1).dirichlet(np.ones(3), SOFT.rows)
    own, known = trainer(SOFT, cross_entropy), trainer(SOFT, "cross_entropy")
    _, gradients = own.loss_and_gradients(X, y)
    _, expected = known.loss_and_gradients(X, y)
    assert_layers_close(gradients, expected, 1e-12)


@both
def test_engines_agree(case):
    options = {"dropout": 0.3, "l2": 0.01, "clip_norm": 0.1}
    compiled, twin = (trainer(case, log_cosh, engine=e, **options) for e in ("numba", "numpy"))
    for seed in range(3):
        X, y = case.batch(seed)
        assert compiled.step(X, y) == pytest.approx(twin.step(X, y), rel=1e-10)
    layers = (zip(t.net.weights, t.net.biases, strict=True) for t in (compiled, twin))
    assert_layers_close(*(list(one) for one in layers), 1e-10)


def test_weights_and_threads_and_embedding():
    X, y = (a.astype("f4") for a in ODD.batch())
    found = []
    for workers in (1, 3):
        one = trainer(ODD, log_cosh, "float32")
        core(one).workers = workers
        one.step(X, y, np.linspace(0, 1, len(X)))
        one.step(X, y)
        found.append(bits(one))
    assert found[0] == found[1]
    embedded, stepped = trainer(ODD, log_cosh, "float32"), trainer(ODD, log_cosh, "float32")
    assert embed.step(embedded.compiled(), X, y) == stepped.step(X, y)
    assert bits(embedded) == bits(stepped)


def test_another_one_compiles_no_kernel():
    trainer(ODD, my_mse).step(*ODD.batch())

    @njit
    def another(p, y, dloss_dp):
        return my_mse(p, y, dloss_dp)

    made = trainer(ODD, another)
    with event.install_recorder("numba:compiler_lock") as recorder:
        made.step(*ODD.batch())
    assert not recorder.buffer


def test_copies_have_it_too():
    one = trainer(ODD, log_cosh)
    other = pickle.loads(pickle.dumps(one))
    third = copy.deepcopy(one)
    X, y = ODD.batch()
    assert one.step(X, y) == other.step(X, y) == third.step(X, y)
    assert one.loss == "log_cosh"


def test_a_wrong_gradient_is_refused():
    with pytest.raises(ValueError, match=r"loss 'wrong' wrote dloss_dp\[0\] = .* central"):
        trainer(ODD, wrong)


@njit
def of_logarithm(p, y, dloss_dp):
    dloss_dp[:] = 1 / (p - 1)
    return (np.log(p - 1) - y).sum()


def test_a_loss_that_is_not_finite_at_try_out_is_refused():
    with pytest.raises(ValueError, match=r"'of_logarithm' wrote .* \(loss nan at p = 0\."):
        trainer(ODD, of_logarithm)


def test_a_plain_function_is_refused():
    with pytest.raises(TypeError, match="njit"):
        trainer(ODD, my_mse.py_func)


@njit
def raising(p, y, dloss_dp):
    if y[0] > 5:
        raise ValueError("too large")
    return my_mse(p, y, dloss_dp)


@njit
def distance(p, y, dloss_dp):
    total = 0.0
    for i in range(len(p)):
        total += (p[i] - y[i]) ** 2
    for i in range(len(p)):
        dloss_dp[i] = np.divide(p[i] - y[i], math.sqrt(total))
    return math.sqrt(total)


@each_engine
@pytest.mark.parametrize("loss", [raising, distance], ids=["raises", "divides by 0"])
def test_a_loss_without_a_number_is_no_update(loss, engine):
    X, y = ODD.batch()
    one = trainer(ODD, loss, engine=engine)
    y = one.predict(X) if loss is distance else y + 10
    before = bits(one)
    with pytest.raises(FloatingPointError):
        one.step(X, y)
    assert bits(one) == before


def test_a_loss_that_is_not_finite_is_no_update():
    X, y = ODD.batch()
    one = trainer(ODD, log_cosh)
    before = bits(one)
    with pytest.raises(FloatingPointError):
        one.step(X, y * 1e300)
    assert bits(one) == before
    assert np.isfinite(flat([one.net.weights])).all()
