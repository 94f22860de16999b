"""The compiled engine of training on derivatives (kernels/entry/tangent_step.py)."""

from dataclasses import replace

import numpy as np

from ..common.types import NO_LOSSES, Array, Floats
from ..data.derivatives import Derivatives
from ..data.tables import address
from ..kernels.base.sizes import DESCRIPTOR
from ..kernels.entry import run
from ..kernels.primitives import gather
from ..kernels.tables import arenas, job_table, layout
from ..kernels.tables import tangent_table as T
from .arrays import Dataset, TrainingArrays, derivative_factors
from .compiled_engine import CompiledEngine, plan_of, pointers_to
from .job import Job

EVALUATED_ROWS = 2048
"""Rows that are evaluated at a time, those of tangents included."""


class TangentTable:
    """The table of a job with tangents (tangent_table.py), and the memory that it points to."""

    def __init__(self, known: Derivatives, arrays: TrainingArrays) -> None:
        spec, dtype = arrays.spec, arrays.parameters.dtype
        self._zeros = arenas.allocate(layout.rounded(max(spec.sizes), spec.lanes), dtype)
        self._factors = np.ascontiguousarray(derivative_factors(arrays, known).T)
        self._weights = np.ascontiguousarray(known.weights.T, dtype)
        self._known = known
        self.array = np.zeros(T.TARGETS + DESCRIPTOR * known.count, np.int64)
        self.array[[T.CODE, T.COUNT]] = run.code(spec.itemsize, True), known.count
        self.array[T.ZEROS] = address(self._zeros)
        self.array[T.FACTORS] = address(self._factors)
        self.array[T.WEIGHTS] = address(self._weights)
        if known.directions is not None:
            self.array[T.IS_GIVEN] = 1
            self.array[T.ALONG : T.TARGETS] = known.directions.descriptor
        rows, outputs, _ = known.jacobian.shape
        between_rows, between_outputs, between = known.jacobian.strides
        targets = self.array[T.TARGETS :].reshape(known.count, DESCRIPTOR)
        first = address(known.jacobian)
        targets[:] = first, between_rows, between_outputs, known.code, rows, outputs
        targets[:, gather.ADDRESS] += between * np.arange(known.count)


class DerivativeEngine(CompiledEngine):
    """Trains on the derivatives of data that have them, along ``count`` directions of each row."""

    def __init__(self, arrays: TrainingArrays, limit: int, count: int) -> None:
        spec = replace(arrays.spec, extended=True, directions=count)
        super().__init__(replace(arrays, spec=spec), limit)
        self.count = count

    def train(self, data: Dataset, job: Job, into: Array) -> float:
        """See ``Engine``."""
        assert data.derivatives is not None
        flops = 6.0 * job.batch * self._products(data.derivatives)
        workers = self._workers(flops)
        self._make_room(self._rows_in_work(job.batch), workers)
        table = TangentTable(data.derivatives, self.arrays)
        job.point(self._pointers, data.x, data.y, data.weights)
        job[job_table.TANGENTS] = address(table.array)
        return self._run_training(job, into, workers, flops)

    def _products(self, known: Derivatives | None) -> int:
        """Multiplications of a row forward. Tangents along inputs take none in the first layer."""
        inputs, units, *_ = self.arrays.spec.sizes
        first = inputs * units if known is not None and known.directions is None else 0
        return self._weights + self.count * (self._weights - first)

    def _rows_in_work(self, rows: int) -> int:
        """The rows of the values and of the tangents of a batch."""
        return layout.rounded(rows, self.arrays.spec.lanes) * (1 + self.count)

    def derivative_losses(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``."""
        most = layout.rounded(max(1, EVALUATED_ROWS // (1 + self.count)), self.arrays.spec.lanes)
        most = min(most, data.rows)
        workers = self._workers(2.0 * most * self._products(data.derivatives))
        capacity = self._rows_in_work(most)
        spec = replace(self.arrays.spec, capacity=capacity, workers=workers, dropout=())
        plan = plan_of(spec).copy()  # kernels write in it
        work = arenas.allocate(plan[0, layout.WORK], self.arrays.parameters.dtype)
        pointers, statuses = pointers_to(self.arrays, plan, work), np.zeros(workers, np.int64)
        for start in range(0, data.rows, most):
            part = data.part(start, min(data.rows, start + most))
            assert part.derivatives is not None
            job = Job(job_table.INFER, part.rows, part.rows, NO_LOSSES)
            table = TangentTable(part.derivatives, self.arrays)
            job.point(pointers, part.x, part.y)
            job.write_to(start, None, values)
            job[job_table.STATUSES] = address(statuses)
            job[job_table.TANGENTS] = address(table.array)
            self._run_once(job, workers)
            status = next(filter(None, statuses.tolist()), job_table.OK)
            if status != job_table.OK:
                return status + job_table.KINDS * start
        return job_table.OK
