"""The sum of a gradient over the ranks, in the order of a binary tree or as the library adds.

Each rank owns a slice of the flat gradient, and finishes the tree there. On one node it reads the
finished subtrees of all ranks where they are. Else it is sent its slice of them, and the finished
slices are gathered on every rank: with 1, 2, 4 or 8 ranks of 8 parts a rank has one subtree, and
the bytes are those of an all-reduce.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from ..common.types import Array
from ..kernels.tables import arenas
from . import node_memory, sums
from .communicator import Communicator
from .cuts import LINE, Cut, Span, halves, slices
from .group import Group

Add: TypeAlias = Callable[[Array, Array], None]


def combine(node: Span, known: Mapping[Span, Array | None], add: Add) -> Array | None:
    """The sum below a node of the tree, in the memory of its first subtree with rows; else None.

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


class Exchange(Protocol):
    """Sums gradients over the ranks.

    own: a flat gradient (size,) for each root that this rank may have; the caller fills them.
    """

    own: Sequence[Array]

    def ordered(self, cut: Cut) -> Array:
        """The whole gradient (size,), by the tree of a cut, valid until the next call.

        ``own`` has the gradients of this rank's roots, in their order, and is overwritten.
        """

    def fast(self) -> Array:
        """The whole gradient (size,) as the library's all-reduce adds what is in ``own[0]``."""


def new_exchange(
    group: Group, like: Array, spans: Sequence[Span], roots: int, is_fast: bool, is_kept: bool
) -> Exchange:
    """The exchange of a group: through the memory of a node, where all ranks are on one.

    like: a flat gradient (size,). spans: its parts that are summed: frozen layers are left out.
    roots: the most that a rank has. is_fast: whether the library is to add. is_kept: whether an
    update leaves the gradient as it is. All ranks call it.
    """
    if not is_fast and group.size > 1:
        memory = node_memory.allocate(group, like, roots)
        if memory is not None:
            total = None if is_kept else _array(like.size, like)
            return NodeExchange(group.comm, memory, spans, total)
    return MessageExchange(group.comm, like, spans, roots)


class NodeExchange:
    """Sums gradients that lie in memory which all ranks share.

    Args:
        comm: the ranks.
        memory: the gradients of each rank.
        spans: the parts that are summed.
        total: memory of this rank for the whole gradient; None to leave it where all read it.
        add: adds an array to another.

    """

    def __init__(
        self,
        comm: Communicator,
        memory: list[list[Array]],
        spans: Sequence[Span],
        total: Array | None = None,
        add: Add = sums.add,
    ) -> None:
        self._comm, self._memory, self._spans, self._add = comm, memory, spans, add
        self._total = total
        self._rank, self._ranks = comm.Get_rank(), comm.Get_size()
        self.own: Sequence[Array] = memory[self._rank]

    def ordered(self, cut: Cut) -> Array:
        """See ``Exchange``."""
        found = {
            root: flat
            for roots, of_rank in zip(cut.roots, self._memory, strict=True)
            for root, flat in zip(roots, of_rank, strict=False)
        }
        self._comm.Barrier()  # all have filled theirs
        for span in self._spans:
            first, last = slices(span, self._ranks)[self._rank]
            known: dict[Span, Array | None] = dict.fromkeys(cut.empty)
            known |= {root: flat[first:last] for root, flat in found.items()}
            combine(cut.tree, known, self._add)
        self._comm.Barrier()  # all slices are finished; the next meeting is before they are filled
        whole = found[min(found)]
        if self._total is None:
            return whole
        for first, last in self._spans:
            self._total[first:last] = whole[first:last]
        return self._total

    def fast(self) -> Array:
        """Not for this exchange: the library has its own ways on a node."""
        raise NotImplementedError


class MessageExchange:
    """Sums gradients by messages.

    Args:
        comm: the ranks.
        like: a flat gradient (size,).
        spans: the parts that are summed.
        roots: the most that a rank has.
        add: adds an array to another.

    """

    def __init__(
        self,
        comm: Communicator,
        like: Array,
        spans: Sequence[Span],
        roots: int,
        add: Add = sums.add,
    ) -> None:
        self._comm, self._spans, self._add = comm, spans, add
        self._rank, self._ranks = comm.Get_rank(), comm.Get_size()
        self.own: Sequence[Array] = [_array(like.size, like) for _ in range(roots)]
        self._total = self.own[0]
        self._received: list[Array] = []
        if self._ranks > 1:  # memory that nothing may fail to get once an exchange has begun
            self._total = _array(like.size, like)
            width = max(_width(slices(span, self._ranks)) for span in spans) if spans else 0
            self._received = [_array(self._ranks * width, like) for _ in range(roots)]

    def ordered(self, cut: Cut) -> Array:
        """See ``Exchange``."""
        if self._ranks > 1:
            for span in self._spans:
                self._sum(cut, span)
        return self._total

    def fast(self) -> Array:
        """See ``Exchange``."""
        if self._ranks > 1:
            for first, last in self._spans:
                self._comm.Allreduce(self.own[0][first:last], self._total[first:last])
        return self._total

    def _sum(self, cut: Cut, span: Span) -> None:
        owned = slices(span, self._ranks)
        first, last = owned[self._rank]
        known: dict[Span, Array | None] = dict.fromkeys(cut.empty)
        for root, flat in zip(cut.roots[self._rank], self.own, strict=False):
            known[root] = flat[first:last]
        for turn in range(max(map(len, cut.roots))):
            received = self._send(turn, cut.roots, owned)
            for rank, roots in enumerate(cut.roots):
                if rank != self._rank and turn < len(roots):
                    known[roots[turn]] = received[rank, : last - first]
        counts = [high - low for low, high in owned]
        starts = [low for low, _ in owned]
        self._comm.Allgatherv(combine(cut.tree, known, self._add), [self._total, (counts, starts)])

    def _send(self, turn: int, roots: Sequence[Sequence[Span]], owned: list[Span]) -> Array:
        """Send the slices of one root to their owners. Returns a row (elements,) from each rank."""
        rank, ranks, width = self._rank, self._ranks, _width(owned)
        buffer = self._received[turn][: ranks * width]
        counts, expected = [0] * ranks, [0] * ranks
        for other, (low, high) in enumerate(owned):
            if other != rank:
                counts[other] = high - low if turn < len(roots[rank]) else 0
                size = owned[rank][1] - owned[rank][0]
                expected[other] = size if turn < len(roots[other]) else 0
        flat = self.own[turn] if turn < len(roots[rank]) else self._total
        self._comm.Alltoallv(
            [flat, (counts, [low for low, _ in owned])],
            [buffer, (expected, [other * width for other in range(ranks)])],
        )
        return buffer.reshape(ranks, width)


def _array(size: int, like: Array) -> Array:
    array: Array = arenas.allocate(size, like.dtype)
    return array


def _width(owned: Sequence[Span]) -> int:
    """Elements between what two ranks send: the longest slice, in whole lines."""
    return -(-max(high - low for low, high in owned) // LINE) * LINE
