"""Temperatures and quantiles, against searches and counts by hand."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from fastbp.tabular import calibration
from fastbp.tabular.residuals import POINTS, Residuals


def softmax(z):
    powers = np.exp(z - z.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def drawn(sharpness, n=4000, classes=3):
    """Probabilities that are too sure by the factor, and classes drawn from the true ones."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(n, classes))
    codes = (softmax(logits).cumsum(1) < rng.random((n, 1))).sum(1)
    return softmax(sharpness * logits), codes


def cost(p, codes, t, weights):
    """What the temperature minimizes, by its formula."""
    shares = weights / weights.mean()
    return np.sum(shares * -np.log(calibration.scaled(p, t)[np.arange(len(p)), codes])) + (
        np.log(t) ** 2 / 2
    )


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("weighs", [False, True])
def test_no_other_temperature_is_better(sharpness, weighs):
    p, codes = drawn(sharpness)
    weights = np.linspace(0.1, 2, len(p)) if weighs else None
    t = calibration.temperature(p, codes, weights)
    w = np.ones(len(p)) if weights is None else weights
    found = cost(p, codes, t, w)
    others = [cost(p, codes, t * factor, w) for factor in (0.25, 0.9, 0.999, 1.001, 1.1, 4.0)]
    assert found < min(others)
    # The error of t: 4,000 rows of three classes tell ln T to about 1 / sqrt(4000) = 0.016.
    assert abs(np.log(t / sharpness)) < 6 * 0.016


def test_weights_count_as_rows():
    p, codes = drawn(2.0, 60)
    weights = np.tile([1.0, 2.0, 3.0], 20)
    repeated = np.repeat(np.arange(60), weights.astype(int))
    # The prior counts as one row beside 60, and beside 120: the cost without it is the same.
    one = calibration.temperature(np.tile(p, (50, 1)), np.tile(codes, 50), np.tile(weights, 50))
    other = calibration.temperature(np.tile(p[repeated], (25, 1)), np.tile(codes[repeated], 25))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_classes_keep_their_order_and_sums_are_one():
    p, _ = drawn(2.0, 100)
    for t in (0.1, 1.0, 7.0):
        scaled = calibration.scaled(p.astype(np.float32), t)
        assert np.array_equal(scaled.argmax(1), p.argmax(1))
        np.testing.assert_allclose(scaled.sum(1), 1, rtol=1e-14)
    np.testing.assert_allclose(calibration.scaled(p, 1.0), p, rtol=1e-12)


def test_rows_that_are_all_right_give_a_finite_temperature():
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    t = calibration.temperature(p, np.array([0, 1]))
    assert 0.1 < t < 1
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.isfinite(calibration.temperature(p, np.array([0, 0])))
    assert np.isfinite(calibration.scaled(p, 0.05)).all()


def test_log_loss_is_that_of_its_formula():
    p, codes = np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 0])
    np.testing.assert_allclose(calibration.log_loss(p, codes), -np.log([0.75, 0.5]).mean())
    weighted = calibration.log_loss(p, codes, np.array([3.0, 1.0]))
    np.testing.assert_allclose(weighted, -np.log([0.75, 0.75, 0.75, 0.5]).mean())


def test_quantiles_are_those_of_all_members_and_errors():
    rng = np.random.default_rng(1)
    errors = [rng.normal(size=(500, 2)), 3 + rng.normal(size=(70, 2))]
    residuals = Residuals.of(errors)
    predictions = rng.normal(size=(2, 9, 2))
    levels = np.array([0.01, 0.5, 0.9])
    found = residuals.quantiles(predictions, levels)
    assert found.shape == (9, 2, 3)
    for row in range(9):
        for target in range(2):
            pool = [predictions[k, row, target] + residuals.points[k, :, target] for k in (0, 1)]
            expected = np.quantile(np.concatenate(pool), levels)
            np.testing.assert_allclose(found[row, target], expected, rtol=1e-12)


def test_the_points_of_a_member_are_quantiles_of_its_errors():
    errors = np.arange(1001.0)[:, None]
    points = Residuals.of([errors]).points
    np.testing.assert_allclose(points[0, :, 0], 1000 * (np.arange(POINTS) + 0.5) / POINTS)


def test_parts_of_the_rows_do_not_matter(monkeypatch):
    rng = np.random.default_rng(2)
    residuals = Residuals.of([rng.normal(size=(50, 1)) for _ in range(3)])
    predictions, levels = rng.normal(size=(3, 20, 1)), np.array([0.2, 0.8])
    whole = residuals.quantiles(predictions, levels)
    monkeypatch.setattr("fastbp.tabular.residuals.AT_ONCE", 7 * 3 * POINTS)
    assert np.array_equal(residuals.quantiles(predictions, levels), whole)


def test_the_deviation_has_both_parts():
    residuals = Residuals.of([np.array([[3.0], [-3.0]]), np.array([[1.0], [-1.0]])])
    assert residuals.squares.tolist() == [5.0]  # members have equal weight: (9 + 1) / 2
    np.testing.assert_allclose(residuals.deviation(np.array([[2.0]])), [[3.0]])


def test_saved_residuals_that_are_none():
    saved = Residuals.of([np.ones((2, 1))]).to_dict()
    assert Residuals.from_dict(saved).squares.tolist() == [1.0]
    for wrong in ({}, saved | {"squares": np.ones(2)}, saved | {"points": 1.0}):
        with pytest.raises(ValueError, match=r"points|residuals"):
            Residuals.from_dict(wrong)
