"""The rows that a report is about: a table, what is true for each row, and weights."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from ..common.types import Array, Floats
from ..data.tables import as_row_weights
from ..tabular import targets
from .remembered import Remembered


@dataclass(frozen=True)
class Rows:
    """Rows with a target and a weight.

    Attributes:
        table: pyarrow Table of n rows.
        y: codes (n,) of classes, or float64 targets (n, k).
        weights: (n,), above 0; all 1 where none were given.
        is_weighted: whether some were given.
        left_out: how many rows had no target, or a weight of 0.
        targets: names (k,) of the targets of a regression.
        drawn_from: how many rows there were, where these were drawn by chance; else 0.

    """

    table: Any
    y: Array
    weights: Floats
    is_weighted: bool
    left_out: int
    targets: tuple[str, ...]
    drawn_from: int = 0

    def some(self, most: int) -> Self:
        """At most ``most`` of the rows, drawn with a fixed seed, in their order."""
        n = len(self.y)
        if n <= most:
            return self
        kept = np.sort(np.random.default_rng(0).choice(n, most, replace=False))
        return replace(
            self, table=self.table.take(kept), y=self.y[kept], weights=self.weights[kept]
        )


def read(model: Any, table: Any, y: Any, weights: Any) -> Rows:
    """The rows with a target and a weight. ValueError or TypeError, which name y or weights."""
    known_y, known, names = (_labels if hasattr(model, "classes_") else _numbers)(model, y)
    n = len(known)
    if n != table.num_rows:
        raise ValueError(
            f"y has {n} rows and the table has {table.num_rows}: it needs one for each"
        )
    given = as_row_weights(weights, n, name="weights")
    w = np.ones(n) if given is None else given
    kept = known & (w > 0)
    if not kept.any():
        raise ValueError(f"none of {n} rows has a target and a weight above 0: a report needs one")
    whole = table if kept.all() else table.filter(pa.array(kept))
    left_out = int(n - kept.sum())
    return Rows(whole, known_y[kept[known]], w[kept], given is not None, left_out, names)


def _labels(model: Any, y: Any) -> tuple[Array, Array, tuple[str, ...]]:
    codes, known = model.targets_.encode(y, "y")
    return codes, known, ()


def _numbers(model: Any, y: Any) -> tuple[Array, Array, tuple[str, ...]]:
    """(the targets (k, targets) that are known, whether each row is, the names of the targets)."""
    numbers, known, _ = targets.as_numbers(y, "y")
    k = numbers.shape[1]
    if k != model.targets_.n_outputs:
        raise ValueError(f"y has {k} targets, and the model predicts {model.targets_.n_outputs}")
    return numbers, known, _names(model, y, k)


def _names(model: Any, y: Any, k: int) -> tuple[str, ...]:
    """Of the targets: those of a table, those of training, or numbers."""
    for names in (getattr(y, "column_names", ()), Remembered.of(model).targets):
        if len(names) == k:
            return tuple(names)
    return tuple(f"target {i}" for i in range(1, k + 1))
