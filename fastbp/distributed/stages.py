"""The stages of one update, one by one: ranks exchange losses and gradients between them.

They are those of a compiled update of extended plans (kernels/entry/step.py), on memory of its own.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..common.types import NO_LOSSES, Array, Floats, Ints
from ..data.tables import address
from ..kernels.entry import run
from ..kernels.tables import arenas, job_table, layout, settings
from ..runtime import limits, threads
from ..runtime.arrays import Dataset
from ..runtime.compiled_engine import CompiledEngine
from ..runtime.job import Job
from .cuts import Cut, Span
from .overlap import Portion
from .sums import PartSums, run_in_parallel

MANY = 2**20
"""More rows than those of a batch that is gathered before its first stage."""


class Stages:
    """What a rank computes of an update: row losses, gradients of parts, the update itself.

    Args:
        engine: the trainer's compiled engine; its arrays are of an extended spec.
        is_local: whether each rank has rows of its own.

    """

    def __init__(self, engine: CompiledEngine, is_local: bool) -> None:
        self._engine, self._arrays, self._is_local = engine, engine.arrays, is_local
        self._spec = replace(engine.arrays.spec, capacity=0, workers=1)
        self._weights = sum(a * b for a, b in pairwise(self._spec.sizes))
        self._kind, self._lanes = (self._arrays.parameters.itemsize, True), self._spec.lanes
        self._plan: Ints
        self._work: Array
        self._order = np.empty(0, np.int64)
        self._rows = Job(job_table.GRADIENTS, 1, 1, NO_LOSSES)
        self._scalars = Job(job_table.TRAIN, 1, 1, NO_LOSSES)
        self._update = Job(job_table.APPLY_GRADIENT, 1, 1, NO_LOSSES)
        self._sums = PartSums(self._arrays.parameters.dtype, self._lanes, self._arrays.hyper)

    def _make_room(self, rows: int, workers: int) -> None:
        spec = self._spec
        if rows > spec.capacity or workers > spec.workers:
            capacity, workers = max(rows, spec.capacity), max(workers, spec.workers)
            spec = replace(spec, capacity=capacity, workers=workers)
            plan = layout.make_plan(spec)
            self._work = arenas.allocate(plan[0, layout.WORK], self._arrays.parameters.dtype)
            self._spec, self._plan = spec, plan
            self._sums.work_in(plan, self._work)

    def _pointers(self) -> tuple[int, ...]:
        arrays = self._arrays
        parts = arrays.parameters, arrays.moments, self._work, arrays.hyper
        return address(self._plan), *map(address, parts)

    def _workers(self, rows: int) -> int:
        engine, flops = self._engine, 6.0 * rows * self._weights
        return engine.forced_workers or limits.allowed(threads.workers(engine.limit, flops))

    def _advance(self, job: Job, after: int) -> int:
        """The stage that follows a stage."""
        return run.serial(*self._kind)(job.address, job_table.ADVANCE, after, 1)

    def _run(self, job: Job, stage: int, workers: int) -> None:
        code = run.code(*self._kind)
        if not run_in_parallel(code, job.array, stage, workers):
            for worker in range(workers):
                run.serial(*self._kind)(job.address, stage, worker, workers)

    # The rows

    def compute(self, data: Dataset, job: Job, cut: Cut, local: Span) -> None:
        """Forward, loss and backward of this rank's rows in the batch at the START of a job.

        local: these rows among those that the job goes through in an epoch. They are shuffled
        first, where the batch is the epoch's first.
        """
        workers = self._workers(cut.count)
        self._make_room(max(cut.count, 1), workers)
        job.point(self._pointers(), data.x, data.y, data.weights)
        self._prepare(job)
        mine = self._rows
        mine.array[:] = job.array
        mine[job_table.TASK] = job_table.GRADIENTS  # the loss is a mean over all ROWS
        mine[job_table.ROWS], mine[job_table.BATCH] = cut.rows, cut.count
        mine[job_table.START] = 0
        # The order reaches beyond the last row: rows are prefetched two vectors ahead.
        if len(self._order) < cut.count + 2 * self._lanes:
            self._order = np.zeros(2 * cut.count + 2 * self._lanes, np.int64)
        given = np.arange(*local) if job.order is None else job.order[slice(*local)]
        self._order[: cut.count] = given
        mine[job_table.ORDER] = address(self._order)
        self._plan[0, layout.FIRST_ROW] = cut.first
        self._run(mine, int(job_table.BY_ROWS), workers)

    def _prepare(self, job: Job) -> None:
        """Compute the scalars of an update; shuffle rows that all ranks have.

        A job on rows of all ranks would gather as many of this rank's, where they are few.
        """
        if self._is_local:
            job = self._scalars
            job.begin(job_table.TRAIN, MANY, MANY)
            job.point(self._pointers())
        self._advance(job, int(job_table.NOTHING))

    def _blocks(self, vectors: int) -> Array:
        size = int(self._plan[0, layout.BLOCK])
        return self._work[: vectors * size].reshape(vectors, size)

    def status(self, vectors: int) -> int:
        """OK, or the status of the first vector of rows with another one."""
        found = self._blocks(vectors)[:, self._plan[0, layout.ROW_STATUS]]
        return int(next((status for status in found if status != job_table.OK), job_table.OK))

    def losses(self, vectors: int) -> Array:
        """The weighted loss and the weight of each row, (vectors, 2, lanes), 0 for no row."""
        blocks, found = self._blocks(vectors), np.empty((vectors, 2, self._lanes), self._work.dtype)
        for number, column in enumerate((layout.ROW_LOSS, layout.ROW_WEIGHT)):
            first = int(self._plan[0, column])
            found[:, number] = blocks[:, first : first + self._lanes]
        return found

    @property
    def has_penalty(self) -> bool:
        """Whether there is a penalty on weights."""
        hyper = self._arrays.hyper
        return bool(hyper[settings.L1] != 0.0 or hyper[settings.L2] != 0.0)

    def penalty(self) -> float:
        """The penalty on all weights, from the sums over panels that ``compute`` has left."""
        plan, lanes, hyper = self._plan, self._lanes, self._arrays.hyper
        panels = int(plan[-1, layout.FIRST_PANEL]) - (-int(plan[-1, layout.OUTPUTS]) // lanes)
        first = int(plan[0, layout.PANEL_SUMS])
        sums = self._work[first : first + 2 * panels * lanes].reshape(panels, 2, lanes)
        sizes, squares = np.cumsum(sums, axis=0)[-1].astype(np.float64).sum(axis=1).tolist()
        value = 0.0
        if hyper[settings.L1] != 0.0:  # 0 * inf is NaN
            value += float(hyper[settings.L1]) * sizes
        if hyper[settings.L2] != 0.0:
            value += 0.5 * float(hyper[settings.L2]) * squares
        return value

    # The gradient

    def gradients(self, cut: Cut, rank: int, into: Sequence[Array], portion: Portion) -> None:
        """Fill in a portion of the gradient (size,) below each root of this rank."""
        workers = self._workers(cut.count)
        for root, gradient in zip(cut.roots[rank], into, strict=False):
            self._sums.sum(cut.leaves, root, gradient, portion.layers, workers)

    def whole_gradient(self, vectors: int, into: Array, portion: Portion) -> None:
        """Fill in a portion of the gradient (size,) of all this rank's rows."""
        if vectors == 0:
            for first, last in portion.spans:
                into[first:last] = 0.0
        else:
            workers = self._workers(vectors * self._lanes)
            self._sums.sum(((0, vectors),), (0, 1), into, portion.layers, workers)

    def apply(self, gradient: Array) -> int:
        """Make an update by the gradient (size,) of the rows' losses; OK or NOT_FINITE."""
        workers, job = self._workers(1), self._update
        job.begin(job_table.APPLY_GRADIENT, 1, 1)
        job.point(self._pointers())
        job.write_to(0, gradient, None)
        stage = self._advance(job, int(job_table.NOTHING))
        hyper: Floats = self._arrays.hyper
        hyper[settings.PENALTY_SCALE] = 1.0  # the losses have no penalties, the update has
        while stage != job_table.NOTHING:
            self._run(job, stage, workers)
            stage = self._advance(job, stage)
        return job[job_table.STATUS]
