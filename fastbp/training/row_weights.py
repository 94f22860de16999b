"""The weights of the rows that fit trains on: those of balanced classes, and their mean.

The loss of a batch is sum(w l) / rows. Fit divides each weight by the mean weight of all rows that
it trains on, so that its minimum does not depend on the size of the batches.
"""

import math
from collections.abc import Iterator
from typing import NoReturn

import numpy as np

from ..common.types import Array, Floats, Ints
from ..components import options
from ..data.tables import MOST_EXPONENT, Table, check_targets
from ..kernels import reference
from .core import TrainerCore
from .row_order import RowOrder
from .validation import check_some_weight, known_shares

ROWS_AT_ONCE = 2**16
"""Rows whose targets are read at a time: the data may be larger than memory."""


def weigh(core: TrainerCore, order: RowOrder) -> None:
    """Set the weights of "balanced" classes, and ``order.mean_weight``, by the rows of ``order``.

    ValueError for a target that has no class weight, where no class can be told, and where no row
    has weight.
    """
    y, of_rows = order.data.y, order.data.weights
    if of_rows is not None and order.chosen is not None:
        of_rows = of_rows[order.chosen]
    check_some_weight(core.some(of_rows), "sample_weight", "row to train on")
    if y is not None and (core.options.class_weight is not None or core.loss.ignores_nan):
        rows = np.arange(order.data.rows) if order.chosen is None else order.chosen
        if core.options.class_weight == "balanced":
            core.set_class_weights(_balanced(core, y, rows))
        by_targets = np.concatenate(
            [np.empty(0), *(_by_targets(core, part) for part in _parts(core, y, rows))]
        )
        with np.errstate(over="ignore", under="ignore"):
            of_rows = by_targets if of_rows is None else of_rows * by_targets
    largest = core.joined(None if of_rows is None else of_rows.max(initial=0.0, keepdims=True))
    if largest is None:
        order.mean_weight = 1.0
        return
    if not largest.max() < np.inf:
        raise ValueError(
            "sample_weight times class_weight is too large for float64: divide either by its mean"
        )
    if y is not None and not largest.any():
        _refuse(core, y, rows, order.data.names[1])
    own = np.empty(0) if of_rows is None else of_rows  # of no rows here, and some elsewhere
    order.mean_weight = _mean(core, own, float(largest.max()))


def _refuse(core: TrainerCore, y: Table, rows: Ints, name: str) -> NoReturn:
    """ValueError that says why none of these rows has weight."""
    if core.loss.ignores_nan and not known_shares(y)[rows].any():
        raise ValueError(f"{name} is NaN in every row to train on, expected a known target")
    raise ValueError(
        f"class_weight times sample_weight is 0 for every target of {name} to train on, so that "
        "there is nothing to learn: give at least one of them a weight above 0"
    )


def _parts(core: TrainerCore, y: Table, rows: Ints) -> Iterator[Array]:
    """Labels (n,), or targets (n, columns) in the network's dtype, of some rows at a time."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        check_targets(y, part, core.loss, core.net.sizes[-1], core.net.dtype)
        targets = y.array[part]
        if core.loss.takes_labels and targets.shape[1] == 1 and targets.dtype.kind in "iu":
            yield targets[:, 0]
        else:
            yield targets.astype(core.net.dtype)


def _by_targets(core: TrainerCore, targets: Array) -> Floats:
    """The weight of each row by its targets: of its class, or the mean of its entries."""
    table = None if core.options.class_weight is None else core.class_weights
    if core.loss.weighs_entries(core.net.sizes[-1]):
        of_entries: Floats = reference.entry_weights(targets, table).mean(axis=1)
        return of_entries
    of_rows: Floats = reference.class_weights(table, targets)
    return of_rows


def _balanced(core: TrainerCore, y: Table, rows: Ints) -> Floats:
    """The weights of all classes, (classes,), or of 0 and 1 of each output, (2 outputs,)."""
    outputs = core.net.sizes[-1]
    columns, classes = (1, outputs) if core.loss.takes_labels else (outputs, 2)
    counts = np.zeros((columns, classes), np.int64)
    for targets in _parts(core, y, rows):
        labels = targets.reshape(len(targets), -1)
        if labels.shape[1] != columns or (labels % 1 > 0).any():
            raise ValueError(
                "class_weight is 'balanced', but y holds no labels: pass integer labels (n,), or "
                "a dict of weights"
            )
        for output, column in enumerate(labels.T):
            known = column[column == column]  # not NaN
            counts[output] += np.bincount(known.astype(np.int64), minlength=classes)
    return np.concatenate([options.balanced(of_column) for of_column in core.summed(counts)])


def _mean(core: TrainerCore, weights: Floats, largest: float) -> float:
    """The mean over the rows of all ranks, whatever the scale. largest: of their weights."""
    _, exponent = math.frexp(largest)
    if abs(exponent) <= MOST_EXPONENT:
        return float(core.average(weights))
    with np.errstate(under="ignore"):
        return math.ldexp(float(core.average(np.ldexp(weights, -exponent))), exponent)
