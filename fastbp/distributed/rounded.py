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
from .communicator import Communicator
from .cuts import Cut, Span, slices, width

BLOCK = 2**14
"""Elements at a time: what they pass through fits the nearest cache but one."""

HALF, NOT_A_NUMBER = 0x7FFF, 0x7FC0
"""What rounds half of the last bit to even, with that bit; and a NaN in bfloat16."""


def widen(rounded: Array, out: Array) -> Array:
    """Bfloat16 as uint16 (n,) to float32 ``out`` (n,), which is returned."""
    np.left_shift(rounded, 16, out=out.view(np.uint32), dtype=np.uint32)
    return out


class Rounding:
    """Rounds arrays (size,) of float32 to bfloat16, each with what the last has left.

    left: float32 (size,), each at most 2^-8 of the element that was rounded, if that is normal.
    """

    def __init__(self, size: int) -> None:
        self.left = np.zeros(size, np.float32)
        self._sum, self._bits = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.uint32)

    def round(self, values: Array, out: Array) -> None:
        """Round float32 ``values`` (size,) to ``out``, uint16."""
        for first in range(0, len(values), BLOCK):
            part = slice(first, first + BLOCK)
            self._round(values[part], self.left[part], out[part])

    def _round(self, values: Array, left: Array, out: Array) -> None:
        """Half goes to even. The difference is exact: it is the lower half of the digits."""
        exact, bits = self._sum[: len(values)], self._bits[: len(values)]
        np.add(values, left, out=exact)
        digits = exact.view(np.uint32)
        np.right_shift(digits, 16, out=bits)
        np.bitwise_and(bits, 1, out=bits)
        bits += digits
        bits += HALF
        bits >>= 16
        out[:] = bits
        bits <<= 16
        np.subtract(exact, bits.view(np.float32), out=left)
        lost = ~np.isfinite(left)
        if lost.any():  # of inf and NaN nothing is left
            out[np.isnan(exact)] = NOT_A_NUMBER
            left[lost] = 0.0


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
        self._term = np.empty(BLOCK, np.float32)

    def sum(self, cut: Cut) -> Array:
        """See ``Exchange``."""
        for number in range(len(self._spans)):
            self.sum_span(number, cut)
        return self.total

    def sum_span(self, number: int, _cut: Cut) -> None:
        """See ``ByMessages``; one rank alone rounds nothing."""
        if self._ranks > 1:
            with np.errstate(invalid="ignore", over="ignore"):  # of inf and NaN
                self._sum(number)

    def _sum(self, number: int) -> None:
        gradient, sent, owned = self.total, self._sent, self._owned[number]
        span, (first, last) = slice(*self._spans[number]), owned[self._rank]
        self._of_rank[number].round(gradient[span], sent[span])
        counts, starts = [high - low for low, high in owned], [low for low, _ in owned]
        ranks, widest = self._received.shape
        expected = [last - first] * ranks, [rank * widest for rank in range(ranks)]
        self._comm.Alltoallv([sent, (counts, starts)], [self._received.reshape(-1), expected])
        total, mine = gradient[first:last], self._rounded[: last - first]
        self._add(self._received[:, : last - first], total)
        self._of_sum[number].round(total, mine)
        self._comm.Allgatherv(mine, [sent, (counts, starts)])
        widen(sent[span], gradient[span])

    def _add(self, terms: Array, total: Array) -> None:
        """The sum of terms (ranks, n) in their order, to ``total`` (n,)."""
        for first in range(0, len(total), BLOCK):
            part = slice(first, first + BLOCK)
            into = widen(terms[0, part], total[part])
            for term in terms[1:, part]:
                into += widen(term, self._term[: len(into)])
