"""The compiled engine: gives the kernels their arrays and a number of workers."""

import time
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ..common.types import NO_LOSSES, Array, Floats, Ints
from ..data.tables import address
from ..kernels.entry import run
from ..kernels.tables import arenas, job_table, layout
from . import chunking, forks, layer, limits, pool, threads
from .arrays import Dataset, TrainingArrays
from .job import Job
from .model_handle import ModelHandle, training_handle
from .pace import Pace

BLOCKS, BLOCKS_FROM_MEMORY = 3, 12
"""Vectors of rows that a worker of an inference takes through the network at a time: multiples of
the widest tile's. Three vectors stay in the nearest cache (784-1024-1024-1024-10, two threads: 90%
of the FMA peak, and 86% with 12). Weights that come from memory must serve more rows to pay
(2048-2048-2048: 80% with 12, 65% with 3)."""

CACHED_WEIGHTS = 3 * 2**19
"""The largest number of weights of a layer that counts as cached."""

NO_VALUES = np.empty((0, 2))
"""For an inference of outputs alone."""


@lru_cache(maxsize=64)
def _plan(spec: layout.PlanSpec) -> Ints:
    return layout.make_plan(spec)


class CompiledEngine:
    """Runs the kernels, with as many workers as the work is worth."""

    def __init__(self, arrays: TrainingArrays, limit: int) -> None:
        self.arrays = arrays
        self.limit = limit
        self.forced_workers = 0
        self._pace, self._inference_pace = Pace(), Pace()
        self._spec = replace(arrays.spec, capacity=0)
        self._plan: Ints
        self._work: Array
        self._pointers: tuple[int, ...]
        self._weights = sum(a * b for a, b in pairwise(arrays.spec.sizes))

    def _workers(self, flops: float) -> int:
        """The most workers that ``flops`` operations are worth, within the limits of the moment."""
        return self.forced_workers or limits.allowed(threads.workers(self.limit, flops))

    def _make_room(self, rows: int, workers: int) -> None:
        spec = self._spec
        if rows > spec.capacity or workers > spec.workers:
            capacity, workers = max(rows, spec.capacity), max(workers, spec.workers)
            spec = replace(spec, capacity=capacity, workers=workers)
            plan = _plan(spec).copy() if spec.extended else _plan(spec)  # kernels write in it
            self._work = arenas.allocate(plan[0, layout.WORK], self.arrays.parameters.dtype)
            self._spec, self._plan = spec, plan
            self._pointers = _pointers(self.arrays, plan, self._work)

    def train(self, data: Dataset, job: Job, into: Array) -> float:
        """See ``Engine``."""
        flops = 6.0 * job.batch * self._weights
        workers = self._workers(flops)
        self._make_room(job.batch, workers)
        job.point(self._pointers, data.x, data.y, data.weights)
        if into is not self.arrays.moments:
            job[job_table.MOMENTS] = address(into)
        if self.forced_workers or workers == 1:
            return _run(job, self.arrays, workers)
        return self._run_in_pieces(job, workers, flops)

    def _run_in_pieces(self, job: Job, most: int, flops: float) -> float:
        """Run the batches of BUDGET, by as many workers as pay. flops: of a batch."""
        left, waited = job[job_table.BUDGET], 0.0
        while True:
            workers, seconds = self._pace.workers(most)
            cost = self._pace.cost * flops
            piece = min(left, max(1, int(seconds / cost))) if cost else left
            job[job_table.BUDGET] = piece
            began = time.perf_counter()
            waits = _run(job, self.arrays, workers)
            made = piece - job[job_table.BUDGET]
            self._pace.note(workers, time.perf_counter() - began - waits, made * flops)
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
        return training_handle(
            self.arrays, batch_size, self.max_single_thread_rows(), plans, self._work
        )

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

    def outputs(self, data: Dataset, out: Array) -> Ints:
        """See ``Engine``."""
        return self._infer(data, out, NO_VALUES)

    def evaluate_rows(self, data: Dataset, values: Floats) -> Ints:
        """See ``Engine``."""
        nothing = np.empty(0, self.arrays.parameters.dtype)
        return self._infer(data, nothing, values)

    def _infer(self, data: Dataset, out: Array, values: Floats) -> Ints:
        if self.forced_workers:
            return _infer_by(self.arrays, self.forced_workers, data, out, values)
        return infer(self.arrays, self.limit, self._inference_pace, data, out, values)


def inference_plan(spec: layout.PlanSpec, rows: int, workers: int) -> Ints:
    """The plan of an inference of ``rows`` rows, some vectors of rows at a time."""
    largest = max(a * b for a, b in pairwise(spec.sizes))
    blocks = BLOCKS if largest <= CACHED_WEIGHTS else BLOCKS_FROM_MEMORY
    vectors = min(blocks, -(-rows // (spec.lanes * workers)))
    capacity = vectors * spec.lanes * workers
    return _plan(replace(spec, capacity=capacity, workers=workers, dropout=()))


_SPARE: list[Array] = []
"""The arena of the last inference, reused by the next: the page faults of a fresh arena cost about
25% of a small batch."""

MOST_SPARE_BYTES = 2**26
"""A larger arena is freed: its inference takes much longer than its page faults."""


def _borrow(size: int) -> Array:
    """An arena of at least ``size`` bytes with any content: the spare one, or a new one."""
    try:
        spare = _SPARE.pop()
    except IndexError:
        return arenas.allocate(size, np.uint8)
    return spare if spare.nbytes >= size else arenas.allocate(size, np.uint8)


def _give_back(arena: Array) -> None:
    if arena.nbytes <= MOST_SPARE_BYTES:
        _SPARE[:] = [arena]


def infer(
    arrays: TrainingArrays, limit: int, pace: Pace, data: Dataset, out: Array, values: Floats
) -> Ints:
    """Outputs, or loss and correctness, of all rows, by at most ``limit`` workers, as many as pay.

    Safe from many threads: it has its own memory.
    """
    flops = 2.0 * data.rows * sum(a * b for a, b in pairwise(arrays.spec.sizes))
    most = limits.allowed(threads.workers(limit, flops))
    if most == 1:
        return _infer_by(arrays, 1, data, out, values)
    workers, _ = pace.workers(most)
    began = time.perf_counter()
    statuses = _infer_by(arrays, workers, data, out, values)
    pace.note(workers, time.perf_counter() - began, flops)
    return statuses


def _infer_by(
    arrays: TrainingArrays, workers: int, data: Dataset, out: Array, values: Floats
) -> Ints:
    """Outputs, or loss and correctness, of all rows.

    Many rows take several calls of the kernels. All but the last are of whole blocks, because a
    small batch has another order of summation.
    """
    arrays = replace(arrays)  # another thread may switch to the extended kernels
    plan = inference_plan(arrays.spec, data.rows, workers)
    work = _borrow(int(plan[0, layout.WORK]) * arrays.parameters.itemsize)
    try:
        return _infer_in(_pointers(arrays, plan, work), plan, arrays, workers, data, out, values)
    finally:
        _give_back(work)


def _infer_in(
    pointers: tuple[int, ...],
    plan: Ints,
    arrays: TrainingArrays,
    workers: int,
    data: Dataset,
    out: Array,
    values: Floats,
) -> Ints:
    block = int(plan[0, layout.CAPACITY])
    start, count = 0, chunking.first_rows(arrays.spec)
    while True:
        count = max(block, count // block * block)
        stop = start + count if data.rows - start >= 2 * count else data.rows
        began = time.perf_counter()
        job = _inference(pointers, data.part(start, stop), out[start:stop], values[start:stop])
        statuses = np.zeros(workers, np.int64)
        job[job_table.STATUSES] = address(statuses)
        waited = _run(job, arrays, workers)
        if stop == data.rows or statuses.any():
            return np.where(statuses == job_table.OK, statuses, statuses + job_table.KINDS * start)
        count = chunking.next_count(count, time.perf_counter() - began - waited)
        start = stop


def _inference(pointers: tuple[int, ...], data: Dataset, out: Array, values: Floats) -> Job:
    job = Job(job_table.INFER, data.rows, data.rows, NO_LOSSES)
    job.point(pointers, data.x, data.y)
    job[job_table.OUT] = address(out)
    job[job_table.VALUES] = address(values) if len(values) else 0
    return job


def _run(job: Job, arrays: TrainingArrays, workers: int) -> float:
    """Run a job. Returns the seconds that it waited for other threads."""
    kind = arrays.parameters.itemsize, arrays.spec.extended
    if workers == 1 or not forks.can_split():
        run.serial(*kind)(job.address, job_table.RUN, 0, 1)
        return 0.0
    if layer.start() == "workqueue":
        return threads.run_exclusive(workers, pool.run, job.address, kind, workers)
    return threads.run_exclusive(workers, run.parallel, job.array, run.code(*kind), workers)


def _pointers(arrays: TrainingArrays, plan: Ints, work: Array) -> tuple[int, ...]:
    """The elements of a job from PLAN to HYPER: addresses."""
    parts = (arrays.parameters, arrays.moments, work, arrays.hyper)
    return (address(plan), *map(address, parts))
