"""How much a compiled call takes on, so that Python looks at Ctrl-C, and other threads get a turn.

Never affects the bits: whatever is split goes on where it stood, or has rows that know nothing of
one another.
"""

from functools import lru_cache

from ..kernels.tables import layout

CHUNK_SECONDS = 0.1
"""How long a compiled call runs, about."""

FIRST_CHUNK_COST = 2e8
"""Floating-point operations of an inference's first call, of which the others learn."""

UNIT_COST = 50
"""What reading an input, or an activation, costs as much as."""


def next_count(count: int, seconds: float) -> int:
    """What the next call takes on, from what the last one did and how long it ran.

    Growth is bounded, because the first call may have loaded or compiled the kernels.
    """
    return max(1, min(64 * count, int(count * CHUNK_SECONDS / max(seconds, 1e-9))))


@lru_cache(maxsize=64)
def first_rows(spec: layout.PlanSpec) -> int:
    """Rows of an inference's first call."""
    weights = sum(a * b for a, b in zip(spec.sizes[:-1], spec.sizes[1:], strict=True))
    return max(1, int(FIRST_CHUNK_COST / (2 * weights + UNIT_COST * sum(spec.sizes))))
