"""Weights of rows and classes: the loss that fit has, and its minimum at any batch size."""

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.kernels import reference
from fastbp.training import checkpoints
from fastbp.training.validation import hold_out, rows_to_hold_out
from support.cases import Case, each_dtype, each_engine, flat
from support.features import FEW, MANY, ROUTES
from support.internals import core, dataset
from support.resumed_fits import Crash, Crasher, fit_with, new_trainer
from support.trainers import bits

SCALES = [1.0, 1e300, 1e-300]
CLASS_WEIGHT = {0: 0.3, 3: 1.7}
BINARY = Case((4, 9, 1), 20, "tanh", "sigmoid", "bce")


def table(trainer):
    """The weight of each class."""
    return core(trainer).class_weights


def weights_of(case, seed=4):
    weights = np.random.default_rng(seed).uniform(0, 3, case.rows)
    weights[::5] = 0
    return weights


def divided(weights):
    return weights / weights.mean()


def steps(trainer, case, weights, order):
    """The losses of an epoch by hand, and the rows of each batch."""
    X, y = case.batch()
    parts = [order[i : i + trainer.batch_size] for i in range(0, case.rows, trainer.batch_size)]
    losses = [trainer.step(X[part], y[part], weights[part]) for part in parts]
    return losses, [len(part) for part in parts]


# Law 5


@pytest.mark.law5
@each_engine
@each_dtype
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("case", ROUTES.values(), ids=ROUTES)
def test_fit_equals_steps_with_weights_divided_by_their_mean(case, shuffle, dtype, engine):
    weights, (X, y) = weights_of(case), case.batch()
    options = {"batch_size": max(1, case.rows // 3), "engine": engine, "l2": 0.01}
    fitted, by_hand = (case.trainer(dtype, **options) for _ in range(2))
    history = fitted.fit(X, y, 2, sample_weight=weights, shuffle=shuffle)
    for epoch, loss in enumerate(history["loss"]):
        order = reference.shuffled(0, epoch, case.rows) if shuffle else np.arange(case.rows)
        found, rows = steps(by_hand, case, divided(weights), order)
        assert loss == pytest.approx(np.average(found, weights=rows), rel=1e-13)
    assert bits(fitted) == bits(by_hand)


@pytest.mark.law5
@each_engine
@each_dtype
@pytest.mark.parametrize("class_weight", [CLASS_WEIGHT, "balanced"])
@pytest.mark.parametrize("weighs_rows", [False, True])
def test_class_weights_are_part_of_the_mean(weighs_rows, class_weight, dtype, engine):
    """The division is of the product, in float64: the same as one array of weights."""
    X, y = MANY.batch()
    options = {"batch_size": 10, "engine": engine, "l2": 0.01}
    weights = weights_of(MANY) if weighs_rows else None
    fitted = MANY.trainer(dtype, class_weight=class_weight, **options)
    by_hand = MANY.trainer(dtype, **options)
    fitted.fit(X, y, 2, sample_weight=weights, shuffle=False)
    product = table(fitted)[y] * (1 if weights is None else weights)
    for _ in range(2):
        steps(by_hand, MANY, divided(product), np.arange(MANY.rows))
    assert bits(fitted) == bits(by_hand)


@each_engine
def test_classes_of_targets_between_0_and_1(engine):
    """Soft labels of one output, and rows of probabilities, have the mean of the weights."""
    soft = Case((17, 33, 5), 37, "silu", "softmax", "cross_entropy")
    options = {"batch_size": 10, "engine": engine}
    for case, classes in ((BINARY, [0.3, 1.7]), (soft, [0.3, 1, 1.7, 1, 1])):
        X, y = case.batch()
        y[:3] = np.round(y[:3]) if case is BINARY else np.eye(5)[:3]
        by_row = y @ classes if case is soft else 0.3 * (1 - y[:, 0]) + 1.7 * y[:, 0]
        fitted = case.trainer(class_weight=dict(enumerate(classes)), **options)
        by_hand = case.trainer(**options)
        loss = fitted.fit(X, y, shuffle=False)["loss"][0]
        weights = divided(by_row)
        losses = [
            by_hand.step(X[i : i + 10], y[i : i + 10], weights[i : i + 10])
            for i in range(0, case.rows, 10)
        ]
        rows = [min(10, case.rows - i) for i in range(0, case.rows, 10)]
        assert loss == pytest.approx(np.average(losses, weights=rows), rel=1e-13)


@each_engine
@pytest.mark.parametrize("scale", SCALES)
def test_the_scale_of_weights_plays_no_part_in_fit(scale, engine):
    """They are divided before they are rounded to float32, which has no 1e300."""
    X, y = MANY.batch()
    weights, found = weights_of(MANY), []
    for factor in (1.0, scale):
        trainer = MANY.trainer("float32", engine, batch_size=10)
        losses = trainer.fit(X, y, 2, sample_weight=weights * factor)["loss"]
        losses.append(trainer.evaluate(X, y, weights * factor)["loss"])
        curve = trainer.find_lr(X, y, sample_weight=weights * factor, updates=5)
        found.append([*losses, *curve.losses])
    np.testing.assert_allclose(*found, rtol=1e-5)


@each_engine
def test_the_scale_of_class_weights_plays_no_part_in_fit(engine):
    X, y = MANY.batch()
    found = []
    for factor in (1.0, 1e300):
        classes = {label: factor * (1 + label) for label in range(5)}
        trainer = MANY.trainer("float32", engine, batch_size=10, class_weight=classes)
        found.append(trainer.fit(X, y, 2, sample_weight=weights_of(MANY))["loss"])
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_step_refuses_weights_that_its_dtype_has_not():
    X, y = MANY.batch()
    trainer, weights = MANY.trainer("float32"), np.ones(MANY.rows)
    weights[3] = 1e39
    before = bits(trainer)
    for call in (trainer.step, trainer.loss_and_gradients):
        with pytest.raises(ValueError, match=r"sample_weight has 1e\+39 at row 3, .* too large"):
            call(X, y, weights)
    with pytest.raises(ValueError, match=r"batches\[0\]\[2\] has 1e\+39 at row 3"):
        trainer.fit_batches([(X, y, weights)])
    assert bits(trainer) == before
    assert np.isfinite(MANY.trainer("float64").step(X, y, weights))


# What the loss is


@each_engine
@each_dtype
@pytest.mark.parametrize("case", [MANY, FEW], ids=["many", "few"])
def test_the_loss_is_divided_by_rows_and_has_the_penalty_once(case, dtype, engine):
    X, y = case.batch()
    weights, l2 = weights_of(case), 0.05
    plain = case.trainer(dtype, engine)
    of_rows = [plain.evaluate(X[i : i + 1], y[i : i + 1])["loss"] for i in range(case.rows)]
    penalty = l2 / 2 * sum(float(np.square(w).sum()) for w in plain.net.weights)
    mean = float((weights * of_rows).mean())
    whole = case.trainer(dtype, engine, l2=l2)
    parts = case.trainer(dtype, engine, l2=l2, batch_size=max(1, case.rows // 4))
    fitted = case.trainer(dtype, engine, l2=l2)
    close = pytest.approx(mean + penalty, rel=1e-5)
    assert whole.loss_and_gradients(X, y, weights)[0] == close
    assert parts.loss_and_gradients(X, y, weights)[0] == close
    assert whole.step(X, y, weights) == close
    batch = case.trainer(dtype, engine, l2=l2)
    assert batch.fit_batches([(X, y, weights)])["loss"][0] == close
    assert plain.evaluate(X, y, weights)["loss"] == pytest.approx(mean / weights.mean(), rel=1e-5)
    loss = fitted.fit(X, y, sample_weight=weights)["loss"][0]
    assert loss == pytest.approx(mean / weights.mean() + penalty, rel=1e-5)


@pytest.mark.parametrize("class_weight", [None, {0: 3.0, 1: 5.0}])
def test_embed_divides_by_rows(class_weight):
    one, other = (MANY.trainer("float32", class_weight=class_weight, l2=0.01) for _ in range(2))
    X, y = MANY.batch()
    X, out = X.astype("float32"), np.empty(one.net.n_parameters, "float32")
    loss, gradients = other.loss_and_gradients(X, y)
    assert embed.gradients(one.compiled(), X, y, out) == loss
    np.testing.assert_array_equal(out, flat(gradients))
    weights = np.ones(5) if class_weight is None else np.array([3, 5, 1, 1, 1])
    by_hand = MANY.trainer("float32", l2=0.01)
    expected = by_hand.step(X, y, weights[y])
    assert embed.step(one.compiled(), X, y) == other.step(X, y) == pytest.approx(expected, rel=1e-6)


@each_engine
def test_a_batch_without_weight_counts_with_its_rows(engine):
    """It makes no update, and its loss is 0, without penalties."""
    X, y = MANY.batch()
    weights = np.ones(MANY.rows)
    weights[10:20] = 0
    fitted, by_hand = (
        MANY.trainer(engine=engine, batch_size=10, optimizer=fastbp.Adam(), l2=0.1)
        for _ in range(2)
    )
    loss = fitted.fit(X, y, sample_weight=weights, shuffle=False)["loss"][0]
    losses, rows = steps(by_hand, MANY, divided(weights), np.arange(MANY.rows))
    assert losses[1] == 0
    assert loss == pytest.approx(np.average(losses, weights=rows), rel=1e-13)
    assert bits(fitted) == bits(by_hand)
    assert core(fitted).updates == 3


@pytest.mark.parametrize("optimizer", [fastbp.SGD(0.1), fastbp.LBFGS()], ids=repr)
def test_rows_without_any_weight_are_nothing_to_train_on(optimizer):
    """Before anything changes; also where rows that have some are held out."""
    X, y = MANY.batch()
    trainer = MANY.trainer(optimizer=optimizer, class_weight={0: 0.0})
    before, held_out = bits(trainer), np.ones(MANY.rows)
    wanted = {"validation_fraction": 0.3, "validation_rows": None, "validation_data": None}
    data, arrays = dataset(trainer, X, y), core(trainer).arrays
    held_out[hold_out(data, rows_to_hold_out(data, wanted, trainer.seed, arrays), arrays)[0]] = 0
    for options in (
        {"sample_weight": np.zeros(MANY.rows)},
        {"sample_weight": held_out, "validation_fraction": 0.3},
    ):
        with pytest.raises(ValueError, match="sample_weight is 0 for every row to train on"):
            trainer.fit(X, y, **options)
    for options in ({}, {"sample_weight": np.ones(MANY.rows)}):
        with pytest.raises(ValueError, match=r"class_weight times sample_weight is 0 for every"):
            trainer.fit(X, np.zeros_like(y), **options)
    assert bits(trainer) == before


@each_engine
def test_lbfgs_minimizes_the_weighted_mean(engine):
    pytest.importorskip("scipy")
    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(60, 3)), rng.normal(size=60), rng.uniform(0, 4, 60)
    net = fastbp.Network([3, 1], dtype="float64", seed=0)
    options = {"optimizer": fastbp.LBFGS(), "batch_size": 16, "engine": engine}
    trainer = fastbp.Trainer(net, loss="mse", **options)
    history = trainer.fit(X, y, 100, sample_weight=weights)
    root = np.sqrt(weights)[:, None]
    design = np.c_[X, np.ones(60)]
    best = np.linalg.lstsq(root * design, root[:, 0] * y, rcond=None)[0]
    np.testing.assert_allclose(np.r_[net.weights[0][:, 0], net.biases[0]], best, atol=1e-4)
    expected = trainer.evaluate(X, y, weights)["loss"]
    assert history["loss"][-1] == pytest.approx(expected, rel=1e-6)


# The minimum

N = 12


def bias_after(optimizer, batch_size, engine="numba", **options):
    """The bias that a network of one bias comes to, for targets 0 (weight 1) and 1 (weight 9)."""
    y = (np.arange(N) % 2).astype("float32")
    net = fastbp.Network([1, 1], seed=0)
    given = {"batch_size": batch_size, "seed": 0, "engine": engine}
    trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, **given)
    X, weights = np.zeros((N, 1), "float32"), np.where(y == 1, 9.0, 1.0)
    trainer.fit(X, y, sample_weight=weights, **options)
    return float(net.biases[0][0])


@pytest.mark.parametrize("batch_size", range(1, N + 1))
@pytest.mark.parametrize(
    "optimizer", [fastbp.SGD(lr=0.002), fastbp.Adam(lr=0.0005)], ids=["sgd", "adam"]
)
def test_the_minimum_does_not_depend_on_the_batch_size(optimizer, batch_size):
    """It is at the weighted mean, where it was 0.5 for batches of one row and 0.83 for four."""
    assert bias_after(optimizer, batch_size, epochs=6000) == pytest.approx(0.9, abs=0.02)


def test_the_twin_finds_the_same_minimum():
    found = bias_after(fastbp.SGD(lr=0.002), 1, "numpy", epochs=300)
    assert found == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("batch_size", [1, 3, 40])
def test_balanced_classes_are_balanced_at_any_batch_size(batch_size):
    labels = (np.arange(40) % 10 == 0).astype("int64")
    net = fastbp.Network([1, 2], output="softmax", seed=0)
    options = {"batch_size": batch_size, "seed": 0, "class_weight": "balanced"}
    rule = fastbp.SGD(lr=0.005 * batch_size)
    trainer = fastbp.Trainer(net, loss="cross_entropy", optimizer=rule, **options)
    trainer.fit(np.zeros((40, 1), "float32"), labels, epochs=400)
    assert net.predict(np.zeros((1, 1)))[0, 1] == pytest.approx(0.5, abs=0.05)


# Going on


WEIGHTS_OF_100 = np.random.default_rng(3).uniform(0, 2, 100)


def fit_that_resumes(path, at=None, engine="numba", class_weight=None, factor=1, **more):
    """The trainer of a fit that saves every second update, and crashes at one."""
    trainer = new_trainer({"class_weight": class_weight, "l2": 0.01}, engine)
    called = [fastbp.ModelCheckpoint(path, every_updates=2), Crasher(at)]
    fit_with(trainer, called, epochs=3, sample_weight=factor * WEIGHTS_OF_100, **more)
    return trainer


@each_engine
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_a_resumed_fit_with_weights_ends_as_one_that_was_not_interrupted(
    class_weight, engine, tmp_path
):
    path, options = tmp_path / "run.safetensors", {"engine": engine, "class_weight": class_weight}
    whole = fit_that_resumes(path, **options)
    with pytest.raises(Crash):
        fit_that_resumes(path, 7, **options)
    assert bits(fit_that_resumes(path, **options, resume=path)) == bits(whole)


def test_the_mean_weight_is_that_of_the_checkpoint(tmp_path):
    """Data are compared by shape and dtype, and weights by their mean: they cannot change."""
    path, whole = tmp_path / "run.safetensors", {"validation_fraction": None}
    with pytest.raises(Crash):
        fit_that_resumes(path, 7, **whole)
    assert checkpoints.read(path).fit["mean_weight"] == WEIGHTS_OF_100.mean()
    with pytest.raises(ValueError, match="resume with the same sample_weight and class_weight"):
        fit_that_resumes(path, factor=2, resume=path, **whole)
    fit_that_resumes(path, resume=path, **whole)


def test_weights_that_are_far_apart_need_no_state_of_numpy():
    X, y = np.random.default_rng(0).normal(size=(2, 4, 1))
    net = fastbp.Network([1, 3, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), seed=0)
    with np.errstate(all="raise"):
        trainer.fit(X, y, sample_weight=np.array([1e-200, 1e200, 0.0, 1e200]))
