"""Weights of single targets of bce: class weights per output, and targets that are not known."""

from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.kernels import reference
from support.cases import Case, each_dtype, each_engine
from support.central_differences import TOLERANCE, H
from support.closeness import AMPLIFICATION, assert_layers_close, layers_of, tolerance
from support.internals import core
from support.trainers import bits, training_state

MANY = Case((6, 33, 21, 5), 37, ("silu", "tanh"), "sigmoid", "bce")
FEW = replace(MANY, rows=3)
WIDE = replace(MANY, sizes=(6, 500, 510, 5), rows=17)
ONE = replace(MANY, sizes=(6, 33, 1), hidden="silu")
CASES = {"many": MANY, "few": FEW, "wide": WIDE, "one output": ONE}
PER_OUTPUT = [{0: 0.3, 1: 1.7}, {1: 4.0}, {}, {0: 2.0}, {0: 0.0, 1: 3.0}]
PAIRS = [[0.3, 1.7], [1, 4], [1, 1], [2, 1], [0, 3]]

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def options_of(case, unknown):
    weights = PER_OUTPUT if case.sizes[-1] > 1 else PER_OUTPUT[0]
    return {"class_weight": weights, "ignore_nan": unknown, "label_smoothing": 0.1}


def batch(case, unknown, seed=2):
    """Labels and soft targets; some, and all of the first row, are not known."""
    X, y = case.batch(seed)
    y[::2] = np.round(y[::2])
    if unknown:
        y[np.random.default_rng(seed).random(y.shape) < 0.3] = np.nan
        y[0] = np.nan
    return X, y


def by_hand(net, X, y, pairs):
    """The sum of the losses of entries / (rows * outputs), and the mean weight of entries."""
    p = net.predict(X).astype("float64")
    known = ~np.isnan(y)
    t = np.where(known, y, 0)
    low, high = np.array(pairs[: y.shape[1]], float).T
    weights = np.where(known, low * (1 - t) + high * t, 0)
    losses = -(t * np.log(p) + (1 - t) * np.log1p(-p))
    return float((weights * losses).sum() / y.size), float(weights.mean())


@pytest.mark.law1
@each_case
@pytest.mark.parametrize("unknown", [False, True])
def test_gradients_equal_central_differences(unknown, case):
    trainer, data = case.trainer(**options_of(case, unknown), l2=0.01), batch(case, unknown)
    loss, gradients = trainer.loss_and_gradients(*data)
    net, rng = trainer.net, np.random.default_rng(3)
    start = net.weights, net.biases
    for layer, part in ((0, 0), (-1, 0), (-1, 1)):
        direction = rng.normal(size=gradients[layer][part].shape)
        direction /= np.linalg.norm(direction)
        values = []
        for step in (H, -H):
            moved = [[array.copy() for array in kind] for kind in start]
            moved[part][layer] += step * direction
            net.set_parameters(*moved)
            values.append(trainer.loss_and_gradients(*data)[0])
        net.set_parameters(*start)
        difference = (values[0] - values[1]) / (2 * H)
        along = float((gradients[layer][part] * direction).sum())
        assert abs(difference - along) <= TOLERANCE * (1 + abs(loss))


@pytest.mark.law2
@each_case
@each_dtype
@pytest.mark.parametrize("unknown", [False, True])
def test_engines_agree(unknown, dtype, case):
    options = options_of(case, unknown) | {"optimizer": fastbp.SGD(0.1, momentum=0.9)}
    trainers = [case.trainer(dtype, engine, **options) for engine in ("numba", "numpy")]
    allowed = tolerance(case, dtype) * AMPLIFICATION
    found = [[t.step(*batch(case, unknown, seed)) for seed in range(3)] for t in trainers]
    assert found[0] == pytest.approx(found[1], rel=allowed)
    assert_layers_close(*map(layers_of, trainers), allowed)
    judged = [t.evaluate(*batch(case, unknown)) for t in trainers]
    assert judged[0] == pytest.approx(judged[1], rel=allowed)


@pytest.mark.law4
@each_case
def test_the_bits_do_not_depend_on_the_threads(case):
    found = []
    for workers in (1, 2, 3):
        trainer = case.trainer("float32", **options_of(case, True))
        core(trainer).workers = workers
        found.append(([trainer.step(*batch(case, True, seed)) for seed in range(2)], bits(trainer)))
    assert found[0] == found[1] == found[2]


@pytest.mark.law5
@each_engine
@each_dtype
@pytest.mark.parametrize("shuffle", [False, True])
def test_fit_equals_steps_with_weights_divided_by_the_mean_of_entries(shuffle, dtype, engine):
    X, y = batch(MANY, True)
    options = options_of(MANY, True) | {"batch_size": 10, "engine": engine}
    fitted, stepped = (MANY.trainer(dtype, **options) for _ in range(2))
    weights = np.linspace(0.5, 2, MANY.rows)
    history = fitted.fit(X, y, 1, sample_weight=weights, shuffle=shuffle)
    order = reference.shuffled(0, 0, MANY.rows) if shuffle else np.arange(MANY.rows)
    of_entries = reference.entry_weights(y.astype(dtype), np.ravel(PAIRS)).mean(axis=1)
    divided = weights / (weights * of_entries).mean()
    parts = [order[i : i + 10] for i in range(0, MANY.rows, 10)]
    losses = [stepped.step(X[part], y[part], divided[part]) for part in parts]
    expected = np.average(losses, weights=[10, 10, 10, 7])
    assert history["loss"] == pytest.approx([expected], rel=1e-13)
    assert bits(fitted) == bits(stepped)


@each_engine
@each_dtype
@pytest.mark.parametrize("exponent", [-400, -160, 140, 400])
@pytest.mark.parametrize("case", [MANY, ONE], ids=["many", "one output"])
def test_a_fit_does_not_depend_on_the_scale_of_class_weights(case, exponent, dtype, engine):
    """Of which single precision knows 2^-126 to 2^127: not even the last bit does."""
    X, y = batch(case, True)
    pairs = PAIRS if case is MANY else PAIRS[:1]
    found = []
    for scale in (1.0, 2.0**exponent):
        table = [{i: scale * weight for i, weight in enumerate(pair)} for pair in pairs]
        weights = table if case is MANY else table[0]
        options = {"class_weight": weights, "ignore_nan": True, "batch_size": 10, "engine": engine}
        trainer = case.trainer(dtype, **options)
        history = trainer.fit(X, y, 2, sample_weight=np.linspace(0.5, 2, case.rows))
        found.append((history["loss"], bits(trainer)))
    assert found[0] == found[1]


@each_engine
@each_dtype
@pytest.mark.parametrize("unknown", [False, True])
@each_case
def test_the_loss_is_that_of_the_entries(case, unknown, dtype, engine):
    X, y = batch(case, unknown)
    options = options_of(case, unknown) | {"engine": engine, "label_smoothing": 0.0}
    trainer = case.trainer(dtype, **options)
    pairs = PAIRS if case.sizes[-1] > 1 else PAIRS[:1]
    loss, mean = by_hand(trainer.net, X, y, pairs)
    even, share = by_hand(trainer.net, X, y, [[1, 1]] * 5)
    close = pytest.approx(loss, rel=1e-5)
    assert trainer.loss_and_gradients(X, y)[0] == close
    assert trainer.evaluate(X, y)["loss"] == pytest.approx(even / share, rel=1e-5)
    if engine == "numba" and case is not WIDE:
        model, out = trainer.compiled(), np.empty(trainer.net.n_parameters, dtype)
        assert embed.gradients(model, X.astype(dtype), y.astype(dtype), out) == close
    assert case.trainer(dtype, **options).step(X, y) == close
    fitted = case.trainer(dtype, **options)
    assert fitted.fit(X, y)["loss"] == pytest.approx([loss / mean], rel=1e-5)


def test_one_dict_is_for_every_output_and_balanced_for_each():
    X, y = batch(MANY, False)
    y = np.round(y)
    y[:5, 1] = 1
    one, list_of_it = (MANY.trainer(class_weight=w) for w in ({1: 3.0}, [{1: 3.0}] * 5))
    assert one.step(X, y) == list_of_it.step(X, y)
    balanced = MANY.trainer(class_weight="balanced", ignore_nan=True)
    y[7:9] = np.nan
    balanced.fit(X, y)
    known = y[~np.isnan(y[:, 0])]
    counts = np.array([(known == 0).sum(axis=0), (known == 1).sum(axis=0)]).T
    np.testing.assert_allclose(core(balanced).class_weights, (len(known) / (2 * counts)).ravel())


@each_engine
def test_an_entry_that_is_not_known_has_neither_loss_nor_gradient(engine):
    """A network without hidden layers is a model for each output: of its known rows alone."""
    case = Case((3, 2), 40, (), "sigmoid", "bce")
    X, y = case.batch()
    y = np.round(y)
    y[::3, 1] = np.nan
    trainer = case.trainer(engine=engine, ignore_nan=True)
    start = trainer.net.weights[0], trainer.net.biases[0]
    _, ((dW, db),) = trainer.loss_and_gradients(X, y)
    known = ~np.isnan(y[:, 1])
    p = 1 / (1 + np.exp(-(X @ start[0] + start[1])))
    rows = p[known, 1] - y[known, 1]
    np.testing.assert_allclose(dW[:, 1], X[known].T @ rows / y.size, rtol=1e-10)
    np.testing.assert_allclose(db[1], rows.sum() / y.size, rtol=1e-10)
    nothing = np.full_like(y, np.nan)
    before = bits(trainer)
    assert trainer.step(X, nothing) == 0
    assert bits(trainer) == before


@each_engine
def test_accuracy_and_loss_of_evaluate_are_those_of_known_targets(engine):
    X, y = batch(MANY, True)
    y = np.round(y)
    trainer, weights = MANY.trainer(engine=engine, ignore_nan=True), np.linspace(0, 2, MANY.rows)
    p, known = trainer.predict(X), ~np.isnan(y)
    of_entries = weights[:, None] * known
    right = (p >= 0.5) == (y >= 0.5)
    found = trainer.evaluate(X, y, weights)
    assert found["accuracy"] == pytest.approx((of_entries * right).sum() / of_entries.sum())
    history = trainer.fit(X, y, 2, validation_data=(X, y, weights))
    assert history["val_loss"][-1] == trainer.evaluate(X, y, weights)["loss"]
    held = trainer.fit(X, y, 1, sample_weight=weights, validation_fraction=0.3)
    assert np.isfinite(held["val_loss"]).all()


@each_engine
def test_checkpoints_copies_and_reprs_keep_both(engine, tmp_path):
    import copy
    import pickle

    X, y = batch(MANY, True)
    trainer = MANY.trainer("float32", engine, **options_of(MANY, True), batch_size=10)
    trainer.fit(X, y)
    trainer.save(tmp_path / "t.safetensors")
    others = [fastbp.Trainer.load(tmp_path / "t.safetensors"), copy.deepcopy(trainer)]
    others.append(pickle.loads(pickle.dumps(trainer)))
    trainer.fit(X, y)
    assert "class_weight=[{0: 0.3, 1: 1.7}, {1: 4.0}, {}, {0: 2.0}, {0: 0.0, 1: 3.0}]" in " ".join(
        repr(trainer).split()
    )
    assert "ignore_nan=True" in repr(trainer)
    for other in others:
        assert repr(other) == repr(trainer)
        other.fit(X, y)
        assert bits(other) == bits(trainer)


# What goes wrong leaves all as it was


def test_nan_is_refused_unless_it_was_asked_for():
    X, y = batch(MANY, True)
    trainer = MANY.trainer()
    before = bits(trainer)
    for call in (trainer.step, trainer.fit, trainer.evaluate, trainer.loss_and_gradients):
        with pytest.raises(ValueError, match=r"y has nan at row \d+, column 0.*ignore_nan=True"):
            call(X, y)
    assert bits(trainer) == before


@each_engine
@pytest.mark.parametrize("bad", [np.inf, -np.inf, 1.5, -0.5])
def test_other_bad_targets_are_refused_still(bad, engine):
    X, y = batch(MANY, True)
    y[4, 2] = bad
    trainer = MANY.trainer(engine=engine, ignore_nan=True)
    before = bits(trainer)
    for call in (trainer.step, trainer.fit, trainer.evaluate):
        with pytest.raises(ValueError, match=f"y has {bad} at row 4, column 2"):
            call(X, y)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="X has nan at row 3, column 1"):
        trainer.step(X, batch(MANY, True)[1])
    assert bits(trainer) == before


def test_an_output_gradient_of_nan_is_refused_still():
    trainer = MANY.trainer("float64", ignore_nan=True)
    X, v = MANY.batch()[0], np.full((MANY.rows, 5), np.nan)
    before = bits(trainer)
    assert not embed.step_from(trainer.compiled(), X, v)
    assert bits(trainer) == before


@each_engine
def test_a_nan_of_the_network_is_found_though_no_target_is_known(engine):
    X, y = batch(MANY, True)
    y[:, 3] = np.nan
    trainer = MANY.trainer(engine=engine, ignore_nan=True)
    core(trainer).net.arrays.parameters[:] = np.nan
    with pytest.raises(FloatingPointError):
        trainer.step(X, y)


@each_engine
def test_no_known_target_is_refused_by_evaluate(engine):
    X, y = batch(MANY, False)
    trainer = MANY.trainer(engine=engine, ignore_nan=True)
    with pytest.raises(ValueError, match="y is NaN in every row that has weight"):
        trainer.evaluate(X, np.full_like(y, np.nan))


@pytest.mark.parametrize("optimizer", [fastbp.SGD(0.1), fastbp.LBFGS()], ids=repr)
def test_no_known_target_is_nothing_to_train_on(optimizer):
    X, y = batch(MANY, False)
    trainer = MANY.trainer(optimizer=optimizer, ignore_nan=True, class_weight="balanced")
    before = training_state(trainer)
    with pytest.raises(ValueError, match="y is NaN in every row to train on, expected a known"):
        trainer.fit(X, np.full_like(y, np.nan))
    y[3:] = np.nan
    with pytest.raises(ValueError, match="times sample_weight is 0 for every target of y to train"):
        trainer.fit(X, np.round(y), sample_weight=np.arange(MANY.rows) > 2)
    assert training_state(trainer) == before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_weight": [{}, {}]}, ValueError, "class_weight has 2 dicts, expected 5"),
        ({"class_weight": [1, 2, 3, 4, 5]}, TypeError, r"class_weight\[0\] is 1, expected a dict"),
        ({"class_weight": [{2: 1.0}] * 5}, ValueError, r"class_weight\[0\] has label 2"),
        ({"class_weight": [{1: -1.0}] * 5}, ValueError, r"class_weight\[0\]\[1\] is -1.0"),
        ({"class_weight": 3.0}, TypeError, "class_weight is a float.*for each output"),
        ({"ignore_nan": 1}, TypeError, "ignore_nan"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        MANY.trainer(**options)


def test_other_losses_need_every_target():
    for loss, output in (("mse", "identity"), ("cross_entropy", "softmax")):
        case = replace(MANY, loss=loss, output=output)
        with pytest.raises(ValueError, match=f"ignore_nan is True, but loss '{loss}'"):
            case.trainer(ignore_nan=True)


@pytest.mark.parametrize("held_out", ["validation_data", "validation_fraction"])
def test_rows_that_validate_need_a_known_target(held_out):
    """Before the first epoch: nothing has changed."""
    trainer = MANY.trainer(ignore_nan=True)
    X, y = MANY.batch()
    nothing = np.full_like(y, np.nan, dtype=np.float64)
    data, how = {
        "validation_data": (y, (X, nothing)),
        "validation_fraction": (nothing, 0.5),
    }[held_out]
    before = trainer.net.weights[0].copy()
    with pytest.raises(ValueError, match="is NaN in every row that validates"):
        trainer.fit(X, data, **{held_out: how})
    assert np.array_equal(trainer.net.weights[0], before)
