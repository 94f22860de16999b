"""Calibrated probabilities: one temperature, by rows that the networks were not trained on.

p_c^(1/T) / sum_j p_j^(1/T) in place of p_c (Guo et al., On calibration of modern neural networks,
ICML 2017). The classes keep their order, so that predictions of labels do not change.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from ..common.types import Array, Floats, Ints

SMALLEST = float(np.finfo(np.float32).tiny)
"""A probability below it was rounded to 0 in float32."""

WIDEST = 3.0
"""ln T is looked for in [-3, 3]: T lies in [0.05, 20]."""


def temperature(p: Floats, codes: Ints, weights: Floats | None = None) -> float:
    """The temperature T of the lowest log loss.

    p: probabilities (n, classes). codes: the class of each row, (n,). weights: of the rows, or None
    for 1. The loss of a row is (1 - e) (-ln p of its class) + e times the mean of -ln p over all
    classes, with e = 1 / (n + 1): as if one row more had been of any class (Laplace's rule of
    succession). Few rows that are all right do not make probabilities of 1.
    """
    logs = np.log(np.maximum(p, SMALLEST))
    own, share = logs[np.arange(len(p)), codes], 1 / (len(p) + 1)
    meant = (1 - share) * own + share * logs.mean(axis=1)

    def cost(log_t: float) -> float:
        t = np.exp(log_t)
        return float(np.average(logsumexp(logs / t, axis=1) - meant / t, weights=weights))

    found = minimize_scalar(cost, bounds=(-WIDEST, WIDEST), method="bounded")
    return float(np.exp(found.x))


def scaled(p: Array, t: float) -> Floats:
    """Probabilities (n, classes) at the temperature t, float64."""
    logs = np.log(np.maximum(p, SMALLEST, dtype=np.float64)) / t
    logs -= logs.max(axis=1, keepdims=True)
    powers: Floats = np.exp(logs)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def log_loss(p: Floats, codes: Ints, weights: Floats | None = None) -> float:
    """The weighted mean of -ln p of the rows' classes."""
    own = np.maximum(p[np.arange(len(p)), codes], SMALLEST)
    return float(np.average(-np.log(own), weights=weights))
