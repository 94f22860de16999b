"""One update by a gradient that was computed elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp import embed
from support.cases import Case, each_dtype, each_engine
from support.features import (
    EVERY,
    MANY,
    OPTIMIZERS,
    OTHERS,
    ROUTES,
    Feature,
    each_feature,
    each_route,
)
from support.internals import core
from support.trainers import bits, training_state

LAYERS = replace(MANY, sizes=(17, 31, 31, 5), layer_norm=True, residual=True)


def assert_equals_steps(case, feature, dtype="float32", optimizer=None, engine="numba", workers=0):
    """Three steps, and three times the gradient and its update: one trainer is as the other."""
    one, other = (feature.trainer(case, dtype, engine, optimizer) for _ in range(2))
    if engine == "numba":
        core(one).workers = core(other).workers = workers
    for seed in range(3):
        batch = feature.batch(case, seed)
        loss, gradients = one.loss_and_gradients(*batch)
        one.apply_gradients(gradients)
        assert loss == other.step(*batch)
    assert training_state(one) == training_state(other)


@pytest.mark.law2
@each_route
@each_dtype
def test_with_the_gradient_of_a_batch_it_is_a_step(dtype, case):
    assert_equals_steps(case, Feature(), dtype)


@pytest.mark.law2
@each_feature
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_with_every_feature(optimizer, feature):
    assert_equals_steps(MANY, feature, optimizer=optimizer)


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", (OPTIMIZERS | OTHERS).values(), ids=OPTIMIZERS | OTHERS)
@pytest.mark.parametrize("feature", [Feature(), EVERY], ids=["plain", "every"])
@each_engine
def test_with_every_optimizer(engine, feature, optimizer):
    assert_equals_steps(MANY, feature, "float64", optimizer, engine)


@pytest.mark.law4
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("feature", [Feature(), EVERY], ids=["plain", "every"])
def test_by_several_workers(feature, workers):
    for case in ROUTES.values():
        assert_equals_steps(case, feature, workers=workers)


@each_engine
def test_gains_and_shifts(engine):
    assert_equals_steps(LAYERS, Feature({"clip_norm": 0.1, "l2": 0.01}), engine=engine)


def test_a_plain_trainer_stays_one():
    trainer, X, y = MANY.trainer("float32"), *MANY.batch()
    model = trainer.compiled()
    trainer.apply_gradients(trainer.loss_and_gradients(X, y)[1])
    assert not core(trainer).extended
    assert trainer.compiled() is model
    other = MANY.trainer("float32")
    other.step(X, y)
    assert embed.step(model, X.astype("float32"), y) == other.step(X, y)
    assert bits(trainer) == bits(other)


@each_engine
def test_gradients_of_shards_combine_by_their_rows(engine):
    """Penalties included: the mean of a penalty is the penalty."""
    X, y = MANY.batch()
    options = {"engine": engine, "l2": 0.05, "optimizer": fastbp.Adam(lr=0.01)}
    whole, shards = MANY.trainer(**options), MANY.trainer(**options)
    parts = slice(0, 10), slice(10, 30), slice(30, 37)
    found = [shards.loss_and_gradients(X[part], y[part]) for part in parts]
    rows = [10, 20, 7]
    loss = np.average([loss for loss, _ in found], weights=rows)
    mean = [
        [np.average(arrays, axis=0, weights=rows) for arrays in zip(*layers, strict=True)]
        for layers in zip(*(gradients for _, gradients in found), strict=True)
    ]
    shards.apply_gradients(mean)
    assert loss == pytest.approx(whole.step(X, y), rel=1e-13)
    for one, other in zip(shards.net.weights, whole.net.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-12)


@each_engine
def test_any_numbers_in_any_form(engine):
    """Lists, other dtypes and layouts; the given arrays stay as they are."""
    case = Case((3, 2), 4)
    trainer = case.trainer("float32", engine, fastbp.SGD(lr=0.5))
    before = trainer.net.weights[0], trainer.net.biases[0]
    dW = np.arange(6.0).reshape(2, 3).T
    step = np.float32(0.5) * dW.astype("float32")
    trainer.apply_gradients([[dW, [1, 2]]])
    np.testing.assert_array_equal(trainer.net.weights[0], before[0] - step)
    np.testing.assert_array_equal(trainer.net.biases[0], before[1] - np.float32([0.5, 1]))
    np.testing.assert_array_equal(dW, np.arange(6.0).reshape(2, 3).T)


@each_engine
def test_within_a_fit_it_is_one_more_update(engine):
    X, y = MANY.batch()
    gradients = MANY.trainer().loss_and_gradients(X, y)[1]
    add = fastbp.LambdaCallback(on_epoch_end=lambda s: s.trainer.apply_gradients(gradients))
    watched, by_hand = (MANY.trainer(engine=engine, ema_decay=0.9) for _ in range(2))
    watched.fit(X, y, 2, callbacks=[add], shuffle=False)
    for _ in range(2):
        by_hand.step(X, y)
        by_hand.apply_gradients(gradients)
    assert bits(watched) == bits(by_hand)
    assert core(watched).updates == 4


# What goes wrong leaves all as it was


def spoiled(change):
    loss, gradients = MANY.trainer("float32").loss_and_gradients(*MANY.batch())
    arrays = [[part.copy() for part in layer] for layer in gradients]
    return change(loss, arrays)


def with_value(value):
    def change(_, arrays):
        arrays[1][0][2, 3] = value
        return arrays

    return spoiled(change)


BAD = {
    "all that loss_and_gradients returns": (
        lambda: spoiled(lambda loss, arrays: (loss, arrays)),
        ValueError,
        "gradients has 2 items, expected 3 layers.*the second result of loss_and_gradients",
    ),
    "no layers": (lambda: 1.0, TypeError, "gradients is a float, expected 3 layers"),
    "a flat vector": (lambda: np.zeros(100), ValueError, "gradients has 100 items"),
    "numbers": (lambda: [1, 2, 3], TypeError, r"gradients\[0\] is int, expected a sequence"),
    "no biases": (
        lambda: spoiled(lambda _, arrays: [layer[:1] for layer in arrays]),
        ValueError,
        r"gradients\[0\] has 1 arrays, expected 2, one per of \(dW, db\)",
    ),
    "transposed": (
        lambda: spoiled(lambda _, arrays: [[W.T, b] for W, b in arrays]),
        ValueError,
        r"gradients\[0\]\[0\] has shape \(33, 17\), expected \(17, 33\)",
    ),
    "complex": (
        lambda: spoiled(lambda _, arrays: [[W * 1j, b] for W, b in arrays]),
        TypeError,
        r"gradients\[0\]\[0\] has dtype complex64",
    ),
    "NaN": (
        lambda: with_value(np.nan),
        ValueError,
        r"gradients\[1\]\[0\] has nan at \(2, 3\)",
    ),
    "infinity": (lambda: with_value(np.inf), ValueError, r"gradients\[1\]\[0\] has inf"),
}


@each_engine
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_gradients_are_refused(bad, engine):
    make, error, message = bad
    trainer = MANY.trainer("float32", engine)
    before = training_state(trainer)
    with pytest.raises(error, match=message):
        trainer.apply_gradients(make())
    assert training_state(trainer) == before


@each_engine
def test_a_norm_that_is_not_finite_changes_nothing(engine):
    trainer = MANY.trainer("float64", engine, clip_norm=1.0)
    before = training_state(trainer)
    gradients = [[part.astype("float64") for part in layer] for layer in with_value(0.0)]
    gradients[2][0][:] = 1e200
    with pytest.raises(FloatingPointError, match="norm of the gradients is not finite"):
        trainer.apply_gradients(gradients)
    assert training_state(trainer) == before


def test_lbfgs_makes_no_updates():
    trainer = MANY.trainer(optimizer=fastbp.LBFGS())
    with pytest.raises(ValueError, match="apply_gradients makes updates by batches"):
        trainer.apply_gradients(trainer.loss_and_gradients(*MANY.batch())[1])
