"""The size of compiled calls: between them Python handles Ctrl-C, and other threads get a turn.

It never affects the bits. Training goes on where the last call ended, and the rows of an inference
are independent.
"""

from functools import lru_cache
from itertools import pairwise

from ..kernels.tables import layout

CHUNK_SECONDS = 0.1
"""The time that a compiled call is to take."""

FIRST_CHUNK_COST = 2e8
"""Floating-point operations of an inference's first call. Its time sets the size of the next."""

UNIT_COST = 50
"""The cost of reading an input or an activation, in floating-point operations."""


def next_count(count: int, seconds: float) -> int:
    """The count of rows or batches of the next call, after ``count`` took ``seconds``.

    It is at most 64 times the last: a first call that compiled kernels says little about the next.
    """
    return max(1, min(64 * count, int(count * CHUNK_SECONDS / max(seconds, 1e-9))))


@lru_cache(maxsize=64)
def first_rows(spec: layout.PlanSpec) -> int:
    """The number of rows of an inference's first call."""
    widths = spec.widths
    weights = sum(a * b for a, b in pairwise(widths))
    return max(1, int(FIRST_CHUNK_COST / (2 * weights + UNIT_COST * sum(widths))))
