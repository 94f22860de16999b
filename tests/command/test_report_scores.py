"""The numbers of a report, against scikit-learn's and against those by hand."""

import doctest
import warnings

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

from sklearn import metrics  # noqa: E402
from sklearn.base import BaseEstimator  # noqa: E402
from sklearn.inspection import permutation_importance  # noqa: E402

from fastbp.command import permutation, report_page, report_scores, scores  # noqa: E402

CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # sums of some hundred float64 terms in another order


def predictions(n_classes, n=400, seed=0):
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(n_classes, 0.5), size=n)
    y = np.array([random.choice(n_classes, p=row) for row in p])
    return y, p, random.uniform(0.1, 3.0, n)


def by_name(found):
    return {one.name: one for one in found}


@pytest.mark.parametrize("n_classes", [2, 5])
def test_scores_of_classes_are_scikit_learns(n_classes):
    y, p, w = predictions(n_classes)
    found = by_name(report_scores.of_classes(y, p, w))
    said = p.argmax(axis=1)
    expected = {
        "accuracy": metrics.accuracy_score(y, said, sample_weight=w),
        "balanced accuracy": metrics.balanced_accuracy_score(y, said, sample_weight=w),
        "log loss": metrics.log_loss(y, p, sample_weight=w),
    }
    stated = p[:, 1] if n_classes == 2 else p
    area = metrics.roc_auc_score(y, stated, sample_weight=w, multi_class="ovr")
    expected["ROC AUC"] = area
    assert found.keys() == {*expected, "calibration error"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].value, value, **CLOSE)


def test_baselines_of_classes_are_those_of_constant_predictions():
    y, p, w = predictions(3)
    found = by_name(report_scores.of_classes(y, p, w))
    shares = np.bincount(y, weights=w) / w.sum()
    constant = by_name(report_scores.of_classes(y, np.tile(shares, (len(y), 1)), w))
    for name in ("accuracy", "balanced accuracy", "log loss"):
        np.testing.assert_allclose(found[name].baseline, constant[name].value, **CLOSE)


def test_classes_without_rows_do_not_count():
    y, p, w = np.array([0, 0, 2]), np.eye(4)[[0, 1, 2]], np.ones(3)
    found = by_name(report_scores.of_classes(y, p, w))
    assert found["balanced accuracy"].value == (0.5 + 1) / 2
    assert np.isfinite(found["log loss"].value)


def test_scores_of_numbers_are_scikit_learns():
    random = np.random.default_rng(0)
    y, w = random.standard_normal(300), random.uniform(0.1, 3.0, 300)
    p = y + random.standard_normal(300)
    found = by_name(report_scores.of_numbers(y, p, w))
    expected = {
        "R²": metrics.r2_score(y, p, sample_weight=w),
        "RMSE": metrics.root_mean_squared_error(y, p, sample_weight=w),
        "mean absolute error": metrics.mean_absolute_error(y, p, sample_weight=w),
        "bias": np.average(p - y, weights=w),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].value, value, **CLOSE)


def test_baselines_of_numbers_are_those_of_constant_predictions():
    y, w = np.array([1.0, 2.0, 10.0]), np.array([1.0, 1.0, 3.0])
    found = by_name(report_scores.of_numbers(y, y, w))
    mean = np.average(y, weights=w)
    constant = by_name(report_scores.of_numbers(y, np.full(3, mean), w))
    np.testing.assert_allclose(found["RMSE"].baseline, constant["RMSE"].value, **CLOSE)
    best = min(
        by_name(report_scores.of_numbers(y, np.full(3, c), w))["mean absolute error"].value
        for c in y
    )  # a weighted median is one of the values
    np.testing.assert_allclose(found["mean absolute error"].baseline, best, **CLOSE)


def test_standard_errors():
    values = np.array([1.0, 2.0, 3.0, 6.0])
    mean, error = scores.mean(values, np.ones(4))
    assert mean == 3
    np.testing.assert_allclose(error, values.std() / 2, **CLOSE)
    assert scores.mean(values[:1], np.ones(1)) == (1.0, None)
    # The error of the RMSE by the delta method, against the spread of it over samples.
    random = np.random.default_rng(0)
    samples = random.standard_normal((4000, 200))
    found = [report_scores.of_numbers(s * 0, s, np.ones(200))[1] for s in samples]
    spread = np.std([one.value for one in found])
    stated = np.mean([one.error for one in found])
    # Both are near 1 / sqrt(2 n); 4000 samples tell the spread to 1 / sqrt(8000), four times that.
    np.testing.assert_allclose(stated, spread, rtol=4 / np.sqrt(8000))


def test_the_confusion_matrix_is_scikit_learns():
    y, p, _ = predictions(5)
    said = p.argmax(axis=1)
    found = report_scores.confusion(y, said, 5, 20)
    np.testing.assert_array_equal(found.counts, metrics.confusion_matrix(y, said))
    fewer = report_scores.confusion(y, said, 5, 2)
    rows = np.bincount(y)
    assert set(fewer.codes) == set(np.argsort(-rows, kind="stable")[:2])
    merged = np.array(
        [np.flatnonzero(fewer.codes == c)[0] if c in fewer.codes else 2 for c in range(5)]
    )
    np.testing.assert_array_equal(fewer.counts, metrics.confusion_matrix(merged[y], merged[said]))


def test_precision_and_recall_are_scikit_learns():
    y, p, _ = predictions(6)
    said = np.where(p.argmax(axis=1) == 5, 4, p.argmax(axis=1))  # the last class is never said
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, f1, rows = metrics.precision_recall_fscore_support(
            y, said, labels=range(7), zero_division=np.nan
        )
    found = report_scores.class_scores(y, said, 7, 7)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.precision, precision, **CLOSE)
    np.testing.assert_allclose(found.recall, recall, **CLOSE)
    np.testing.assert_allclose(found.f1, f1, **CLOSE)


def test_bins_of_the_reliability_diagram():
    stated = np.array([0.0, 0.05, 0.31, 0.39, 0.35, 1.0])
    y = np.array([0, 1, 1, 0, 1, 1])
    w = np.array([1.0, 1.0, 1.0, 2.0, 1.0, 4.0])
    first, middle, last = report_scores.reliability(y, np.column_stack([1 - stated, stated]), w)
    assert (first.stated, first.came, first.share) == (0.025, 0.5, 0.2)
    np.testing.assert_allclose(middle[:2], [(0.31 + 2 * 0.39 + 0.35) / 4, 0.5], **CLOSE)
    assert (last.stated, last.came, last.high) == (1.0, 1.0, 1.0)
    error = 0.2 * (0.5 - 0.025) + 0.4 * (0.5 - middle.stated)
    np.testing.assert_allclose(
        report_scores.calibration_error([first, middle, last]), error, **CLOSE
    )


def test_of_more_classes_the_most_probable_one_counts():
    p = np.array([[0.72, 0.2, 0.08], [0.1, 0.78, 0.12]])
    (only,) = report_scores.reliability(np.array([0, 2]), p, np.ones(2))
    np.testing.assert_allclose(only[:2], [0.75, 0.5], **CLOSE)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # With no hits the upper end is z^2 / (n + z^2); half of 100 are symmetric.
    [(0, 10, 0.0, 0.27753), (8, 10, 0.49016, 0.94332), (50, 100, 0.40383, 0.59617)],
)
def test_intervals_are_wilsons(hits, n, low, high):
    y = (np.arange(n) < hits).astype(int)
    p = np.full((n, 2), 0.5)
    (only,) = report_scores.reliability(y, p, np.full(n, 3.0))  # equal weights change nothing
    np.testing.assert_allclose([only.low, only.high], [low, high], atol=6e-6)


def test_quantiles_and_intervals_by_hand():
    y = np.array([0.0, 1.0, 2.0, 3.0])
    quantiles = np.tile([0.0, 1.5, 3.5], (4, 1))
    w = np.array([1.0, 1.0, 1.0, 5.0])
    assert report_scores.below(y, quantiles, w) == [0.125, 0.25, 1.0]
    (only,) = report_scores.intervals(y, quantiles + 0.5, w, (0.1, 0.5, 0.9))
    assert only == (0.8, 0.875, 3.5)


@pytest.mark.parametrize("weighted", [False, True])
def test_importances_are_scikit_learns(weighted):
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 4))
    y = X[:, 0] + 0.3 * X[:, 2]
    w = random.uniform(0.1, 2.0, 60) if weighted else None

    class Sum(BaseEstimator):
        def fit(self, _X, _y):
            return self

        def predict(self, X):
            return X[:, 0] + 0.5 * X[:, 1] * X[:, 2]

    def error(table):
        return metrics.mean_squared_error(
            y, Sum().predict(np.column_stack(table.columns)), sample_weight=w
        )

    names = ["a", "b", "c", "d"]
    found = permutation.importances(
        error, pa.table(dict(zip(names, X.T, strict=True))), names, repeats=7, seed=3
    )
    theirs = permutation_importance(
        Sum(), X, y, n_repeats=7, random_state=3, sample_weight=w, scoring="neg_mean_squared_error"
    )
    assert [one.mean for one in found] == sorted((one.mean for one in found), reverse=True)
    for one in found:
        place = names.index(one.column)
        np.testing.assert_allclose(one.mean, theirs.importances_mean[place], **CLOSE)
        np.testing.assert_allclose(one.std, theirs.importances_std[place], **CLOSE)
    assert ("d", 0.0, 0.0) in found


def test_shuffles_are_of_one_column_of_any_type():
    table = pa.table(
        {
            "town": pa.chunked_array([["a", None], ["b"] * 20]).dictionary_encode(),
            "x": np.arange(22.0),
        }
    )
    seen = []

    def error(t):
        seen.append(t)
        return 0.0

    permutation.importances(error, table, ["town"], repeats=2)
    for shuffled in seen[1:]:
        assert shuffled["x"].to_pylist() == table["x"].to_pylist()
        assert sorted(map(str, shuffled["town"].to_pylist())) == sorted(
            map(str, table["town"].to_pylist())
        )
        assert shuffled.schema == table.schema
    assert seen[1]["town"].to_pylist() != seen[0]["town"].to_pylist()


def test_rows_that_are_shuffled_are_bounded():
    assert permutation.n_rows(50, 10, 10**5) == 50
    assert permutation.n_rows(10**6, 3, 10**3) == permutation.MOST
    assert permutation.n_rows(10**6, 1000, 10**6) == permutation.FEWEST
    assert permutation.n_rows(10**6, 30, 10**6) == int(permutation.WORK / (150 * 10**6))
    assert permutation.n_rows(10**6, 0, 0) == permutation.MOST


@pytest.mark.parametrize("module", [permutation, report_page])
def test_examples(module):
    failed, tried = doctest.testmod(module, extraglobs={"np": np}, optionflags=doctest.ELLIPSIS)
    assert (failed, tried > 0) == (0, True)
