"""L-BFGS: known minima, what a callback sees, and what is left after a failure."""

import math
import re
import sys

import numpy as np
import pytest
from scipy import optimize

import fastbp
from fastbp import LBFGS
from fastbp.training.lbfgs_search import minimize
from support.cases import each_engine
from support.trainers import flat_parameters

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0.0])
DEFAULT = LBFGS()


def of_xor(engine="numba", dtype="float64", lr=1.0):
    net = fastbp.Network([2, 8, 1], "tanh", "sigmoid", seed=1, dtype=dtype)
    return fastbp.Trainer(
        net, loss="bce", optimizer=fastbp.SGD(lr), batch_size=3, seed=0, engine=engine
    )


def descend(trainer, X, y, iterations=200, callback=None, rule=DEFAULT):
    return minimize(
        rule, trainer.net, lambda: trainer.loss_and_gradients(X, y), iterations, callback
    )


@each_engine
def test_linear_regression_ends_at_the_least_squares_solution(engine):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 4)), rng.standard_normal(50)
    net = fastbp.Network([4, 1], seed=0, dtype="float64")
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), engine=engine)
    # A step lowers the loss by g^2 / 2c, for a gradient g and a curvature c of order 1. The loss is
    # of order 1 and has roundings of a few eps: whether a step is seen where g is below 1e-7 or so
    # hangs on the processor's order of summation, and the search may end first.
    tolerance = 1e-6
    outcome = descend(trainer, X, y, rule=LBFGS(tolerance=tolerance))
    assert outcome.reason == "tolerance"
    A = np.hstack([X, np.ones((50, 1))])
    expected = np.linalg.lstsq(A, y)[0]
    # The error is the gradient over a curvature of the loss, 2/n A^T A: at most over the smallest.
    flattest = 2 / 50 * np.linalg.svd(A, compute_uv=False)[-1] ** 2
    gradient = tolerance * math.sqrt(5)
    np.testing.assert_allclose(flat_parameters(net), expected, rtol=0, atol=gradient / flattest)
    lowest = np.square(A @ expected - y).mean()
    assert outcome.losses[-1] <= lowest + gradient**2 / (2 * flattest) + 1e-14


@each_engine
def test_xor_gets_a_far_lower_loss_than_from_as_many_epochs_of_sgd(engine):
    X, y = XOR
    trainer, other = of_xor(engine), of_xor(engine)
    outcome = descend(trainer, X, y)
    other.fit(X, y, epochs=len(outcome.losses))
    assert outcome.losses[-1] < 0.01 * other.evaluate(X, y)["loss"]
    np.testing.assert_array_equal(trainer.predict(X)[:, 0] > 0.5, y > 0.5)


@each_engine
def test_a_callback_sees_each_iteration_with_its_parameters(engine):
    X, y = XOR
    trainer, seen = of_xor(engine), []

    def callback(iteration, loss):
        assert trainer.loss_and_gradients(X, y)[0] == loss
        seen.append((iteration, loss))

    outcome = descend(trainer, X, y, 12, callback)
    assert outcome.reason == "iterations"
    assert seen == list(enumerate(outcome.losses, 1))
    assert len(seen) == 12
    assert (np.diff(outcome.losses) < 0).all()
    assert trainer.loss_and_gradients(X, y)[0] == outcome.losses[-1]


def test_a_second_call_goes_on():
    X, y = XOR
    trainer = of_xor()
    first, second = descend(trainer, X, y, 5), descend(trainer, X, y, 5)
    assert second.losses[0] < first.losses[-1]


def test_there_is_nothing_to_do_at_a_minimum():
    X, y = XOR
    trainer = of_xor()
    descend(trainer, X, y)
    before = flat_parameters(trainer.net)
    outcome = descend(trainer, X, y)
    assert (outcome.losses, outcome.reason) == ([], "tolerance")
    np.testing.assert_array_equal(flat_parameters(trainer.net), before)


def test_single_precision_ends_where_it_sees_no_lower_loss():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 4)), rng.standard_normal(50)
    net = fastbp.Network([4, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1))
    outcome = descend(trainer, X, y, rule=LBFGS(tolerance=0.0))
    assert outcome.reason == "line search"
    A = np.hstack([X, np.ones((50, 1))])
    lowest = np.square(A @ np.linalg.lstsq(A, y)[0] - y).mean()
    assert outcome.losses[-1] == pytest.approx(lowest, rel=1e-6)
    assert trainer.loss_and_gradients(X, y)[0] == outcome.losses[-1]


def test_an_iteration_that_gains_little_is_the_last():
    X, y = XOR
    losses = np.array(descend(of_xor(), X, y).losses)
    gains = -np.diff(losses) / np.maximum(losses[:-1], 1)
    outcome = descend(of_xor(), X, y, rule=LBFGS(loss_tolerance=1e-3))
    assert outcome.reason == "loss"
    assert len(outcome.losses) - 2 == int((gains <= 1e-3).argmax())


def test_evaluations_are_limited():
    outcome = descend(of_xor(), *XOR, rule=LBFGS(max_evaluations=10))
    assert outcome.reason == "evaluations"
    assert 10 < outcome.result.nfev <= 10 + DEFAULT.max_line_search
    assert len(outcome.losses) == outcome.result.nit < 11


# One weight and one bias, the loss a function of the weight


def of_weight(function, start, dtype="float64"):
    """(network, gradients) of a loss ``function(w) -> (loss, slope)``."""
    net = fastbp.Network([1, 1], seed=0, dtype=dtype)
    net.set_parameters([np.full((1, 1), start)], [np.zeros(1)])

    def gradients():
        loss, derivative = function(float(net.weights[0][0, 0]))
        return loss, [(np.full((1, 1), derivative), np.zeros(1))]

    return net, gradients


@pytest.mark.parametrize("wall", [1.2, 1.01, 0.6])
def test_a_step_to_where_the_loss_is_not_finite_is_made_shorter(wall):
    refused = []

    def function(w):
        if w > wall:
            refused.append(w)
            raise FloatingPointError
        return (w - 1) ** 2, 2 * (w - 1)

    net, gradients = of_weight(function, 0.5)
    outcome = minimize(LBFGS(), net, gradients, 20)
    assert refused
    assert np.isfinite(outcome.losses).all()
    assert 1 - net.weights[0][0, 0] < (1e-5 if wall > 1 else 0.49)
    assert outcome.losses[0] < 0.25


def test_a_step_that_is_not_finite_goes_on_after_a_tenth_of_it():
    tried = []

    def function(w):
        tried.append(w)
        if w > 1.2:
            raise FloatingPointError
        return (w - 1) ** 2, 2 * (w - 1)

    minimize(LBFGS(), *of_weight(function, 0.5), 1)
    assert tried[:3] == pytest.approx([0.5, 1.5, 0.6])


def test_parameters_that_overflow_the_network_are_a_step_too_far():
    net, gradients = of_weight(lambda w: (-1e30 * w, -1e30), 0.0, "float32")
    # A line has no Wolfe point, and the search takes steps four times as long each, up to 4^64.
    outcome = minimize(LBFGS(max_line_search=100), net, gradients, 1)
    assert 1e30 < net.weights[0][0, 0] <= np.finfo(np.float32).max
    assert outcome.reason != "tolerance"


def test_a_step_that_is_no_number_is_a_step_too_far():
    """SciPy makes it where the square of the gradient overflows."""
    net, gradients = of_weight(lambda w: (1e200 * w * w, 2e200 * w), 1.0)
    outcome = minimize(LBFGS(), net, gradients, 20)
    assert outcome.reason == "line search"
    assert net.weights[0][0, 0] == 1


def test_a_gradient_that_is_not_finite_is_a_step_too_far():
    def function(w):
        return (w - 1) ** 2, math.inf if w > 1.2 else 2 * (w - 1)

    net, gradients = of_weight(function, 0.5)
    minimize(LBFGS(), net, gradients, 20)
    assert net.weights[0][0, 0] == pytest.approx(1, abs=1e-5)


# What ends it early


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_evaluation_that_fails_leaves_the_last_iteration(error):
    X, y = XOR
    trainer, points, count = of_xor(), [], 0

    def gradients():
        nonlocal count
        count += 1
        if count == 9:
            raise error
        return trainer.loss_and_gradients(X, y)

    def callback(_iteration, _loss):
        points.append(flat_parameters(trainer.net))

    with pytest.raises(error):
        minimize(LBFGS(), trainer.net, gradients, 100, callback)
    assert points
    np.testing.assert_array_equal(flat_parameters(trainer.net), points[-1])


def test_a_callback_that_raises_ends_it_after_its_iteration():
    X, y = XOR
    trainer, twin = of_xor(), of_xor()

    def callback(iteration, _loss):
        if iteration == 4:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        descend(trainer, X, y, 100, callback)
    descend(twin, X, y, 4)
    np.testing.assert_array_equal(flat_parameters(trainer.net), flat_parameters(twin.net))


def test_a_first_loss_that_is_not_finite_is_an_error():
    net = fastbp.Network([1, 1], seed=0)
    net.set_parameters([np.full((1, 1), 1e30)], [np.zeros(1)])
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1))
    with pytest.raises(FloatingPointError, match="not finite on these rows"):
        descend(trainer, [[1.0]], [0.0])
    assert net.weights[0][0, 0] == np.float32(1e30)


def test_bad_data_is_refused_before_anything_changes():
    X, y = XOR
    trainer = of_xor()
    before = flat_parameters(trainer.net)
    with pytest.raises(ValueError, match="row 3"):
        descend(trainer, np.where(X.sum(axis=1, keepdims=True) == 2, np.nan, X), y)
    np.testing.assert_array_equal(flat_parameters(trainer.net), before)


def test_without_scipy_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[lbfgs\]'"):
        descend(of_xor(), *XOR)


# The specification


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"history": 0}, ValueError, "LBFGS: history is 0, expected an integer >= 1"),
        ({"history": 2.0}, TypeError, "LBFGS: history is 2.0"),
        ({"max_line_search": 0}, ValueError, "LBFGS: max_line_search is 0"),
        (
            {"tolerance": -1.0},
            ValueError,
            "LBFGS: tolerance is -1.0, expected a finite number 0 or more",
        ),
        ({"tolerance": None}, TypeError, "LBFGS: tolerance is None"),
        ({"loss_tolerance": -1.0}, ValueError, "LBFGS: loss_tolerance is -1.0"),
        ({"max_evaluations": 0}, ValueError, "LBFGS: max_evaluations is 0"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        LBFGS(**arguments)


@pytest.mark.parametrize("history", [1, 30])
def test_history_and_line_search_reach_scipy(history, monkeypatch):
    options = {}
    real = optimize.minimize
    monkeypatch.setattr(
        optimize, "minimize", lambda *a, **k: options.update(k["options"]) or real(*a, **k)
    )
    rule = LBFGS(history=history, tolerance=1e-3, max_line_search=history + 1)
    descend(of_xor(), *XOR, rule=rule)
    given = options["maxcor"], options["gtol"], options["maxls"]
    assert given == (history, 1e-3, history + 1)


# As the optimizer of a trainer


def trainer_of_xor(engine="numba", **options):
    net = fastbp.Network([2, 8, 1], "tanh", "sigmoid", seed=1, dtype="float64")
    defaults = {"loss": "bce", "optimizer": fastbp.LBFGS(), "batch_size": 3, "engine": engine}
    return fastbp.Trainer(net, **defaults | options)


@each_engine
def test_fit_makes_its_iterations(engine):
    X, y = XOR
    fitted, by_hand = trainer_of_xor(engine), of_xor(engine)
    history = fitted.fit(X, y, epochs=30, validation_data=(X, y))
    outcome = descend(by_hand, X, y, 30)
    assert history["loss"] == outcome.losses
    assert history["val_loss"] == pytest.approx(outcome.losses, rel=1e-12)
    np.testing.assert_array_equal(flat_parameters(fitted.net), flat_parameters(by_hand.net))


def test_the_trainer_knows_how_its_last_fit_ended():
    X, y = XOR
    trainer = trainer_of_xor()
    assert trainer.outcome is None
    history = trainer.fit(X, y, epochs=3)
    assert trainer.outcome.reason == "iterations"
    assert trainer.outcome.losses == history["loss"]
    assert trainer.outcome.result.fun == history["loss"][-1]
    trainer.fit(X, y, epochs=300)
    assert trainer.outcome.reason == "tolerance"


def test_fit_ends_with_stop_training():
    def stop(state):
        if state.epoch == 3:
            raise fastbp.StopTraining

    trainer = trainer_of_xor()
    trainer.fit(*XOR, epochs=1)
    history = trainer.fit(*XOR, epochs=30, callbacks=[fastbp.LambdaCallback(on_epoch_end=stop)])
    assert len(history["loss"]) == 3
    assert trainer.outcome is None
    assert trainer.evaluate(*XOR)["loss"] == pytest.approx(history["loss"][-1], rel=1e-12)


def test_fit_on_held_out_rows_leaves_them_out():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2)), rng.integers(0, 2, 40)
    trainer, by_hand = trainer_of_xor(seed=3), trainer_of_xor(seed=3)
    history = trainer.fit(X, y, epochs=5, validation_fraction=0.25, sample_weight=np.ones(40))
    assert len(history["val_loss"]) == 5
    assert history["loss"] != by_hand.fit(X, y, epochs=5)["loss"]


@pytest.mark.parametrize("call", ["step", "compiled", "find_lr"])
def test_there_are_no_updates_by_batches(call):
    arguments = () if call == "compiled" else XOR
    with pytest.raises(ValueError, match=f"{call} makes updates by batches"):
        getattr(trainer_of_xor(), call)(*arguments)


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 1.0},
        {"dropout": 0.5},
        {"ema_decay": 0.9},
        {"lr_factors": 0.5},
        {"bias_lr_factor": 0.5},
        {"weight_decay_on": "weights"},
        {"weight_decay_factors": [2, 1]},
        {"weight_decay_schedule": fastbp.schedules.Cosine(9)},
        {"dropout_schedule": fastbp.schedules.Cosine(9)},
        {"input_scaling": 6.0},
    ],
    ids=str,
)
def test_what_shapes_updates_is_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} is given, but optimizer LBFGS"):
        trainer_of_xor(**options)
