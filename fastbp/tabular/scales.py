"""How the numbers of a column become inputs: two ways, chosen by name.

Each is fitted to finite numbers, not all equal, and fills (rows, width) from finite numbers. The
values of a row depend on its number alone.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from ..common.types import Array, Floats
from ..storage import tree_codec

SMOOTH_CLIP = 3.0
"""What robust values approach: RealMLP's."""

LARGEST_SCALED = 1e30
"""Larger numbers count as it: hypot of infinity is infinite, and their ratio would be NaN."""

N_BINS = 48
"""The most bins of a piecewise-linear encoding."""


class Scale(Protocol):
    """One of the ways."""

    @property
    def width(self) -> int:
        """The number of inputs."""

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""

    def fill(self, x: Floats, out: Array) -> None:
        """Fill out (rows, width) from x (rows,)."""

    def state(self) -> dict[str, Any]:
        """All numbers of it: floats and float64 arrays by name."""


@dataclass(frozen=True)
class Robust:
    """Centred by the median, divided by the interquartile range, and softly clipped to (-3, 3).

    s / sqrt(1 + (s / 3)^2) with s = (x - median) / (q75 - q25); half the range of all where the
    quartiles are equal. RealMLP's preprocessing (Holzmueller, Grinsztajn and Steinwart, 2024,
    arXiv 2407.04491).
    """

    median: float
    divisor: float

    width = 1

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """The scale of the numbers x (rows,)."""
        low, q25, median, q75, high = np.quantile(x, (0, 0.25, 0.5, 0.75, 1))
        return cls(float(median), float(q75 - q25 if q75 > q25 else 0.5 * (high - low)))

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        return [column]

    def scaled(self, x: Floats) -> Floats:
        """The number of each row in (-3, 3)."""
        with np.errstate(over="ignore"):
            s = (x - self.median) / self.divisor
        s = np.clip(s, -LARGEST_SCALED, LARGEST_SCALED)
        return np.asarray(s / np.hypot(1.0, s / SMOOTH_CLIP))

    def fill(self, x: Floats, out: Array) -> None:
        """Fill out (rows, 1)."""
        out[:, 0] = self.scaled(x)

    def state(self) -> dict[str, Any]:
        """The two numbers."""
        return {"median": self.median, "divisor": self.divisor}

    @classmethod
    def of(cls, state: Any) -> Self:
        """The scale of this state."""
        divisor = tree_codec.get(state, "divisor", lambda v: type(v) is float and v > 0)
        return cls(tree_codec.get(state, "median", float), divisor)


@dataclass(frozen=True, eq=False)
class Piecewise:
    """Piecewise-linear encoding: how far x has come through each bin, 0 before and 1 behind it.

    edges: (bins + 1,), ascending. Input t is (x - edges[t]) / (edges[t + 1] - edges[t]), clipped to
    [0, 1] (Gorishniy, Rubachev and Babenko, 2022, arXiv 2203.05556, equation 1). Numbers beyond the
    first and the last edge count as these.
    """

    edges: Floats

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """Edges at the different ones of the N_BINS + 1 quantiles of x (rows,)."""
        return cls(np.unique(np.quantile(x, np.linspace(0, 1, N_BINS + 1))))

    @property
    def width(self) -> int:
        """The number of bins."""
        return len(self.edges) - 1

    def names(self, column: str) -> list[str]:
        """The names of the inputs: each with its bin."""
        bins = zip(self.edges, self.edges[1:], strict=False)
        return [f"{column} from {low:.6g} to {high:.6g}" for low, high in bins]

    def fill(self, x: Floats, out: Array) -> None:
        """Fill out (rows, bins)."""
        x = np.clip(x, self.edges[0], self.edges[-1])
        place = np.searchsorted(self.edges, x, "right") - 1
        place = np.minimum(place, self.width - 1)  # the last edge belongs to the last bin
        out[...] = np.arange(self.width) < place[:, None]
        low, high = self.edges[place], self.edges[place + 1]
        out[np.arange(len(x)), place] = (x - low) / (high - low)

    def state(self) -> dict[str, Any]:
        """The array."""
        return {"edges": self.edges}

    @classmethod
    def of(cls, state: Any) -> Self:
        """The scale of this state."""
        return cls(ascending(state, "edges"))


def _is_finite(value: Any) -> bool:
    is_array = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == np.float64
    return is_array and bool(np.isfinite(value).all())


def ascending(state: Any, key: str) -> Floats:
    """An array of at least two finite float64 that ascend; ValueError for anything else."""
    array: Floats = tree_codec.get(state, key, _is_finite)
    if len(array) < 2 or (np.diff(array) <= 0).any():
        raise ValueError(f"{key!r} has {len(array)} numbers, expected two or more that ascend")
    return array


SCALES: dict[str, type[Robust | Piecewise]] = {"robust": Robust, "piecewise": Piecewise}
