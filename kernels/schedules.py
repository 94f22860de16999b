"""Placeholder."""

import math

from .jit import kernel


@kernel
def scheduled(cells, start, t):
    return 1.0, math.nan
