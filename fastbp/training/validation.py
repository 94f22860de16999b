"""Rows that are held out of training, for validation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array, Floats, Ints
from ..components.metrics import Metric
from ..data.tables import check_inputs, check_targets
from ..runtime.arrays import Dataset, TrainingArrays

ROWS_AT_ONCE = 2**14
"""The number of rows whose values are checked at a time: the data may be larger than memory."""


@dataclass
class Validation:
    """The rows that fit evaluates after each epoch, and the user's ``y``, for metrics."""

    data: Dataset
    y: Array


def hold_out(
    data: Dataset, y: Any, fraction: float, seed: int, arrays: TrainingArrays
) -> tuple[Ints, Validation]:
    """The numbers of the rows to train on, and a copy of the other rows.

    ValueError for a value of the other rows that does not fit, with its row number in the data, and
    where none of them has weight.
    """
    rows, others = split(data.rows, fraction, seed, _classes(data, arrays))
    for part in _parts(others):
        dtype = arrays.parameters.dtype
        check_inputs(data.x, part, dtype)
        if data.y is not None:
            check_targets(data.y, part, arrays.loss, arrays.spec.sizes[-1], dtype)
    weights = None if data.weights is None else data.weights[others]
    check_some_weight(weights, "sample_weight", "row that validation_fraction holds out")
    held = Dataset(data.x.take(others), data.y and data.y.take(others), data.names, weights)
    return rows, Validation(held, np.asarray(y)[others])


def _parts(rows: Ints) -> Iterator[Ints]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


def split(n: int, fraction: float, seed: int, classes: Array | None = None) -> tuple[Ints, Ints]:
    """Rows to train on, and rows held out, of n >= 2: both ascending, neither empty.

    round(fraction n) rows are held out; of each class, integers (n,), its share of them, rounded
    by the largest remainder. A row's rank among those of its class depends on (seed, row) alone.
    """
    held = min(max(round(fraction * n), 1), n - 1)
    ranks = np.random.Philox(key=seed).random_raw(n)
    if classes is None:
        classes = np.zeros(n, np.int64)
    _, classes, counts = np.unique(classes, return_inverse=True, return_counts=True)
    place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(n, bool)
    chosen[np.lexsort((ranks, classes))] = place < np.repeat(_apportion(counts, held), counts)
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _apportion(counts: Ints, held: int) -> Ints:
    """The number of rows of each class to hold out; their sum is ``held``.

    A class keeps a row to train on, unless every class with rows to spare has given one more.
    """
    wholes, remainders = np.divmod(counts * held, counts.sum())
    first = np.lexsort((-remainders, wholes + 1 >= counts))
    wholes[first[: held - wholes.sum()]] += 1
    return wholes


def _classes(data: Dataset, arrays: TrainingArrays) -> Array | None:
    """The class of each row, where targets are labels, or 0 and 1 of one output; else None."""
    y = data.y.array if data.y is not None else None
    if y is None or y.shape[1] != 1:
        return None
    if not arrays.loss.has_classes:
        return None
    labels = y.dtype.kind in "iu" if arrays.loss.takes_labels else np.isin(y, (0, 1)).all()
    return y[:, 0] if labels else None


def check_fraction(fraction: Any, validation_data: object, n: int) -> float:
    """``fraction`` as a float in (0, 1); ValueError where it is not, or cannot be used."""
    number = checks.between_zero_and_one(fraction, "validation_fraction")
    if validation_data is not None:
        raise ValueError(
            f"validation_fraction is {number} and validation_data is given, too: pass one of them"
        )
    if n < 2:
        raise ValueError(
            f"validation_fraction is {number}, but X has {n} row: it takes at least 2 rows, one to "
            "train on and one to validate"
        )
    return number


def check_some_weight(weights: Floats | None, name: str, row: str = "row") -> None:
    """ValueError where all weights are 0: they have no mean. row: which rows they are of."""
    if weights is not None and not weights.any():
        raise ValueError(
            f"{name} is 0 for every {row}, so that the weighted mean is undefined: give at "
            "least one of them a weight above 0"
        )


def check_metrics_have_data(validation: Validation | None, metrics: Mapping[str, Metric]) -> None:
    """ValueError for metrics without validation data."""
    if metrics and validation is None:
        raise ValueError(
            f"metrics has {', '.join(map(repr, metrics))}, which are for validation, but there is "
            "none: pass validation_data or validation_fraction"
        )
