"""Jacobians of a network's arrays, of any number of rows (kernels/stages/jacobian.py)."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from numpy import empty, ndarray

from ..common.types import Array, Ints
from ..data.tables import address, as_inputs
from ..kernels.entry import embed_derivatives, jacobian_run, run
from ..kernels.tables import jacobian_job, job_table, layout
from . import (
    chunking,
    compiled_engine,
    forks,
    jacobians_handle,
    layer,
    limits,
    model_handle,
    places,
    pool,
    rooms,
    threads,
)
from .arrays import Dataset, TrainingArrays
from .job import Job
from .pace import Pace


class _Plan(NamedTuple):
    plan: Ints
    address: int
    work_bytes: int
    stride: int
    """Elements between two vectors of directions."""


def directions(sizes: tuple[int, ...]) -> tuple[int, int]:
    """(directions of a row, multiplications of all of them), as ``goes_backward`` chooses them."""
    products = [a * b for a, b in pairwise(sizes)]
    reverse, forward = sizes[-1] * sum(products[:-1]), sizes[0] * sum(products[1:])
    return (sizes[-1], reverse) if reverse <= forward else (sizes[0], forward)


class _FastPath(NamedTuple):
    """The way of few rows into compiled code, as ``fast_path.Prediction``."""

    header: int
    code: Callable[[int, Array, Array], bool]
    most_rows: int
    limit: int
    """The most threads for more rows, as of ``fast_path.Prediction``."""
    memory: object


class Derivatives:
    """Outputs and Jacobians, with the arrays that it is made for.

    Safe from many threads: each call has a room of its own.
    """

    def __init__(self, arrays: TrainingArrays) -> None:
        self.arrays = arrays = replace(arrays)  # another may switch to the extended kernels
        sizes = arrays.spec.sizes
        self._directions, products = directions(sizes)
        self._flops_of_row = 2.0 * (products + sum(a * b for a, b in pairwise(sizes)))
        self._plans: dict[tuple[int, int], _Plan] = {}
        self._pace = Pace()
        self._fast_path: _FastPath | None = None
        self._parameters, self._hyper = address(arrays.parameters), address(arrays.hyper)

    def fast_jacobian(self, X: Any) -> Array | None:
        """Jacobians by the fast path; None where X must be checked, or has a value that is bad."""
        parameters, sizes = self.arrays.parameters, self.arrays.spec.sizes
        if type(X) is not ndarray or X.dtype is not parameters.dtype or not X.flags.carray:
            return None
        header, code, most_rows, limit, _ = self._fast_path or self._make_fast_path()
        if X.ndim != 2 or X.shape[1] != sizes[0] or len(X) == 0:
            return None
        out = empty((len(X), sizes[-1], sizes[0]), parameters.dtype)
        if len(X) <= most_rows:
            return out if code(header, X, out) else None
        status = self.run(limit, Dataset(as_inputs(X, sizes[0])), out)
        return out if status == job_table.OK else None

    def _make_fast_path(self) -> _FastPath:
        spec, flops, limit = self.arrays.spec, self._flops_of_row, threads.maximum("auto")
        rows = threads.max_single_thread_rows(limit, flops)
        rows = max(1, min(rows, int(chunking.FIRST_CHUNK_COST / flops)))
        plan = compiled_engine.inference_plan(spec, rows, 1)
        handle = model_handle.inference_handle(self.arrays, rows, plan)
        jacobians_handle.attach(handle.array)
        code = embed_derivatives.fast_jacobian(spec.itemsize)
        self._fast_path = made = _FastPath(address(handle.array), code, rows, limit, handle)
        return made

    def run(self, limit: int, data: Dataset, out: Array, outputs: Array | None = None) -> int:
        """``run_by`` at most ``limit`` workers, as many as pay."""
        flops = data.rows * self._flops_of_row
        most = limits.allowed(threads.workers(limit, flops))
        if most == 1:
            return self.run_by(1, data, out, outputs)
        began = time.perf_counter()
        regime = self._pace.regime(most, began)
        workers, _ = regime.workers()
        status = self.run_by(workers, data, out, outputs)
        self._pace.note(regime, workers, flops, began, time.perf_counter())
        return status

    def run_by(self, workers: int, data: Dataset, out: Array, outputs: Array | None = None) -> int:
        """Fill out (n, outputs, inputs) with the Jacobian of each row, and outputs (n, outputs).

        Returns a status as ``Engine.outputs``. Many rows take several calls of the kernels, in
        which each row has the same bits.
        """
        plan = self._plan(data.rows, workers)
        room = rooms.borrow(plan.work_bytes, workers)
        try:
            return self._run_in(room, plan, workers, data, (out, outputs))
        finally:
            rooms.give_back(room)

    def _plan(self, rows: int, workers: int) -> _Plan:
        group = jacobian_job.GROUP
        vectors = min(rows, max(3, group // self._directions))
        found = self._plans.get((vectors, workers))
        if found is None:
            spec, itemsize = self.arrays.spec, self.arrays.parameters.itemsize
            plan = compiled_engine.inference_plan(spec, vectors * spec.lanes * workers, workers)
            stride = jacobian_job.vector_stride(spec.sizes, spec.lanes, itemsize)
            elements = int(plan[0, layout.WORK]) + workers * jacobian_job.arena_stride(stride)
            found = _Plan(plan, address(plan), elements * itemsize, stride)
            self._plans[vectors, workers] = found
        return found

    def _run_in(
        self,
        room: rooms.Room,
        plan: _Plan,
        workers: int,
        data: Dataset,
        results: tuple[Array, Array | None],
    ) -> int:
        itemsize, job = self.arrays.parameters.itemsize, room.job
        arena = room.address + int(plan.plan[0, layout.WORK]) * itemsize
        pointers = plan.address, self._parameters, arena, room.address, self._hyper
        block = max(workers, 8) * self.arrays.spec.lanes
        start, count = 0, int(chunking.FIRST_CHUNK_COST / self._flops_of_row)
        while True:
            count = max(block, count // block * block)
            stop = start + count if data.rows - start >= 2 * count else data.rows
            began = time.perf_counter()
            part = data.part(start, stop)
            job.begin(int(jacobian_job.JACOBIAN), part.rows, part.rows)
            job.point(pointers, part.x)
            job.write_to(start, *results)
            job[jacobian_job.STRIDE] = plan.stride
            job[jacobian_job.ARENA_STRIDE] = jacobian_job.arena_stride(plan.stride)
            room.statuses.fill(job_table.OK)
            waited = _run(job, self.arrays, workers)
            status = next(filter(None, room.statuses.tolist()), job_table.OK)
            if status != job_table.OK:
                return status + job_table.KINDS * start
            if stop == data.rows:
                return job_table.OK
            count = chunking.next_count(count, time.perf_counter() - began - waited)
            start = stop


def _run(job: Job, arrays: TrainingArrays, workers: int) -> float:
    """Run a job, as ``compiled_engine`` does. The seconds that it waited for other threads."""
    kind = arrays.parameters.itemsize, arrays.spec.extended
    if workers == 1 or not forks.can_split():
        jacobian_run.serial(*kind)(job.address, job_table.RUN, 0, 1)
        return 0.0
    if layer.start() == "workqueue":
        call, stage = jacobian_run.serial(*kind), int(job_table.FOR_OUTPUTS)
        return threads.run_exclusive(workers, pool.run_stage, call, job.address, stage, workers)
    code = jacobian_run.code(*kind)
    return threads.run_exclusive(workers, run.parallel, job.array, code, workers, *places.known())
