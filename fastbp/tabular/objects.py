"""Columns of Python's objects of several types, as text."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from ..common.types import Array

SINGLE = (
    *(str, bytes, bool, np.bool_, Real, Decimal, UUID),
    *(dt.date, dt.time, dt.timedelta, np.datetime64, np.timedelta64),
)
"""Types whose values are one value of a table."""


def text_of_objects(values: Iterable[Any], mask: Array | None, what: str) -> pa.Array:
    """The objects as text; null where one is missing, or where the mask is true.

    Objects in memory have no faster way than one by one. TypeError, which begins with ``what``, for
    an object that is no single value.
    """
    hidden = iter(()) if mask is None else iter(mask.tolist())
    texts = [None if next(hidden, False) or _is_missing(v) else v for v in values]
    for row, value in enumerate(texts):
        if value is not None and not isinstance(value, SINGLE):
            raise TypeError(
                f"{what} with {value!r:.80} at row {row}, of type {type(value).__name__}, expected "
                "one value in each row: numbers, text, bool or dates"
            )
    return pa.array([None if v is None else _text(v) for v in texts], pa.large_string())


def _is_missing(value: Any) -> bool:
    """Whether it is None, NaN, or pandas' or NumPy's NaT or NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.generic | Decimal) and bool(value != value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
