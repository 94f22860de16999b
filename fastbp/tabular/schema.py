"""The columns of the table that was learned from, and other tables brought into their form."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import pyarrow as pa

from ..common import registry, suggestions
from ..storage import tree_codec
from . import columns, inference
from .columns import DROPPED, READ_AS, Column

MOST_SHOWN = 10


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in its order, and what each is read as.

    >>> from fastbp.tabular.frames import as_table
    >>> from fastbp.tabular.schema import Schema
    >>> table = as_table({"age": [31, 45, 31], "site": ["a", "a", "a"], "ill": [True, False, None]})
    >>> schema = Schema.infer(table)
    >>> schema.describe()
    ['age: number', "site: dropped, constant: always 'a'", 'ill: boolean, 1 value missing']
    >>> schema.check(as_table({"ill": ["true"], "age": [50], "more": [1]})).to_pylist()
    [{'age': 50.0, 'ill': True}]

    """

    columns: tuple[Column, ...]

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that are not dropped."""
        return tuple(column for column in self.columns if column.kind != DROPPED)

    @classmethod
    def infer(
        cls, table: pa.Table, *, drop: Iterable[str] = (), kinds: Mapping[str, str] | None = None
    ) -> Self:
        """What each column of a table is.

        Args:
            table: of at least one row.
            drop: names of columns to leave out.
            kinds: kind of columns by name, where it should not be found out: "number", "boolean",
                "category" or "date". Such a column is still dropped where it is constant or has
                nothing to learn from.

        Raises:
            ValueError: the table has no rows, a name is not there, a column is not of the kind that
                is asked for, or no column is left.
            TypeError: a column has several values in a row, or an argument is of another type.

        """
        out, asked = _as_names(drop, table), _as_kinds(kinds, table)
        if not table.num_rows:
            raise ValueError("X has no rows, expected at least one")
        found = tuple(
            Column(name, DROPPED, "left out by drop")
            if name in out
            else inference.column_of(name, table.column(i), asked.get(name))
            for i, name in enumerate(table.column_names)
        )
        schema = cls(found)
        if not schema.used:
            reasons = _listed([f"{column.name!r}: {column.why}" for column in found])
            raise ValueError(
                f"X has {table.num_rows} row{'s' if table.num_rows > 1 else ''} and no column to "
                f"learn from ({reasons}): pass columns whose values differ from row to row"
            )
        return schema

    def check(self, table: pa.Table, name: str = "X", first: int = 0) -> pa.Table:
        """The learned columns of a table, in the learned order and types.

        Args:
            table: has the columns of ``used``, in any order; others are ignored.
            name: what errors call it.
            first: the number of its first row in errors.

        Returns:
            Numbers as float64, NaN where missing; bool; text as a dictionary of large_string;
            dates as timestamp[s]; null where missing.

        Raises:
            ValueError: a column is not there, or has a value that cannot be read as learned.

        """
        self._check_names(table.column_names, name)
        arrays = []
        for column in self.used:
            with columns.naming(name, column.name, column.kind, column.form, first):
                arrays.append(column.read(table.column(column.name)))
        return pa.Table.from_arrays(arrays, names=[column.name for column in self.used])

    def _check_names(self, names: list[str], table: str) -> None:
        there = set(names)
        missing = [column.name for column in self.used if column.name not in there]
        if missing:
            near = suggestions.meant(missing[0], names)
            raise ValueError(
                f"{table} lacks {_listed(map(repr, missing))}, which the model learned from"
                + (f"; it has {near!r}" if near else "")
                + ": pass a table with all of these columns, empty where nothing is known"
            )
        if len(there) < len(names):
            twice = [c.name for c in self.used if names.count(c.name) > 1]
            if twice:
                raise ValueError(f"{table} has two columns of the name {twice[0]!r}: rename one")

    def describe(self) -> list[str]:
        """One line for each column: its kind, and the reason where it is not plain."""
        return [column.describe() for column in self.columns]

    def to_dict(self) -> dict[str, Any]:
        """The schema as JSON."""
        return {"columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """The schema that ``to_dict`` gave; ValueError for anything else."""
        found = tuple(map(columns.from_dict, tree_codec.get(state, "columns", list)))
        if len({column.name for column in found}) < len(found):
            raise ValueError("two columns have the same name")
        return cls(found)


def _as_names(drop: Iterable[str], table: pa.Table) -> set[str]:
    if isinstance(drop, str) or not isinstance(drop, Iterable):
        raise TypeError(f"drop is {drop!r}, expected a list of names of columns: [{str(drop)!r}]")
    names = list(drop)
    _check_known(names, table, "drop")
    return set(names)


def _as_kinds(kinds: Mapping[str, str] | None, table: pa.Table) -> Mapping[str, str]:
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        raise TypeError(
            f"kinds is a {type(kinds).__name__}, expected a dict like {{'zip code': 'category'}}"
        )
    _check_known(list(kinds), table, "kinds")
    for name, kind in kinds.items():
        registry.lookup(READ_AS, kind, f"kinds[{name!r}]")
    return kinds


def _check_known(names: list[Any], table: pa.Table, argument: str) -> None:
    for name in names:
        if name not in table.column_names:
            near = suggestions.meant(name, table.column_names) if isinstance(name, str) else None
            raise ValueError(
                f"{argument} has {name!r}, which is no column of X: "
                + (f"did you mean {near!r}? " if near else "")
                + f"it has {_listed(map(repr, table.column_names))}"
            )


def _listed(texts: Iterable[str]) -> str:
    """The first of the texts, and how many more."""
    all_ = list(texts)
    more = [f"and {len(all_) - MOST_SHOWN} more"] * (len(all_) > MOST_SHOWN)
    return ", ".join([*all_[:MOST_SHOWN], *more])
