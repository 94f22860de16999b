"""The tasks of a job about derivatives by the inputs, and what its elements mean there.

``fastbp.runtime.jacobians`` fills it in, or for njit code entry/jacobian_server.py.
"""

import numpy as np

from . import job_table as J
from .layout import LINE, rounded

JACOBIAN, JVP = map(np.int64, (110, 111))
"""Tasks, beside those of job_table.py. JACOBIAN: to OUT (ROWS, outputs, inputs). JVP: to OUT
(ROWS, outputs), along the directions (ROWS, inputs) that the descriptor of y describes."""

OUTPUTS = J.VALUES
"""Address of the outputs themselves, (ROWS, outputs) of the element type, or 0 for none."""

ARENA = J.MOMENTS
"""Address of the memory of directions (stages/jacobian.py)."""

STRIDE = J.BATCH
"""Elements between two vectors of directions there: at least those of the widest layer."""

ARENA_STRIDE = J.EPOCHS
"""Elements between the memories of two workers there."""

GROUP = 12
"""Vectors of directions that go through the layers together: a multiple of the widest tile's. At
512 units two sets of them take 400 KB, which a second cache holds; more read the weights less
often, fewer leave registers of a tile empty."""

PLACES = 3
"""Sets of GROUP vectors: of errors or tangents, of the product, of what bypasses a layer."""


def arena_stride(stride: int) -> int:
    """Elements of a worker's memory: its places, and zeros in place of biases."""
    return (PLACES * GROUP + 1) * stride


def vector_stride(sizes: tuple[int, ...], lanes: int, itemsize: int) -> int:
    """Elements between two vectors of directions: of the widest layer, in an odd number of lines.

    Vectors that are read side by side do not fall into the same cache sets (layout.py).
    """
    line = LINE // itemsize
    lines = -(-rounded(max(sizes), lanes) * lanes // line)
    return (lines | 1) * line
