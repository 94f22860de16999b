"""How an update is cut: its rows into parts, the parts among ranks, the gradient into slices.

Part i of an update is the vectors of rows part(V, i, parts) of its V vectors. The gradients of the
parts are combined by a binary tree, whose shape depends on the number of parts alone: so the bits
do not depend on the number of ranks. Empty parts are left out, and not added as 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
"""From the first to before the last."""

LINE = 16
"""Slices of a gradient begin at multiples of so many elements: of a cache line, or of two."""


def part(count: int, number: int, parts: int) -> Span:
    """The items of part ``number`` of ``parts``.

    >>> [part(5, i, 3) for i in range(3)]
    [(0, 1), (1, 3), (3, 5)]
    """
    return count * number // parts, count * (number + 1) // parts


def halves(node: Span) -> tuple[Span, Span]:
    """The two children of a node of the tree, which is named by its leaves."""
    low, high = node
    middle = (low + high) // 2
    return (low, middle), (middle, high)


def subtrees(within: Span, node: Span) -> list[Span]:
    """The largest nodes at or below ``node`` whose leaves all lie in ``within``, in order.

    >>> subtrees((2, 5), (0, 8))
    [(2, 4), (4, 5)]
    """
    if node[1] <= within[0] or within[1] <= node[0]:
        return []
    if within[0] <= node[0] and node[1] <= within[1]:
        return [node]
    left, right = halves(node)
    return subtrees(within, left) + subtrees(within, right)


def slices(span: Span, ranks: int) -> list[Span]:
    """A part of the flat gradient for each rank, which owns it: it finishes the tree there.

    >>> slices((0, 100), 3)
    [(0, 32), (32, 64), (64, 100)]
    """
    first, last = span
    lines = -(-(last - first) // LINE)
    ends = [min(first + part(lines, rank, ranks)[1] * LINE, last) for rank in range(ranks)]
    return list(zip([first, *ends[:-1]], ends, strict=True))


def width(owned: Sequence[Span]) -> int:
    """Elements between what two ranks send to a third: the longest slice, in whole lines."""
    return -(-max(high - low for low, high in owned) // LINE) * LINE


@dataclass(frozen=True)
class Cut:
    """The cut of one update.

    rows: of the update. first, count: this rank's rows among them. leaves: the vectors of rows of
    each part, counted from this rank's first vector; of other ranks' parts only their number
    counts. held: the parts of each rank.
    """

    rows: int
    first: int
    count: int
    leaves: tuple[Span, ...]
    held: tuple[Span, ...]

    @property
    def tree(self) -> Span:
        """The root of the tree."""
        return 0, len(self.leaves)

    @cached_property
    def roots(self) -> tuple[tuple[Span, ...], ...]:
        """The nodes that each rank can finish alone, those without rows left out."""
        return tuple(
            tuple(node for node in subtrees(within, self.tree) if not self._is_empty(node))
            for within in self.held
        )

    @cached_property
    def empty(self) -> tuple[Span, ...]:
        """The nodes without rows, which nobody has."""
        nodes = [node for within in self.held for node in subtrees(within, self.tree)]
        return tuple(node for node in nodes if self._is_empty(node))

    def _is_empty(self, node: Span) -> bool:
        return all(first == last for first, last in self.leaves[slice(*node)])

    def vectors(self, rank: int) -> int:
        """Vectors of rows that a rank has."""
        return sum(last - first for first, last in self.leaves[slice(*self.held[rank])])


@lru_cache(maxsize=256)
def shared(rows: int, lanes: int, parts: int, rank: int, ranks: int) -> Cut | None:
    """The cut of an update whose rows every rank has; None where each makes it whole.

    That is where it has fewer than two vectors of rows.
    """
    vectors = -(-rows // lanes)
    if vectors < 2:
        return None
    held = tuple(part(parts, number, ranks) for number in range(ranks))
    first = part(vectors, held[rank][0], parts)[0]
    last = part(vectors, held[rank][1] - 1, parts)[1]
    leaves = (part(vectors, number, parts) for number in range(parts))
    return Cut(
        rows=rows,
        first=first * lanes,
        count=min(last * lanes, rows) - first * lanes,
        leaves=tuple((low - first, high - first) for low, high in leaves),
        held=held,
    )


def own(counts: Sequence[int], lanes: int, rank: int) -> Cut:
    """The cut of an update of which each rank has rows of its own: one part for each rank.

    counts: the rows of each.
    """
    return Cut(
        rows=sum(counts),
        first=sum(counts[:rank]),
        count=counts[rank],
        leaves=tuple((0, -(-count // lanes)) for count in counts),
        held=tuple((number, number + 1) for number in range(len(counts))),
    )


@lru_cache(maxsize=64)
def inference(rows: int, lanes: int, ranks: int) -> tuple[Span, ...] | None:
    """The rows of each rank in an inference; None where each infers all.

    They are whole vectors, and the last rank takes what is left beside one: few rows alone would
    have another order of summation.
    """
    vectors = rows // lanes
    if vectors < 2:
        return None
    ends = [part(vectors, rank, ranks)[1] * lanes for rank in range(ranks - 1)]
    return tuple(zip([0, *ends], [*ends, rows], strict=True))
