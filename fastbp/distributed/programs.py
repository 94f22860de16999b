"""Programs of sums of gradients (kernels/stages/part_gradients.py)."""

from functools import lru_cache

import numpy as np

from ..common.types import Ints
from ..kernels.base.sizes import SUM_ROWS
from ..kernels.stages.part_gradients import ADD_LEAF, ADD_SLOTS, LEAF
from .cuts import Span, halves


@lru_cache(maxsize=256)
def program(leaves: tuple[Span, ...], node: Span, lanes: int) -> tuple[Ints, int]:
    """The program of the sum below a node of the tree, some leaf of which has rows, and its slots.

    leaves: the vectors of rows of each part. A part that is the right half of a node is added at
    once, unless it has so many rows that it is itself a sum.
    """
    operations: list[tuple[int, int, int, int]] = []
    _add(operations, leaves, node, 0, SUM_ROWS // lanes)
    flat = [len(operations), *(number for each in operations for number in each)]
    return np.array(flat, np.int64), 1 + max(slot for _, slot, *_ in operations)


def _add(
    operations: list[tuple[int, int, int, int]],
    leaves: tuple[Span, ...],
    node: Span,
    slot: int,
    most: int,
) -> None:
    filled = _filled(leaves, node)
    if filled[1] - filled[0] == 1:
        operations.append((LEAF, slot, *leaves[filled[0]]))
        return
    left, right = halves(filled)
    _add(operations, leaves, left, slot, most)
    low, high = _filled(leaves, right)
    first, last = leaves[low]
    if high - low == 1 and last - first <= most:
        operations.append((ADD_LEAF, slot, first, last))
        return
    _add(operations, leaves, right, slot + 1, most)
    operations.append((ADD_SLOTS, slot, 0, 0))


def _filled(leaves: tuple[Span, ...], node: Span) -> Span:
    """The largest node at or below this one both of whose halves have rows, or which is a leaf."""
    while node[1] - node[0] > 1:
        some = [half for half in halves(node) if any(a < b for a, b in leaves[slice(*half)])]
        if len(some) == 2:
            return node
        (node,) = some
    return node
