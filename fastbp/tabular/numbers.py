"""A column of numbers as inputs: missing and infinite ones first, then one of the scales."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from ..common.types import Array, Floats
from ..storage import tree_codec
from . import bins, values
from .scales import SCALES, Periodic, Piecewise, Quantile, Robust, Scale

MOST_ROWS = 1_000_000
"""Quantiles of more rows are taken from so many, drawn once by a fixed seed."""


class NumberWay(NamedTuple):
    """How numbers are encoded: the arguments of TableEncoder that are for them."""

    numbers: str
    bins: str
    n_bins: int
    sigma: float

    def fit(self, x: Floats, y: Array | None, column: int) -> Scale:
        """The scale of the finite numbers x (rows,), not all equal; y: targets of these rows."""
        if self.numbers == "robust":
            return Robust.fit(x)
        if self.numbers == "quantile":
            return Quantile.fit(x)
        if self.numbers == "periodic":
            return Periodic.fit(x, self.sigma, column)
        if self.bins == "tree" and y is not None:
            return Piecewise(bins.by_tree(x, y, self.n_bins))
        return Piecewise(bins.by_quantiles(x, self.n_bins))


@dataclass(frozen=True)
class Number:
    """The inputs of a column of numbers.

    median, low, high: of the finite numbers of training; a missing number counts as the median, an
    infinite one as the end on its side. missing: whether the last input says that the number is
    missing: where some were in training. scale: None where all numbers of training were equal.
    """

    median: float
    low: float
    high: float
    missing: bool
    scale: Scale | None

    @classmethod
    def fit(cls, x: Floats, y: Array | None, way: NumberWay, column: int) -> Self:
        """The inputs of numbers x (rows,), NaN where missing, some of them finite.

        y: (rows,) or (rows, outputs), the targets, for bins by a tree. column: the number of the
        column.
        """
        usable = ~np.isnan(x) & ~values.is_infinite(x)
        rows = _some(np.flatnonzero(usable), x)
        some = x[rows]
        low, high = float(some.min()), float(some.max())
        targets = None if y is None else y[rows]
        scale = way.fit(some, targets, column) if low < high else None
        return cls(float(np.median(some)), low, high, bool(np.isnan(x).any()), scale)

    @property
    def width(self) -> int:
        """The number of inputs."""
        return (self.scale.width if self.scale else 0) + self.missing

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        named = self.scale.names(column) if self.scale else []
        return [*named, f"{column} is missing"] if self.missing else named

    def fill(self, x: Floats, out: Array) -> None:
        """Fill out (rows, width) from x (rows,), NaN where missing."""
        is_missing = np.isnan(x)
        if self.missing:
            out[:, -1] = is_missing
        if self.scale is not None:
            x = np.where(is_missing, self.median, x)
            x = np.where(values.is_infinite(x), np.clip(x, self.low, self.high), x)
            self.scale.fill(x, out[:, : self.scale.width])

    def state(self) -> dict[str, Any]:
        """All of it as JSON and arrays."""
        numbers = {"median": self.median, "low": self.low, "high": self.high}
        name = next((n for n, kind in SCALES.items() if type(self.scale) is kind), None)
        scale = self.scale.state() if self.scale else {}
        return {**numbers, "missing": self.missing, "scale": name, "of": scale}

    @classmethod
    def of(cls, state: Any) -> Self:
        """What had this state; ValueError for anything else."""
        median, low, high = (tree_codec.get(state, k, float) for k in ("median", "low", "high"))
        if not low <= median <= high:
            raise ValueError(f"'median' is {median}, which does not lie in [{low}, {high}]")
        name = tree_codec.get(state, "scale", _is_scale)
        scale = SCALES[name].of(tree_codec.get(state, "of", dict)) if name else None
        return cls(median, low, high, tree_codec.get(state, "missing", bool), scale)


def _is_scale(value: Any) -> bool:
    return value is None or (type(value) is str and value in SCALES)


def _some(rows: Array, x: Floats) -> Array:
    """These rows, or as many of them as are enough, and those of the least and largest number."""
    if len(rows) <= MOST_ROWS:
        return rows
    drawn = rows[np.random.default_rng(0).integers(len(rows), size=MOST_ROWS)]
    ends = rows[[x[rows].argmin(), x[rows].argmax()]]
    return np.concatenate([drawn, ends])
