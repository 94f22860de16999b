"""Tables of pandas, polars and pyarrow as numbers, column by column.

The class of an object says which package it comes from: fastbp imports none of them. Columns of
numbers and of bool are taken, nullable ones too, whose missing values become NaN, and pandas'
columns of objects that are all numbers or missing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ..common.types import Array

NUMBERS = "biuf"
"""The kinds of NumPy's dtypes that columns may have."""


class Package(NamedTuple):
    """How a package hands out its data. A column is what stands for a Series there."""

    columns: Callable[[Any], Sequence[Any]]
    """The columns of a table."""
    part: Callable[[Any, int, int], Any]
    """Rows start to stop, of a table or of a column."""
    kind: Callable[[Any], str]
    """The letter of NumPy's kind of a column; "O" for what has none."""
    is_missing: Callable[[Any], bool]
    """Whether a column has missing values besides NaN."""
    values: Callable[[Any], Array]
    """A column as an array, NaN for what is missing."""


class Frame(NamedTuple):
    """A table or a column of one of the packages."""

    data: Any
    package: Package
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """Of the array that holds all of it."""

    def read(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop`` as an array."""
        package = self.package
        some = package.part(self.data, start, stop)
        if len(self.shape) == 1:
            return package.values(some).astype(self.dtype, copy=False)
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        for j, column in enumerate(package.columns(some)):
            out[:, j] = package.values(column)
        return out


def as_frame(data: Any, name: str) -> Frame | None:
    """``data`` as a Frame; None where it is of another package, or an array without being copied.

    TypeError for a column of something else than numbers, which it names.
    """
    package = package_of(type(data))
    if package is None:
        return None
    if type(data).__name__ == "LazyFrame":
        raise TypeError(f"{name} is a LazyFrame, which holds no values yet: pass {name}.collect()")
    if not hasattr(data, "__len__") or _is_one_array(data):  # a single value, or NumPy's own
        return None
    names, flat = column_names(data), not _is_table(data)
    columns = [data] if flat else list(package.columns(data))
    for j, column in enumerate(columns):
        if package.kind(column) not in NUMBERS:
            place = "" if flat else f" in column {repr(names[j]) if names else j}"
            kind = getattr(column, "dtype", getattr(column, "type", "unknown"))
            raise TypeError(
                f"{name} has dtype {kind}{place}, expected numbers or bool: "
                f"{'' if flat else 'drop this column, or '}encode it as numbers first"
            )
    dtypes = [_dtype_of(package, column) for column in columns]
    shape = (len(data),) if flat else (len(data), len(dtypes))
    return Frame(data, package, shape, np.result_type(*dtypes) if dtypes else np.dtype(float))


def column_names(data: Any) -> tuple[str, ...] | None:
    """The names of the columns of a table of any package; None where not all are str."""
    if type(data) in (np.ndarray, list, tuple):
        return None
    with suppress(Exception):  # the properties of an object may raise anything
        names = getattr(data, "column_names", None)
        names = getattr(data, "columns", None) if names is None else names
        if names is not None and not isinstance(names, str):
            found = tuple(names)
            return found if found and all(isinstance(name, str) for name in found) else None
    return None


def package_of(kind: type) -> Package | None:
    """The package that a class, or one of its bases, comes from, if it is one of these."""
    for base in kind.__mro__:
        package = PACKAGES.get(str(base.__module__).partition(".")[0])
        if package is not None:
            return package
    return None


def _is_table(data: Any) -> bool:
    return hasattr(data, "columns")


def _is_one_array(data: Any) -> bool:
    """Whether it is pandas' and of one of NumPy's dtypes: np.asarray need not convert it."""
    of_columns = hasattr(data, "iloc") and _is_table(data)
    kinds = set(data.dtypes) if of_columns else {getattr(data, "dtype", None)}
    kind = kinds.pop() if len(kinds) == 1 else None
    return isinstance(kind, np.dtype) and kind.kind in NUMBERS


def _dtype_of(package: Package, column: Any) -> np.dtype[Any]:
    dtype = package.values(package.part(column, 0, 0)).dtype
    if dtype.kind != "f" and package.is_missing(column):
        return np.dtype(np.float64)
    return dtype


# pandas


def _pandas_kind(series: Any) -> str:
    if series.dtype == object:  # "f" where each value is a number, or missing
        values = np.asarray(series)[~np.asarray(series.isna())]
        return "f" if all(isinstance(value, Real | Decimal) for value in values) else "O"
    return str(getattr(series.dtype, "kind", "O"))


def _pandas_values(series: Any) -> Array:
    if series.dtype == object:
        present = ~np.asarray(series.isna())
        numbers = np.full(len(series), np.nan)
        numbers[present] = np.asarray(series)[present].astype(np.float64)
        return numbers
    kind = getattr(series.dtype, "numpy_dtype", None)  # of a nullable dtype
    if kind is None:
        return np.asarray(series)
    if not series.isna().any():
        return np.asarray(series.to_numpy(dtype=kind))
    floats = kind if kind.kind == "f" else np.float64
    return np.asarray(series.to_numpy(dtype=floats, na_value=np.nan))


# polars


def _polars_kind(series: Any) -> str:
    dtype = series.dtype
    return "f" if dtype.is_numeric() else "b" if str(dtype) == "Boolean" else "O"


def _as_numbers(values: Array) -> Array:
    """Bool with None for what is missing, and decimals, come as objects."""
    return values.astype(np.float64) if values.dtype.kind == "O" else values


# pyarrow


def _arrow_kind(column: Any) -> str:
    with suppress(NotImplementedError):  # types that pandas has not
        return str(np.dtype(column.type.to_pandas_dtype()).kind)
    return "O"


PACKAGES = {
    "pandas": Package(
        columns=lambda frame: [frame.iloc[:, j] for j in range(frame.shape[1])],
        part=lambda data, start, stop: getattr(data, "iloc", data)[start:stop],
        kind=_pandas_kind,
        is_missing=lambda series: bool(series.isna().any()),
        values=_pandas_values,
    ),
    "polars": Package(
        columns=lambda frame: frame.get_columns(),
        part=lambda data, start, stop: data.slice(start, stop - start),
        kind=_polars_kind,
        is_missing=lambda series: series.null_count() > 0,
        values=lambda series: _as_numbers(series.to_numpy()),
    ),
    "pyarrow": Package(
        columns=lambda table: table.columns,
        part=lambda data, start, stop: data.slice(start, stop - start),
        kind=_arrow_kind,
        is_missing=lambda column: column.null_count > 0,
        values=lambda column: _as_numbers(column.to_numpy(zero_copy_only=False)),
    ),
}
"""By the first name of the module of a class."""
