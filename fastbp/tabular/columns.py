"""A column of a table as it was learned, and what is said of one that cannot be read so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from . import date_text, values
from .values import Unreadable

READ_AS = {
    "number": "numbers, or text that holds them",
    "boolean": "bool, 0 and 1, or text that says true and false",
    "category": "text, or what can be written as text",
    "date": "dates",
}
"""The kinds that columns are read as, and what each of them reads."""

DROPPED = "dropped"


@dataclass(frozen=True)
class Column:
    """A column of the table that was learned from.

    name: of the column. kind: one of ``READ_AS``, or "dropped". why: it was dropped, or was read in
    this way, where that is not plain. form: of dates in text, one of ``date_text.FORMS``; empty for
    others. missing: the number of its missing values.
    """

    name: str
    kind: str
    why: str = ""
    form: str = ""
    missing: int = 0

    def describe(self) -> str:
        """The column in one line.

        >>> from fastbp.tabular.columns import Column
        >>> Column("town", "category", "12 levels", missing=3).describe()
        'town: category, 12 levels, 3 values missing'

        """
        form = f"text read as {self.form}" if self.form else ""
        plural = "s" if self.missing != 1 else ""
        missing = f"{self.missing} value{plural} missing" if self.missing else ""
        said = [part for part in (self.kind, form, self.why, missing) if part]
        name = self.name if self.name and self.name.isprintable() else repr(self.name)
        return f"{name}: {', '.join(said)}"

    def read(self, column: pa.ChunkedArray) -> pa.Array:
        """The values, null or NaN where missing; Unreadable for a value of another kind.

        Float64, bool, a dictionary of large_string as of ``values.text``, or timestamp[s].
        """
        if values.natural_kind(column.type) is None:
            raise Unreadable(0, column[0].as_py() if len(column) else None)
        if self.kind == "number":
            return pa.array(values.numbers(column))
        if self.kind == "boolean":
            return values.booleans(column)
        if self.kind == "category":
            return values.text(column)
        return pa.array(values.seconds(column, self.form), pa.timestamp("s"))


@contextmanager
def naming(table: str, column: str, kind: str, form: str = "", first: int = 0) -> Iterator[None]:
    """Re-raise Unreadable as a ValueError with the names of table and column.

    first: what is added to the number of the row.
    """
    try:
        yield
    except Unreadable as error:
        how = f" written {form or date_text.ISO}" if kind == "date" else ""
        raise ValueError(
            f"{table} has {error.value!r:.80} in column {column!r} at row {first + error.row}, "
            f"expected {READ_AS[kind]}{how}, as the column was learned or asked for: mend this "
            "value, or leave it empty, which counts as missing"
        ) from None


def from_dict(state: Any) -> Column:
    """The column whose ``dataclasses.asdict`` this is; ValueError for anything else."""
    fields: dict[str, type] = {"name": str, "kind": str, "why": str, "form": str, "missing": int}
    if not isinstance(state, dict) or state.keys() != fields.keys():
        raise ValueError(f"a column is {state!r:.80}, which it cannot be")
    column = Column(**state)
    wrong = [key for key, kind in fields.items() if type(state[key]) is not kind]
    known = column.kind in (*READ_AS, DROPPED) and column.form in ("", *date_text.FORMS)
    if wrong or not known or column.missing < 0:
        raise ValueError(f"a column is {state!r:.80}, which it cannot be")
    return column
