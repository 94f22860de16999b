"""The arrays that a metric is given: they refuse to be broadcast against each other unasked.

NumPy takes y (n,) minus p (n, 1) for (n, n) numbers, and their mean for a metric.
"""

import math
from typing import Any, TypeAlias

import numpy as np

from ..common.types import Array

Shape: TypeAlias = tuple[int, ...]


class WatchedArray(np.ndarray):
    """y or p of a metric(y, p); in all else a plain array, as is what is computed from both.

    Arithmetic of y and p, of parts of them and of what is computed from either alone, is a
    ValueError where NumPy would add a dimension to one of them, and thereby have more numbers than
    both: of (n,) and (n, 1), not of (n, 1) and (1, n). So is that of y itself and p itself, where
    they have other shapes.
    """

    role: str | None = None
    """"y" or "p", of which it is made; None for no check."""
    given: tuple[Shape, Shape] = (), ()
    """The shapes of y and p, as a metric is given them."""

    def __array_finalize__(self, parent: Any) -> None:
        """Views and copies are watched, too."""
        self.role, self.given = getattr(parent, "role", None), getattr(parent, "given", ((), ()))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Check the shapes, and compute with plain arrays."""
        arrays = [x for x in inputs if isinstance(x, np.ndarray)]
        by_role: dict[Any, Any] = {getattr(x, "role", None): x for x in arrays}
        if method == "__call__" and ufunc.signature is None and by_role.keys() >= {"y", "p"}:
            _check(by_role["y"], by_role["p"])
        if "out" in options:
            options["out"] = tuple(map(_plain, options["out"]))
        result = getattr(ufunc, method)(*map(_plain, inputs), **options)
        if type(result) is np.ndarray and by_role.keys() == {self.role}:
            return _watched(result, self.role, self.given)
        return result


def watched(y: Array, p: Array) -> tuple[Array, Array]:
    """``y`` and ``p`` in the same memory, watched beside each other."""
    given = y.shape, p.shape
    return _watched(y, "y", given), _watched(p, "p", given)


def _watched(array: Array, role: str | None, given: tuple[Shape, Shape]) -> WatchedArray:
    view = array.view(WatchedArray)
    view.role, view.given = role, given
    return view


def _check(y: WatchedArray, p: WatchedArray) -> None:
    """ValueError for a broadcast that no one has asked for."""
    differ_as_given = (y.shape, p.shape) == y.given and y.shape != p.shape
    gets_a_dimension = y.ndim != p.ndim and y.size == p.size
    if min(y.size, p.size) < 2 or not (differ_as_given or gets_a_dimension):
        return
    try:
        shape = np.broadcast_shapes(y.shape, p.shape)
    except ValueError:  # NumPy says so
        return
    if differ_as_given or math.prod(shape) > y.size:
        raise ValueError(
            f"a metric broadcasts numbers {y.shape} of y {y.given[0]} against outputs {p.shape} of "
            f"p {y.given[1]} to {shape}: bring them to one shape, p[:, 0] or y[:, 0], say; for all "
            "pairs of y (n,) and p (n,) write y[:, None] and p[None, :]"
        )


def _plain(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, WatchedArray) else x
