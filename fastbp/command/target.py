"""The column to predict: which task it is, and its values."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..common.types import Array
from . import arrow
from .errors import DataError
from .messages import count

CLASSIFICATION, REGRESSION = "classification", "regression"
MOST_CLASSES, ROWS_OF_A_CLASS = 20, 5
"""Whole numbers are classes where they have at most so many values, each in so many rows."""

FEW_ROWS = 20
"""Of fewer, text may be any number of classes."""


class Task(NamedTuple):
    """What is to be learned: the task, why it was chosen, and how to choose the other one."""

    name: str
    why: str
    remedy: str = ""


def known_rows(table: Any, names: Sequence[str]) -> Array:
    """Whether each row has a value in all of these columns."""
    known = np.ones(table.num_rows, bool)
    for name in names:
        known &= ~_missing(plain(table.column(name)))
    return known


def plain(column: Any) -> Any:
    """The column without a dictionary; decimals as float64."""
    pa, types = arrow.module("pyarrow"), arrow.module("pyarrow.types")
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.float64()) if types.is_decimal(column.type) else column


def choose(wish: str, table: Any, names: Sequence[str]) -> Task:
    """The task for these targets, whose rows are all known.

    wish: "auto", or the task that the user wants. DataError where the targets do not go with it.
    """
    columns = [plain(table.column(name)) for name in names]
    kinds = [_kind(column, name) for column, name in zip(columns, names, strict=True)]
    if len(names) > 1:
        return _of_several(wish, names, kinds)
    (column,), (kind,), (name,) = columns, kinds, names
    distinct = arrow.module("pyarrow.compute").count_distinct(column).as_py()
    task = Task(wish, "it was asked for")
    if wish == "auto":
        if kind == "text":
            _check_repeats(column, name, distinct)
        task = _inferred(kind, distinct, len(column))
    if task.name == CLASSIFICATION and kind == "fractions":
        raise DataError(
            f"target {name!r} has numbers with fractions, which are no classes: give "
            "--task regression"
        )
    if task.name == REGRESSION and kind == "text":
        text = f"text such as {_no_number(column)}" if _is_text(column.type) else "true and false"
        raise DataError(
            f"target {name!r} has {text}, expected numbers for a regression: leave it empty where "
            "it is not known, or give --task classification"
        )
    if distinct < 2:
        value = column[0].as_py() if len(column) else None
        raise DataError(
            f"target {name!r} has the value {value!r:.80} in {count(len(column), 'row')}, and no "
            "other: there is nothing to learn"
        )
    return task


def values(table: Any, names: Sequence[str], task: str) -> Any:
    """The targets as an array: labels (n,); numbers (n,), or (n, targets) of several columns.

    Labels that are text stay a column of pyarrow.
    """
    pa = arrow.module("pyarrow")
    columns = [plain(table.column(name)) for name in names]
    if task == REGRESSION:
        numbers = [_as_array(column.cast(pa.float64())) for column in columns]
        return numbers[0] if len(names) == 1 else np.stack(numbers, axis=1)
    (column,) = columns
    if arrow.module("pyarrow.types").is_floating(column.type):  # whole ones, beside missing ones
        column = column.cast(pa.int64())
    return column if _is_text(column.type) else _as_array(column)


def weights_of(table: Any, name: str) -> Array:
    """The weights of the rows, (n,) float64. DataError for what is no weight."""
    column = plain(table.column(name))
    types = arrow.module("pyarrow.types")
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise DataError(f"weight {name!r} has {_called(column.type)}, expected numbers")
    found = _as_array(column.cast(arrow.module("pyarrow").float64()))
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        raise DataError(
            f"weight {name!r} is {found[wrong[0]]} in one of its rows, expected a number of 0 or "
            "more"
        )
    return found


def _check_repeats(column: Any, name: str, distinct: int) -> None:
    """DataError for text that hardly repeats, as where numbers are written in another way."""
    if len(column) >= FEW_ROWS and 2 * distinct > len(column):
        raise DataError(
            f"target {name!r} has text such as {_no_number(column)}, {distinct:,} different ones "
            f"in {len(column):,} rows, which are hardly classes: write all numbers like 1234.5, "
            "or give --task classification"
        )


def _no_number(column: Any) -> str:
    """The first text that is no number, for a message."""
    from ..tabular.values import NUMBER

    compute = arrow.module("pyarrow.compute")
    first = compute.index(compute.match_substring_regex(column, NUMBER), False).as_py()
    return f"{column[max(first, 0)].as_py()!r:.80}"


def _of_several(wish: str, names: Sequence[str], kinds: Sequence[str]) -> Task:
    for name, kind in zip(names, kinds, strict=True):
        if kind == "text" or wish == CLASSIFICATION:
            raise DataError(
                f"there are {len(names)} targets, which must all be numbers of a regression, and "
                + (f"{name!r} has text" if kind == "text" else "--task is classification")
                + ": train a model for each"
            )
    return Task(REGRESSION, f"there are {len(names)} targets")


def _inferred(kind: str, distinct: int, n: int) -> Task:
    if kind == "text":
        return Task(CLASSIFICATION, f"the target has {count(distinct, 'different value')}")
    if kind == "whole":
        few = distinct <= MOST_CLASSES and distinct * ROWS_OF_A_CLASS <= n
        if few or distinct == 2:
            why = f"the target has {distinct} different whole numbers"
            return Task(CLASSIFICATION, why, " (--task regression for numbers)")
    other = " (--task classification for classes)" if kind == "whole" else ""
    return Task(REGRESSION, f"the target has {count(distinct, 'different number')}", other)


def _kind(column: Any, name: str) -> str:
    """text, bool among it, "whole" numbers or numbers with "fractions"."""
    types, kind = arrow.module("pyarrow.types"), column.type
    if types.is_boolean(kind) or _is_text(kind):
        return "text"
    if types.is_integer(kind):
        return "whole"
    if types.is_floating(kind):
        numbers = _as_array(column)
        _check_finite(numbers, name)
        return "whole" if (numbers == np.round(numbers)).all() else "fractions"
    if types.is_null(kind):
        raise DataError(f"target {name!r} has no value in any row")
    raise DataError(
        f"target {name!r} has {_called(kind)}, expected numbers, text or true and false"
    )


def _is_text(kind: Any) -> bool:
    types = arrow.module("pyarrow.types")
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _check_finite(numbers: Array, name: str) -> None:
    endless = np.flatnonzero(np.isinf(numbers))
    if len(endless):
        raise DataError(
            f"target {name!r} is {numbers[endless[0]]} in one of its rows, expected finite numbers"
        )


def _called(kind: Any) -> str:
    is_date = arrow.module("pyarrow.types").is_temporal(kind)
    return "dates or times" if is_date else f"values of type {kind}"


def _missing(column: Any) -> Array:
    compute = arrow.module("pyarrow.compute")
    return _as_array(compute.is_null(column, nan_is_null=True))


def _as_array(column: Any) -> Array:
    return np.asarray(column.to_numpy())
