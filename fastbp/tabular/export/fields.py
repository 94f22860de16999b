"""The columns that a model takes, and how each becomes inputs, as exports see them."""

from typing import NamedTuple

from ..categories import OneHot, Pair
from ..columns import Column
from ..encoder import Part, TableEncoder

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
    """The columns that are learned from."""
    found, start = [], 0
    for column, part in zip(encoder.schema.used, encoder.parts, strict=True):
        found.append(Field(column, part, start))
        start += part.width
    return found


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
