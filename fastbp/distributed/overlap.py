"""Exchanging the gradients of some layers while those of the layers below are computed.

All deltas are known by then: the gradients of the layers are independent. A thread of its own sends
and receives, so that messages go on whatever the MPI library does between two calls. No sum is
another one, only earlier.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from ..common.types import Array
from .cuts import Cut, Span
from .exchange import ByMessages

LEAST = 2**18
"""Elements of a portion, at least: what is sent takes longer than the thread and the network need
to begin, and than another round of messages."""


class Portion(NamedTuple):
    """Some layers. layers: their numbers. spans: their parameters, without frozen layers."""

    layers: Span
    spans: tuple[Span, ...]


def portions(layers: Sequence[Span | None], least: int | None) -> list[Portion]:
    """The layers from the last to the first, as many at a time as have ``least`` parameters.

    layers: the parameters of layer 1 and on; None for frozen ones. least: None for all at once.

    >>> portions([(0, 9), None, (12, 20), (20, 24)], 8)
    [Portion(layers=(3, 5), spans=((12, 24),)), Portion(layers=(1, 3), spans=((0, 9),))]
    """
    found: list[Portion] = []
    spans: list[Span] = []
    top = len(layers) + 1
    for number in range(len(layers), 0, -1):
        span = layers[number - 1]
        if span is not None:
            spans = _joined(span, spans)
        size = sum(last - first for first, last in spans)
        if number == 1 or (least is not None and size >= least):
            found.append(Portion((number, top), tuple(spans)))
            spans, top = [], number
    return found


def _joined(span: Span, spans: list[Span]) -> list[Span]:
    """The span before the others; neighbours are one."""
    if spans and spans[0][0] == span[1]:
        return [(span[0], spans[0][1]), *spans[1:]]
    return [span, *spans]


class Overlap:
    """Sums the gradients of portions in a thread of its own.

    Args:
        exchange: whose spans are those of the portions, in their order.

    """

    def __init__(self, exchange: ByMessages) -> None:
        self._exchange, self._thread = exchange, ThreadPoolExecutor(1, "fastbp-exchange")
        self._begun: list[Future[None]] = []

    def begin(self, portion: Portion, cut: Cut) -> None:
        """Sum the gradients of a portion, which are there."""
        for _ in portion.spans:
            number = len(self._begun)
            self._begun.append(self._thread.submit(self._exchange.sum_span, number, cut))

    def end(self) -> Array:
        """The whole gradient (size,), once all portions have been begun."""
        begun, self._begun = self._begun, []
        for each in begun:
            each.result()
        return self._exchange.total
