"""Numbers as inputs, against the formulas of the papers and scikit-learn's transforms."""

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

from sklearn import preprocessing
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fastbp.tabular import bins, numbers, scales
from fastbp.tabular.numbers import Number, NumberWay
from fastbp.tabular.scales import Periodic, Piecewise, Quantile, Robust

ROUNDING = 2.0**-24
"""The relative error of a float64 that is written as float32; those of float64 are far below."""


def normal(rows, seed=0):
    return np.random.default_rng(seed).normal(size=rows)


def filled(scale, x):
    out = np.full((len(x), scale.width), np.nan, np.float32)
    scale.fill(np.asarray(x, float), out)
    return out


def realmlp(train, x):
    """RobustScaleSmoothClipTransform of the code beside the paper, for one column."""
    low, q25, median, q75, high = np.quantile(train, [0, 0.25, 0.5, 0.75, 1])
    spread = q75 - q25 if q75 != q25 else 0.5 * (high - low)
    scaled = (x - median) / spread
    return scaled / np.sqrt(1 + (scaled / 3) ** 2)


@pytest.mark.parametrize("zeros", [0.0, 0.9], ids=["spread", "equal quartiles"])
def test_robust_is_realmlps(zeros):
    train = normal(500) * (np.random.default_rng(1).random(500) >= zeros)
    x = 10 * normal(200, 2)
    assert np.allclose(filled(Robust.fit(train), x)[:, 0], realmlp(train, x), ROUNDING * 2, 1e-12)


def test_robust_values_have_a_limit():
    scale = Robust.fit(np.array([0.0, 1.0, 2.0, 3.0]))
    assert filled(scale, [1.5])[0, 0] == 0
    assert (filled(scale, [-1e300, 1e300])[:, 0] == [-3, 3]).all()
    assert (np.abs(filled(Robust(0.0, 5e-324), [-1e300, 1e300])) == 3).all()


def test_quantiles_of_different_numbers_are_scikit_learns():
    train = np.exp(normal(3000))
    x = np.concatenate([np.exp(normal(500, 1)), [0, train.min(), train.max(), 1e3]])
    theirs = preprocessing.QuantileTransformer(
        n_quantiles=100, output_distribution="normal", subsample=None
    ).fit(train[:, None])
    found = filled(Quantile.fit(train), x)[:, 0]
    # The slope of the normal quantile at 1e-7 is 2e6: rounding of float64 there is below 1e-9.
    assert np.allclose(found, theirs.transform(x[:, None])[:, 0], ROUNDING * 2, 2e-9)


@pytest.mark.parametrize("rows", [50, 700, 100_000])
def test_the_number_of_quantiles_is_tabms(rows):
    assert len(Quantile.fit(normal(rows)).knots) == max(min(rows // 30, 1000), 10)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_equal_numbers_lie_in_the_middle_of_their_rows(share):
    rows = 6000
    zeros = int(rows * share)
    train = np.concatenate([np.zeros(zeros), 1 + np.exp(normal(rows - zeros))])
    scale = Quantile.fit(train)
    # The grid of 200 levels has those in [0, share], whose mean is off by half a step at most.
    level = float(scale.levels[0])
    assert abs(level - share / 2) <= 0.5 / 199 + 1 / rows
    noisy = train + 1e-9 * normal(len(train), 3)
    theirs = preprocessing.QuantileTransformer(
        n_quantiles=200, output_distribution="uniform", subsample=None
    ).fit(noisy[:, None])
    # The median of the noise lies 3 / sqrt(rows) of its rows from the middle, but for once in 400.
    assert abs(level - theirs.transform([[0.0]])[0, 0]) <= 1 / 199 + 1.5 / np.sqrt(rows)


def rtdl(edges, x):
    """PiecewiseLinearEncoding of rtdl_num_embeddings: a clamped bias + weight x."""
    width = np.diff(edges)
    encoded = x[:, None] / width - edges[:-1] / width
    if len(width) == 1:
        return encoded
    first, last = encoded[:, :1].clip(max=1), encoded[:, -1:].clip(min=0)
    return np.hstack([first, encoded[:, 1:-1].clip(0, 1), last])


@pytest.mark.parametrize("n_bins", [1, 2, 3, 48])
def test_piecewise_is_rtdls_between_the_ends(n_bins):
    train = normal(400)
    scale = Piecewise(bins.by_quantiles(train, n_bins))
    assert scale.width == n_bins
    # Bins are wider than 1e-3, so that rtdl's difference of numbers below 4e3 is right to 1e-12.
    assert np.diff(scale.edges).min() > 1e-3
    x = np.concatenate([train, scale.edges])
    assert np.allclose(filled(scale, x), rtdl(scale.edges, x), ROUNDING, ROUNDING)


def test_piecewise_by_hand():
    scale = Piecewise(np.array([0.0, 1.0, 3.0, 7.0]))
    expected = [[0, 0, 0], [0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 0.25], [1, 1, 1]]
    assert (filled(scale, [-5, 0, 0.5, 1, 2, 4, 7]) == expected).all()
    assert (filled(scale, [1e9]) == 1).all()
    assert scale.names("a") == ["a from 0 to 1", "a from 1 to 3", "a from 3 to 7"]


def test_equal_quantiles_share_an_edge():
    assert bins.by_quantiles(np.array([0.0] * 90 + [1.0] * 10), 8).tolist() == [0, 1]
    edges = bins.by_quantiles(np.array([0.0] * 5 + [1, 2, 3]), 4)
    assert edges.tolist() == [0, 1.25, 3]  # quantiles at 0, 1.75, 3.5, 5.25 and 7 of 8 rows


EXACT = np.random.default_rng(5).integers(0, 4000, 2000) / 8
"""What float32 has, too: scikit-learn's trees compare in it."""
STEPS = np.digitize(EXACT, [40, 200, 350]) + 0.5 * normal(2000, 6)


@pytest.mark.parametrize("is_regression", [True, False], ids=["regression", "classes"])
def test_tree_bins_are_the_thresholds_of_a_tree_on_the_numbers(is_regression):
    y = STEPS if is_regression else np.digitize(STEPS, [0.5, 1.5, 2.5])
    kind = DecisionTreeRegressor if is_regression else DecisionTreeClassifier
    tree = kind(
        max_leaf_nodes=16, min_samples_leaf=64, min_impurity_decrease=1e-4, random_state=0
    ).fit(EXACT[:, None], (y - y.mean()) / y.std() if is_regression else y)
    inner = tree.tree_.threshold[tree.tree_.feature >= 0]
    expected = np.unique([EXACT.min(), *inner, EXACT.max()])
    found = bins.by_tree(EXACT, y, 16)
    assert (found == expected).all()
    assert 4 <= len(found) <= 17


def test_a_tree_finds_the_steps_of_y():
    found = bins.by_tree(EXACT, np.digitize(EXACT, [40, 200, 350]), 4)
    assert (np.abs(found[1:-1] - [40, 200, 350]) <= 0.5).all()


def test_a_tree_takes_numbers_of_any_size_and_several_outputs():
    x = normal(300) * 1e200
    y = np.stack([x > 0, np.zeros(300)], axis=1).astype(float)
    found = bins.by_tree(x, y, 4)
    below, above = x[x <= 0].max(), x[x > 0].min()
    assert found.tolist() == [x.min(), below + 0.5 * (above - below), x.max()]


def test_a_tree_of_a_target_that_says_nothing_has_one_bin():
    assert bins.by_tree(EXACT, np.ones(len(EXACT)), 8).tolist() == [EXACT.min(), EXACT.max()]


def test_a_tree_of_many_rows_looks_at_some(monkeypatch):
    monkeypatch.setattr(bins, "TREE_ROWS", 500)
    found = bins.by_tree(EXACT, STEPS, 8)
    assert found[[0, -1]].tolist() == [EXACT.min(), EXACT.max()]
    assert len(found) > 3


def test_periodic_is_its_formula():
    train, x = normal(300), normal(50, 1)
    scale = Periodic.fit(train, 0.7, 3)
    s = realmlp(train, x)
    angles = 2 * np.pi * (scale.frequencies * s[:, None] + scale.phases)
    found = filled(scale, x)
    assert np.allclose(found[:, 0], s, ROUNDING * 2, 1e-12)
    assert np.allclose(found[:, 1:], np.cos(angles), 0, 2 * ROUNDING)
    assert len(scale.names("a")) == scale.width == 17


def test_frequencies_are_drawn_by_the_column_alone():
    one, same, other = (Periodic.fit(normal(9), 0.1, column) for column in (0, 0, 1))
    assert (one.frequencies == same.frequencies).all()
    assert (one.frequencies != other.frequencies).all()
    many = np.concatenate([Periodic.fit(normal(9), 0.5, i).frequencies for i in range(200)])
    # The standard deviation of that of 3,200 numbers is 0.5 / sqrt(6,400): four of them.
    assert abs(many.std() - 0.5) < 4 * 0.5 / np.sqrt(6400)
    phases = np.concatenate([Periodic.fit(normal(9), 0.5, i).phases for i in range(200)])
    assert 0 <= phases.min() < phases.max() < 1


def way(name, **options):
    return NumberWay(name, **{"bins": "quantile", "n_bins": 4, "sigma": 0.1} | options)


@pytest.mark.parametrize("name", scales.SCALES)
def test_missing_and_infinite_numbers(name):
    train = np.concatenate([normal(101), [np.nan, np.inf, -np.inf]])
    number = Number.fit(train, None, way(name), 0)
    finite = train[:101]
    assert (number.low, number.high) == (finite.min(), finite.max())
    assert number.median == np.median(finite)
    x = [np.nan, number.median, np.inf, number.high, -np.inf, number.low, 1e301]
    found = filled(number, x)
    assert found[:, -1].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert np.isfinite(found).all()
    for one, other in ((0, 1), (2, 3), (4, 5), (6, 3)):
        assert (found[one, :-1] == found[other, :-1]).all()
    assert number.names("a")[-1] == "a is missing"
    assert len(number.names("a")) == number.width == found.shape[1]


@pytest.mark.parametrize("name", scales.SCALES)
def test_without_missing_numbers_in_training_there_is_no_input_for_them(name):
    number = Number.fit(normal(50), None, way(name), 0)
    found = filled(number, [np.nan, number.median])
    assert (found[0] == found[1]).all()
    assert "a is missing" not in number.names("a")


def test_one_number_and_missing_ones_have_one_input():
    number = Number.fit(np.array([2.0, np.nan]), None, way("robust"), 0)
    assert number.names("a") == ["a is missing"]
    assert filled(number, [2, 3, np.nan]).tolist() == [[0], [0], [1]]


def test_a_tree_sees_the_targets_of_the_rows_that_are_not_missing():
    x = np.where(np.arange(2000) % 3 == 0, np.nan, EXACT)
    present = ~np.isnan(x)
    number = Number.fit(x, STEPS, way("piecewise", bins="tree"), 0)
    assert (number.scale.edges == bins.by_tree(x[present], STEPS[present], 4)).all()


def test_quantiles_of_many_rows_are_those_of_some(monkeypatch):
    x = np.concatenate([normal(5000), [np.nan, 50, -60]])
    exact = Number.fit(x, None, way("robust"), 0)
    monkeypatch.setattr(numbers, "MOST_ROWS", 1000)
    number = Number.fit(x, None, way("robust"), 0)
    assert (number.low, number.high) == (-60, 50)
    # The standard error of a median of 1,000 normal numbers is sqrt(pi / 2000): four of them.
    assert 0 < abs(number.median - exact.median) < 4 * np.sqrt(np.pi / 2000)


@pytest.mark.parametrize("name", scales.SCALES)
def test_each_row_by_itself_has_the_same_bits(name):
    number = Number.fit(np.append(normal(300), np.nan), None, way(name), 0)
    x = np.concatenate([normal(101, 1) * 3, [np.nan, np.inf]])
    whole = filled(number, x)
    for start, stop in ((0, 1), (1, 9), (9, 64), (64, 103)):
        assert (filled(number, x[start:stop]) == whole[start:stop]).all()
