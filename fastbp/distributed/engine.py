"""The engine of a trainer on several ranks: each computes a part, and all make the same update."""

import math
from collections.abc import Callable

import numpy as np

from ..common.types import Array, Floats, Ints
from ..components.sharing import Sharing
from ..kernels.tables import job_table, layout, settings
from ..runtime.arrays import Dataset, raise_invalid
from ..runtime.compiled_engine import CompiledEngine
from ..runtime.job import Job
from . import cuts, node_memory, overlap
from .cuts import Cut, Span
from .exchange import Exchange, NodeExchange, new_exchange
from .group import INFERENCE, ROWS, UPDATE, Group
from .local_job import LocalJob, batch_of
from .stages import Stages


class DistributedEngine:
    """Cuts batches and inferences among the ranks of a group; see ``Engine``.

    Args:
        group: the ranks.
        engine: the compiled engine of this rank, whose arrays are of an extended spec.
        sharing: how they share the work.
        plan: of the parameters.

    """

    def __init__(self, group: Group, engine: CompiledEngine, sharing: Sharing, plan: Ints) -> None:
        self._group, self._engine, self._sharing = group, engine, sharing
        self._arrays, self._lanes = engine.arrays, engine.arrays.spec.lanes
        self._parts = sharing.parts if sharing.is_ordered else group.size
        self._layers = _trained(plan, self._arrays.hyper, len(self._arrays.parameters))
        self._portions: list[overlap.Portion] = []
        self._stages = Stages(engine, sharing.is_local)
        self._exchange: Exchange | None = None  # many engines make no update
        self._overlap: overlap.Overlap | None = None

    def _take_memory(self) -> Exchange:
        if self._exchange is not None:
            return self._exchange
        group, sharing = self._group, self._sharing
        if sharing.is_local:
            cut: Cut | None = cuts.own([1] * group.size, 1, group.rank)
        else:
            cut = cuts.shared(10**6, self._lanes, self._parts, group.rank, group.size)
        roots = 1 if cut is None or not sharing.is_ordered else max(map(len, cut.roots))
        least = None if node_memory.on_one_node(group) else overlap.LEAST
        self._portions = overlap.portions(self._layers, least)
        spans = [span for portion in self._portions for span in portion.spans]
        parameters, is_kept = self._arrays.parameters, self._keeps_gradients()
        exchange = new_exchange(group, parameters, spans, roots, sharing.reduction, is_kept)
        if len(self._portions) > 1 and not isinstance(exchange, NodeExchange):
            self._overlap = overlap.Overlap(exchange)
        self._exchange = exchange
        return exchange

    def _keeps_gradients(self) -> bool:
        """Whether an update leaves a gradient as it is: penalties and the like are added to it."""
        changes = settings.L1, settings.L2, settings.CLIP_VALUE, settings.CLIP_NORM
        return not self._arrays.hyper[list(changes)].any() and not self._arrays.spec.input_scaling

    # Updates

    def train(self, data: Dataset, job: Job, into: Array) -> float:
        """See ``Engine``. A gradient without an update is each rank's own affair."""
        if job[job_table.TASK] != job_table.TRAIN:
            return self._engine.train(data, job, into)
        with np.errstate(all="ignore"):  # a loss that is not finite is reported
            everybodys, exchange = self._everybodys_rows(data, job), self._take_memory()
            while job[job_table.EPOCH] < job[job_table.EPOCHS] and job[job_table.BUDGET] > 0:
                if everybodys is None:
                    was_made = self._train_batch(data, job, exchange)
                else:
                    was_made = self._train_own(data, job, exchange, everybodys)
                if not was_made:
                    break
        return 0.0

    def _everybodys_rows(self, data: Dataset, job: Job) -> list[int] | None:
        """The rows of an epoch that each rank has; None where all have the same."""
        if not self._sharing.is_local:
            return None
        if isinstance(job, LocalJob):
            return job.counts
        told: list[int] = self._group.meet(ROWS, own=(data.rows,))[:, 0].tolist()
        return told

    def _train_batch(self, data: Dataset, job: Job, exchange: Exchange) -> bool:
        """One batch; whether it was made, and not refused."""
        rows = min(job.batch, job[job_table.ROWS] - job[job_table.START])
        group = self._group
        cut = cuts.shared(rows, self._lanes, self._parts, group.rank, group.size)
        if cut is None:
            return self._train_alike(data, job, rows)
        first = job[job_table.START] + cut.first
        self._stages.compute(data, job, cut, (first, first + cut.count))
        status = self._stages.status(cut.vectors(group.rank))
        self._meet(job, rows, status)
        return job[job_table.STATUS] == job_table.OK and self._use(job, cut, exchange)

    def _use(self, job: Job, cut: Cut, exchange: Exchange) -> bool:
        """Add the losses of a batch to a job, and make the update; whether it was made."""
        total, weight = self._sums(cut)
        if not math.isfinite(total):
            job[job_table.STATUS] = job_table.NOT_FINITE
            return False
        epoch = job[job_table.EPOCH] - job[job_table.FIRST]
        job.losses[epoch] += total
        job.weights[epoch] += weight
        if weight > 0.0:
            job[job_table.STATUS] = self._update(cut, exchange)
        if job[job_table.STATUS] == job_table.OK:
            _go_on(job)
        return job[job_table.STATUS] == job_table.OK

    def _train_own(
        self, data: Dataset, job: Job, exchange: Exchange, everybodys: list[int]
    ) -> bool:
        """One batch of which each rank has rows of its own; whether it was made.

        everybodys: the rows of an epoch that each rank has.
        """
        _group, rank = self._group, self._group.rank
        if isinstance(job, LocalJob) and job[job_table.START] == 0:
            job.begin_epoch()
        spans = [batch_of(job, here) for here in everybodys]
        cut = cuts.own([last - first for first, last in spans], self._lanes, rank)
        job[job_table.BUDGET] -= 1
        if cut.rows == 0:
            _go_on(job)
            return True
        self._stages.compute(data, job, cut, spans[rank])
        status = self._stages.status(cut.vectors(rank))
        self._meet(job, cut.rows, status)
        if job[job_table.STATUS] != job_table.OK:
            self._refuse(data, job, spans[rank], status)
            return False
        return self._use(job, cut, exchange)

    def _refuse(self, data: Dataset, job: Job, own: Span, status: int) -> None:
        """Raise on all ranks what explains why one has refused its rows."""
        with self._group.call("reading rows"):
            rows = np.arange(*own) if job.order is None else job.order[slice(*own)]
            raise_invalid(status, rows, data, self._arrays)
            self._group.meet(ROWS)

    def _train_alike(self, data: Dataset, job: Job, rows: int) -> bool:
        """A batch that is too small to be cut: every rank makes it whole."""
        left, job[job_table.BUDGET] = job[job_table.BUDGET], 1
        self._meet(job, rows, job_table.OK)
        self._engine.train(data, job, self._arrays.moments)
        job[job_table.BUDGET] += left - 1
        return job[job_table.STATUS] == job_table.OK

    def _meet(self, job: Job, rows: int, status: int) -> None:
        """Give a job the status of the first rank that has refused its rows."""
        place = job[job_table.EPOCH], job[job_table.START]
        same = rows, *place, int(self._arrays.hyper[settings.UPDATES])
        found = self._group.meet(UPDATE, same, (status,))[:, 0].tolist()
        refused = [each for each in found if each != job_table.OK]
        job[job_table.STATUS] = refused[0] if refused else job_table.OK

    def _sums(self, cut: Cut) -> tuple[float, float]:
        """The losses of all rows in their order, with the penalties, and their weights: sums."""
        group, lanes = self._group, self._lanes
        counts = [2 * lanes * cut.vectors(rank) for rank in range(group.size)]
        values = np.empty((sum(counts) // (2 * lanes), 2, lanes), self._arrays.parameters.dtype)
        mine = self._stages.losses(cut.vectors(group.rank))
        _gather(group, mine, values, counts)
        total, weight = (
            float(np.cumsum(values[:, kind], dtype=np.float64)[-1]) for kind in range(2)
        )
        if weight > 0.0 and self._stages.has_penalty:
            total += cut.rows * self._stages.penalty()
        return total, weight

    def _update(self, cut: Cut, exchange: Exchange) -> int:
        rank, stages, ahead = self._group.rank, self._stages, self._overlap
        for portion in self._portions:
            if self._sharing.is_ordered:
                stages.gradients(cut, rank, exchange.own, portion)
            else:
                stages.whole_gradient(cut.vectors(rank), exchange.own[0], portion)
            if ahead is not None:
                ahead.begin(portion, cut)
        return stages.apply(exchange.sum(cut) if ahead is None else ahead.end())

    def apply(self, gradient: Array) -> int:
        """See ``Engine``."""
        return self._engine.apply(gradient)

    # Inferences

    def outputs(self, data: Dataset, out: Array) -> int:
        """See ``Engine``."""
        return self._infer(data, out, self._engine.outputs)

    def evaluate_rows(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``."""
        return self._infer(data, values, self._engine.evaluate_rows)

    def derivative_losses(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``. No trainer of several ranks takes derivatives."""
        return self._engine.derivative_losses(data, values)

    def _infer(self, data: Dataset, results: Array, infer: Callable[[Dataset, Array], int]) -> int:
        """Fill results (rows, columns), each rank its rows, and all rows on every rank."""
        group, rows = self._group, data.rows
        if self._sharing.is_local:
            return infer(data, results) if rows else job_table.OK
        same = rows, results.shape[1], int(self._arrays.hyper[settings.UPDATES])
        spans = cuts.inference(rows, self._lanes, group.size)
        if spans is None:
            group.meet(INFERENCE, same)
            return infer(data, results)
        first, last = spans[group.rank]
        mine, status = results[first:last].copy(), job_table.OK
        if first < last:
            status = infer(data.part(first, last), mine)
        if status != job_table.OK:
            status += job_table.KINDS * first
        found = group.meet(INFERENCE, same, (status,))[:, 0].tolist()
        refused = [each for each in found if each != job_table.OK]
        if refused:
            return int(refused[0])
        counts = [(high - low) * results.shape[1] for low, high in spans]
        _gather(group, mine, results, counts)
        return job_table.OK


def _gather(group: Group, mine: Array, whole: Array, counts: list[int]) -> None:
    """The elements of all ranks, one after another, on every rank."""
    starts = [0, *np.cumsum(counts)[:-1].tolist()]
    group.comm.Allgatherv(mine, [whole, (counts, starts)])


def _go_on(job: Job) -> None:
    """Move a job to its next batch or epoch."""
    job[job_table.START] += job[job_table.BATCH]
    if job[job_table.START] >= job[job_table.ROWS]:
        job[job_table.START] = 0
        job[job_table.EPOCH] += 1


def _trained(plan: Ints, hyper: Floats, size: int) -> list[Span | None]:
    """The parameters of each layer among all (size,); None for those of frozen layers."""
    starts = plan[1:, layout.WEIGHTS].tolist()
    spans = zip(starts, [*starts[1:], size], strict=True)
    return [
        None if hyper[settings.of_layer(number, settings.LR_FACTOR)] == 0.0 else span
        for number, span in enumerate(spans, 1)
    ]
