"""How far a prediction may be off: from the members, and from their errors on other rows.

Member k predicts m_k(x), and R_k are its errors y - m_k on the rows that it was not trained on. The
distribution of y at x is taken to be that of m_k(x) + r, where k is any member and r any of R_k,
each as likely as another: CV+ (Barber et al., Predictive inference with the jackknife+, Annals of
Statistics, 2021), with quantiles of any level.

Its variance is the variance of m_k(x) over members, plus the mean square of the errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..common.types import Array, Floats
from ..storage.tree_codec import get

POINTS = 200
"""The errors of a member are kept as so many quantiles, at the levels (i + 1/2) / POINTS."""

AT_ONCE = 2**22
"""The most points that are sorted at a time."""


@dataclass(frozen=True)
class Residuals:
    """The errors of each member on the rows that it was not trained on.

    points: (members, POINTS, targets), the quantiles of its errors. squares: (targets,), the mean
    square of all errors.
    """

    points: Floats
    squares: Floats

    @classmethod
    def of(cls, errors: Sequence[Floats]) -> Self:
        """errors: of each member, (rows, targets), at least one row. Members have equal weight."""
        levels = (np.arange(POINTS) + 0.5) / POINTS
        points = np.stack([np.quantile(of_member, levels, axis=0) for of_member in errors])
        squares = np.mean([np.square(of_member).mean(axis=0) for of_member in errors], axis=0)
        return cls(points, squares)

    def deviation(self, disagreement: Array) -> Floats:
        """The standard deviation of y, where the members' is ``disagreement`` (n, targets)."""
        deviation: Floats = np.sqrt(np.square(disagreement, dtype=np.float64) + self.squares)
        return deviation

    def quantiles(self, predictions: Floats, levels: Floats) -> Floats:
        """(n, targets, levels) for the members' predictions (members, n, targets)."""
        members, n, targets = predictions.shape
        out = np.empty((n, targets, len(levels)))
        step = max(1, AT_ONCE // (members * POINTS * targets))
        for start in range(0, n, step):
            part = predictions[:, None, start : start + step] + self.points[:, :, None]
            rows = part.shape[2]
            spread = part.reshape(members * POINTS, rows, targets)
            out[start : start + step] = np.moveaxis(np.quantile(spread, levels, axis=0), 0, -1)
        return out

    def to_dict(self) -> dict[str, Any]:
        """What a file keeps."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What ``to_dict`` returned; ValueError for what it cannot have returned."""
        points, squares = get(saved, "points", _is_floats), get(saved, "squares", _is_floats)
        if points.ndim != 3 or points.shape[1:] != (POINTS, *squares.shape):
            raise ValueError(f"its residuals have shapes {points.shape} and {squares.shape}")
        return cls(points, squares)


def _is_floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float64
