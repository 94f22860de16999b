"""Rows to test an export by: of every kind of value that a column may have, drawn from its encoder.

No row of the data is in a model, nor is one needed.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ..categories import OneHot, Pair
from ..dates import Date
from ..numbers import Number
from .fields import Field

Row: TypeAlias = list[Any]
"""A value for each field: a float, a text, a bool, or seconds since 1970; None if missing."""

UNKNOWN = "a level that no training has seen"
SECONDS_OF_A_YEAR = 365.2425 * 86_400
EARLIEST, LATEST = 1700.0, 2250.0
"""Years of dates that are drawn: pyarrow writes others in fewer forms."""

TYPES = {
    "number": pa.float64(),
    "category": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.timestamp("s"),
}


def rows(fields: Sequence[Field], count: int, seed: int = 0) -> list[Row]:
    """Rows by chance. The first has nothing but missing values, the second unknown levels."""
    rng = np.random.default_rng(seed)
    drawn = [[_value(field, rng) for field in fields] for _ in range(count)]
    drawn[0] = [None] * len(fields)
    drawn[1] = [UNKNOWN if f.column.kind == "category" else _value(f, rng) for f in fields]
    return drawn


def table(fields: Sequence[Field], rows: Sequence[Row]) -> pa.Table:
    """The rows as a table that the model reads."""
    columns = list(zip(*rows, strict=True))
    arrays = [
        pa.array(values, TYPES[field.column.kind])
        for field, values in zip(fields, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[field.column.name for field in fields])


def _value(field: Field, rng: np.random.Generator) -> Any:
    if rng.random() < 0.1:
        return None
    part = field.part
    if isinstance(part, Number):
        return _number(part, rng)
    if isinstance(part, Date):
        year = min(max(_number(part.year, rng, spread=0.2), EARLIEST), LATEST)
        return int((year - 1970) * SECONDS_OF_A_YEAR)
    if field.column.kind == "boolean":
        return bool(rng.random() < 0.5)
    return _level(part, rng)


def _number(part: Number, rng: np.random.Generator, spread: float = 1.0) -> float:
    """Within the numbers of training, an end of a bin, or beyond them."""
    if spread == 1.0 and rng.random() < 0.05:
        return float(rng.choice([1e302, -1e302, part.low, part.high]))
    size = (part.high - part.low) or 1.0
    return float(part.low + size * rng.uniform(-0.1 * spread, 1 + 0.1 * spread))


def _level(part: Pair | OneHot, rng: np.random.Generator) -> str:
    if not part.levels or rng.random() < 0.1:
        return UNKNOWN
    return str(part.levels[rng.integers(len(part.levels))])
