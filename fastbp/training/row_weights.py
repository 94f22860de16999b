"""The weights of the rows that fit trains on: those of balanced classes, and their mean.

The loss of a batch is sum(w l) / rows. Fit divides each weight by the mean weight of all rows that
it trains on, so that its minimum does not depend on the size of the batches.
"""

import math

import numpy as np

from ..common.types import Array, Floats, Ints
from ..components import options
from ..data.tables import MOST_EXPONENT, Table, check_targets
from ..kernels import reference
from .core import TrainerCore
from .row_order import RowOrder

ROWS_AT_ONCE = 2**16
"""Rows whose targets are read at a time: the data may be larger than memory."""


def weigh(core: TrainerCore, order: RowOrder) -> None:
    """Set the weights of "balanced" classes, and ``order.mean_weight``, by the rows of ``order``.

    ValueError for a target that has no class weight, or where no class can be told; then nothing
    has changed.
    """
    y, of_rows = order.data.y, order.data.weights
    if of_rows is not None and order.chosen is not None:
        of_rows = of_rows[order.chosen]
    if y is not None and core.options.class_weight is not None:
        rows = np.arange(order.data.rows) if order.chosen is None else order.chosen
        by_class = _of_classes(core, y, rows)
        of_rows = by_class if of_rows is None else of_rows * by_class
    order.mean_weight = 1.0 if of_rows is None else _mean(of_rows)


def _of_classes(core: TrainerCore, y: Table, rows: Ints) -> Floats:
    """The weight of each row's class; sets those of "balanced" classes."""
    found = np.empty(len(rows))
    balances = core.options.class_weight == "balanced"
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        targets = _targets(core, y, rows[part])
        found[part] = (
            _labels(targets) if balances else reference.class_weights(core.class_weights, targets)
        )
    if balances:
        labels = found.astype(np.int64)
        core.class_weights = options.balanced(labels, core.loss.n_classes(core.net.sizes[-1]))
        found = core.class_weights[labels]
    return found


def _targets(core: TrainerCore, y: Table, rows: Ints) -> Array:
    """Labels (n,), or targets (n, columns) in the network's dtype, of some rows."""
    check_targets(y, rows, core.loss, core.net.sizes[-1], core.net.dtype)
    targets = y.array[rows]
    if core.loss.takes_labels and targets.shape[1] == 1 and targets.dtype.kind in "iu":
        return targets[:, 0]
    return targets.astype(core.net.dtype)


def _labels(targets: Array) -> Array:
    """Labels (n,); ValueError where targets are none."""
    if targets.ndim > 1 and (targets.shape[1] != 1 or (targets % 1).any()):
        raise ValueError(
            "class_weight is 'balanced', but y holds no labels: pass integer labels (n,), or "
            "a dict of weights"
        )
    return targets.reshape(-1)


def _mean(weights: Floats) -> float:
    """The mean, whatever the scale; 1 where all weights are 0, which then stay 0."""
    _, exponent = math.frexp(float(weights.max()))
    if abs(exponent) <= MOST_EXPONENT:
        return float(weights.mean()) or 1.0
    return math.ldexp(float(np.ldexp(weights, -exponent).mean()), exponent)
