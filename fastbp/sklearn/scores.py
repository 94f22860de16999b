"""The score of a regression, without checks that take ten times as long as its sums."""

import numpy as np
from sklearn.metrics import r2_score

from ..common.types import Array, Floats


def r2(y: Array, p: Array, weights: Floats | None) -> float:
    """scikit-learn's ``r2_score``, to the bit, of numbers that have been checked.

    y: targets, (n,) or (n, outputs). p: predictions, floats of the same shape. weights: of rows,
    (n,), or None.
    """
    if len(y) < 2:
        return float(r2_score(y, p, sample_weight=weights))  # which warns
    floats = [a.dtype for a in (y, p, weights) if a is not None and a.dtype.kind == "f"]
    dtype = np.result_type(*floats)
    y, p = (array.reshape(len(array), -1).astype(dtype, copy=False) for array in (y, p))
    weights = None if weights is None else weights.astype(dtype, copy=False)
    factors = 1.0 if weights is None else weights[:, None]
    error = np.sum(factors * (y - p) ** 2, axis=0)
    spread = np.sum(factors * (y - np.average(y, axis=0, weights=weights)) ** 2, axis=0)
    of_outputs = np.ones_like(error)
    known = (error != 0) & (spread != 0)
    of_outputs[known] = 1 - error[known] / spread[known]
    of_outputs[(error != 0) & (spread == 0)] = 0.0
    return float(np.average(of_outputs))
