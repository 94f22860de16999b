"""What a user of TabularClassifier and TabularRegressor sees."""

import doctest
import io
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import joblib
import pandas as pd
import polars as pl
import pyarrow as pa
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import fastbp
from fastbp.tabular import TabularClassifier, TabularRegressor, model_file
from fastbp.tabular import classifier as classifier_module
from fastbp.tabular import regressor as regressor_module
from fastbp.tabular.holdouts import holdouts

ROWS = 240
QUICK = {"epochs": 8, "random_state": 0}


def frame(n=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "size": rng.normal(50, 20, n),
            "town": rng.choice(["Ulm", "Jena", "Köln", None], n),
            "is_new": rng.random(n) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 365, n), "D"),
        }
    )
    X.loc[::17, "size"] = np.nan
    return X


def price(X):
    size = X["size"].fillna(50)
    return 1000 + 10 * size + 300 * (X["town"] == "Ulm") * X["is_new"]


X = frame()
Y = price(X)
LABELS = np.where(Y.median() < Y, "dear", "cheap")
KINDS = pytest.mark.parametrize(
    ("kind", "y"), [(TabularClassifier, LABELS), (TabularRegressor, Y)], ids=["classes", "numbers"]
)


def outputs(model, rows):
    return model.predict_proba(rows) if is_classifier(model) else model.predict(rows)


def bits(model, rows=X):
    return outputs(model, rows).tobytes()


@pytest.fixture(scope="module")
def classifier():
    return TabularClassifier(epochs=40, random_state=0).fit(X, LABELS)


@pytest.fixture(scope="module")
def regressor():
    return TabularRegressor(epochs=40, random_state=0).fit(X, Y)


# What is learned


def test_it_learns_classes(classifier):
    new = frame(seed=1)
    labels = np.where(price(new) > Y.median(), "dear", "cheap")
    # The larger of two equal halves would be right in half of the rows; six deviations above it.
    assert classifier.score(new, labels) > 0.5 + 6 * 0.5 / np.sqrt(ROWS)
    p = classifier.predict_proba(new)
    assert p.shape == (ROWS, 2)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    assert classifier.classes_.tolist() == ["cheap", "dear"]
    assert np.array_equal(classifier.predict(new), classifier.classes_[p.argmax(1)])


def test_it_learns_numbers(regressor):
    new = frame(seed=1)
    assert regressor.score(new, price(new)) > 0.8
    found = regressor.predict(new)
    assert (found >= Y.min()).all()
    assert (found <= Y.max()).all()


def test_what_it_knows_after_a_fit(classifier, regressor):
    for model in (classifier, regressor):
        assert model.feature_names_in_.tolist() == list(X.columns)
        assert model.n_features_in_ == 4
        assert isinstance(model.ensemble_, fastbp.Ensemble)
        assert len(model.ensemble_) == len(model.histories_) == 2
        assert all(len(history["val_loss"]) == 40 for history in model.histories_)
        assert model.encoder_.n_features == model.ensemble_[0].sizes[0]
        record = model.record_
        assert (record["rows"], record["preset"], record["columns"]) == (ROWS, "fast", 4)
        assert [one["epochs"] for one in record["members"]] == [40, 40]
        assert record["scores"] == model.validation_score_
        assert record["versions"]["fastbp"] == fastbp.__version__
    assert set(classifier.validation_score_) == {"accuracy", "log_loss"}
    assert set(regressor.validation_score_) == {"rmse", "mae", "r2"}
    assert classifier.temperature_ > 0


def test_validation_scores_are_of_rows_that_members_did_not_see(classifier):
    seed = classifier.record_["seed"]
    codes = np.searchsorted(classifier.classes_, LABELS)
    held = holdouts(ROWS, 2, seed, codes)
    inputs = classifier.encoder_.transform(pa.Table.from_pandas(X, preserve_index=False))
    hits = [
        net.predict(inputs[rows]).argmax(1) == codes[rows]
        for net, rows in zip(classifier.ensemble_, held, strict=True)
    ]
    assert classifier.validation_score_["accuracy"] == np.concatenate(hits).mean()


# Tables, labels, weights


TABLES = {
    "polars": pl.from_pandas,
    "pyarrow": lambda X: pa.Table.from_pandas(X, preserve_index=False),
    "columns": lambda X: {name: X[name].tolist() for name in X},
    "more columns, another order": lambda X: X.assign(more=1)[["more", *X.columns[::-1]]],
}


@pytest.mark.parametrize("name", TABLES)
@KINDS
def test_tables_of_any_package_predict_alike(name, kind, y, classifier, regressor):
    model = classifier if kind is TabularClassifier else regressor
    assert bits(model, TABLES[name](X)) == bits(model)
    assert len(y) == ROWS


def test_arrays_have_columns_of_their_own():
    rows = np.random.default_rng(0).normal(size=(60, 3))
    model = TabularRegressor(**QUICK).fit(rows, rows[:, 0])
    assert model.feature_names_in_.tolist() == ["x0", "x1", "x2"]
    assert np.array_equal(model.predict(rows.tolist()), model.predict(rows))


def test_a_column_that_is_missing_is_named(classifier):
    with pytest.raises(ValueError, match="X lacks 'town'"):
        classifier.predict(X.drop(columns="town"))


def test_parts_of_a_table_do_not_matter(monkeypatch, classifier, regressor):
    whole = [bits(model) for model in (classifier, regressor)]
    monkeypatch.setattr("fastbp.tabular.base.AT_ONCE", 120)
    assert [bits(model) for model in (classifier, regressor)] == whole
    spoiled = X.astype({"size": object})
    spoiled.loc[201, "size"] = "large"
    with pytest.raises(ValueError, match="row 201"):
        regressor.predict_quantiles(spoiled)


def test_unknown_towns_and_missing_values_predict(classifier, regressor):
    new = X.head(3).assign(town=["Rom", None, "Ulm"], size=[np.nan, 1e9, -1e9])
    assert np.isfinite(classifier.predict_proba(new)).all()
    assert np.isfinite(regressor.predict(new)).all()


@pytest.mark.parametrize(
    "labels", [[3, 7], [0.0, 1.0], [False, True], ["b", "a"], [2, 5, 9]], ids=str
)
def test_labels_come_back_as_they_were(labels):
    y = np.array(labels)[np.arange(ROWS) % len(labels)]
    model = TabularClassifier(**QUICK).fit(X, y)
    assert model.classes_.tolist() == sorted(labels)
    found = model.predict(X)
    assert found.dtype == y.dtype
    assert set(found.tolist()) <= set(labels)
    assert model.predict_proba(X).shape == (ROWS, len(labels))


@KINDS
def test_rows_without_a_target_are_left_out(kind, y):
    spoiled = pd.Series(y, dtype=object if kind is TabularClassifier else float)
    spoiled[::10] = None
    with pytest.warns(UserWarning, match="y is missing in 24 of 240 rows, which are left out"):
        model = kind(**QUICK).fit(X, spoiled)
    kept = spoiled.notna().to_numpy()
    assert bits(model) == bits(kind(**QUICK).fit(X[kept], np.asarray(y)[kept]))
    assert model.record_["rows"] == 216


@KINDS
def test_rows_of_weight_0_are_left_out(kind, y):
    weights = np.linspace(0.5, 2, ROWS)
    weights[::10] = 0
    model = kind(**QUICK).fit(X, y, weights)
    kept = weights > 0
    other = kind(**QUICK).fit(X[kept], np.asarray(y)[kept], weights[kept])
    assert bits(model) == bits(other)
    assert bits(model) != bits(kind(**QUICK).fit(X[kept], np.asarray(y)[kept]))


def test_class_weights_are_weights_of_rows():
    y = np.where(Y.quantile(0.8) < Y, 1, 0)
    by_hand = np.where(y == 1, ROWS / 2 / y.sum(), ROWS / 2 / (ROWS - y.sum()))
    balanced = TabularClassifier(**QUICK, class_weight="balanced").fit(X, y)
    assert bits(balanced) == bits(TabularClassifier(**QUICK).fit(X, y, by_hand))
    heavy = TabularClassifier(**QUICK, class_weight={1: 3.0}).fit(X, y, by_hand)
    both = TabularClassifier(**QUICK).fit(X, y, by_hand * np.where(y == 1, 3.0, 1.0))
    assert bits(heavy) == bits(both)


def test_a_class_of_weight_0_has_no_rows_and_no_say():
    y = np.where(Y.median() < Y, 1, 0)
    model = TabularClassifier(**QUICK, class_weight={1: 0.0}).fit(X, y)
    assert model.record_["rows"] == np.sum(y == 0)
    assert (model.predict(X) == 0).all()


def test_validation_data_take_the_place_of_folds():
    new = frame(seed=2)
    labels = np.where(price(new) > Y.median(), "dear", "cheap")
    model = TabularClassifier(**QUICK).fit(X, LABELS, validation_data=(new, labels))
    assert [one["rows"] for one in model.record_["members"]] == [ROWS, ROWS]
    p = model.predict_proba(new)
    codes = np.searchsorted(model.classes_, labels)
    assert model.validation_score_["accuracy"] == np.mean(p.argmax(1) == codes)
    losses = -np.log(p[np.arange(ROWS), codes])
    assert model.validation_score_["log_loss"] == pytest.approx(losses.mean(), rel=1e-6)
    weights = np.linspace(0, 1, ROWS)
    weighted = TabularClassifier(**QUICK).fit(X, LABELS, validation_data=(new, labels, weights))
    hits = weighted.predict(new) == labels
    expected = np.average(hits, weights=weights)
    assert weighted.validation_score_["accuracy"] == pytest.approx(expected, rel=1e-12)


def test_many_levels_are_stored_and_predict():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 300, 3000)
    table = {"shop": [f"s{code}" for code in codes], "x": rng.normal(size=3000) > 0}
    effect = rng.normal(size=300)[codes]
    model = TabularRegressor(epochs=12, random_state=0).fit(table, effect)
    assert model.encoder_.is_sparse
    assert model.score(table, effect) > 0.5
    part = {name: column[:5] for name, column in table.items()}
    # Few rows have another order of summation: some roundings of float32 in 3 layers of 256.
    np.testing.assert_allclose(model.predict(part), model.predict(table)[:5], atol=1e-4)


# Regression


def test_several_targets():
    targets = pd.DataFrame({"price": Y, "twice": 2 * Y + 1})
    model = TabularRegressor(epochs=30, random_state=0).fit(X, targets)
    found, std = model.predict(X, return_std=True)
    assert found.shape == std.shape == (ROWS, 2)
    assert model.predict_quantiles(X, [0.1, 0.9]).shape == (ROWS, 2, 2)
    assert model.score(X, targets) > 0.7
    column = TabularRegressor(**QUICK).fit(X, np.asarray(Y)[:, None])
    assert column.predict(X).shape == (ROWS, 1)
    flat = TabularRegressor(**QUICK).fit(X, Y)
    assert np.array_equal(column.predict(X)[:, 0], flat.predict(X))


def test_a_deviation_is_that_of_members_and_errors(regressor):
    found, std = regressor.predict(X, return_std=True)
    assert np.array_equal(found, regressor.predict(X))
    inputs = regressor.encoder_.transform(pa.Table.from_pandas(X, preserve_index=False))
    members = np.array([net.predict(inputs)[:, 0] for net in regressor.ensemble_], "float64")
    held = holdouts(ROWS, 2, regressor.record_["seed"])
    scale = np.std(Y)
    standardized = (np.asarray(Y) - np.mean(Y)) / scale
    squares = [
        np.mean((standardized[rows] - p[rows]) ** 2) for rows, p in zip(held, members, strict=True)
    ]
    expected = scale * np.sqrt(members.var(0) + np.mean(squares))
    np.testing.assert_allclose(std, expected, rtol=1e-4)


def test_quantiles_cover_their_share():
    rng = np.random.default_rng(6)
    x, new = rng.uniform(-1, 1, (2, 1500))
    y, unseen = (2 * part + rng.normal(size=1500) for part in (x, new))
    model = TabularRegressor("fast", epochs=20, random_state=0).fit({"x": x}, y)
    low, middle, high = model.predict_quantiles({"x": new}).T
    assert (low <= middle).all()
    assert (middle <= high).all()
    inside = np.mean((low <= unseen) & (unseen <= high))
    # 0.9 of 1500 new rows, +- 5 sqrt(.09 / 1500) by chance of these, and as much by the 600 errors.
    assert abs(inside - 0.9) < 5 * np.sqrt(0.09 / 1500 + 0.09 / 600)
    spread = np.mean(high - low) / 2
    assert abs(spread - 1.645) < 0.25


@pytest.mark.parametrize("quantiles", [[0.0, 0.5], [0.5, 1.0], 0.5, [np.nan]])
def test_quantiles_that_are_none_are_refused(quantiles, regressor):
    with pytest.raises(ValueError, match="quantiles is"):
        regressor.predict_quantiles(X, quantiles)


def test_a_constant_target_is_predicted():
    model = TabularRegressor(**QUICK).fit(X, np.full(ROWS, 3.5))
    assert (model.predict(X) == 3.5).all()


# Same seed, same bits


@KINDS
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(kind, y):
    found = [bits(kind(**QUICK, n_threads=n).fit(X, y)) for n in (1, 2, None)]
    assert found[0] == found[1] == found[2]
    other = kind(epochs=8, random_state=1).fit(X, y)
    assert bits(other) != found[0]
    state = np.random.RandomState(0)
    assert bits(kind(epochs=8, random_state=state).fit(X, y)) == found[0]


def test_the_best_preset():
    model = TabularRegressor("best", epochs=6, random_state=0).fit(X, Y)
    assert len(model.ensemble_) == 8
    seen = np.concatenate(holdouts(ROWS, 8, model.record_["seed"]))
    assert sorted(seen) == list(range(ROWS))
    assert model.record_["recipe"]["numbers"] == "piecewise"


# Telling and stopping


@KINDS
def test_on_epoch_hears_of_each_epoch(kind, y):
    told = []
    kind(epochs=3, ensemble=2, random_state=0).fit(X, y, on_epoch=told.append)
    assert sorted((p.member, p.epoch) for p in told) == [(m, e) for m in (0, 1) for e in (1, 2, 3)]
    assert {(p.members, p.epochs) for p in told} == {(2, 3)}
    assert all("val_loss" in p.values for p in told)


def test_on_epoch_may_stop():
    def stop(progress):
        if progress.epoch == 2:
            raise fastbp.StopTraining

    model = TabularClassifier(epochs=1000, ensemble=1).fit(X, LABELS, on_epoch=stop)
    assert model.record_["members"][0]["epochs"] == 2
    assert model.predict(X).shape == (ROWS,)


def test_verbose_prints(capsys):
    TabularClassifier(epochs=3, ensemble=1, random_state=0, verbose=1).fit(X, LABELS)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("member 1/1, epoch 3/3: loss 0.")
    TabularClassifier(epochs=3, ensemble=2, random_state=0, verbose=2).fit(X, LABELS)
    assert len(capsys.readouterr().out.splitlines()) == 6
    TabularClassifier(epochs=3, ensemble=1, random_state=0).fit(X, LABELS)
    assert capsys.readouterr().out == ""


def test_a_limit_of_time_is_kept():
    TabularClassifier(**QUICK).fit(X, LABELS)  # compiles
    model = TabularClassifier(epochs=5000, ensemble=4, time_limit=3.0).fit(X, LABELS)
    assert model.record_["seconds"] < 3.0 * 1.1 + 1
    assert all(one["epochs"] < 5000 for one in model.record_["members"])
    assert model.predict(X).shape == (ROWS,)


# Refused


@KINDS
def test_data_that_do_not_fit_are_refused(kind, y):
    model = kind(**QUICK)
    with pytest.raises(ValueError, match="y has 239 rows and X has 240"):
        model.fit(X, y[:-1])
    with pytest.raises(ValueError, match="X has no row that has a target and a weight above 0"):
        model.fit(X, y, np.zeros(ROWS))
    with pytest.raises(ValueError, match=r"sample_weight has -1\.0 at row 0"):
        model.fit(X, y, np.full(ROWS, -1.0))
    with pytest.raises(ValueError, match="no column to learn from"):
        model.fit({"x": [1] * ROWS}, y)
    with pytest.raises(TypeError, match="validation_data is a DataFrame, expected a pair"):
        model.fit(X, y, validation_data=X)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_one_row_and_one_class_are_refused():
    with pytest.raises(ValueError, match="X has 1 row that has a target"):
        TabularRegressor().fit({"x": [1.0]}, [2.0])
    with pytest.raises(ValueError, match="y has one class, 'a', in every row"):
        TabularClassifier().fit({"x": [1.0, 2.0]}, ["a", "a"])
    with pytest.raises(ValueError, match="y is missing in all 2 rows"):
        TabularClassifier().fit({"x": [1.0, 2.0]}, [None, None])


@pytest.mark.parametrize("preset", ["fast", "best"])
def test_few_rows_are_learned(preset):
    table = {"x": [0.0, 1.0, 10.0, 11.0]}
    model = TabularClassifier(preset, epochs=4, random_state=0).fit(table, ["a", "a", "b", "b"])
    assert model.predict_proba(table).shape == (4, 2)
    single = TabularClassifier(preset, epochs=4, random_state=0).fit({"x": [0.0, 1.0]}, ["a", "b"])
    assert single.validation_score_ == {}
    assert single.temperature_ == 1.0
    assert single.predict_proba({"x": [0.5]}).shape == (1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # r2 of a single row
        numbers = TabularRegressor(preset, epochs=4, random_state=0).fit(table, [1, 2, 3, 4])
    assert numbers.predict_quantiles(table).shape == (4, 3)


def test_a_label_of_validation_that_training_lacks_is_refused():
    with pytest.raises(ValueError, match=r"validation_data\[1\] has the label 'free' at row 0"):
        TabularClassifier(**QUICK).fit(X, LABELS, validation_data=(X[:1], ["free"]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "slow"),
        ("ensemble", 0),
        ("epochs", 1.5),
        ("time_limit", 0),
        ("drop", "size"),
        ("kinds", ["date"]),
        ("n_threads", 0),
        ("random_state", "x"),
        ("class_weight", "heavy"),
    ],
)
def test_parameters_are_checked_by_fit(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of TabularClassifier must be"):
        TabularClassifier(**{name: value}).fit(X, LABELS)


def test_columns_can_be_dropped_and_named_kinds():
    model = TabularRegressor(**QUICK, drop=["day"], kinds={"is_new": "category"}).fit(X, Y)
    kinds = {column.name: column.kind for column in model.encoder_.schema.columns}
    assert kinds["day"] == "dropped"
    assert kinds["is_new"] == "category"
    model.predict(X.drop(columns="day"))


@pytest.mark.parametrize("module", [classifier_module, regressor_module, model_file])
def test_the_examples_of_docstrings(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(module, extraglobs={"np": np}, optionflags=flags)
    assert result.failed == 0
    assert result.attempted > 2


# Among scikit-learn's


def test_they_are_estimators():
    model = TabularClassifier("best", ensemble=3, class_weight={1: 2.0}, drop=("a",))
    assert is_classifier(model)
    assert is_regressor(TabularRegressor())
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert "preset='best'" in repr(copy)
    assert copy.set_params(epochs=4).epochs == 4
    assert repr(TabularRegressor()) == "TabularRegressor()"


@KINDS
def test_copies_predict_the_same(kind, y, classifier, regressor):
    model = classifier if kind is TabularClassifier else regressor
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(file)):
        assert bits(copy) == bits(model)
        assert copy.get_params() == model.get_params()
    assert len(y) == ROWS


@KINDS
def test_cross_validation(kind, y):
    scores = cross_val_score(kind(epochs=20, random_state=0), X, np.asarray(y), cv=2)
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_a_second_fit_forgets_the_first():
    model = TabularRegressor(**QUICK).fit(X[["size"]], Y)
    model.fit(X, Y)
    assert model.n_features_in_ == 4
    assert bits(model) == bits(TabularRegressor(**QUICK).fit(X, Y))
