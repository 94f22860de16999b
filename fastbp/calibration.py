"""How well predicted standard deviations fit: the figures that regression is judged by.

Each function takes the targets y, and the means and standard deviations that were predicted for
them, such as ``ensemble.predict(X, return_std=True)`` returns: arrays of the same shape, or y (n,)
and the others (n, 1). All entries count alike, those of several targets together: pass columns,
``y[:, 0], mean[:, 0], std[:, 0]``, for figures of one. The predicted distribution is the normal one
of this mean and deviation. The rows must not be those that the networks learned from.

=====================================  ====================================================
nll_gaussian, crps_gaussian            proper scores, lower is better: they judge means and
                                       deviations together
picp, mpiw                             coverage and mean width of intervals of a level
mean_absolute_calibration_error,       distance of the coverage of intervals of all levels
root_mean_squared_calibration_error    from what it should be, 0 is best
ence                                   distance of deviations from errors of a like size, 0
                                       is best
spread_skill_ratio                     deviations by errors, 1 is best
sharpness, rmse                        size of deviations, and of errors
scores                                 all of them
=====================================  ====================================================

Names and definitions are those of the Uncertainty Toolbox (Chung et al., arXiv:2109.10254) where it
has them. No figure of calibration is enough alone: a model that predicts the same deviation
everywhere may have the right coverage at every level. Look at a proper score, too.

>>> rng = np.random.default_rng(0)
>>> std = rng.uniform(1, 3, 100_000)
>>> y = rng.normal(0, std)
>>> found = fastbp.calibration.scores(y, np.zeros_like(y), std)
>>> print(f"{found['picp']:.3f} {found['spread_skill_ratio']:.3f} {found['ence']:.2f}")
0.950 0.997 0.00
"""

import math
from typing import Any

import numpy as np

from .common import checks
from .common.types import Floats
from .data.sources import as_array

__all__ = [
    "crps_gaussian",
    "ence",
    "mean_absolute_calibration_error",
    "mpiw",
    "nll_gaussian",
    "picp",
    "rmse",
    "root_mean_squared_calibration_error",
    "scores",
    "sharpness",
    "spread_skill_ratio",
]

LEVELS = 100
"""Levels of intervals that calibration errors look at, from 0 to 1, as the Uncertainty Toolbox."""

_OF_ONE = np.frompyfunc(math.erf, 1, 1)


def nll_gaussian(y: Any, mean: Any, std: Any) -> float:
    """The mean negative log-likelihood, 1/2 [ln(2 pi std^2) + ((y - mean) / std)^2].

    Its differences have no unit; one that has changed its units has another constant. The losses
    "gaussian_nll" and ``BetaNLL`` leave ln(2 pi) / 2 out, and are of standardized targets.

    Raises:
        ValueError, TypeError: the arrays are no real numbers, have other shapes or no entry, are
            not finite, or std is not above 0 everywhere.

    >>> round(fastbp.calibration.nll_gaussian([0.0, 2.0], [0.0, 0.0], [1.0, 2.0]), 4)
    1.5155

    """
    errors, std = _errors(y, mean, std)
    return float((0.5 * math.log(2 * math.pi) + np.log(std) + 0.5 * (errors / std) ** 2).mean())


def crps_gaussian(y: Any, mean: Any, std: Any) -> float:
    """The mean continuous ranked probability score, in units of y.

    With z = (y - mean) / std: std [z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)] (Gneiting and
    Raftery, 2007, equation 21). It becomes the mean |y - mean| as std goes to 0, and forgives
    outliers more than the likelihood. Raises as ``nll_gaussian``.

    >>> round(fastbp.calibration.crps_gaussian([0.0], [0.0], [1.0]), 4)  # sqrt(2/pi) - sqrt(1/pi)
    0.2337

    """
    errors, std = _errors(y, mean, std)
    z = errors / std
    density = np.exp(-0.5 * z * z) * math.sqrt(2 / math.pi)
    inside = _erf(z / math.sqrt(2))
    return float((std * (z * inside + density - 1 / math.sqrt(math.pi))).mean())


def picp(y: Any, mean: Any, std: Any, level: float = 0.95) -> float:
    """The prediction interval coverage probability: the share of y in the intervals of a level.

    The interval of level 0.95 is mean +- 1.96 std. Right deviations give ``level``; less means that
    they are too small. Raises as ``nll_gaussian``, and where level is not in (0, 1).

    >>> fastbp.calibration.picp([0.0, 1.0, 2.0, 3.0], [0.0] * 4, [1.0] * 4)
    0.5

    """
    errors, std = _errors(y, mean, std)
    return float((np.abs(errors) <= _half_width(level) * std).mean())


def mpiw(y: Any, mean: Any, std: Any, level: float = 0.95) -> float:
    """The mean prediction interval width, in units of y: of the intervals of ``picp``.

    Of two predictions with the same coverage the one with the narrower intervals knows more. y is
    not looked at but for its shape. Raises as ``picp``.

    >>> round(fastbp.calibration.mpiw([0.0], [0.0], [1.0]), 2)
    3.92

    """
    _, std = _errors(y, mean, std)
    return float(2 * _half_width(level) * std.mean())


def mean_absolute_calibration_error(y: Any, mean: Any, std: Any) -> float:
    """The mean distance of the coverage of central intervals from their level, over 100 levels.

    0 is best, and 0.5 the most that it can be (after Kuleshov et al., ICML 2018). Raises as
    ``nll_gaussian``.

    >>> y = np.random.default_rng(0).normal(size=10_000)
    >>> error = fastbp.calibration.mean_absolute_calibration_error
    >>> round(error(y, 0 * y, 0 * y + 1), 2), round(error(y, 0 * y, 0 * y + 0.25), 2)
    (0.0, 0.34)

    """
    return float(np.abs(_gaps(*_errors(y, mean, std))).mean())


def root_mean_squared_calibration_error(y: Any, mean: Any, std: Any) -> float:
    """The root of the mean square of what ``mean_absolute_calibration_error`` takes the mean of.

    >>> y = np.random.default_rng(0).normal(size=10_000)
    >>> error = fastbp.calibration.root_mean_squared_calibration_error
    >>> round(error(y, 0 * y, 0 * y + 0.5), 2)
    0.23

    """
    return float(np.sqrt((_gaps(*_errors(y, mean, std)) ** 2).mean()))


def ence(y: Any, mean: Any, std: Any, bins: int = 10) -> float:
    """The expected normalized calibration error of Levi et al. (Sensors, 2022).

    The entries, sorted by std, fall into bins of equal numbers. Of each bin, RMV is the root of the
    mean variance, and RMSE that of the mean squared error. It is the mean of |RMV - RMSE| / RMV.
    It tells whether a larger std goes with larger errors. By chance alone it is about
    sqrt(bins / (pi n)) of n entries: compare figures of the same n and bins. Raises as
    ``nll_gaussian``, and where bins is no integer in [1, entries].

    >>> std = np.repeat([1.0, 2.0], 50)
    >>> fastbp.calibration.ence(std, np.zeros(100), std, bins=2)
    0.0

    """
    errors, std = _errors(y, mean, std)
    count = checks.integer(bins, "bins", 1)
    if count > std.size:
        raise ValueError(f"bins is {count}, but there are {std.size} entries: use fewer bins")
    order = np.argsort(std, axis=None, kind="stable")
    found = []
    for part in np.array_split(order, count):
        rmv, error = (_root_mean_square(array.ravel()[part]) for array in (std, errors))
        found.append(abs(rmv - error) / rmv)
    return float(np.mean(found))


def spread_skill_ratio(y: Any, mean: Any, std: Any) -> float:
    """The root of the mean variance by the root of the mean squared error (Fortin et al., 2014).

    Right deviations give 1; less means that they are too small. Where it is 0.8, all of them
    divided by 0.8 are right on the whole. Raises as ``nll_gaussian``, and where all errors are 0.

    >>> fastbp.calibration.spread_skill_ratio([2.0, -2.0], [0.0, 0.0], [1.0, 1.0])
    0.5

    """
    errors, std = _errors(y, mean, std)
    error = _root_mean_square(errors)
    if error == 0:
        raise ValueError("mean is y everywhere, so that no std is right: there is no ratio")
    return _root_mean_square(std) / error


def sharpness(y: Any, mean: Any, std: Any) -> float:
    """The root of the mean variance, in units of y. Lower is better where the calibration is right.

    y and mean are not looked at but for their shapes. Raises as ``nll_gaussian``.

    >>> fastbp.calibration.sharpness([0.0, 0.0], [0.0, 0.0], [1.0, 7.0])
    5.0

    """
    return _root_mean_square(_errors(y, mean, std)[1])


def rmse(y: Any, mean: Any, std: Any) -> float:
    """The root of the mean squared error, in units of y. std is not looked at but for its shape.

    >>> fastbp.calibration.rmse([1.0, 7.0], [0.0, 0.0], [1.0, 1.0])
    5.0

    """
    return _root_mean_square(_errors(y, mean, std)[0])


def scores(y: Any, mean: Any, std: Any, level: float = 0.95) -> dict[str, float]:
    """All figures by their names; picp and mpiw of intervals of ``level``.

    Without ence where there are less than 10 entries, and without spread_skill_ratio where all
    errors are 0. Raises as ``picp``.

    >>> sorted(fastbp.calibration.scores([1.0, 2.0], [0.0, 0.0], [1.0, 1.0]))[:3]
    ['crps_gaussian', 'mean_absolute_calibration_error', 'mpiw']

    """
    errors, _ = _errors(y, mean, std)
    plain = [nll_gaussian, crps_gaussian, mean_absolute_calibration_error, sharpness, rmse]
    plain.append(root_mean_squared_calibration_error)
    plain += [ence] if errors.size >= 10 else []
    plain += [spread_skill_ratio] if errors.any() else []
    found = {function.__name__: function(y, mean, std) for function in plain}
    return found | {one.__name__: one(y, mean, std, level) for one in (picp, mpiw)}


def _gaps(errors: Floats, std: Floats) -> Floats:
    """The coverage of central intervals minus their level, (LEVELS,)."""
    levels = np.linspace(0, 1, LEVELS)
    # The level of the smallest interval that has y in it.
    reached = np.sort(_erf(np.abs(errors / std).ravel() / math.sqrt(2)))
    return np.searchsorted(reached, levels, side="right") / reached.size - levels


def _erf(x: Floats) -> Floats:
    return np.asarray(_OF_ONE(x), np.float64)


def _half_width(level: Any) -> float:
    """How many deviations a central interval of this level reaches to either side."""
    from statistics import NormalDist  # late: it takes longer to import than this module

    return NormalDist().inv_cdf(0.5 + 0.5 * checks.between_zero_and_one(level, "level"))


def _root_mean_square(values: Floats) -> float:
    """Of values of any size: their squares may overflow."""
    largest = float(np.abs(values).max())
    return largest * math.sqrt(float(((values / largest) ** 2).mean())) if largest else 0.0


def _errors(y: Any, mean: Any, std: Any) -> tuple[Floats, Floats]:
    """(y - mean, std), float64; ValueError or TypeError where they are none."""
    arrays = {name: as_array(a, name) for name, a in (("y", y), ("mean", mean), ("std", std))}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    shape = arrays["mean"].shape
    if arrays["y"].ndim == 1 and shape == (arrays["y"].size, 1):
        arrays["y"] = arrays["y"][:, None]
    for name, array in arrays.items():
        if array.shape != shape:
            raise ValueError(
                f"{name} has shape {np.shape(array)}, and mean has {shape}: expected arrays of the "
                "same shape, as of predict(X, return_std=True)"
            )
        if not array.size:
            raise ValueError(f"{name} has no entry, expected at least one")
    with np.errstate(over="ignore", invalid="ignore"):
        found = {name: array.astype(np.float64) for name, array in arrays.items()}
    for name, numbers in found.items():
        bad = ~np.isfinite(numbers) | (numbers <= 0 if name == "std" else False)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            wanted = "finite numbers above 0" if name == "std" else "finite numbers"
            raise ValueError(f"{name} has {numbers[place]} at {place}, expected {wanted}")
    return found["y"] - found["mean"], found["std"]
