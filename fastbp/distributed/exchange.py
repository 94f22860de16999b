"""The sum of a gradient over the ranks, in the order of a binary tree or as the library adds.

Each rank owns a slice of the flat gradient, and finishes the tree there. On one node it reads the
finished subtrees of all ranks where they are, which takes less time than any message, and than the
library's all-reduce. Else it is sent its slice of them, and the finished
slices are gathered on every rank: with 1, 2, 4 or 8 ranks of 8 parts a rank has one subtree, and
the bytes are those of an all-reduce.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from ..common.types import Array
from ..kernels.tables import arenas
from . import node_memory, sums
from .communicator import Communicator
from .cuts import Cut, Span, halves, slices, width
from .group import Group
from .rounded import RoundedExchange

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

    own: a flat gradient (size,) for each root that this rank may have; the caller fills them, and
    they are overwritten. Where not the tree adds, own[0] is for the gradient of all rows.
    """

    own: Sequence[Array]

    def sum(self, cut: Cut) -> Array:
        """The whole gradient (size,), valid until the next call."""


class ByMessages(Exchange, Protocol):
    """Sums gradients span by span.

    total: the whole gradient (size,).
    """

    total: Array

    def sum_span(self, number: int, cut: Cut, /) -> None:
        """Sum one of the spans, by its number."""


def new_exchange(
    group: Group, like: Array, spans: Sequence[Span], roots: int, reduction: str, is_kept: bool
) -> "NodeExchange | ByMessages":
    """The exchange of a group: through the memory of a node, where all ranks are on one.

    like: a flat gradient (size,). spans: its parts that are summed: frozen layers are left out.
    roots: the most that a rank has. reduction: of the trainer. is_kept: whether an update leaves
    the gradient as it is. All ranks call it.
    """
    if reduction == "bfloat16":
        return RoundedExchange(group.comm, like.size, spans)
    if group.size > 1:
        memory = node_memory.allocate(group, like, roots)
        if memory is not None:
            total = None if is_kept else _array(like.size, like)
            return NodeExchange(group.comm, memory, spans, total)
    if reduction == "fast":
        return LibraryExchange(group.comm, like, spans)
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

    def sum(self, cut: Cut) -> Array:
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


class MessageExchange:
    """Sums gradients by messages, in the order of the tree.

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
        self.total = self.own[0]
        self._received: list[Array] = []
        if self._ranks > 1:  # memory that nothing may fail to get once an exchange has begun
            self.total = _array(like.size, like)
            widest = max((width(slices(span, self._ranks)) for span in spans), default=0)
            self._received = [_array(self._ranks * widest, like) for _ in range(roots)]

    def sum(self, cut: Cut) -> Array:
        """See ``Exchange``."""
        for number in range(len(self._spans)):
            self.sum_span(number, cut)
        return self.total

    def sum_span(self, number: int, cut: Cut) -> None:
        """See ``ByMessages``."""
        if self._ranks == 1:
            return
        owned = slices(self._spans[number], self._ranks)
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
        self._comm.Allgatherv(combine(cut.tree, known, self._add), [self.total, (counts, starts)])

    def _send(self, turn: int, roots: Sequence[Sequence[Span]], owned: list[Span]) -> Array:
        """Send the slices of one root to their owners. Returns a row (elements,) from each rank."""
        rank, ranks, widest = self._rank, self._ranks, width(owned)
        buffer = self._received[turn][: ranks * widest]
        counts, expected = [0] * ranks, [0] * ranks
        for other, (low, high) in enumerate(owned):
            if other != rank:
                counts[other] = high - low if turn < len(roots[rank]) else 0
                size = owned[rank][1] - owned[rank][0]
                expected[other] = size if turn < len(roots[other]) else 0
        flat = self.own[turn] if turn < len(roots[rank]) else self.total
        self._comm.Alltoallv(
            [flat, (counts, [low for low, _ in owned])],
            [buffer, (expected, [other * widest for other in range(ranks)])],
        )
        return buffer.reshape(ranks, widest)


class LibraryExchange:
    """Sums gradients by the all-reduce of the MPI library. Arguments as of ``MessageExchange``."""

    def __init__(self, comm: Communicator, like: Array, spans: Sequence[Span]) -> None:
        self._comm, self._spans, self._ranks = comm, spans, comm.Get_size()
        self.own: Sequence[Array] = [_array(like.size, like)]
        self.total = self.own[0] if self._ranks == 1 else _array(like.size, like)

    def sum(self, cut: Cut) -> Array:
        """See ``Exchange``."""
        for number in range(len(self._spans)):
            self.sum_span(number, cut)
        return self.total

    def sum_span(self, number: int, _cut: Cut) -> None:
        """See ``ByMessages``."""
        if self._ranks > 1:
            span = slice(*self._spans[number])
            self._comm.Allreduce(self.own[0][span], self.total[span])


def _array(size: int, like: Array) -> Array:
    array: Array = arenas.allocate(size, like.dtype)
    return array
