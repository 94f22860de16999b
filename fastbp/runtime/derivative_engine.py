"""The compiled engine of training on derivatives (kernels/entry/tangent_step.py)."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from ..common.types import NO_LOSSES, Array, Floats
from ..data.derivatives import Derivatives
from ..data.tables import address
from ..kernels.base import codes
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


def goes_by_outputs(spec: layout.PlanSpec, count: int) -> bool:
    """Whether derivatives along ``count`` directions come from the side of the outputs.

    Where that takes fewer multiplications of whole vectors of units. Along the inputs the first
    layer takes none.
    """
    first, *others = (a * layout.rounded(b, spec.lanes) for a, b in pairwise(spec.sizes))
    plain = not any(spec.normalized + spec.adds_inputs) and spec.activations[-1] != codes.SOFTMAX
    return plain and spec.sizes[-1] * (first + sum(others)) < count * sum(others)


class TangentTable:
    """The table of a job with tangents (tangent_table.py), and the memory that it points to."""

    def __init__(self, known: Derivatives, arrays: TrainingArrays) -> None:
        spec, dtype = arrays.spec, arrays.parameters.dtype
        factors, weights = derivative_factors(arrays, known), known.weights
        jacobian, kind = known.jacobian, T.INPUTS if known.directions is None else T.GIVEN
        if spec.adjoints:
            kind, jacobian = T.OUTPUTS, jacobian.swapaxes(1, 2)
        else:
            factors, weights = factors.T, weights.T
        rows, columns, count = jacobian.shape
        between_rows, between_columns, between = jacobian.strides
        self._zeros = arenas.allocate(layout.rounded(max(spec.sizes), spec.lanes), dtype)
        self._factors = np.ascontiguousarray(factors)
        self._weights = np.ascontiguousarray(weights, dtype)
        self._known = known
        self.array = np.zeros(T.TARGETS + DESCRIPTOR * count, np.int64)
        self.array[[T.CODE, T.COUNT, T.KIND]] = run.code(spec.itemsize, True), count, kind
        self.array[T.ZEROS] = address(self._zeros)
        self.array[T.FACTORS] = address(self._factors)
        self.array[T.WEIGHTS] = address(self._weights)
        if known.directions is not None:
            self.array[T.ALONG : T.TARGETS] = known.directions.descriptor
        targets = self.array[T.TARGETS :].reshape(count, DESCRIPTOR)
        targets[:] = address(jacobian), between_rows, between_columns, known.code, rows, columns
        targets[:, gather.ADDRESS] += between * np.arange(count)


class DerivativeEngine(CompiledEngine):
    """Trains on the derivatives of data that have them, along ``count`` directions of each row."""

    def __init__(self, arrays: TrainingArrays, limit: int, count: int) -> None:
        spec, adjoints = arrays.spec, goes_by_outputs(arrays.spec, count)
        self.count, self._blocks = count, spec.sizes[-1] if adjoints else count
        spec = replace(spec, extended=True, directions=self._blocks, adjoints=adjoints)
        super().__init__(replace(arrays, spec=spec), limit)

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
        along_inputs = known is not None and known.directions is None
        first = inputs * units if along_inputs and not self.arrays.spec.adjoints else 0
        return self._weights + self._blocks * (self._weights - first)

    def _rows_in_work(self, rows: int) -> int:
        """The rows of the values and of the tangents, or adjoints, of a batch."""
        return layout.rounded(rows, self.arrays.spec.lanes) * (1 + self._blocks)

    def derivative_losses(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``."""
        most = layout.rounded(max(1, EVALUATED_ROWS // (1 + self._blocks)), self.arrays.spec.lanes)
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
