"""Figures of calibration: their definitions, by other ways, and right predictions."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from fastbp import calibration

RNG = np.random.default_rng(0)
STD = RNG.uniform(0.5, 4, 400)
MEAN = RNG.normal(size=400)
Y = MEAN + STD * RNG.normal(size=400) * 1.3
DATA = Y, MEAN, STD
PLAIN = [getattr(calibration, name) for name in calibration.__all__ if name != "scores"]

each_figure = pytest.mark.parametrize("figure", PLAIN, ids=lambda one: one.__name__)


def test_nll_is_scipys():
    expected = -stats.norm.logpdf(Y, MEAN, STD).mean()
    assert calibration.nll_gaussian(*DATA) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(("y", "std"), [(0.0, 1.0), (1.3, 0.4), (-7.0, 2.0), (0.2, 9.0)])
def test_crps_is_the_integral_of_the_squared_distance_of_the_distributions(y, std):
    below = integrate.quad(lambda t: stats.norm.cdf(t, 0, std) ** 2, -np.inf, y)[0]
    above = integrate.quad(lambda t: stats.norm.sf(t, 0, std) ** 2, y, np.inf)[0]
    assert calibration.crps_gaussian([y], [0.0], [std]) == pytest.approx(below + above, rel=1e-6)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.95, 0.999])
def test_intervals_are_scipys(level):
    low, high = stats.norm.interval(level, MEAN, STD)
    inside = np.mean((low <= Y) & (high >= Y))
    assert calibration.picp(*DATA, level) == inside
    assert calibration.mpiw(*DATA, level) == pytest.approx(np.mean(high - low), rel=1e-12)


def test_calibration_errors_are_those_of_intervals_of_a_hundred_levels():
    levels = np.linspace(0, 1, 100)
    covered = [np.mean(np.abs(Y - MEAN) <= stats.norm.ppf((1 + p) / 2) * STD) for p in levels]
    gaps = np.array(covered) - levels
    found = calibration.mean_absolute_calibration_error(*DATA)
    assert found == pytest.approx(np.abs(gaps).mean(), rel=1e-12)
    found = calibration.root_mean_squared_calibration_error(*DATA)
    assert found == pytest.approx(math.sqrt((gaps**2).mean()), rel=1e-12)


@pytest.mark.parametrize("bins", [1, 7, 400])
def test_ence_is_that_of_the_bins(bins):
    order = np.argsort(STD)
    found = []
    for part in np.array_split(order, bins):
        rmv = math.sqrt((STD[part] ** 2).mean())
        error = math.sqrt(((Y[part] - MEAN[part]) ** 2).mean())
        found.append(abs(rmv - error) / rmv)
    assert calibration.ence(*DATA, bins) == pytest.approx(np.mean(found), rel=1e-12)


def test_sizes_are_roots_of_mean_squares():
    std, error = math.sqrt((STD**2).mean()), math.sqrt(((Y - MEAN) ** 2).mean())
    assert calibration.sharpness(*DATA) == pytest.approx(std, rel=1e-14)
    assert calibration.rmse(*DATA) == pytest.approx(error, rel=1e-14)
    assert calibration.spread_skill_ratio(*DATA) == pytest.approx(std / error, rel=1e-14)


def test_right_predictions_have_the_best_figures():
    """200,000 of them; bounds of five deviations of what chance gives."""
    rng = np.random.default_rng(1)
    std = rng.uniform(0.5, 4, 200_000)
    y = rng.normal(0, std)
    found = calibration.scores(y, 0 * y, std)
    assert found["picp"] == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / 2e5))
    assert found["spread_skill_ratio"] == pytest.approx(1, abs=0.01)
    assert found["mean_absolute_calibration_error"] < 0.005
    assert found["ence"] < 3 * math.sqrt(10 / (math.pi * 2e5))
    for factor in (0.5, 2.0):
        worse = calibration.scores(y, 0 * y, factor * std)
        for name in ("nll_gaussian", "crps_gaussian", "ence", "mean_absolute_calibration_error"):
            assert worse[name] > found[name]


def test_scores_have_every_figure_by_its_name():
    found = calibration.scores(*DATA, level=0.5)
    assert {*found, "scores"} == set(calibration.__all__)
    for figure in PLAIN:
        of_level = {"level": 0.5} if figure.__name__ in ("picp", "mpiw") else {}
        assert found[figure.__name__] == figure(*DATA, **of_level)
    assert "ence" not in calibration.scores(Y[:9], MEAN[:9], STD[:9])
    assert "spread_skill_ratio" not in calibration.scores(MEAN, MEAN, STD)


@each_figure
def test_entries_count_alike_whatever_the_shape(figure):
    expected = pytest.approx(figure(*DATA), rel=1e-13)
    assert figure(*(part.reshape(100, 4) for part in DATA)) == expected
    assert figure(Y, MEAN[:, None], STD[:, None]) == expected
    assert figure(*map(list, DATA)) == expected


@each_figure
def test_units_of_any_size_change_nothing_but_the_unit(figure):
    """1e160 has no square in float64. Here a power of two, so that nothing is rounded."""
    for unit in (2.0**530, 2.0**-530):
        found, known = figure(*(part * unit for part in DATA)), figure(*DATA)
        in_units = figure.__name__ in ("crps_gaussian", "mpiw", "sharpness", "rmse")
        if figure is calibration.nll_gaussian:
            known += math.log(unit)
        assert found == pytest.approx(known * unit if in_units else known, rel=1e-12)


BAD = {
    "a shape": ({"std": STD[:, None]}, ValueError, r"std has shape \(400, 1\), and mean has"),
    "broadcasting": ({"y": Y[:1]}, ValueError, r"y has shape \(1,\), and mean has \(400,\)"),
    "nothing": ({"y": [], "mean": [], "std": []}, ValueError, "y has no entry"),
    "text": ({"mean": ["a"] * 400}, TypeError, "mean has dtype"),
    "complex": ({"y": Y * 1j}, TypeError, "y has dtype complex128"),
    "a NaN": ({"y": np.append(Y[:3], np.full(397, np.nan))}, ValueError, r"y has nan at \(3,\)"),
    "no deviation": (
        {"std": np.append(STD[:5], np.zeros(395))},
        ValueError,
        r"0.0 at \(5,\)",
    ),
    "a negative one": ({"std": -STD}, ValueError, "expected finite numbers above 0"),
}


@each_figure
@pytest.mark.parametrize(("given", "error", "match"), BAD.values(), ids=BAD)
def test_bad_arrays_are_refused(figure, given, error, match):
    arrays = dict(zip(("y", "mean", "std"), DATA, strict=True)) | given
    with pytest.raises(error, match=match):
        figure(**arrays)


def test_bad_options_are_refused():
    for level in (0, 1, -0.5, "0.9"):
        with pytest.raises((ValueError, TypeError), match="level is"):
            calibration.picp(*DATA, level)
    for bins, match in (
        (0, "bins is 0"),
        (401, "bins is 401, but there are 400"),
        (2.5, "bins is"),
    ):
        with pytest.raises((ValueError, TypeError), match=match):
            calibration.ence(*DATA, bins)
    with pytest.raises(ValueError, match="mean is y everywhere"):
        calibration.spread_skill_ratio(Y, Y, STD)
