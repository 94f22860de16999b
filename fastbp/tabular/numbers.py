"""A column of numbers as inputs: missing and infinite ones first, then one of the scales."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..common.types import Array, Floats
from ..storage import tree_codec
from . import values
from .scales import SCALES, Scale

MOST_ROWS = 1_000_000
"""Quantiles of more rows are taken from so many, drawn once by a fixed seed."""


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
    def fit(cls, x: Floats, scale: str) -> Self:
        """The inputs of numbers x (rows,), NaN where missing, some of them finite.

        scale: a name in ``SCALES``.
        """
        finite = x[~np.isnan(x) & ~values.is_infinite(x)]
        low, high = float(finite.min()), float(finite.max())
        some = _some(finite, low, high)
        found = SCALES[scale].fit(some) if low < high else None
        return cls(float(np.median(some)), low, high, bool(np.isnan(x).any()), found)

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


def _some(x: Floats, low: float, high: float) -> Floats:
    """These numbers, or as many of them as are enough, and the least and the largest one."""
    if len(x) <= MOST_ROWS:
        return x
    drawn = x[np.random.default_rng(0).integers(len(x), size=MOST_ROWS)]
    return np.append(drawn, [low, high])
