"""The rows that ``fastbp train`` learns from, and those that it validates by."""

from argparse import Namespace
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..common.types import Array
from . import arrow, predictions, remembered, rows, stored, target
from .errors import DataError, UsageError
from .messages import count, say
from .reading import TableFile, check_column, open_table
from .remembered import Remembered
from .target import CLASSIFICATION, Task


class Rows(NamedTuple):
    """A pyarrow Table, the targets of its rows, and their weights, or None for 1."""

    X: Any
    y: Any
    weights: Array | None

    def only(self, kept: Array, folder: Path) -> "Rows":
        """The rows for which ``kept`` is True; the table is one of ``stored.table_of``."""
        X = stored.table_of(stored.parts_of(self.X, kept), folder)
        y = self.y[kept] if isinstance(self.y, np.ndarray) else stored.only(self.y, kept)
        return Rows(X, y, None if self.weights is None else self.weights[kept])

    @property
    def given(self) -> tuple[Any, ...]:
        """As ``validation_data``."""
        return (self.X, self.y) if self.weights is None else tuple(self)


class Found(NamedTuple):
    """What the options lead to.

    source: the name of the file. train, validation: the rows, validation None where each network
    holds rows out. memory: what the model remembers of the file.
    """

    source: str
    task: Task
    train: Rows
    validation: Rows | None
    memory: Remembered


class _Columns(NamedTuple):
    """The columns with the targets, and the one with weights, or None."""

    targets: list[str]
    weight: str | None

    @property
    def all(self) -> list[str]:
        return [*self.targets, *([] if self.weight is None else [self.weight])]


def read(options: Namespace, given: Mapping[str, Any], folder: Path) -> Found:
    """Read the file, and say what is in it.

    given: the arguments of the estimator. folder: for files of rows.
    """
    columns = _Columns(options.target, getattr(options, "weight", None))
    file = open_table(options.data, options, keep=folder)
    _check_columns(file, columns, given)
    kinds = given.get("kinds")
    kinds = kinds if isinstance(kinds, dict) else {}
    as_text = [name for name in file.names if kinds.get(name) == "category"]  # 007 is not 7
    given_types = dict.fromkeys(as_text, arrow.module("pyarrow").string())
    table = _table(file, given_types, columns, getattr(options, "seed", 0), folder)
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    with predictions.naming(file.source.name, 0):
        task = target.choose(getattr(options, "task", None) or "auto", table, columns.targets)
        say(f"target {', '.join(columns.targets)}: {task.name}, because {task.why}{task.remedy}")
        _check_types(table, {*columns.all, *given.get("drop", ())})
        data = _rows(table, columns, task)
    train, validation = _validated(data, task, columns, types, options, folder)
    memory = Remembered(
        targets=columns.targets,
        columns=list(file.names),
        types={name: str(kind) for name, kind in types.items()},
        has_header=not getattr(options, "no_header", False),
    )
    return Found(file.source.name, task, train, validation, memory)


def _check_columns(file: TableFile, columns: _Columns, given: Mapping[str, Any]) -> None:
    """DataError or UsageError unless the file has the columns that the options name."""
    names, weight, drop = columns.targets, columns.weight, given.get("drop", ())
    for name in names:
        check_column(file, name, "--target")
    if len(set(names)) < len(names):
        raise UsageError("--target has the same column twice")
    if weight is not None:
        check_column(file, weight, "--weight")
    for name in drop:
        check_column(file, name, "--drop")
    for name in {weight, *drop} & set(names):
        raise UsageError(f"{name!r} is the target, and cannot be a weight or be dropped as well")


def _table(
    file: TableFile, given: Mapping[str, Any], columns: _Columns, seed: int, folder: Path
) -> Any:
    """The rows of the file that are learned from. given: the types of some columns."""
    table, n = file.table(given, folder, seed)
    shape = f"{count(n, 'row')}, {count(len(file.names), 'column')}"
    say(f"{file.source.name}: {file}, {shape}")
    if not n:
        raise DataError(f"{file.source.name} has a header, and no rows to learn from")
    if n > stored.MOST_ROWS:
        say(f"about {count(stored.MOST_ROWS, 'row')} of them, drawn by chance, are learned from")
    with predictions.naming(file.source.name, 0):
        known, missing = _known(table, columns, folder)
    if missing == table.num_rows:
        name = columns.targets[0]
        raise DataError(f"{file.source.name}: target {name!r} has no value in any row")
    if missing:
        say(f"{count(missing, 'row')} without a target left out")
    if not known.num_rows:
        raise DataError(f"{file.source.name} has no row with a target and a weight above 0")
    return known


def _known(table: Any, columns: _Columns, folder: Path) -> tuple[Any, int]:
    """(the rows with a target and a weight above 0, how many have no target)."""
    known = target.known_rows(table, columns.targets)
    kept = known.copy()
    if columns.weight is not None:
        weights = stored.only(table.select([columns.weight]), known)
        kept[known] = target.weights_of(weights, columns.weight) > 0
    missing = len(known) - int(known.sum())
    if kept.all():
        return table, missing
    return stored.table_of(stored.parts_of(table, kept), folder), missing


def _check_types(table: Any, no_inputs: Collection[str]) -> None:
    """DataError where an input has several values in a row."""
    from ..tabular import values

    for name, kind in zip(table.schema.names, table.schema.types, strict=True):
        if name not in no_inputs and values.natural_kind(kind) is None:
            raise DataError(
                f"column {name!r} has type {kind}, which holds several values in a row: make a "
                f"column of each, or leave it out by --drop={name}"
            )


def _rows(table: Any, columns: _Columns, task: Task) -> Rows:
    weights = None if columns.weight is None else target.weights_of(table, columns.weight)
    inputs = [name for name in table.column_names if name not in columns.all]
    if not inputs:
        raise DataError("there is no column besides the target: there is nothing to learn from")
    return Rows(table.select(inputs), target.values(table, columns.targets, task.name), weights)


def _validated(
    data: Rows,
    task: Task,
    columns: _Columns,
    types: Mapping[str, Any],
    options: Namespace,
    folder: Path,
) -> tuple[Rows, Rows | None]:
    """The rows to train on, and those to validate by.

    types: of the columns of the file that is learned from.
    """
    share, path = getattr(options, "split", None), getattr(options, "valid", None)
    if share is not None:
        labels = _codes(data.y) if task.name == CLASSIFICATION else None
        is_held = np.zeros(len(data.y), bool)
        is_held[rows.split(labels, len(data.y), share, getattr(options, "seed", 0))[1]] = True
        return data.only(~is_held, folder), data.only(is_held, folder)
    if path is None:
        return data, None
    file = open_table(path, options, keep=folder)
    for name in columns.all:
        check_column(file, name, "the column")
    as_learned = {
        name: remembered.as_read(kind) for name, kind in types.items() if name in file.names
    }
    if task.name == CLASSIFICATION:
        as_learned[columns.targets[0]] = types[columns.targets[0]]
    table, _ = file.table(as_learned, folder, getattr(options, "seed", 0))
    with predictions.naming(file.source.name, 0):
        table, _ = _known(table, columns, folder)
    if not table.num_rows:
        raise DataError(f"{file.source.name} has no row with a target to validate by")
    say(f"{file.source.name}: {file}, {count(table.num_rows, 'row')} to validate by")
    with predictions.naming(file.source.name, 0):
        return data, _rows(table, columns, task)


def _codes(labels: Any) -> Array:
    """A number for each label, alike for equal ones."""
    if isinstance(labels, np.ndarray):
        return np.asarray(np.unique(labels, return_inverse=True)[1])
    return np.asarray(labels.combine_chunks().dictionary_encode().indices)
