"""What a model gives for encoded rows, and how far rounding may take another program from it."""

from typing import Any

import numpy as np

from ...common.types import Array, Floats
from ...export import c_ensemble
from ...export.c_ensemble import Members
from ...export.rounding import Sized
from .. import calibration
from ..calibration import SMALLEST
from ..classifier import TabularClassifier

UNIT = float(np.finfo(np.float64).eps)


def expected(model: Any, members: Members, X: Array) -> Sized:
    """Probabilities (rows, classes) or numbers (rows, targets), and the bounds of their errors.

    X: what the encoder makes of the rows, dense. Another program may round each to its neighbour.
    """
    X = np.asarray(X)
    error = np.abs(X) * float(np.finfo(np.float32).eps)
    mean = c_ensemble.expected(members, X, error)
    if isinstance(model, TabularClassifier):
        return _calibrated(mean, model.temperature_)
    units = model.targets_
    value = units.restored(mean.value)
    size = np.abs(mean.value * units.scale) + np.abs(units.mean)
    return Sized(value, mean.error * units.scale + 4 * UNIT * size)


def _calibrated(p: Sized, t: float) -> Sized:
    """With l = ln p + e: p^(1/t) is off by the factor exp(e / t), their sum by its mean."""
    value, off = calibration.scaled(p.value, t), _off(p) / t
    of_sum = np.sum(value * np.expm1(off), axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        error = np.minimum(1.0, value * np.expm1(off + of_sum))
    return Sized(value, error + 100 * UNIT)


def _off(p: Sized) -> Floats:
    """How far ln max(p, SMALLEST) may be off."""
    low, middle, high = (
        np.log(np.maximum(one, SMALLEST)) for one in (p.value - p.error, p.value, p.value + p.error)
    )
    return np.asarray(np.maximum(high - middle, middle - low))
