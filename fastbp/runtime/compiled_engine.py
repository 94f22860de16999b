"""The compiled engine: gives the kernels their arrays and a number of workers."""

import time
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ..common.types import NO_LOSSES, Array, Floats, Ints
from ..data.tables import address
from ..kernels.base import width
from ..kernels.entry import run
from ..kernels.tables import arenas, job_table, layout
from . import (
    chunking,
    forks,
    jacobians_handle,
    layer,
    limits,
    nonzeros,
    places,
    rooms,
    threads,
)
from .arrays import Dataset, TrainingArrays
from .job import Job
from .model_handle import ModelHandle, training_handle
from .pace import Pace

if TYPE_CHECKING:
    from .derivative_engine import DerivativeEngine

BLOCKS, BLOCKS_FROM_MEMORY = (3, 12) if width.BITS == 512 else (12, 24)
"""Vectors of rows that a worker of an inference takes through the network at a time: multiples of
the widest tile's. Fewer stay in a nearer cache, more read the weights less often. On a Zen 4
784-1024-1024-1024-10 ran at 90% of the FMA peak with 3, and at 86% with 12; 2048-2048-2048, whose
weights come from memory, at 65% with 3 and 80% with 12. A Zen 3, whose second cache is half as
large and whose vectors have half the rows, is faster with 12 and with 24."""

CACHED_WEIGHTS = 3 * 2**19
"""The largest number of weights of a layer that counts as cached."""


@lru_cache(maxsize=64)
def plan_of(spec: layout.PlanSpec) -> Ints:
    """The plan of a spec, made once: kernels write in a plan that is extended, so copy that."""
    plan = layout.make_plan(spec)
    if spec.numbers:  # their code is loaded, or compiled, when a plan first needs it
        from ..kernels.entry import embedding_run

        plan[0, layout.EMBEDDING_CODE] = embedding_run.code(spec.itemsize)
    return plan


class CompiledEngine:
    """Runs the kernels, with as many workers as the work is worth."""

    def __init__(self, arrays: TrainingArrays, limit: int) -> None:
        self.arrays = arrays
        self.limit = limit
        self.forced_workers = 0
        self._pace = Pace()
        self._spec = replace(arrays.spec, capacity=0)
        self._plan: Ints
        self._work: Array
        self._pointers: tuple[int, ...]
        self._weights = sum(a * b for a, b in pairwise(arrays.spec.widths))
        self._inference = Inference(arrays)
        self._extended: CompiledEngine | None = None
        self._of_derivatives: DerivativeEngine | None = None

    def _workers(self, flops: float) -> int:
        """The most workers that ``flops`` operations are worth, within the limits of the moment."""
        return self.forced_workers or limits.allowed(threads.workers(self.limit, flops))

    def _make_room(self, rows: int, workers: int, sparse: bool = False) -> None:
        spec = self._spec
        if rows > spec.capacity or workers > spec.workers or sparse > spec.sparse:
            capacity, workers = max(rows, spec.capacity), max(workers, spec.workers)
            sparse = sparse or spec.sparse
            spec = replace(spec, capacity=capacity, workers=workers, sparse=sparse)
            plan = plan_of(spec).copy() if spec.extended else plan_of(spec)  # kernels write in it
            self._work = arenas.allocate(plan[0, layout.WORK], self.arrays.parameters.dtype)
            self._spec, self._plan = spec, plan
            self._pointers = pointers_to(self.arrays, plan, self._work)

    def train(self, data: Dataset, job: Job, into: Array) -> float:
        """See ``Engine``."""
        if data.derivatives is not None:
            return self._with_derivatives(data.derivatives.count).train(data, job, into)
        way = nonzeros.way(data.x, self.arrays.spec, job.batch)
        flops = 6.0 * job.batch * self._weights * way.share
        workers = self._workers(flops)
        self._make_room(job.batch, workers, way.code != 0)
        job.point(self._pointers, data.x, data.y, data.weights, way.code)
        return self._run_training(job, into, workers, flops)

    def _run_training(self, job: Job, into: Array, workers: int, flops: float) -> float:
        """Run a job that has its addresses; the seconds that it waited. flops: of a batch."""
        if into is not self.arrays.moments:
            job[job_table.MOMENTS] = address(into)
        if self.forced_workers or workers == 1:
            return _run(job, self.arrays, workers)
        return self._run_in_pieces(job, workers, flops)

    def _with_derivatives(self, count: int) -> "DerivativeEngine":
        """The engine for data with derivatives along ``count`` directions."""
        if self._of_derivatives is None or self._of_derivatives.count != count:
            from .derivative_engine import DerivativeEngine

            self._of_derivatives = DerivativeEngine(self.arrays, self.limit, count)
        self._of_derivatives.forced_workers = self.forced_workers
        return self._of_derivatives

    def _run_once(self, job: Job, workers: int) -> None:
        _run(job, self.arrays, workers)

    def apply(self, gradient: Array) -> int:
        """See ``Engine``. Extended kernels do it, whose bits are those of plain ones."""
        if not self.arrays.spec.extended:
            if self._extended is None:
                spec = replace(self.arrays.spec, extended=True)
                self._extended = CompiledEngine(replace(self.arrays, spec=spec), self.limit)
            self._extended.forced_workers = self.forced_workers
            return self._extended.apply(gradient)
        workers = self._workers(6.0 * self._weights)
        self._make_room(1, workers)
        job = Job(job_table.APPLY_GRADIENT, 1, 1, NO_LOSSES)
        job.point(self._pointers)
        job.write_to(0, gradient, None)
        _run(job, self.arrays, workers)
        return job[job_table.STATUS]

    def _run_in_pieces(self, job: Job, most: int, flops: float) -> float:
        """Run the batches of BUDGET, by as many workers as pay. flops: of a batch."""
        left, waited = job[job_table.BUDGET], 0.0
        while True:
            began = time.perf_counter()
            regime = self._pace.regime(most, began)
            workers, seconds = regime.workers()
            cost = regime.cost * flops
            piece = min(left, max(1, int(seconds / cost))) if cost else 1
            job[job_table.BUDGET] = piece
            waits = _run(job, self.arrays, workers)
            made = piece - job[job_table.BUDGET]
            self._pace.note(regime, workers, made * flops, began + waits, time.perf_counter())
            left, waited = left - made, waited + waits
            if left == 0 or made < piece or job[job_table.STATUS] != job_table.OK:
                break
        job[job_table.BUDGET] = left
        return waited

    def handle(self, batch_size: int) -> ModelHandle:
        """The handle of a model that trains in this engine's memory, or MemoryError."""
        try:
            self._make_room(batch_size, 1)
        except MemoryError as error:
            raise MemoryError(
                f"batch_size is {batch_size}, and there is no memory for a step of as many rows: "
                "make the Trainer with a smaller one"
            ) from error
        plans = inference_plan(self.arrays.spec, batch_size, 1), self._plan
        rows = self.max_single_thread_rows()
        made = training_handle(self.arrays, batch_size, rows, plans, self._work)
        jacobians_handle.follow(made.array)
        return made

    def max_single_thread_rows(self) -> int:
        """The most rows of a step that one thread makes."""
        if self.forced_workers:
            return threads.NO_LIMIT if self.forced_workers == 1 else 0
        return threads.max_single_thread_rows(self.limit, 6.0 * self._weights)

    @property
    def plan(self) -> Ints:
        """The plan of a step, once it is made."""
        return self._plan

    @property
    def work(self) -> Array:
        """The memory of a step, once it is allocated."""
        return self._work

    def outputs(self, data: Dataset, out: Array) -> int:
        """See ``Engine``."""
        return self._infer(data, out=out)

    def evaluate_rows(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``."""
        return self._infer(data, values=values)

    def derivative_losses(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``."""
        assert data.derivatives is not None
        engine = self._with_derivatives(data.derivatives.count)
        return engine.derivative_losses(data, values)

    def _infer(self, data: Dataset, **results: Array) -> int:
        if self.forced_workers:
            return self._inference.run_by(self.forced_workers, data, **results)
        return self._inference.run(self.limit, data, **results)


def inference_plan(spec: layout.PlanSpec, rows: int, workers: int) -> Ints:
    """The plan of an inference of ``rows`` rows, some vectors of rows at a time."""
    return _plan_of_vectors(
        spec, _vectors(_most_vectors(spec.widths), spec.lanes, rows, workers), workers
    )


def _most_vectors(widths: tuple[int, ...]) -> int:
    largest = max((a * b for a, b in pairwise(widths)), default=0)
    return BLOCKS if largest <= CACHED_WEIGHTS else BLOCKS_FROM_MEMORY


def _vectors(most: int, lanes: int, rows: int, workers: int) -> int:
    """Vectors of rows that each worker takes at a time."""
    return min(most, -(-rows // (lanes * workers)))


def _plan_of_vectors(spec: layout.PlanSpec, vectors: int, workers: int) -> Ints:
    capacity = vectors * spec.lanes * workers
    return plan_of(replace(spec, capacity=capacity, workers=workers, dropout=()))


class _InferencePlan(NamedTuple):
    plan: Ints
    address: int
    rows: int
    """Rows of a whole block, of all workers."""
    work_bytes: int


class Inference:
    """Outputs, or loss and correctness, with the arrays that it is made for.

    Safe from many threads: each call has a room of its own. It keeps plans and addresses, because
    some rows are predicted faster than either is made.
    """

    def __init__(self, arrays: TrainingArrays) -> None:
        self.arrays = arrays = replace(arrays)  # another may switch to the extended kernels
        widths, self._lanes = arrays.spec.widths, arrays.spec.lanes
        self._flops_of_row = 2.0 * sum(a * b for a, b in pairwise(widths))
        self._most_vectors = _most_vectors(widths), _most_vectors(widths[1:])
        self._plans: dict[tuple[int, int], _InferencePlan] = {}
        self._pace = Pace()
        parts = arrays.parameters, arrays.moments, arrays.hyper
        self._parameters, self._moments, self._hyper = map(address, parts)

    def run(
        self,
        limit: int,
        data: Dataset,
        *,
        out: Array | None = None,
        values: Floats | None = None,
    ) -> int:
        """``run_by`` at most ``limit`` workers, as many as pay."""
        code, share = self._way(data)
        flops = data.rows * self._flops_of_row * share
        most = limits.allowed(threads.workers(limit, flops))
        if most == 1:
            return self._run_by(1, data, (out, values), code)
        began = time.perf_counter()
        regime = self._pace.regime(most, began)
        workers, _ = regime.workers()
        status = self._run_by(workers, data, (out, values), code)
        self._pace.note(regime, workers, flops, began, time.perf_counter())
        return status

    def run_by(
        self,
        workers: int,
        data: Dataset,
        *,
        out: Array | None = None,
        values: Floats | None = None,
    ) -> int:
        """Fill out (n, outputs), or values (n, 2), of all rows; the status, as of ``Engine``.

        Many rows take several calls of the kernels. All but the last are of whole blocks, because a
        small batch has another order of summation.
        """
        return self._run_by(workers, data, (out, values), self._way(data).code)

    def _run_by(
        self,
        workers: int,
        data: Dataset,
        results: tuple[Array | None, Floats | None],
        code: int,
    ) -> int:
        plan = self._plan(data.rows, workers, code != 0)
        room = rooms.borrow(plan.work_bytes, workers)
        try:
            return self._run_in(room, plan, workers, data, results, code)
        finally:
            rooms.give_back(room)

    def _way(self, data: Dataset) -> nonzeros.Way:
        return nonzeros.way(data.x, self.arrays.spec, data.rows)

    def _plan(self, rows: int, workers: int, by_nonzeros: bool) -> _InferencePlan:
        most = self._most_vectors[by_nonzeros]  # nonzeros read few rows of the first W
        vectors = _vectors(most, self._lanes, rows, workers)
        found = self._plans.get((vectors, workers))
        if found is None:
            plan = _plan_of_vectors(self.arrays.spec, vectors, workers)
            size = int(plan[0, layout.WORK]) * self.arrays.parameters.itemsize
            found = _InferencePlan(plan, address(plan), int(plan[0, layout.CAPACITY]), size)
            self._plans[vectors, workers] = found
        return found

    def _run_in(
        self,
        room: rooms.Room,
        plan: _InferencePlan,
        workers: int,
        data: Dataset,
        results: tuple[Array | None, Floats | None],
        code: int,
    ) -> int:
        rows, block, job = data.rows, plan.rows, room.job
        pointers = plan.address, self._parameters, self._moments, room.address, self._hyper
        start, count = 0, rows if rows < 2 * block else chunking.first_rows(self.arrays.spec)
        while True:
            count = max(block, count // block * block)
            stop = start + count if rows - start >= 2 * count else rows
            began = time.perf_counter()
            part = data.part(start, stop)
            job.begin(job_table.INFER, part.rows, part.rows)
            job.point(pointers, part.x, part.y, None, code)
            job.write_to(start, *results)
            room.statuses.fill(job_table.OK)
            waited = _run(job, self.arrays, workers)
            status = next(filter(None, room.statuses.tolist()), job_table.OK)
            if status != job_table.OK:
                return status + job_table.KINDS * start
            if stop == rows:
                return job_table.OK
            count = chunking.next_count(count, time.perf_counter() - began - waited)
            start = stop


def _run(job: Job, arrays: TrainingArrays, workers: int) -> float:
    """Run a job. Returns the seconds that it waited for other threads."""
    spec = arrays.spec
    kind: tuple[int, ...] = (spec.itemsize, spec.extended)
    if spec.directions:
        kind = (*kind, True)
    if workers == 1 or not forks.can_split():
        run.serial(*kind)(job.address, job_table.RUN, 0, 1)
        return 0.0
    if layer.start() == "workqueue":
        from . import pool

        return threads.run_exclusive(workers, pool.run, job.address, kind, workers)
    arguments = job.array, run.code(*kind), workers, *places.known()
    return threads.run_exclusive(workers, run.parallel, *arguments)


def pointers_to(arrays: TrainingArrays, plan: Ints, work: Array) -> tuple[int, ...]:
    """The elements of a job from PLAN to HYPER: addresses."""
    parts = (arrays.parameters, arrays.moments, work, arrays.hyper)
    return (address(plan), *map(address, parts))
