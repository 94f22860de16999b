"""How the numbers of a column become inputs: four ways, chosen by name.

Each is fitted to finite numbers, not all equal, and fills (rows, width) from finite numbers. The
values of a row depend on its number alone.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from scipy import special

from ..common.types import Array, Floats
from ..storage import tree_codec

SMOOTH_CLIP = 3.0
"""What robust values approach: RealMLP's."""

LARGEST_SCALED = 1e30
"""Larger numbers count as it: hypot of infinity is infinite, and their ratio would be NaN."""

TAIL = 1e-7
"""The least probability of the quantile transform, as scikit-learn's: 5.2 standard deviations."""

FREQUENCIES = 16
"""As RealMLP's embedding of numbers has."""


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
class Quantile:
    """To a normal distribution by the quantiles of training.

    knots, levels: (k,), ascending: numbers, and the share of training rows below each. Between them
    lines; the share becomes the quantile of the normal distribution. Without equal numbers this is
    scikit-learn's QuantileTransformer. A number that several quantiles share has their mean level:
    the middle of its rows, where TabM's noise (arXiv 2410.24210) puts it on average.
    """

    knots: Floats
    levels: Floats

    width = 1

    @classmethod
    def fit(cls, x: Floats) -> Self:
        """As many quantiles as TabM takes: one for 30 rows, 10 to 1,000."""
        levels = np.linspace(0, 1, max(10, min(1000, len(x) // 30)))
        knots, place = np.unique(np.quantile(x, levels), return_inverse=True)
        return cls(knots, np.bincount(place, levels) / np.bincount(place))

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        return [column]

    def fill(self, x: Floats, out: Array) -> None:
        """Fill out (rows, 1)."""
        share = np.interp(x, self.knots, self.levels)
        out[:, 0] = special.ndtri(np.clip(share, TAIL, 1 - TAIL))

    def state(self) -> dict[str, Any]:
        """The two arrays."""
        return {"knots": self.knots, "levels": self.levels}

    @classmethod
    def of(cls, state: Any) -> Self:
        """The scale of this state."""
        knots, levels = ascending(state, "knots"), ascending(state, "levels")
        if len(knots) != len(levels):
            raise ValueError(f"{len(knots)} knots have {len(levels)} levels")
        return cls(knots, levels)


@dataclass(frozen=True, eq=False)
class Piecewise:
    """Piecewise-linear encoding: how far x has come through each bin, 0 before and 1 behind it.

    edges: (bins + 1,), ascending. Input t is (x - edges[t]) / (edges[t + 1] - edges[t]), clipped to
    [0, 1] (Gorishniy, Rubachev and Babenko, 2022, arXiv 2203.05556, equation 1). Numbers beyond the
    first and the last edge count as these.
    """

    edges: Floats

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


@dataclass(frozen=True, eq=False)
class Periodic:
    """Cosines of the robust number, and the number itself: (s, cos(2 pi (w s + b))).

    frequencies, phases: (16,), w of N(0, sigma) and b of [0, 1), drawn once by a fixed seed, where
    RealMLP's and PLR's are learned (Gorishniy, Rubachev and Babenko, 2022, section 3.3).
    """

    robust: Robust
    frequencies: Floats
    phases: Floats

    width = 1 + FREQUENCIES

    @classmethod
    def fit(cls, x: Floats, sigma: float, column: int) -> Self:
        """The scale of the numbers x; every column has frequencies of its own."""
        random = np.random.default_rng((0, column))
        frequencies = random.normal(0, sigma, FREQUENCIES)
        return cls(Robust.fit(x), frequencies, random.random(FREQUENCIES))

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        return [column, *(f"{column} cos {i}" for i in range(FREQUENCIES))]

    def fill(self, x: Floats, out: Array) -> None:
        """Fill out (rows, 17)."""
        s = self.robust.scaled(x)
        out[:, 0] = s
        for i, (w, b) in enumerate(zip(self.frequencies, self.phases, strict=True), 1):
            out[:, i] = np.cos(2 * np.pi * (w * s + b))

    def state(self) -> dict[str, Any]:
        """The numbers of the robust scale, and the two arrays."""
        own = {"frequencies": self.frequencies, "phases": self.phases}
        return {"robust": self.robust.state(), **own}

    @classmethod
    def of(cls, state: Any) -> Self:
        """The scale of this state."""
        return cls(
            Robust.of(tree_codec.get(state, "robust", dict)),
            tree_codec.get(state, "frequencies", _is_drawn),
            tree_codec.get(state, "phases", _is_drawn),
        )


def _is_drawn(value: Any) -> bool:
    return _is_finite(value) and len(value) == FREQUENCIES


def _is_finite(value: Any) -> bool:
    is_array = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == np.float64
    return is_array and bool(np.isfinite(value).all())


def ascending(state: Any, key: str) -> Floats:
    """An array of at least two finite float64 that ascend; ValueError for anything else."""
    array: Floats = tree_codec.get(state, key, _is_finite)
    if len(array) < 2 or (np.diff(array) <= 0).any():
        raise ValueError(f"{key!r} has {len(array)} numbers, expected two or more that ascend")
    return array


SCALES: dict[str, type[Robust | Quantile | Piecewise | Periodic]] = {
    "robust": Robust,
    "quantile": Quantile,
    "piecewise": Piecewise,
    "periodic": Periodic,
}
