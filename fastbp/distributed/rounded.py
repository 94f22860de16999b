"""The sum of a gradient over the ranks, sent in bfloat16, with error feedback.

A rank rounds the sum of its gradient and of what its earlier roundings have left, and keeps what
this one leaves (Seide et al., 2014; Karimireddy et al., 2019). The owner of a slice adds what the
ranks have sent in float32, in their order, and rounds the sum in the same way for the gathering
(Tang et al., 2019). So what an update loses comes to those after it: the sum over many updates is
that of the gradients, but for what is left at the end.
"""

from collections.abc import Sequence

import numpy as np

from ..common.types import Array
from ..kernels.tables import arenas
from . import sums
from .communicator import Communicator
from .cuts import Cut, Span, slices, width


class Rounding:
    """Rounds arrays of float32 to bfloat16, each with what the last has left.

    left: float32 (size,), each at most 2^-8 of the element that was rounded, if that is normal.
    """

    def __init__(self, size: int) -> None:
        self.left: Array = arenas.allocate(size, np.dtype(np.float32))

    def round(self, values: Array, out: Array) -> None:
        """Round float32 ``values`` (size,) to ``out``, uint16; whole vectors."""
        sums.round_with_rest(values, self.left, out)


class RoundedExchange:
    """Sums gradients of float32 by messages in bfloat16. See ``Exchange``.

    Args:
        comm: the ranks.
        size: of a flat gradient, float32.
        spans: the parts that are summed.

    """

    def __init__(self, comm: Communicator, size: int, spans: Sequence[Span]) -> None:
        self._comm, self._spans = comm, spans
        self._rank, self._ranks = comm.Get_rank(), comm.Get_size()
        self.own: Sequence[Array] = [arenas.allocate(size, np.dtype(np.float32))]
        self.total = self.own[0]
        self._sent = np.zeros(size, np.uint16)
        self._owned = [slices(span, self._ranks) for span in spans]
        mine = [owned[self._rank] for owned in self._owned]
        self._of_rank = [Rounding(last - first) for first, last in spans]
        self._of_sum = [Rounding(last - first) for first, last in mine]
        widest = max(map(width, self._owned), default=0)
        self._received = np.zeros((self._ranks, widest), np.uint16)
        self._rounded = np.zeros(widest, np.uint16)

    def sum(self, cut: Cut) -> Array:
        """See ``Exchange``."""
        for number in range(len(self._spans)):
            self.sum_span(number, cut)
        return self.total

    def sum_span(self, number: int, _cut: Cut) -> None:
        """See ``ByMessages``; one rank alone rounds nothing."""
        if self._ranks == 1:
            return
        gradient, sent, owned = self.total, self._sent, self._owned[number]
        span, (first, last) = slice(*self._spans[number]), owned[self._rank]
        self._of_rank[number].round(gradient[span], sent[span])
        counts, starts = [high - low for low, high in owned], [low for low, _ in owned]
        ranks, widest = self._received.shape
        expected = [last - first] * ranks, [rank * widest for rank in range(ranks)]
        self._comm.Alltoallv([sent, (counts, starts)], [self._received.reshape(-1), expected])
        total, mine = gradient[first:last], self._rounded[: last - first]
        sums.widen(self._received[0, : last - first], total)
        for term in self._received[1:, : last - first]:
            sums.add_widened(term, total)
        self._of_sum[number].round(total, mine)
        self._comm.Allgatherv(mine, [sent, (counts, starts)])
        sums.widen(sent[span], gradient[span])
