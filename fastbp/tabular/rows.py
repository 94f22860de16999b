"""The rows of a call that have a target and weight: a table, targets, weights."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..common.types import Array, Floats
from ..data.tables import as_row_weights
from .frames import as_table

NAMES = ("X", "y", "sample_weight")


@dataclass(frozen=True)
class Rows:
    """A table, the targets of its rows as networks learn them, and their weights, or None for 1."""

    table: pa.Table
    targets: Array
    weights: Floats | None

    def __len__(self) -> int:
        return len(self.targets)

    def only(self, kept: Array) -> "Rows":
        """The rows for which ``kept`` is True."""
        if kept.all():
            return self
        weights = None if self.weights is None else self.weights[kept]
        return Rows(self.table.filter(pa.array(kept)), self.targets[kept], weights)

    def weighed(self, factors: Floats) -> "Rows":
        """These rows with their weights times ``factors``; without those whose weight is 0."""
        weights = factors if self.weights is None else self.weights * factors
        return Rows(self.table, self.targets, weights).only(weights > 0)


def read(
    X: Any,
    sample_weight: Any,
    targets: Array,
    known: Array,
    names: tuple[str, str, str] = NAMES,
) -> Rows:
    """The rows of X that have a target and weight.

    targets: of the rows that have one. known: whether each row has one. names: of X, y and the
    weights in messages. Rows without a target are left out with a UserWarning, rows of weight 0
    without. ValueError for different numbers of rows, and where no row is left.
    """
    table = as_table(X, names[0])
    if len(known) != table.num_rows:
        raise ValueError(
            f"{names[1]} has {len(known)} rows and {names[0]} has {table.num_rows}: they must have "
            "the same"
        )
    weights = as_row_weights(sample_weight, len(known), name=names[2])
    lost = len(known) - int(known.sum())
    if lost:
        warnings.warn(
            f"{names[1]} is missing in {lost} of {len(known)} rows, which are left out",
            stacklevel=5,
        )
        table = table.filter(pa.array(known))
        weights = None if weights is None else weights[known]
    rows = Rows(table, targets, weights)
    if weights is not None:
        rows = rows.only(weights > 0)
    if not len(rows):
        raise ValueError(f"{names[0]} has no row that has a target and a weight above 0")
    return rows


def mean_square(X: Any) -> float:
    """The mean over the rows of X, an array or CSR, of the sum of the squares of a row."""
    values = X.data if hasattr(X, "tocsr") else X.reshape(-1)
    total = float(np.einsum("i,i->", values, values, dtype=np.float64))
    return total / int(X.shape[0])
