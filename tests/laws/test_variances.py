"""Losses of means and variances: beta_nll, targets that are not known, raw units."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.kernels import reference
from support.cases import Case, each_dtype, each_engine, flat
from support.central_differences import Probe
from support.closeness import AMPLIFICATION, assert_layers_close, layers_of, tolerance
from support.internals import core
from support.trainers import bits, training_state

MANY = Case((6, 33, 21, 6), 37, ("silu", "tanh"), "identity", "beta_nll")
FEW = replace(MANY, rows=3)
WIDE = replace(MANY, sizes=(6, 500, 510, 6), rows=17)
ONE = replace(MANY, sizes=(6, 33, 2), hidden="silu")
CASES = {"many": MANY, "few": FEW, "wide": WIDE, "one target": ONE}
LOSSES = {"gaussian_nll": 0.0, "beta_nll": 0.5, fastbp.BetaNLL(0.0): 0.0, fastbp.BetaNLL(1.0): 1.0}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
each_loss = pytest.mark.parametrize(("loss", "beta"), LOSSES.items(), ids=map(str, LOSSES))


def batch(case, unknown=True, seed=2):
    """Some targets, and all of the first row, are not known."""
    X, y = case.batch(seed)
    if unknown:
        y[np.random.default_rng(seed).random(y.shape) < 0.3] = np.nan
        y[0] = np.nan
    return X, y


def by_hand(p, y, beta=0.0):
    """The loss of each entry, and its weighted derivative by the outputs p, for sums over entries.

    0 where y is not known.
    """
    (m, s), known = np.split(p.astype("float64"), 2, axis=1), ~np.isnan(y)
    d = np.where(known, m - y, 0)
    value = np.where(known, (s + d**2 * np.exp(-s)) / 2, 0)
    by_s = np.where(known, (1 - d**2 * np.exp(-s)) / 2, 0)
    return value, np.exp(beta * np.tile(s, 2)) * np.concatenate([d * np.exp(-s), by_s], axis=1)


@each_engine
@each_dtype
@each_loss
@each_case
@pytest.mark.parametrize("unknown", [False, True])
def test_loss_and_gradient_are_those_of_the_definition(unknown, case, loss, beta, dtype, engine):
    """The gradient by the biases of the outputs is the sum over rows of that by the outputs."""
    X, y = batch(case, unknown)
    trainer = replace(case, loss=loss).trainer(dtype, engine, ignore_nan=unknown)
    value, rates = by_hand(trainer.predict(X), y, beta)
    found, layers = trainer.loss_and_gradients(X, y)
    close = {"rel": 1e-4 if dtype == "float32" else 1e-10}
    assert found == pytest.approx(value.sum() / y.size, **close)
    size = np.abs(rates).sum(axis=0).max() / y.size
    expected = pytest.approx(rates.sum(axis=0) / y.size, abs=size * close["rel"])
    assert layers[-1][1] == expected
    known = np.isfinite(y).mean()
    assert trainer.evaluate(X, y)["loss"] == pytest.approx(value.sum() / y.size / known, **close)
    if engine == "numba" and case is not WIDE:
        out = np.empty(trainer.net.n_parameters, dtype)
        again = embed.gradients(trainer.compiled(), X.astype(dtype), y.astype(dtype), out)
        assert again == pytest.approx(found, **close)
    assert trainer.step(X, y) == found


@pytest.mark.law1
@each_case
@pytest.mark.parametrize("loss", ["gaussian_nll", "beta_nll"])
def test_gradients_equal_central_differences(loss, case):
    Probe(replace(case, loss=loss)).check()


@pytest.mark.law2
@each_case
@each_dtype
@pytest.mark.parametrize("unknown", [False, True])
def test_engines_agree(unknown, dtype, case):
    options = {"ignore_nan": unknown, "optimizer": fastbp.SGD(0.05, momentum=0.9)}
    trainers = [case.trainer(dtype, engine, **options) for engine in ("numba", "numpy")]
    allowed = tolerance(case, dtype) * AMPLIFICATION
    weights = np.linspace(0, 2, case.rows)
    found = [[t.step(*batch(case, unknown, seed), weights) for seed in range(3)] for t in trainers]
    assert found[0] == pytest.approx(found[1], rel=allowed, abs=allowed)
    assert_layers_close(*map(layers_of, trainers), allowed)
    judged = [t.evaluate(*batch(case, unknown)) for t in trainers]
    assert judged[0] == pytest.approx(judged[1], rel=allowed, abs=allowed)


@pytest.mark.law4
@each_case
def test_the_bits_do_not_depend_on_the_threads(case):
    found = []
    for workers in (1, 2, 3):
        trainer = case.trainer("float32", ignore_nan=True)
        core(trainer).workers = workers
        found.append(([trainer.step(*batch(case, True, seed)) for seed in range(2)], bits(trainer)))
    assert found[0] == found[1] == found[2]


def test_beta_of_0_is_the_likelihood_itself():
    X, y = MANY.batch()
    one, other = (
        replace(MANY, loss=loss).trainer("float32") for loss in ("gaussian_nll", fastbp.BetaNLL(0))
    )
    assert one.step(X, y) == other.step(X, y)
    assert np.array_equal(one.net.arrays.parameters, other.net.arrays.parameters)


@pytest.mark.law5
@each_engine
@each_dtype
def test_fit_equals_steps_with_weights_divided_by_the_mean_of_entries(dtype, engine):
    X, y = batch(MANY)
    options = {"ignore_nan": True, "batch_size": 10, "engine": engine}
    fitted, stepped = (MANY.trainer(dtype, **options) for _ in range(2))
    weights = np.linspace(0.5, 2, MANY.rows)
    history = fitted.fit(X, y, 1, sample_weight=weights)
    order = reference.shuffled(0, 0, MANY.rows)
    divided = weights / (weights * np.isfinite(y).mean(axis=1)).mean()
    parts = [order[i : i + 10] for i in range(0, MANY.rows, 10)]
    losses = [stepped.step(X[part], y[part], divided[part]) for part in parts]
    assert history["loss"] == pytest.approx(
        [np.average(losses, weights=[10, 10, 10, 7])], rel=1e-13
    )
    assert bits(fitted) == bits(stepped)


@each_engine
def test_an_entry_that_is_not_known_has_neither_loss_nor_gradient(engine):
    """A network without hidden layers is a model for each output: of its known rows alone."""
    case = Case((3, 4), 40, (), "identity", "beta_nll")
    X, y = case.batch()
    y[::3, 1] = np.nan
    trainer = case.trainer(engine=engine, ignore_nan=True)
    _, rates = by_hand(trainer.predict(X), y, 0.5)
    _, ((dW, db),) = trainer.loss_and_gradients(X, y)
    np.testing.assert_allclose(dW, X.T @ rates / y.size, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(db, rates.sum(axis=0) / y.size, rtol=1e-10, atol=1e-15)
    before = bits(trainer)
    assert trainer.step(X, np.full_like(y, np.nan)) == 0
    assert bits(trainer) == before


@each_engine
def test_a_nan_of_the_network_is_found_though_no_target_is_known(engine):
    X, y = batch(MANY)
    y[:, 2] = np.nan
    trainer = MANY.trainer(engine=engine, ignore_nan=True)
    core(trainer).net.arrays.parameters[:] = np.nan
    with pytest.raises(FloatingPointError):
        trainer.step(X, y)


@each_engine
@each_dtype
def test_an_infinite_weight_of_the_gradient_changes_nothing(dtype, engine):
    """The loss of a variance of e^1600 is finite, and its weight, the root, is not."""
    net = fastbp.Network([1, 2], init="zeros", dtype=dtype)
    net.set_parameters(net.weights, [[0.0, 1600.0]])
    trainer = fastbp.Trainer(net, loss="beta_nll", optimizer=fastbp.SGD(0.1), engine=engine)
    before = bits(trainer)
    with pytest.raises(FloatingPointError):
        trainer.step([[1.0]], [[2.0]])
    assert bits(trainer) == before


def test_checkpoints_copies_and_reprs_keep_it(tmp_path):
    X, y = batch(MANY)
    options = {"ignore_nan": True, "batch_size": 10}
    trainer = replace(MANY, loss=fastbp.BetaNLL(0.25)).trainer("float32", **options)
    trainer.fit(X, y)
    trainer.save(tmp_path / "t.safetensors")
    others = [fastbp.Trainer.load(tmp_path / "t.safetensors"), copy.deepcopy(trainer)]
    others.append(pickle.loads(pickle.dumps(trainer)))
    trainer.fit(X, y)
    assert "loss=fastbp.BetaNLL(beta=0.25)" in repr(trainer)
    assert "ignore_nan=True" in repr(trainer)
    for other in others:
        assert repr(other) == repr(trainer)
        other.fit(X, y)
        assert bits(other) == bits(trainer)


def test_outputs_are_in_raw_units_and_the_weights_of_standardized_ones():
    """The same training, whatever the units of the targets; variances come back in them."""
    X, y = MANY.batch()
    found = []
    for scale in (1.0, 2.0**20):
        trainer = MANY.trainer("float64", optimizer=fastbp.Adam(0.01))
        trainer.net.standardize(X, y * scale)
        loss = [trainer.step(X, y * scale) for _ in range(3)]
        m, s = np.split(trainer.predict(X), 2, axis=1)
        found.append((loss, m / scale, s - 2 * np.log(scale)))
    (losses, *raw), (others, *raws) = found
    assert losses == others
    for one, other in zip(raw, raws, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_it_learns_means_where_the_noise_differs():
    """Of sin(x) with a noise that grows tenfold; the mean is near, and so is the deviation."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (4000, 1))
    noise = 0.05 + 0.45 * (x > 0)
    y = np.sin(x) + noise * rng.normal(size=x.shape)
    net = fastbp.Network([1, 32, 32, 2], activation="tanh", seed=0)
    net.standardize(x, y)
    loss, adam = fastbp.BetaNLL(), fastbp.Adam(3e-3)
    fastbp.Trainer(net, loss=loss, optimizer=adam, batch_size=64, seed=0).fit(x, y, 60)
    m, s = np.split(net.predict(x), 2, axis=1)
    assert np.sqrt(np.mean((m - np.sin(x)) ** 2)) < 0.1
    for part in (x < -0.3, x > 0.3):
        assert np.exp(s[part] / 2).mean() == pytest.approx(noise[part][0], rel=0.2)


# What goes wrong leaves all as it was


def test_nan_is_refused_unless_it_was_asked_for():
    X, y = batch(MANY)
    trainer = MANY.trainer()
    before = bits(trainer)
    for call in (trainer.step, trainer.fit, trainer.evaluate, trainer.loss_and_gradients):
        with pytest.raises(ValueError, match=r"y has nan at row \d+, column 0.*ignore_nan=True"):
            call(X, y)
    assert bits(trainer) == before


@each_engine
@each_dtype
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_targets_are_refused_still(bad, dtype, engine):
    X, y = batch(MANY)
    y[4, 2] = bad
    trainer = MANY.trainer(dtype, engine, ignore_nan=True)
    before = bits(trainer)
    for call in (trainer.step, trainer.fit, trainer.evaluate):
        with pytest.raises(ValueError, match=f"y has {bad} at row 4, column 2"):
            call(X, y)
    assert bits(trainer) == before


def test_an_output_gradient_of_nan_is_refused_still():
    trainer = MANY.trainer(ignore_nan=True)
    X, v = MANY.batch()[0], np.full((MANY.rows, 6), np.nan)
    before = bits(trainer)
    assert not embed.step_from(trainer.compiled(), X, v)
    assert bits(trainer) == before


def test_no_known_target_is_nothing_to_train_on():
    X, y = batch(MANY, False)
    trainer = MANY.trainer(ignore_nan=True)
    before = training_state(trainer)
    with pytest.raises(ValueError, match="y is NaN in every row to train on, expected a known"):
        trainer.fit(X, np.full_like(y, np.nan))
    with pytest.raises(ValueError, match="y is NaN in every row that has weight"):
        trainer.evaluate(X, np.full_like(y, np.nan))
    assert training_state(trainer) == before


def test_a_search_along_lines_is_refused():
    with pytest.raises(ValueError, match=r"loss 'beta_nll' multiplies its gradient .*LBFGS"):
        MANY.trainer(optimizer=fastbp.LBFGS())
    replace(MANY, loss="gaussian_nll").trainer(optimizer=fastbp.LBFGS())


@pytest.mark.parametrize("beta", [-0.1, 1.1, np.nan, "0.5", True])
def test_a_beta_out_of_its_range_is_refused(beta):
    with pytest.raises((ValueError, TypeError), match=r"beta is .*expected a .*in \[0, 1\]"):
        fastbp.BetaNLL(beta)


def test_an_odd_number_of_outputs_is_refused():
    with pytest.raises(ValueError, match="loss 'beta_nll' takes 2 outputs for each target"):
        replace(MANY, sizes=(6, 33, 21, 5)).trainer()
    with pytest.raises(ValueError, match="loss 'beta_nll' needs output='identity'"):
        replace(MANY, output="softplus").trainer()


def test_flat_gradients_are_those_of_the_layers():
    X, y = MANY.batch()
    trainer, out = MANY.trainer(), np.empty(MANY.network().n_parameters)
    loss, layers = trainer.loss_and_gradients(X, y)
    assert embed.gradients(trainer.compiled(), X, y, out) == loss
    np.testing.assert_array_equal(out, flat(layers))
