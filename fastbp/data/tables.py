"""Checks of the user's X and y, and their description for the gather.

Shapes and dtypes are checked here, before anything runs. Values are checked where they are read,
a batch at a time, because a data set may be larger than memory: check_inputs and check_targets.
"""

import ctypes
import math
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from ..common.types import Array, Floats, Rows
from ..components.losses import Loss
from ..kernels.base import codes
from ..kernels.stages.losses import SUM_TOLERANCE
from . import names
from .csr import CsrRows, check_indices, refuse_format, rows_of
from .dtypes import CODES, FLOAT_CODES, LABEL_CODES
from .frames import column_names
from .refusals import MOST_ROWS, refuse_inputs, refuse_targets
from .sources import IN_MEMORY, as_array, as_source, parts, stand_in

MOST_EXPONENT = 60
"""Largest exponent of a weight, to base 2: half of single precision's."""

DROP = "replace it or drop the row"

SUM_ROUNDING = 1e-5
"""A bound on how much the order of summation changes the sum of a row, in float32."""


class Table(NamedTuple):
    """Rows of the user's data in place; nothing is copied.

    array: (rows, columns), any strides, or the rows of a sparse matrix, which are dense once they
    are taken out of it; holds on to the memory.
    descriptor: six integers, the address of the first entry (not always a multiple of the entry's
    size), row stride and column stride in bytes, element type (kernels/base/codes.py), rows,
    columns. Of a sparse matrix: the address of its record, 0, 0, the code CSR, rows, columns.
    columns: the names of the columns, where the user's data have names.
    first: the number of the first row in the user's data, for messages.
    flat: whether the user gave one dimension.

    A table of targets for cross_entropy holds labels if it has one column of integers, otherwise
    probabilities.
    """

    array: Array | CsrRows
    descriptor: tuple[int, ...]
    columns: names.Names = None
    first: int = 0
    flat: bool = False

    @property
    def is_sparse(self) -> bool:
        """Whether it is a sparse matrix."""
        return self.descriptor[3] == codes.CSR

    @property
    def memory(self) -> tuple[Array, ...]:
        """The arrays that hold its numbers."""
        return self.array.memory if isinstance(self.array, CsrRows) else (self.array,)

    @property
    def dense(self) -> Array:
        """The array, of what is not sparse: targets never are."""
        assert not isinstance(self.array, CsrRows)
        return self.array

    @property
    def given(self) -> Array:
        """The array in the shape in which the user gave it, of what is not sparse."""
        return self.dense[:, 0] if self.flat else self.dense

    def part(self, start: int, stop: int) -> "Table":
        """Its rows ``start`` to ``stop``."""
        if isinstance(self.array, CsrRows):
            return _csr_table(self.array.part(start, stop))
        return _table(self.array[start:stop], self.descriptor[3])

    def take(self, rows: Rows) -> "Table":
        """A copy of these rows."""
        if isinstance(self.array, CsrRows):
            return _csr_table(self.array.take(rows))
        return _table(self.array[rows], self.descriptor[3])._replace(flat=self.flat)


def as_inputs(X: Any, n_in: int, name: str = "X", known: names.Names = None) -> Table:
    """X as a table of rows of ``n_in`` inputs.

    Float16/32/64, integers or bool, in any order and strides, or SciPy's CSR format; what is not an
    array goes through ``as_array``. known: the names of columns that X must have, if it has names.
    ValueError for others, for another shape and for no rows, TypeError for another dtype.
    """
    columns = None
    if type(X) is np.ndarray:
        array = X
    elif type(X) in IN_MEMORY:
        array = as_array(X, name)
    elif hasattr(X, "tocsr"):
        refuse_format(X, name)
        _checked_code(X, stand_in(X), n_in, name)
        return _csr_table(rows_of(X, name))
    else:
        columns = column_names(X)
        names.check(known, columns, name)
        array = as_array(X, name)
    return _table(array, _checked_code(X, array, n_in, name), columns)


def _checked_code(X: Any, array: Array, n_in: int, name: str) -> int:
    """The code of the dtype of ``array``, as which X was read, if both dtype and shape fit."""
    code = CODES.get(array.dtype)
    shape = array.shape
    if code is None or len(shape) != 2 or shape[1] != n_in or not 0 < shape[0] <= MOST_ROWS:
        refuse_inputs(X, array, n_in, name)
    return code


def as_input_parts(
    X: Any, n_in: int, name: str = "X", known: names.Names = None
) -> tuple[Table, Iterable[Table]]:
    """(a table for checks of shapes, the parts of X one after another), as ``as_inputs``.

    What is in memory is its own only part. The table of what is read on demand holds no values.
    """
    source = as_source(X, name)
    if source is None:
        table = as_inputs(X, n_in, name, known)
        return table, (table,)
    columns = column_names(X)
    names.check(known, columns, name)
    return as_inputs(stand_in(source), n_in, name), (
        as_inputs(part, n_in, name)._replace(columns=columns, first=first)
        for first, (part,) in parts(source)
    )


def as_targets(y: Any, loss: Loss, n_out: int, n_rows: int, name: str = "y") -> Table:
    """Y as a table of ``n_rows`` rows of targets for ``loss`` over ``n_out`` outputs.

    For cross_entropy integer labels (n,), which become one column, or probabilities (n, n_out);
    for the other losses (n, n_out), or (n,) if n_out is 1. ValueError for another shape,
    TypeError for another dtype.
    """
    columns, array = None, y
    if type(y) is not np.ndarray:
        columns, array = column_names(y), as_array(y, name)
    flat = array.ndim == 1
    known, width = CODES, loss.n_targets(n_out)
    if loss.takes_labels and (flat or n_out == 1):
        known, width = (LABEL_CODES if flat else FLOAT_CODES), 1
    code = known.get(array.dtype)
    table = array[:, None] if flat else array
    if code is None or n_rows == 0 or table.shape != (n_rows, width):
        refuse_targets(y, array, loss, n_out, n_rows, name)
    return _table(table, code, columns, flat)


def as_row_weights(
    weights: Any, n_rows: int, limit: float | None = None, name: str = "sample_weight"
) -> Floats | None:
    """Weights of rows as float64 (n_rows,), contiguous, or None.

    limit: the largest number of the network's dtype; None where weights are divided by their mean.
    There very large and very small ones are scaled by a power of two, so that no sum overflows.
    """
    if weights is None:
        return None
    array = as_array(weights, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.shape != (n_rows,):
        raise ValueError(
            f"{name} has shape {array.shape}, expected ({n_rows},), a weight for each row"
        )
    floats = array
    if array.dtype != np.float64 or not array.flags.c_contiguous:
        with np.errstate(over="ignore"):  # a long double may overflow
            floats = np.ascontiguousarray(array, np.float64)
    # Either is NaN, if there is one. For one row floats.max() takes twice as long.
    smallest, largest = floats.item(floats.argmin()), floats.item(floats.argmax())
    if not (smallest >= 0 and largest < np.inf):
        i = int((~(np.isfinite(floats) & (floats >= 0))).argmax())
        raise ValueError(
            f"{name} has {array[i]} at row {i}, expected finite numbers of 0 or more: a row of "
            "weight 0 counts for nothing"
        )
    if limit is not None:
        if largest > limit:
            raise ValueError(
                f"{name} has {largest} at row {floats.argmax()}, which is too large for the "
                "network's dtype: divide all weights by their mean"
            )
        return floats
    _, exponent = math.frexp(largest)
    if abs(exponent) <= MOST_EXPONENT:
        return floats
    with np.errstate(under="ignore"):  # beside the largest, the smallest may count for nothing
        scaled: Floats = np.ldexp(floats, -exponent)
    return scaled


def check_inputs(table: Table, rows: Rows, dtype: npt.DTypeLike, name: str = "X") -> None:
    """ValueError for the first entry among ``rows`` that is not finite in ``dtype``."""
    if isinstance(table.array, CsrRows):
        check_indices(table.array, rows, name, table.first)
        _check_stored(table, table.array, rows, dtype, name)
        return
    _check_finite(table, rows, _read(table, rows, dtype), name)


def check_targets(
    table: Table, rows: Rows, loss: Loss, n_out: int, dtype: npt.DTypeLike, name: str = "y"
) -> None:
    """ValueError for the first entry among ``rows`` that is not a target of ``loss``."""
    _check_targets(table, rows, loss, n_out, dtype, name, SUM_TOLERANCE)


def raise_bad_inputs(table: Table, rows: Rows, dtype: npt.DTypeLike, name: str = "X") -> NoReturn:
    """ValueError for the entry of ``rows`` that a kernel refused."""
    check_inputs(table, rows, dtype, name)
    _raise_changed(name, rows)


def raise_bad_targets(
    table: Table, rows: Rows, loss: Loss, n_out: int, dtype: npt.DTypeLike, name: str = "y"
) -> NoReturn:
    """ValueError for the entry of ``rows`` that a kernel refused."""
    # The kernel sums a row in another order, and may be just above the limit where this is not.
    _check_targets(table, rows, loss, n_out, dtype, name, SUM_TOLERANCE - SUM_ROUNDING)
    _raise_changed(name, rows)


def _table(array: Array, code: int, names: names.Names = None, flat: bool = False) -> Table:
    rows, columns = array.shape
    row_stride, column_stride = array.strides
    descriptor = (address(array), row_stride, column_stride, code, rows, columns)
    return Table(array, descriptor, names, 0, flat)


def _csr_table(rows: CsrRows) -> Table:
    return Table(rows, (rows.record.ctypes.data, 0, 0, codes.CSR, *rows.shape))


_addressof, _from_buffer = ctypes.addressof, ctypes.c_char.from_buffer


def address(array: Any) -> int:
    """Address of the first entry of an array."""
    if array.flags.carray:
        try:
            # Takes a third of the time of array.ctypes.data; every step waits for it.
            return _addressof(_from_buffer(array))
        except ValueError:  # empty
            pass
    return int(array.__array_interface__["data"][0])


def _read(table: Table, rows: Rows, dtype: npt.DTypeLike) -> Array:
    """These rows in ``dtype``, as the gather reads them: inf where they overflow."""
    return _converted(table.array[_index(rows)], dtype)


def _converted(array: Array, dtype: npt.DTypeLike) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        values: Array = array.astype(dtype)
        return values


def _index(rows: Rows) -> Any:
    """What takes these rows out of an array, without a list of numbers where they are a range."""
    return slice(rows.start, rows.stop, rows.step) if isinstance(rows, range) else rows


def _check_finite(
    table: Table,
    rows: Rows,
    values: Array,
    name: str,
    remedy: str = DROP,
) -> None:
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    value, place = _first(table, rows, bad)
    _refuse_value(value, place, values.dtype, name, remedy)


def _check_stored(
    table: Table, array: CsrRows, rows: Rows, dtype: npt.DTypeLike, name: str
) -> None:
    """``_check_finite`` of a sparse matrix, whose other entries are 0."""
    which, columns, values = array.stored(rows)
    converted = _converted(values, dtype)
    bad = ~np.isfinite(converted)
    if bad.any():
        i = int(bad.argmax())
        place = _place(table, rows, int(which[i]), int(columns[i]))
        _refuse_value(values[i], place, converted.dtype, name, DROP)


def _refuse_value(value: Any, place: str, dtype: np.dtype[Any], name: str, remedy: str) -> NoReturn:
    if np.isfinite(value):
        raise ValueError(
            f"{name} has {value} at {place}, which is too large for {dtype}: "
            "scale the data, or make the network with dtype='float64'"
        )
    raise ValueError(f"{name} has {value} at {place}, expected finite numbers: {remedy}")


def _check_targets(
    table: Table,
    rows: Rows,
    loss: Loss,
    n_out: int,
    dtype: npt.DTypeLike,
    name: str,
    tolerance: float,
) -> None:
    labels = table.array.dtype in LABEL_CODES and table.array.shape[1] == 1
    if loss.takes_labels and labels:
        _check_labels(table, rows, n_out, name)
        return
    values = _read(table, rows, dtype)
    known = np.where(np.isnan(values), 0, values) if loss.ignores_nan else values
    remedy = DROP
    if loss.has_unknown and not loss.ignores_nan:
        remedy += ", or make the Trainer with ignore_nan=True if NaN is a target not known"
    _check_finite(table, rows, known, name, remedy)
    if loss.targets == codes.COUNT:
        _check_counts(table, rows, values < 0, loss, name)
    elif loss.targets == codes.UNIT:
        _check_range(table, rows, (values < 0) | (values > 1), loss, name)
    elif loss.targets == codes.CLASS:
        _check_not_negative(table, rows, values < 0, name)
        _check_sums(table, rows, values.sum(axis=1, dtype=np.float64), tolerance, name)


def _check_labels(table: Table, rows: Rows, n_out: int, name: str) -> None:
    labels = table.array[_index(rows), 0]
    bad = (labels < 0) | (labels >= n_out)
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(
            f"{name} has label {labels[i]} at row {table.first + rows[i]}, but the network has "
            f"{n_out} outputs: labels must lie in [0, {n_out})"
        )


def _check_range(table: Table, rows: Rows, bad: Array, loss: Loss, name: str) -> None:
    if bad.any():
        value, place = _first(table, rows, bad)
        raise ValueError(
            f"{name} has {value} at {place}, expected targets in [0, 1] for loss {loss.name!r}: "
            "scale them, or use loss='mse'"
        )


def _check_counts(table: Table, rows: Rows, bad: Array, loss: Loss, name: str) -> None:
    if bad.any():
        value, place = _first(table, rows, bad)
        raise ValueError(
            f"{name} has {value} at {place}, expected counts of 0 or more for loss {loss.name!r}: "
            "look at the data, or use another loss"
        )


def _check_not_negative(table: Table, rows: Rows, bad: Array, name: str) -> None:
    if bad.any():
        value, place = _first(table, rows, bad)
        raise ValueError(
            f"{name} has {value} at {place}, expected probabilities of 0 or more: "
            "pass integer labels (n,), or rows of probabilities that sum to 1"
        )


def _check_sums(table: Table, rows: Rows, sums: Array, tolerance: float, name: str) -> None:
    bad = np.abs(sums - 1) > tolerance
    if bad.any():
        i = int(bad.argmax())
        remedy = f"divide each row by its sum, {name} / {name}.sum(axis=1, keepdims=True)"
        if np.isin(table.array[rows[i]], (0, 1)).all():
            remedy = (
                "if a row may belong to several classes, or to none, make the Network with "
                "output='sigmoid' and use loss='bce'"
            )
        raise ValueError(
            f"{name} has probabilities that sum to {sums[i]:.6g} at row {table.first + rows[i]}, "
            f"expected a sum of 1 within {SUM_TOLERANCE}: {remedy}"
        )


def _first(table: Table, rows: Rows, bad: Array) -> tuple[Any, str]:
    """Value and place of the first bad entry among ``rows``, as the user wrote it."""
    i, column = (int(index) for index in np.argwhere(bad)[0])
    return table.array[rows[i], column], _place(table, rows, i, column)


def _place(table: Table, rows: Rows, i: int, column: int) -> str:
    name = column if table.columns is None else repr(table.columns[column])
    return f"row {table.first + rows[i]}, column {name}"


def _raise_changed(name: str, rows: Rows) -> NoReturn:
    raise ValueError(
        f"{name} had a bad value among the rows {min(rows)} to {max(rows)} when they were read, "
        f"and has none now: leave {name} as it is during a call"
    )
