"""Importance by permutation: how much worse a model predicts where a column is shuffled."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

WORK = 1.5e11
"""Multiplications that all predictions may take: some seconds on two cores."""

CELLS = 1e8
"""Entries of tables that all predictions may encode: some seconds."""

FEWEST, MOST = 200, 3000
"""Rows that are shuffled."""


class Importance(NamedTuple):
    """Of one column: mean and standard deviation of the rise of the error over the shuffles."""

    column: str
    mean: float
    std: float


def importances(
    error: Callable[[Any], float],
    table: Any,
    columns: Sequence[str],
    *,
    repeats: int = 5,
    seed: int = 0,
) -> list[Importance]:
    """The rise of the error for each column, the largest first.

    The definition is that of scikit-learn's ``permutation_importance`` (Breiman, 2001) with the
    negative error as the score, and so are the shuffles for an integer ``random_state``.

    Args:
        error: function of a table; smaller is better.
        table: pyarrow Table.
        columns: names of columns of the table.
        repeats: number of shuffles of each column.
        seed: integer from which the shuffles follow; all columns have the same ones.

    >>> import pyarrow as pa
    >>> from fastbp.command.permutation import importances
    >>> table = pa.table({"a": [1.0, 2.0, 3.0], "b": [4.0, 4.0, 5.0]})
    >>> error = lambda t: float(np.ptp(np.subtract(t["a"], [1, 2, 3])))
    >>> [one.column for one in importances(error, table, ["b", "a"])]
    ['a', 'b']

    """
    whole = table.combine_chunks()
    base = error(whole)
    start = np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1)
    found = []
    for column in columns:
        shuffled = _shuffled(whole, column, repeats, np.random.RandomState(start))
        rises = [error(each) - base for each in shuffled]
        found.append(Importance(column, float(np.mean(rises)), float(np.std(rises))))
    return sorted(found, key=lambda one: -one.mean)


def _shuffled(
    table: Any, column: str, repeats: int, random: np.random.RandomState
) -> Iterator[Any]:
    """The table with one column shuffled, and shuffled again: as scikit-learn does."""
    place = table.column_names.index(column)
    order = np.arange(table.num_rows)
    values = table.column(place)
    for _ in range(repeats):
        random.shuffle(order)
        values = values.take(order)
        yield table.set_column(place, table.field(place), values)


def n_rows(n: int, n_columns: int, n_parameters: int, repeats: int = 5) -> int:
    """How many of n rows to shuffle, so that it takes some seconds. It depends on sizes alone."""
    predictions = repeats * max(n_columns, 1)
    by_work = WORK / (predictions * max(n_parameters, 1))
    by_cells = CELLS / (predictions * max(n_columns, 1))
    return min(n, int(np.clip(min(by_work, by_cells), FEWEST, MOST)))
