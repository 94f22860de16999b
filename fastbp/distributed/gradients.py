"""The mean of gradients that the ranks have computed elsewhere."""

from ..common.types import Array
from . import cuts
from .exchange import MessageExchange
from .group import APPLY, Group


def mean(group: Group, gradient: Array, rows: int) -> Array:
    """The mean gradient (size,) over the rows of all ranks; this rank's is that of ``rows`` rows.

    The ranks are the leaves of the tree: for the same ranks the bits are the same. ValueError where
    no rank has a row.
    """
    counts = group.meet(APPLY, own=(rows,))[:, 0].tolist()
    total = sum(counts)
    if total == 0:
        raise ValueError("rows is 0 on every rank: no rank has a gradient")
    exchange = MessageExchange(group.comm, gradient, [(0, gradient.size)], 1)
    exchange.own[0][:] = gradient * gradient.dtype.type(rows / total)
    return exchange.sum(cuts.own(counts, 1, group.rank))
