"""The columns that a model takes, and how each becomes inputs, as exports see them."""

from typing import NamedTuple

from ..categories import OneHot, Pair
from ..columns import Column
from ..dates import Date
from ..encoder import Part, TableEncoder
from ..numbers import Number
from ..scales import SCALES, Piecewise, Robust

BOOLEANS = {"false": 0, "true": 1}
"""The levels of a boolean column, and the numbers that stand for them."""


class Field(NamedTuple):
    """A column: what it is, its inputs, and the number of the first of them."""

    column: Column
    part: Part
    start: int

    @property
    def is_bool(self) -> bool:
        """Whether the column is boolean and had no missing value in training."""
        return self.column.kind == "boolean" and not self.column.missing


def fields_of(encoder: TableEncoder) -> list[Field]:
    """The columns that are learned from. ValueError for a scale that has no form elsewhere."""
    found, start = [], 0
    for column, part in zip(encoder.schema.used, encoder.parts, strict=True):
        _check(column, part)
        found.append(Field(column, part, start))
        start += part.width
    return found


def _check(column: Column, part: Part) -> None:
    number = part.year if isinstance(part, Date) else part
    if isinstance(number, Number) and not isinstance(number.scale, Robust | Piecewise | None):
        name = next(name for name, kind in SCALES.items() if isinstance(number.scale, kind))
        raise ValueError(  # noqa: TRY004 - its scale is a choice, and no type of a caller's
            f"column {column.name!r} is encoded by numbers={name!r}, which only fastbp computes: "
            "train with a preset, whose scales 'robust' and 'piecewise' can be written"
        )


def places(part: Pair | OneHot) -> tuple[dict[str, int], int, int]:
    """(the place of each level, of other levels, of a missing one) of a column of categories.

    A place of ``OneHot`` is the input that is 1, -1 for none. Of ``Pair``, a level is 0 or 1,
    another one -1 and a missing one -2.
    """
    levels = {level: place for place, level in enumerate(part.levels)}
    if isinstance(part, Pair):
        return levels, -1, -2
    others = len(part.levels) if part.rare else -1
    return levels, others, part.width - 1 if part.missing else -1
