"""The sum of a gradient over the ranks, in the order of a binary tree or as the library adds.

Each rank owns a slice of the flat gradient. It gets there the finished subtrees of all ranks, and
finishes the tree; then the slices are gathered on every rank. With 1, 2, 4 or 8 ranks and 8 parts a
rank has one subtree, and the bytes are those of an all-reduce.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from ..common.types import Array
from ..kernels.tables import arenas
from . import sums
from .communicator import Communicator
from .cuts import LINE, Cut, Span, halves, slices


Add: TypeAlias = Callable[[Array, Array], None]


def combine(node: Span, known: Mapping[Span, Array | None], add: Add) -> Array | None:
    """The sum below a node of the tree, in the memory of one of its subtrees; None without rows.

    known: the subtrees that are finished; None for those without rows. add: adds the second to the
    first.
    """
    if node in known:
        return known[node]
    left, right = (combine(half, known, add) for half in halves(node))
    if left is None or right is None:
        return right if left is None else left
    add(left, right)
    return left


class Exchange:
    """Sums gradients over the ranks.

    like: a flat gradient (size,). spans: its parts that are summed: frozen layers are left out.
    add: adds an array to another.
    """

    def __init__(
        self,
        comm: Communicator,
        like: Array,
        spans: Sequence[Span],
        add: Add = sums.add,
    ) -> None:
        self._comm, self._spans, self._add = comm, spans, add
        self._rank, self._ranks = comm.Get_rank(), comm.Get_size()
        self._total = arenas.allocate(like.size, like.dtype)
        self._received: list[Array] = []

    def reserve(self, cut: Cut) -> None:
        """Take the memory that the exchange of a cut needs: none may fail once it has begun."""
        for first, last in self._spans:
            width = _width(slices((first, last), self._ranks))
            for turn in range(max(map(len, cut.roots))):
                self._buffer(turn, self._ranks * width)

    def ordered(self, cut: Cut, mine: Mapping[Span, Array]) -> Array:
        """The whole gradient (size,), by the tree of a cut.

        mine: the flat gradient of each of this rank's roots, (size,); they are overwritten.
        """
        if self._ranks == 1:
            (whole,) = mine.values()
            return whole
        for span in self._spans:
            self._sum(cut, mine, span)
        return self._total

    def fast(self, mine: Array) -> Array:
        """The whole gradient as the library's all-reduce adds it. mine: this rank's, (size,)."""
        for first, last in self._spans:
            self._comm.Allreduce(mine[first:last], self._total[first:last])
        return self._total

    def _sum(self, cut: Cut, mine: Mapping[Span, Array], span: Span) -> None:
        owned = slices(span, self._ranks)
        first, last = owned[self._rank]
        known: dict[Span, Array | None] = dict.fromkeys(cut.empty)
        known |= {root: flat[first:last] for root, flat in mine.items()}
        for turn in range(max(map(len, cut.roots))):
            received = self._send(turn, cut.roots, mine, owned)
            for rank, roots in enumerate(cut.roots):
                if rank != self._rank and turn < len(roots):
                    known[roots[turn]] = received[rank, : last - first]
        counts = [high - low for low, high in owned]
        starts = [low for low, _ in owned]
        self._comm.Allgatherv(combine(cut.tree, known, self._add), [self._total, (counts, starts)])

    def _send(
        self,
        turn: int,
        roots: Sequence[Sequence[Span]],
        mine: Mapping[Span, Array],
        owned: list[Span],
    ) -> Array:
        """Send the slices of one root to their owners. Returns a row (elements,) from each rank."""
        rank, ranks = self._rank, self._ranks
        own, width = roots[rank], _width(owned)
        buffer = self._buffer(turn, ranks * width)
        counts, expected = [0] * ranks, [0] * ranks
        for other, (low, high) in enumerate(owned):
            if other != rank:
                counts[other] = high - low if turn < len(own) else 0
                size = owned[rank][1] - owned[rank][0]
                expected[other] = size if turn < len(roots[other]) else 0
        flat = mine[own[turn]] if turn < len(own) else self._total
        self._comm.Alltoallv(
            [flat, (counts, [low for low, _ in owned])],
            [buffer, (expected, [other * width for other in range(ranks)])],
        )
        return buffer.reshape(ranks, width)

    def _buffer(self, turn: int, size: int) -> Array:
        """Memory for what comes in a turn."""
        while len(self._received) <= turn:
            self._received.append(arenas.allocate(0, self._total.dtype))
        if self._received[turn].size < size:
            self._received[turn] = arenas.allocate(size, self._total.dtype)
        return self._received[turn][:size]


def _width(owned: Sequence[Span]) -> int:
    """Elements between what two ranks send: the longest slice, in whole lines."""
    return -(-max(high - low for low, high in owned) // LINE) * LINE
