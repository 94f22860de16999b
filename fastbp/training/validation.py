"""Rows that are held out of training, for validation."""

from collections.abc import Iterator, Mapping
from mmap import mmap
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array, Floats, Ints, Rows
from ..components.metrics import Metric
from ..data.csr import CsrRows
from ..data.tables import Table, check_inputs, check_targets
from ..runtime.arrays import Dataset, TrainingArrays

AT_ONCE = 2**18
"""The numbers that are checked at a time: the data may be larger than memory."""


MOST_CHECKED = 2**31
"""The most numbers of an array that are checked ahead, where its memory holds fewer: views that
overlap may have any number. They take some seconds."""


def rows_to_hold_out(
    data: Dataset, wanted: Mapping[str, Any], seed: int, arrays: TrainingArrays
) -> Ints:
    """The numbers of the rows to hold out, ascending.

    wanted: the arguments of fit by name, of which one is to be given: validation_fraction,
    validation_rows, validation_data. ValueError or TypeError where they are not as in ``fit``.
    """
    given = [name for name, value in wanted.items() if value is not None]
    if len(given) > 1:
        raise ValueError(
            f"{given[0]} is {wanted[given[0]]!s:.40} and {given[1]} is given, too: pass one of them"
        )
    rows = wanted["validation_rows"]
    if rows is not None:
        return _checked_rows(rows, data.rows)
    fraction = check_fraction(wanted["validation_fraction"], data.rows)
    return split(data.rows, fraction, seed, _classes(data, arrays))[1]


def hold_out(data: Dataset, others: Ints, arrays: TrainingArrays) -> tuple[Ints, Dataset]:
    """The numbers of the rows to train on, and a copy of the others, which are held out.

    ValueError for a value of the other rows that does not fit, with its row number in the data.
    """
    for part in _parts(others, _stored_columns(data.x)):
        _check_inputs(data, part, arrays)
        _check_targets(data, part, arrays)
    weights = None if data.weights is None else data.weights[others]
    trained = np.ones(data.rows, bool)
    trained[others] = False
    y, known = data.y and data.y.take(others), data.derivatives and data.derivatives.take(others)
    held_out = Dataset(data.x.take(others), y, data.names, weights, known)
    return np.flatnonzero(trained), held_out


def check_values(data: Dataset, arrays: TrainingArrays) -> None:
    """ValueError for a value of ``data`` that does not fit, as far as they are in memory.

    Files are not read ahead. Where all rows are one and the same, as of np.broadcast_to, one is
    looked at.
    """
    for table, check in ((data.x, _check_inputs), (data.y, _check_targets)):
        if table is not None:
            rows = range(_rows_to_check(table.array))
            for part in _parts(rows, _stored_columns(table)):
                check(data, part, arrays)


def _stored_columns(table: Table) -> int:
    """The numbers that a row has in memory, on average."""
    if isinstance(table.array, CsrRows):
        return max(1, table.array.n_stored // len(table.array))
    return int(table.array.shape[1])


def _rows_to_check(array: Array | CsrRows) -> int:
    """The first of the rows that are to be checked ahead: all, one, or none."""
    if isinstance(array, CsrRows):
        return 0 if _is_mapped(array.values) else len(array)
    if _is_mapped(array):
        return 0
    if array.strides[0] == 0:
        return 1
    low, high = np.lib.array_utils.byte_bounds(array)
    most = max(MOST_CHECKED, (high - low) // array.itemsize)
    return len(array) if array.size <= most else 0


def _is_mapped(array: Any) -> bool:
    """Whether the memory of an array is that of a file."""
    while array is not None and not isinstance(array, mmap):
        array = getattr(array, "base", None)
    return array is not None


def _check_inputs(data: Dataset, rows: Rows, arrays: TrainingArrays) -> None:
    check_inputs(data.x, rows, arrays.parameters.dtype, data.names[0])


def _check_targets(data: Dataset, rows: Rows, arrays: TrainingArrays) -> None:
    if data.y is not None:
        dtype, n_out = arrays.parameters.dtype, arrays.spec.sizes[-1]
        check_targets(data.y, rows, arrays.loss, n_out, dtype, data.names[1])
    if data.derivatives is not None:
        data.derivatives.check(rows, arrays.parameters.dtype)


def _parts(rows: Rows, columns: int) -> Iterator[Rows]:
    at_once = max(1, AT_ONCE // columns)
    for start in range(0, len(rows), at_once):
        yield rows[start : start + at_once]


def known_shares(targets: Table) -> Floats:
    """The share of the targets of each row that is known, not NaN: (rows,)."""
    known = np.empty(len(targets.array))
    for part in _parts(range(len(known)), targets.array.shape[1]):
        rows = slice(part[0], part[-1] + 1)
        known[rows] = 1 - np.isnan(targets.array[rows]).mean(axis=1)
    return known


def are_classes(targets: Table) -> bool:
    """Whether no target lies strictly between 0 and 1: those of bce are then labels."""
    array = targets.dense[:1] if targets.dense.strides[0] == 0 else targets.dense
    for part in _parts(range(len(array)), array.shape[1]):
        y = array[part[0] : part[-1] + 1]
        if ((y > 0) & (y < 1)).any():
            return False
    return True


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
    y = data.y.dense if data.y is not None else None
    if y is None or y.shape[1] != 1:
        return None
    if not arrays.loss.has_classes:
        return None
    labels = y.dtype.kind in "iu" if arrays.loss.takes_labels else np.isin(y, (0, 1)).all()
    return y[:, 0] if labels else None


def _checked_rows(rows: Any, n: int) -> Ints:
    """``validation_rows`` ascending, each once; TypeError or ValueError unless some of n rows."""
    array = np.asarray(rows)
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        raise TypeError(
            f"validation_rows is {rows!r:.80}, expected a sequence of integers, the numbers of rows"
        )
    found = np.unique(array).astype(np.int64)
    if not 0 < len(found) < n:
        raise ValueError(
            f"validation_rows has {len(found)} of the {n} rows of X, expected at least one to "
            "validate, and to leave at least one to train on"
        )
    if found[0] < 0 or found[-1] >= n:
        wrong = found[0] if found[0] < 0 else found[-1]
        raise ValueError(f"validation_rows has {wrong}, expected numbers of rows, in [0, {n})")
    return found


def check_fraction(fraction: Any, n: int) -> float:
    """``fraction`` as a float in (0, 1); ValueError where it is not, or cannot be used."""
    number = checks.between_zero_and_one(fraction, "validation_fraction")
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


def check_metrics_have_data(validation: Dataset | None, metrics: Mapping[str, Metric]) -> None:
    """ValueError for metrics without validation data."""
    if metrics and validation is None:
        raise ValueError(
            f"metrics has {', '.join(map(repr, metrics))}, which are for validation, but there is "
            "none: pass validation_data or validation_fraction"
        )
