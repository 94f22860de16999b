"""The outputs that a metric is given: an array that refuses to be broadcast against the targets.

NumPy takes y (n,) minus p (n, 1) for (n, n) numbers, and their mean for a metric.
"""

import math
from typing import Any, Self

import numpy as np

from ..common.types import Array


class WatchedOutputs(np.ndarray):
    """Outputs p for a metric(y, p); in all else a plain array, as are the results with others.

    Arithmetic of p, of parts of it and of what is computed from it alone, with an array of as many
    numbers as y has, is a ValueError where the result has more numbers than both. So is y itself
    with p itself in another shape.
    """

    given: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """The shapes of y and p, as a metric is given them; None for no check."""

    @classmethod
    def of(cls, p: Array, y: Array) -> Self:
        """``p`` in the same memory, watched beside ``y``."""
        watched = p.view(cls)
        watched.given = y.shape, p.shape
        return watched

    def __array_finalize__(self, parent: Any) -> None:
        """Views and copies are watched, too."""
        self.given = getattr(parent, "given", None)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Check the shapes, and compute with plain arrays."""
        others = [
            x for x in inputs if isinstance(x, np.ndarray) and not isinstance(x, WatchedOutputs)
        ]
        if method == "__call__" and ufunc.signature is None and self.given is not None:
            for own in inputs:
                for other in others:
                    if isinstance(own, WatchedOutputs):
                        _check(own, other, *self.given)
        if "out" in options:
            options["out"] = tuple(map(_plain, options["out"]))
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        if others or type(result) is not np.ndarray:
            return result
        watched = result.view(type(self))
        watched.given = self.given
        return watched


def _check(own: Array, other: Array, y: tuple[int, ...], p: tuple[int, ...]) -> None:
    """ValueError for a broadcast of two arrays. y, p: the shapes of what the metric was given."""
    if other.size != math.prod(y) or min(own.size, other.size) < 2:
        return
    try:
        shape = np.broadcast_shapes(own.shape, other.shape)
    except ValueError:  # NumPy says so
        return
    as_given = other.shape == y and own.shape == p
    if math.prod(shape) > max(own.size, other.size) or (as_given and y != p):
        raise ValueError(
            f"a metric broadcasts numbers {other.shape} of y {y} against outputs {own.shape} of p "
            f"{p} to {shape}: bring them to one shape, p[:, 0] or y[:, 0], say"
        )


def _plain(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, WatchedOutputs) else x
