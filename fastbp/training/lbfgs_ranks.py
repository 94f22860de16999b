"""L-BFGS on several ranks: SciPy searches on rank 0, and all compute gradients of parts.

Before each evaluation, and after each iteration, rank 0 says what comes next. Then it sends the
parameters, or all hear of the iteration.
"""

import math
from collections.abc import Callable

import numpy as np

from ..common.types import Array
from ..components.lbfgs import LBFGS
from ..distributed import sums
from ..distributed.cuts import Cut, Span, halves, part
from ..distributed.exchange import new_exchange
from ..distributed.group import SEARCH, Group
from ..kernels.tables import arenas, job_table
from . import full_gradients, lbfgs_search
from .core import TrainerCore
from .lbfgs_search import Outcome
from .refused_batches import NO_GRADIENT
from .row_order import RowOrder

EVALUATION, ITERATION, END = range(3)
"""What comes next."""


class PartGradients:
    """The loss and its gradient over all rows, of which each rank computes its parts.

    Part i is the batches part(K, i, parts) of K batches, which are small where rows are few, so
    that most parts have some. Their sums are combined as those of an update.
    """

    def __init__(self, core: TrainerCore, group: Group, order: RowOrder) -> None:
        self.core, self.group, self._order = core, group, order
        lanes = core.arrays.spec.lanes
        parts = core.sharing.parts if core.sharing.is_ordered else group.size
        of_part = -(-order.rows // (parts * lanes)) * lanes
        self._batch = min(core.batch_size, full_gradients.ROWS_OF_A_SUM, of_part)
        batches = -(-order.rows // self._batch)
        self._cut = Cut(
            rows=order.rows,
            first=0,
            count=0,
            leaves=tuple(part(batches, number, parts) for number in range(parts)),
            held=tuple(part(parts, rank, group.size) for rank in range(group.size)),
        )
        like, roots = core.net.arrays.parameters, max(map(len, self._cut.roots))
        self._exchange = new_exchange(group, like, [(0, like.size)], roots, "ordered", True)

    def compute(self) -> tuple[float, list[arenas.Layer]] | None:
        """Loss and gradient at the parameters; None on all ranks where a loss is not finite."""
        group, losses = self.group, list[float]()
        try:
            for root, into in zip(self._cut.roots[group.rank], self._exchange.own, strict=False):
                into[:] = self._sum(root, losses)
        except FloatingPointError:
            losses = [math.nan]
        loss = sum(loss for of_rank in group.of_all(losses) for loss in of_rank)
        if not math.isfinite(loss):
            return None
        gradient = self._exchange.sum(self._cut)
        layers = list(arenas.read_layers(self.core.net.arrays.plan, gradient))
        return loss / self._order.rows, layers

    def _sum(self, node: Span, losses: list[float]) -> Array:
        """The gradient below a node of the tree, some leaf of which has batches."""
        filled = [each for each in range(*node) if range(*self._cut.leaves[each])]
        if len(filled) == 1:
            return self._of_part(self._cut.leaves[filled[0]], losses)
        found = [
            self._sum(half, losses)
            for half in halves(node)
            if any(half[0] <= each < half[1] for each in filled)
        ]
        if len(found) == 2:
            sums.add(*found)
        return found[0]

    def _of_part(self, batches: Span, losses: list[float]) -> Array:
        core, order = self.core, self._order
        job = order.job(self._batch, core.seed, 1)
        job[job_table.TASK] = job_table.GRADIENTS
        job[job_table.START] = batches[0] * self._batch
        job.weights[0] = 1.0  # other parts have weight: the last batch adds the penalties
        found = full_gradients.summed(core, order.data, job, batches[1] - batches[0])
        losses.append(float(job.losses[0]))
        gradient: Array = arenas.allocate(found.size, found.dtype)  # at a cache line
        gradient[:] = found
        return gradient


def minimize(
    rule: LBFGS, parts: PartGradients, iterations: int, callback: Callable[[int, float], None]
) -> Outcome:
    """``lbfgs_search.minimize`` on all ranks, which have the same rows and parameters."""
    search = _lead if parts.group.rank == 0 else _follow
    return search(rule, parts, iterations, callback)


def _lead(
    rule: LBFGS, parts: PartGradients, iterations: int, callback: Callable[[int, float], None]
) -> Outcome:
    group, net = parts.group, parts.core.net

    def gradients() -> tuple[float, list[arenas.Layer]]:
        group.meet(SEARCH, own=(EVALUATION,))
        group.comm.Bcast(net.arrays.parameters, 0)
        found = parts.compute()
        if found is None:
            raise FloatingPointError(NO_GRADIENT)
        return found

    def tell(number: int, loss: float) -> None:
        group.meet(SEARCH, own=(ITERATION, number, int(np.float64(loss).view(np.int64))))
        callback(number, loss)

    outcome = lbfgs_search.minimize(rule, net, gradients, iterations, tell)
    group.meet(SEARCH, own=(END,))
    found: Outcome = group.comm.bcast(outcome, 0)
    return found


def _follow(
    _rule: LBFGS, parts: PartGradients, _iterations: int, callback: Callable[[int, float], None]
) -> Outcome:
    group, parameters = parts.group, parts.core.net.arrays.parameters
    kept = parameters.copy()
    try:
        while True:
            what, number, loss, *_ = group.meet(SEARCH)[0]
            if what == END:
                found: Outcome = group.comm.bcast(None, 0)
                return found
            if what == EVALUATION:
                group.comm.Bcast(parameters, 0)
                parts.compute()
            else:
                kept[:] = parameters
                callback(int(number), float(loss.view(np.float64)))
    finally:
        parameters[:] = kept  # those of the last iteration, as on rank 0
