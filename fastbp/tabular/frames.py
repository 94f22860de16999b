"""Tables of any package as tables of pyarrow.

The class of an object says which package it comes from: fastbp imports only pyarrow and NumPy.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ..common.types import Array
from . import views
from .objects import text_of_objects

Arrow: TypeAlias = "pa.Array | pa.ChunkedArray"

CANNOT_CONVERT = (
    pa.ArrowInvalid,
    pa.ArrowTypeError,
    pa.ArrowNotImplementedError,
    OverflowError,
)
"""What pyarrow raises for objects of several types."""


def as_table(X: Any, name: str = "X") -> pa.Table:
    """A table of any package as a ``pyarrow.Table``.

    Args:
        X: a DataFrame of pandas or polars, a table or record batch of pyarrow, any object with
            ``__arrow_c_stream__``, a dict of columns, a two-dimensional or structured array, a list
            of rows: sequences or dicts. Columns without names are "x0", "x1", and so on. A column
            of objects of several types becomes text: numbers without a fraction are written as
            integers, bool as "true" and "false", dates as in ISO 8601.
        name: what errors call it.

    Raises:
        TypeError: X is something else, is sparse, or has complex numbers or other objects in a
            column.
        ValueError: two columns have the same name, columns or rows have several lengths, or X has
            another number of dimensions than two.

    >>> from fastbp.tabular.frames import as_table
    >>> as_table({"age": [31, None], "town": ["Oslo", 7]}).to_pylist()
    [{'age': 31, 'town': 'Oslo'}, {'age': None, 'town': '7'}]
    >>> as_table(np.eye(2)).column_names
    ['x0', 'x1']

    """
    table = views.plain(_table_of(X, name))
    _check_names(table.column_names, name)
    return table


def _table_of(X: Any, name: str) -> pa.Table:
    if isinstance(X, pa.Table):
        return X
    if isinstance(X, pa.RecordBatch):
        return pa.Table.from_batches([X])
    _refuse(X, name)
    if _is_of("pandas", X):
        series = {j: _with_text(X.iloc[:, j]) for j in range(X.shape[1])}
        return _joined(series, map(str, X.columns), name)
    if _is_of("polars", X):
        return _table_of_polars(X, name)
    if isinstance(X, Mapping):
        return _joined(X, map(str, X), name)
    if hasattr(X, "__arrow_c_stream__"):
        return pa.table(X)
    if isinstance(X, list | tuple):
        return _table_of_rows(X, name)
    if hasattr(X, "__array__"):
        return _table_of_array(X if isinstance(X, np.ma.MaskedArray) else np.asarray(X), name)
    raise TypeError(
        f"{name} is a {type(X).__name__}, expected a table: a DataFrame of pandas or polars, a "
        "table of pyarrow, a dict of columns, a two-dimensional array, or a list of rows"
    )


def _with_text(series: Any) -> Any:
    """A column of pandas; the levels of pandas.cut are intervals, which are categories as text."""
    levels = series.cat.categories if series.dtype == "category" else None
    if levels is None or type(levels.dtype).__name__ != "IntervalDtype":
        return series
    return series.cat.rename_categories(levels.astype(str))


def _table_of_polars(X: Any, name: str) -> pa.Table:
    """Of columns of objects polars would hand out the addresses."""
    if not any(str(dtype) == "Object" for dtype in X.dtypes):
        return X.to_arrow()
    series = {one.name: one for one in X.get_columns()}
    columns = {
        key: one.to_list() if str(one.dtype) == "Object" else one.to_arrow()
        for key, one in series.items()
    }
    return _joined(columns, columns, name)


def _is_of(package: str, data: Any) -> bool:
    bases = type(data).__mro__
    return any(str(base.__module__).partition(".")[0] == package for base in bases)


def _refuse(X: Any, name: str) -> None:
    """TypeError for what looks like a table and is none."""
    if _is_of("scipy", X) and hasattr(X, "tocsr"):
        raise TypeError(
            f"{name} is a sparse {type(X).__name__}, and a table has columns of values: pass "
            f"{name}.toarray(), or train a fastbp.Network, which takes {name}.tocsr()"
        )
    if type(X).__name__ == "LazyFrame":
        raise TypeError(f"{name} is a LazyFrame, which holds no values yet: pass {name}.collect()")
    if type(X).__name__ == "Series" and (_is_of("pandas", X) or _is_of("polars", X)):
        raise TypeError(f"{name} is a Series, which is one column: pass {name}.to_frame()")
    if isinstance(X, pa.Array | pa.ChunkedArray):
        raise TypeError(f"{name} is one column of pyarrow: pass pyarrow.table({{'x': {name}}})")


def _table_of_array(array: Array, name: str) -> pa.Table:
    if array.dtype.names and array.ndim == 1:
        return _joined({key: array[key] for key in array.dtype.names}, array.dtype.names, name)
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (rows, columns): "
            f"{name}.reshape(-1, 1) is one column, {name}.reshape(1, -1) one row"
        )
    return _joined({j: array[:, j] for j in range(array.shape[1])}, None, name)


def _table_of_rows(rows: Sequence[Any], name: str) -> pa.Table:
    if not rows:
        raise ValueError(f"{name} is empty, expected rows")
    if all(isinstance(row, Mapping) for row in rows):
        keys = list(dict.fromkeys(key for row in rows for key in row))
        return _joined({key: [row.get(key) for row in rows] for key in keys}, map(str, keys), name)
    for i, row in enumerate(rows):
        if not isinstance(row, Sequence | np.ndarray) or isinstance(row, str | bytes):
            raise TypeError(
                f"{name}[{i}] is {row!r:.80}, of type {type(row).__name__}, expected a row: a list "
                "of the values of all columns"
            )
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{name}[{i}] has {len(row)} values, and {name}[0] has {len(rows[0])}: every row "
                "has a value for each column, None where it is missing"
            )
    return _joined(dict(enumerate(zip(*rows, strict=True))), None, name)


def _joined(columns: Mapping[Any, Any], names: Iterable[str] | None, name: str) -> pa.Table:
    """The table of these columns; without names they are counted."""
    titles = [f"x{j}" for j in range(len(columns))] if names is None else list(names)
    arrays = [
        _as_column(column, name, title)
        for column, title in zip(columns.values(), titles, strict=True)
    ]
    for array, title in zip(arrays, titles, strict=True):
        if len(array) != len(arrays[0]):
            raise ValueError(
                f"{name} has {len(array)} values in column {title!r}, and {len(arrays[0])} in "
                f"column {titles[0]!r}: all columns have the same length"
            )
    return pa.Table.from_arrays(arrays, names=titles)


def _as_column(values: Any, name: str, title: str) -> Arrow:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise TypeError(
            f"{name} has {values!r:.80} as column {title!r}, of type {type(values).__name__}, "
            "expected a sequence of values"
        )
    mask = None
    if isinstance(values, np.ma.MaskedArray):
        values, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
    if isinstance(values, np.ndarray):
        values = _storable(values, name, title)
    try:
        return pa.array(values, mask=mask, from_pandas=True)
    except CANNOT_CONVERT:
        if hasattr(values, "dtype") and np.asarray(values).dtype != object:  # sparse, of pandas
            return _as_column(np.asarray(values), name, title)
        return text_of_objects(values, mask, f"{name} has column {title!r}")


def _storable(array: Array, name: str, title: str) -> Array:
    """An array of a dtype that Arrow has, contiguous."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "cV" or array.ndim != 1:
        what = f"dtype {array.dtype}" if array.ndim == 1 else f"shape {array.shape}"
        raise TypeError(
            f"{name} has {what} in column {title!r}, expected one value in each row, of real "
            "numbers, bool, text or dates: make a column of each part, or leave it out"
        )
    if kind in "mM":
        unit = np.datetime_data(array.dtype)[0]
        coarse = unit not in ("s", "ms", "us", "ns", "D") or (kind == "m" and unit == "D")
        return np.ascontiguousarray(array, f"{kind}8[{'s' if coarse else unit}]")
    if kind == "f" and size not in (4, 8):
        return np.ascontiguousarray(array, np.float32 if size == 2 else np.float64)
    native = object if kind == "T" else array.dtype.newbyteorder("=")
    return np.ascontiguousarray(array, native)


def _check_names(names: Sequence[str], name: str) -> None:
    twice = [one for one in dict.fromkeys(names) if names.count(one) > 1]
    if twice:
        raise ValueError(
            f"{name} has more than one column of the name {', '.join(map(repr, twice[:10]))}: "
            "rename them, each to a name of its own"
        )
