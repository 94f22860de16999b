"""Calibrated probabilities: one temperature, by rows that the networks were not trained on.

p_c^(1/T) / sum_j p_j^(1/T) in place of p_c (Guo et al., On calibration of modern neural networks,
ICML 2017). The classes keep their order, so that predictions of labels do not change.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from ..common.types import Array, Floats, Ints

SMALLEST = float(np.finfo(np.float32).tiny)
"""A probability below it was rounded to 0 in float32."""

WIDEST = 3.0
"""ln T is looked for in [-3, 3]: three deviations of its prior. T lies in [0.05, 20]."""


def temperature(p: Floats, codes: Ints, weights: Floats | None = None) -> float:
    """The temperature T of the lowest log loss.

    p: probabilities (n, classes). codes: the class of each row, (n,). weights: of the rows, or None
    for 1. It minimizes sum_i w_i (-ln p_i) + (ln T)^2 / 2, with weights of mean 1: the normal prior
    of ln T keeps T finite where all rows are right, and counts as little as one row beside others.
    """
    logs = np.log(np.maximum(p, SMALLEST))
    shares = np.ones(len(p)) if weights is None else weights / weights.mean()

    def cost(log_t: float) -> float:
        return float(shares @ _losses(logs / np.exp(log_t), codes)) + log_t**2 / 2

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


def _losses(logits: Floats, codes: Ints) -> Floats:
    """-ln softmax(logits) of the class of each row."""
    largest = logits.max(axis=1)
    sums = np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest
    losses: Floats = sums - logits[np.arange(len(logits)), codes]
    return losses
