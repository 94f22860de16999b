"""Columns of a table as ONNX: a graph's inputs, and formulas of what they become.

Numbers are float64, as the encoder has them; what it makes of them is rounded to float32 at last.
Operators are such as onnxruntime has in float64: cos is a sine.
"""

from collections.abc import Iterator
from math import pi
from typing import Any

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from ...common.types import Array
from ...export.onnx_formulas import Formula, Named, Z, op
from ...export.onnx_nodes import Nodes
from ...export.onnx_writer import ROWS
from ..categories import OneHot, Pair
from ..dates import DAY, FIRST_DAY, THURSDAY, Date
from ..numbers import Number
from ..scales import LARGEST_SCALED, SMOOTH_CLIP, Piecewise, Robust
from ..values import LARGEST, MISSING
from .fields import BOOLEANS, Field, places

ABOUT = {
    "number": "a number, NaN where it is missing; durations and times of day in seconds",
    "date": "seconds since 1970-01-01 00:00 by the clock of its time zone, NaN where missing",
    "category": "text without spaces around it; empty, NA or null where missing",
    "boolean": "0, 1, or NaN where missing",
}
"""What each input says of itself."""


def input_of(field: Field, name: str) -> ValueInfoProto:
    """The input (N, 1) of a column."""
    kind = {"category": TensorProto.STRING}.get(field.column.kind, TensorProto.DOUBLE)
    about = ABOUT[field.column.kind]
    if field.is_bool:
        kind, about = TensorProto.BOOL, "true or false"
    return helper.make_tensor_value_info(name, kind, [ROWS, 1], about)


def add_column(nodes: Nodes, field: Field, value: str, place: str) -> list[str]:
    """Add the nodes of a column to nodes of float64; returns its inputs as float32, in parts.

    value: the name of the graph's input. place: what the names of nodes begin with.
    """
    arrays: dict[str, Array] = {}
    formulas = list(_formulas(field, arrays))
    names = nodes.arrays(place, arrays)
    float32 = (op("Cast", formula, to=int(TensorProto.FLOAT)) for formula in formulas)
    return [nodes.add(formula, value, place, names) for formula in float32]


def _formulas(field: Field, arrays: dict[str, Array]) -> Iterator[Formula]:
    """The parts of a column's inputs; puts what they name into ``arrays``."""
    part = field.part
    if isinstance(part, Number):
        yield from _number(part, Z, arrays)
    elif isinstance(part, Date):
        yield from _date(part, arrays)
    elif field.column.kind == "boolean":
        yield from _boolean(part, arrays)
    else:
        yield from _category(part, arrays)


# Numbers


def _number(part: Number, x: Formula, arrays: dict[str, Array]) -> Iterator[Formula]:
    finite = op("Min", op("Max", x, part.low), part.high)
    finite = op("Where", op("Greater", op("Abs", x), LARGEST), finite, x)
    usable = op("Where", op("IsNaN", x), part.median, finite)
    if isinstance(part.scale, Robust):
        yield _robust(part.scale, usable)
    elif isinstance(part.scale, Piecewise):
        edges = part.scale.edges
        arrays |= {"edges": edges[:-1], "widths": np.diff(edges)}
        share = op("Div", op("Sub", usable, Named("edges")), Named("widths"))
        yield op("Min", op("Max", share, 0.0), 1.0)
    if part.missing:
        yield op("IsNaN", x)


def _robust(scale: Robust, x: Formula) -> Formula:
    s: Formula = op("Div", op("Sub", x, scale.median), scale.divisor)
    s = op("Min", op("Max", s, -LARGEST_SCALED), LARGEST_SCALED)
    third = op("Div", s, SMOOTH_CLIP)
    return op("Div", s, op("Sqrt", op("Add", op("Mul", third, third), 1.0)))


# Dates


def _date(part: Date, arrays: dict[str, Array]) -> Iterator[Formula]:
    seconds = op("Floor", Z)
    year = _year(seconds)
    yield from _number(part.year, year, arrays)
    phases: dict[str, Formula] = {
        "month": op("Sub", year, op("Floor", year)),
        "weekday": _rest(op("Add", _days(seconds), float(THURSDAY)), 7.0),
        "hour": _rest(seconds, float(DAY)),
    }
    for cycle in part.cycles:
        angle = op("Mul", phases[cycle], 2 * pi)
        for turned in (angle, op("Add", angle, 0.5 * pi)):
            yield op("Where", op("IsNaN", Z), 0.0, op("Sin", turned))


def _days(seconds: Formula) -> Formula:
    return op("Floor", op("Div", seconds, float(DAY)))


def _rest(x: Formula, period: float) -> Formula:
    """The share of a period that has passed."""
    whole = op("Mul", op("Floor", op("Div", x, period)), period)
    return op("Div", op("Sub", x, whole), period)


def _year(seconds: Formula) -> Formula:
    """The year with the fraction that has passed, by the Gregorian calendar."""
    days = _days(seconds)
    about = op("Div", op("Add", days, float(FIRST_DAY)), 365.2425)
    year: Formula = op("Add", op("Floor", about), 1.0)  # or the one before it
    late = op("LessOrEqual", _first_day(op("Add", year, 1.0)), days)
    year = op("Add", year, op("Cast", late, to=int(TensorProto.DOUBLE)))
    begin, end = (
        op("Mul", _first_day(first), float(DAY)) for first in (year, op("Add", year, 1.0))
    )
    return op("Add", year, op("Div", op("Sub", seconds, begin), op("Sub", end, begin)))


def _first_day(year: Formula) -> Formula:
    """The first day of a year, counted from 1970-01-01."""
    before = op("Sub", year, 1.0)
    days: Formula = op("Sub", op("Mul", before, 365.0), float(FIRST_DAY))
    for period, kind in ((4.0, "Add"), (100.0, "Sub"), (400.0, "Add")):
        days = op(kind, days, op("Floor", op("Div", before, period)))
    return days


# Categories


def _category(part: Pair | OneHot, arrays: dict[str, Array]) -> Iterator[Formula]:
    levels, others, missing = places(part)
    if isinstance(part, Pair):
        yield _looked_up({level: 2.0 * place - 1.0 for level, place in levels.items()}, 0.0)
        if part.missing:
            yield _looked_up(dict.fromkeys(MISSING, 1.0), 0.0)
    else:
        known = levels | dict.fromkeys(MISSING, missing)
        yield _one_hot(_looked_up({k: float(v) for k, v in known.items()}, others), part, arrays)


def _looked_up(known: dict[str, float], other: float) -> Formula:
    """The number of each text, as float32."""
    return op(
        "ai.onnx.ml:LabelEncoder",
        Z,
        keys_strings=[*known],
        values_floats=[*known.values()],
        default_float=float(other),
    )


def _one_hot(
    place: Formula, part: OneHot, arrays: dict[str, Array], dtype: Any = np.float32
) -> Formula:
    arrays["places"] = np.arange(part.width, dtype=dtype)
    return op("Equal", place, Named("places"))


def _boolean(part: Pair | OneHot, arrays: dict[str, Array]) -> Iterator[Formula]:
    levels, others, missing = places(part)
    x = op("Cast", Z, to=int(TensorProto.DOUBLE))
    place: Formula = float(missing)
    for level, number in BOOLEANS.items():
        found = float(levels.get(level, others))
        place = op("Where", op("Equal", x, float(number)), found, place)
    if isinstance(part, OneHot):
        yield _one_hot(place, part, arrays, np.float64)
        return
    is_level = op("GreaterOrEqual", place, 0.0)
    yield op("Where", is_level, op("Sub", op("Mul", place, 2.0), 1.0), 0.0)
    if part.missing:
        yield op("IsNaN", x)
