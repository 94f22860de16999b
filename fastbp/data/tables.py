"""Checks of the user's X and y, and their description for the gather.

Shapes and dtypes are checked here, before anything runs. Values are checked where they are read,
a batch at a time, because a data set may be larger than memory: check_inputs and check_targets.
"""

import ctypes
import math
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from ..common.types import Array, Floats, Rows
from ..components.losses import Loss
from ..kernels.base import codes
from ..kernels.stages.losses import SUM_TOLERANCE

MOST_EXPONENT = 60
"""Largest exponent of a row's weight, to base 2: half of single precision's."""

MOST_ROWS = 2**40
"""Most rows of a table. Only arrays with stride 0 have more; sizes derived from it fit int64."""

SUM_ROUNDING = 1e-5
"""A bound on how much the order of summation changes the sum of a row, in float32."""


class Table(NamedTuple):
    """Rows of the user's data in place; nothing is copied.

    array: (rows, columns), any strides; holds on to the memory.
    descriptor: six integers, the address of the first entry (not always a multiple of the entry's
    size), row stride and column stride in bytes, element type (kernels/base/codes.py), rows,
    columns.

    A table of targets for cross_entropy holds labels if it has one column of integers, otherwise
    probabilities.
    """

    array: Array
    descriptor: tuple[int, ...]

    def part(self, start: int, stop: int) -> "Table":
        """Its rows ``start`` to ``stop``."""
        return _table(self.array[start:stop], self.descriptor[3])

    def take(self, rows: Rows) -> "Table":
        """A copy of these rows."""
        return _table(self.array[rows], self.descriptor[3])


_CODES = {
    np.dtype(kind): code
    for kind, code in (
        (np.float16, codes.F16),
        (np.float32, codes.F32),
        (np.float64, codes.F64),
        (np.int8, codes.I8),
        (np.int16, codes.I16),
        (np.int32, codes.I32),
        (np.int64, codes.I64),
        (np.uint8, codes.U8),
        (np.uint16, codes.U16),
        (np.uint32, codes.U32),
        (np.uint64, codes.U64),
        (np.bool_, codes.U8),
    )
}
_LABEL_CODES = {dtype: code for dtype, code in _CODES.items() if dtype.kind in "iu"}
_FLOAT_CODES = {dtype: code for dtype, code in _CODES.items() if dtype.kind == "f"}


def as_inputs(X: Any, n_in: int, name: str = "X") -> Table:
    """X as a table of rows of ``n_in`` inputs.

    Float16/32/64, integers or bool, in any order and strides; what is not an array goes through
    np.asarray. ValueError for another shape and for no rows, TypeError for another dtype.
    """
    array = X if type(X) is np.ndarray else as_array(X, name)
    code = _CODES.get(array.dtype)
    shape = array.shape
    if code is None or len(shape) != 2 or shape[1] != n_in or not 0 < shape[0] <= MOST_ROWS:
        _refuse_inputs(X, array, n_in, name)
    return _table(array, code)


def as_targets(y: Any, loss: Loss, n_out: int, n_rows: int, name: str = "y") -> Table:
    """Y as a table of ``n_rows`` rows of targets for ``loss`` over ``n_out`` outputs.

    For cross_entropy integer labels (n,), which become one column, or probabilities (n, n_out);
    for the other losses (n, n_out), or (n,) if n_out is 1. ValueError for another shape,
    TypeError for another dtype.
    """
    array = y if type(y) is np.ndarray else as_array(y, name)
    flat = array.ndim == 1
    known, width = _CODES, loss.n_targets(n_out)
    if loss.takes_labels and (flat or n_out == 1):
        known, width = (_LABEL_CODES if flat else _FLOAT_CODES), 1
    code = known.get(array.dtype)
    table = array[:, None] if flat else array
    if code is None or n_rows == 0 or table.shape != (n_rows, width):
        _refuse_targets(y, array, loss, n_out, n_rows, name)
    return _table(table, code)


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
    scaled: Floats = np.ldexp(floats, -exponent) if abs(exponent) > MOST_EXPONENT else floats
    return scaled


def check_inputs(table: Table, rows: Rows, dtype: npt.DTypeLike, name: str = "X") -> None:
    """ValueError for the first entry among ``rows`` that is not finite in ``dtype``."""
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


def _table(array: Array, code: int) -> Table:
    rows, columns = array.shape
    row_stride, column_stride = array.strides
    return Table(array, (address(array), row_stride, column_stride, code, rows, columns))


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


def as_array(data: Any, name: str) -> Array:
    """``data`` through np.asarray, which keeps the memory of an array of any class.

    TypeError or ValueError for what NumPy cannot read, and for masked entries.
    """
    kind = type(data).__name__
    if hasattr(data, "tocsr"):
        raise TypeError(
            f"{name} is a sparse {kind}, expected a dense array: pass {name}.toarray(), "
            "a part of the rows at a time if it is large"
        )
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise ValueError(
            f"{name} is a masked array with masked entries, expected a value for every entry: "
            f"pass {name}.filled(value)"
        )
    try:
        return np.asarray(data)
    except MemoryError:
        raise
    except Exception as error:  # __array__ of the object may raise anything
        refusal = ValueError if isinstance(error, ValueError) else TypeError
        raise refusal(
            f"{name} is a {kind} that NumPy cannot read ({str(error) or repr(error)}): "
            "pass an array of numbers, or rows of equal length"
        ) from error


def _refuse_inputs(X: Any, array: Array, n_in: int, name: str) -> NoReturn:
    _check_dtype(X, array, name)
    _check_not_empty(array, f"(n, {n_in})", name)
    expected = f"{name} has shape {array.shape}, expected (n, {n_in}), one row a sample"
    if array.shape[1:] == (n_in,):
        raise ValueError(f"{expected}, and at most {MOST_ROWS} rows: pass a part at a time")
    if array.ndim == 1 and len(array) == n_in:
        remedy = f"for a single sample pass {name}.reshape(1, -1)"
    elif array.ndim == 1 and n_in == 1:
        remedy = f"for samples of one input pass {name}.reshape(-1, 1)"
    elif array.ndim > 2:
        remedy = f"flatten each sample, {name}.reshape(len({name}), -1)"
    elif array.ndim == 2 and len(array) == n_in:
        remedy = f"if the samples are columns pass {name}.T"
    else:
        remedy = f"the network has {n_in} inputs, so that each row must hold {n_in} numbers"
    raise ValueError(f"{expected}: {remedy}")


def _refuse_targets(
    y: Any, array: Array, loss: Loss, n_out: int, n_rows: int, name: str
) -> NoReturn:
    _check_dtype(y, array, name)
    _check_not_empty(array, _target_shape(loss, n_out, "n"), name)
    if array.ndim == 0 or len(array) != n_rows:
        raise ValueError(
            f"{name} has shape {array.shape}, expected {_target_shape(loss, n_out, n_rows)}: "
            f"there are {n_rows} rows of inputs, and each needs its target"
        )
    if loss.takes_labels and array.ndim == 1:
        raise TypeError(
            f"{name} has dtype {array.dtype} and shape {array.shape}, expected integer labels "
            f"in [0, {n_out}) or probabilities ({n_rows}, {n_out}): pass {name}.astype(np.int64)"
        )
    if loss.takes_labels and array.shape == (n_rows, n_out):
        raise TypeError(
            f"{name} has dtype {array.dtype} and one column, expected probabilities as floats or "
            f"integer labels (n,): pass {name}.astype(np.float32) or {name}[:, 0]"
        )
    raise ValueError(
        f"{name} has shape {array.shape}, expected {_target_shape(loss, n_out, n_rows)} "
        f"for loss {loss.name!r}: {_target_remedy(array, loss, n_out, name)}"
    )


def _target_shape(loss: Loss, n_out: int, n: int | str) -> str:
    if loss.takes_labels:
        return f"labels ({n},) or probabilities ({n}, {n_out})"
    width = loss.n_targets(n_out)
    return f"({n}, 1) or ({n},)" if width == 1 else f"({n}, {width})"


def _target_remedy(array: Array, loss: Loss, n_out: int, name: str) -> str:
    if array.ndim == 1 and array.dtype.kind in "iu":
        return (
            f"for class labels pass np.eye({n_out})[{name}], "
            "or use loss='cross_entropy' with output='softmax'"
        )
    if loss.takes_labels and array.ndim == 2 and array.shape[1] == 1:
        return f"for labels pass {name}[:, 0]"
    if array.ndim > 2:
        return f"flatten each row, {name}.reshape(len({name}), -1)"
    width = loss.n_targets(n_out)
    return f"the network has {n_out} outputs, so that each row must hold {width} targets"


def _check_dtype(data: Any, array: Array, name: str) -> None:
    if array.dtype in _CODES:
        return
    origin = "" if isinstance(data, np.ndarray) else f" (read from a {type(data).__name__})"
    raise TypeError(
        f"{name} has dtype {array.dtype}{origin}, expected float16, float32, float64, "
        f"an integer type or bool: {_dtype_remedy(array.dtype, name)}"
    )


def _dtype_remedy(dtype: np.dtype[Any], name: str) -> str:
    if not dtype.isnative and dtype.kind in "biuf":
        native = dtype.newbyteorder("=")
        return f"bring it to this machine's byte order, {name}.astype('{native}')"
    remedies = {
        "O": f"np.asarray({name}, dtype=np.float32), where every entry is a number",
        "c": "pass the real and the imaginary parts as columns of their own",
        "U": "encode text as numbers first",
        "S": "encode text as numbers first",
        "T": "encode text as numbers first",
        "M": f"pass numbers, ({name} - {name}.min()) / np.timedelta64(1, 's')",
        "m": f"pass numbers, {name} / np.timedelta64(1, 's')",
        "V": f"np.lib.recfunctions.structured_to_unstructured({name})",
    }
    return remedies.get(dtype.kind, f"{name}.astype(np.float64)")


def _check_not_empty(array: Array, expected: str, name: str) -> None:
    if array.size == 0:
        raise ValueError(
            f"{name} is empty, of shape {array.shape}, expected {expected}: pass at least one row"
        )


def _read(table: Table, rows: Rows, dtype: npt.DTypeLike) -> Array:
    """These rows in ``dtype``, as the gather reads them: inf where they overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return table.array[rows].astype(dtype)


def _check_finite(
    table: Table,
    rows: Rows,
    values: Array,
    name: str,
    remedy: str = "replace it or drop the row",
) -> None:
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    value, place = _first(table, rows, bad)
    if np.isfinite(value):
        raise ValueError(
            f"{name} has {value} at {place}, which is too large for {values.dtype}: "
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
    labels = table.array.dtype in _LABEL_CODES and table.array.shape[1] == 1
    if loss.takes_labels and labels:
        _check_labels(table.array[rows, 0], rows, n_out, name)
        return
    values = _read(table, rows, dtype)
    known = np.where(np.isnan(values), 0, values) if loss.ignores_nan else values
    remedy = "replace it or drop the row"
    if loss.targets == codes.UNIT:
        remedy += ", or make the Trainer with ignore_nan=True if NaN is a target not known"
    _check_finite(table, rows, known, name, remedy)
    if loss.targets == codes.COUNT:
        _check_counts(table, rows, values < 0, loss, name)
    elif loss.targets == codes.UNIT:
        _check_range(table, rows, (values < 0) | (values > 1), loss, name)
    elif loss.targets == codes.CLASS:
        _check_not_negative(table, rows, values < 0, name)
        _check_sums(values.sum(axis=1, dtype=np.float64), rows, tolerance, name)


def _check_labels(labels: Array, rows: Rows, n_out: int, name: str) -> None:
    bad = (labels < 0) | (labels >= n_out)
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(
            f"{name} has label {labels[i]} at row {rows[i]}, but the network has {n_out} "
            f"outputs: labels must lie in [0, {n_out})"
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


def _check_sums(sums: Array, rows: Rows, tolerance: float, name: str) -> None:
    bad = np.abs(sums - 1) > tolerance
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(
            f"{name} has probabilities that sum to {sums[i]:.6g} at row {rows[i]}, expected a sum "
            f"of 1 within {SUM_TOLERANCE}: divide each row by its sum, {name} / "
            f"{name}.sum(axis=1, keepdims=True)"
        )


def _first(table: Table, rows: Rows, bad: Array) -> tuple[Any, str]:
    """Value and place of the first bad entry among ``rows``, as the user wrote it."""
    i, column = (int(index) for index in np.argwhere(bad)[0])
    return table.array[rows[i], column], f"row {rows[i]}, column {column}"


def _raise_changed(name: str, rows: Rows) -> NoReturn:
    raise ValueError(
        f"{name} had a bad value among the rows {min(rows)} to {max(rows)} when they were read, "
        f"and has none now: leave {name} as it is during a call"
    )
