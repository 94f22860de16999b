"""Numbers as inputs, against the formulas of the papers and scikit-learn's transforms."""

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

from fastbp.tabular import numbers, scales
from fastbp.tabular.numbers import Number
from fastbp.tabular.scales import Piecewise, Robust

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


def rtdl(edges, x):
    """PiecewiseLinearEncoding of rtdl_num_embeddings: a clamped bias + weight x."""
    width = np.diff(edges)
    encoded = x[:, None] / width - edges[:-1] / width
    if len(width) == 1:
        return encoded
    first, last = encoded[:, :1].clip(max=1), encoded[:, -1:].clip(min=0)
    return np.hstack([first, encoded[:, 1:-1].clip(0, 1), last])


@pytest.mark.parametrize("n_bins", [1, 2, 3, 48])
def test_piecewise_is_rtdls_between_the_ends(n_bins, monkeypatch):
    monkeypatch.setattr(scales, "N_BINS", n_bins)
    train = normal(400)
    scale = Piecewise.fit(train)
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


def test_equal_quantiles_share_an_edge(monkeypatch):
    assert Piecewise.fit(np.array([0.0] * 90 + [1.0] * 10)).edges.tolist() == [0, 1]
    monkeypatch.setattr(scales, "N_BINS", 4)
    edges = Piecewise.fit(np.array([0.0] * 5 + [1, 2, 3])).edges
    assert edges.tolist() == [0, 1.25, 3]  # quantiles at 0, 1.75, 3.5, 5.25 and 7 of 8 rows


@pytest.mark.parametrize("name", scales.SCALES)
def test_missing_and_infinite_numbers(name):
    train = np.concatenate([normal(101), [np.nan, np.inf, -np.inf]])
    number = Number.fit(train, name)
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
    number = Number.fit(normal(50), name)
    found = filled(number, [np.nan, number.median])
    assert (found[0] == found[1]).all()
    assert "a is missing" not in number.names("a")


def test_one_number_and_missing_ones_have_one_input():
    number = Number.fit(np.array([2.0, np.nan]), "robust")
    assert number.names("a") == ["a is missing"]
    assert filled(number, [2, 3, np.nan]).tolist() == [[0], [0], [1]]


def test_quantiles_of_many_rows_are_those_of_some(monkeypatch):
    x = np.concatenate([normal(5000), [np.nan, 50, -60]])
    exact = Number.fit(x, "robust")
    monkeypatch.setattr(numbers, "MOST_ROWS", 1000)
    number = Number.fit(x, "robust")
    assert (number.low, number.high) == (-60, 50)
    edges = Number.fit(x, "piecewise").scale.edges
    assert (edges[0], edges[-1]) == (-60, 50)
    # The standard error of a median of 1,000 normal numbers is sqrt(pi / 2000): four of them.
    assert 0 < abs(number.median - exact.median) < 4 * np.sqrt(np.pi / 2000)


@pytest.mark.parametrize("name", scales.SCALES)
def test_each_row_by_itself_has_the_same_bits(name):
    number = Number.fit(np.append(normal(300), np.nan), name)
    x = np.concatenate([normal(101, 1) * 3, [np.nan, np.inf]])
    whole = filled(number, x)
    for start, stop in ((0, 1), (1, 9), (9, 64), (64, 103)):
        assert (filled(number, x[start:stop]) == whole[start:stop]).all()
