"""Twins of stages/rounding.py."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Rounded: TypeAlias = NDArray[np.uint16]
Singles: TypeAlias = NDArray[np.float32]


def round_with_rest(values: Singles, left: Singles) -> tuple[Rounded, Singles]:
    """The bfloat16 nearest to values + left, half to even, and what it loses; of inf and NaN 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        exact = values + left
        digits = exact.view(np.uint32)
        moved = digits + np.uint32(0x7FFF) + (digits >> np.uint32(16) & np.uint32(1))
        rounded = np.where(np.isnan(exact), 0x7FC0, moved >> np.uint32(16)).astype(np.uint16)
        lost = exact - widened(rounded)
    return rounded, np.where(np.isfinite(lost), lost, np.float32(0))


def widened(rounded: Rounded) -> Singles:
    """Bfloat16 as float32."""
    return (rounded.astype(np.uint32) << np.uint32(16)).view(np.float32)
