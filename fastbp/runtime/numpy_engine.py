"""The NumPy engine: ``engine="numpy"``, kernels/reference/ alone. Nothing is compiled."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..common.types import Array, Floats, Ints
from ..data import tables as checks
from ..kernels import reference
from ..kernels.tables import arenas, job_table, settings
from . import numpy_derivatives
from .arrays import Dataset, TrainingArrays
from .job import Job
from .numpy_updates import Layers, NumpyUpdates

BLOCK, EVALUATED = 1024, 64
"""Rows of an inference at a time, and of an evaluation of derivatives."""


class NumpyEngine(NumpyUpdates):
    """Runs the NumPy twins on copies in natural shapes of the same arenas."""

    def __init__(self, arrays: TrainingArrays) -> None:
        super().__init__(arrays)
        self._outputs = arrays.spec.sizes[-1]
        each = zip(arrays.custom_activations, arrays.spec.activations, strict=True)
        self._activations = [function or code for function, code in each]

    def _forward(
        self, x: Array, layers: Layers, factors: list[Array | None] | None = None
    ) -> tuple[list[Array], list[Array]]:
        spec, own = self.arrays.spec, layers[: self._count]
        matrices, biases = zip(*(pair[:2] for pair in own), strict=True)
        more = factors, _norms(own), spec.adds_inputs
        with np.errstate(over="ignore", invalid="ignore"):
            for embedding in layers[self._count :]:
                x = reference.embed_numbers(x, self.arrays.number_columns, *embedding)
            zs, outs = reference.forward(matrices, biases, self._activations, x, *more)
        return zs, outs

    def _take(self, data: Dataset, rows: Ints) -> tuple[int, Array, Array]:
        """Status, X and y of these rows."""
        dtype, loss = self.arrays.parameters.dtype, self.arrays.loss
        x = data.x.array[rows]
        with np.errstate(over="ignore"):
            # Integers take the way of the gather, through float64.
            x = (x.astype(np.float64) if x.dtype.kind in "iu" else x).astype(dtype)
        if not np.isfinite(x).all():
            return job_table.BAD_INPUT, x, x
        x = self._standardized(x, *self.arrays.scales[:2])
        if data.y is None:
            return job_table.OK, x, x
        try:
            checks.check_targets(data.y, rows, loss, self._outputs, dtype)
            if data.derivatives is not None:
                data.derivatives.check(rows, dtype)
        except ValueError:
            return job_table.BAD_TARGET, x, x
        y = data.y.array[rows]
        if loss.takes_labels and y.shape[1] == 1 and y.dtype.kind in "iu":
            return job_table.OK, x, y[:, 0]
        return job_table.OK, x, self._standardized(y.astype(dtype), *self.arrays.scales[2:4])

    def _standardized(self, x: Array, mean: Array, factor: Array) -> Array:
        if not self.arrays.spec.scaling:
            return x
        columns = x.shape[1]
        with np.errstate(over="ignore"):
            standardized: Array = reference.standardized(x, mean[:columns], factor[:columns])
        return standardized

    def train(self, data: Dataset, job: Job, into: Array) -> float:
        """See ``Engine``."""
        layers = self._layers(self.arrays.parameters)
        moments = [self._layers(arena) for arena in into]
        try:
            for rows in self._batches(job):
                if not self._step(data, rows, job, layers, moments):
                    break
        finally:
            self._write(layers, moments, into)
        return 0.0

    def _batches(self, job: Job) -> Iterator[Ints]:
        while job[job_table.EPOCH] < job[job_table.EPOCHS] and job[job_table.BUDGET] > 0:
            n, start, order = job[job_table.ROWS], job[job_table.START], job.order
            if order is not None and start == 0 and job[job_table.SHUFFLED]:
                shuffled = reference.shuffled(job[job_table.SEED], job[job_table.EPOCH], n)
                order[:] = (
                    shuffled if job[job_table.SHUFFLED] == job_table.ALL_ROWS else order[shuffled]
                )
            stop = min(n, start + job[job_table.BATCH])
            job[job_table.BUDGET] -= 1
            yield np.arange(start, stop) if order is None else order[start:stop]
            self.arrays.hyper[settings.UPDATES] += (
                job[job_table.TASK] == job_table.TRAIN and self._updated
            )
            job[job_table.START] = 0 if stop == n else stop
            job[job_table.EPOCH] += stop == n

    def _step(
        self,
        data: Dataset,
        rows: Ints,
        job: Job,
        layers: Layers,
        moments: list[Layers],
    ) -> bool:
        """One batch: forward, loss, backward, update or keep. False if it is not applied."""
        job[job_table.STATUS], x, y = self._take(data, rows)
        if job[job_table.STATUS] != job_table.OK:
            return False
        given = data.derivatives
        known = None if given is None else numpy_derivatives.take(self.arrays, given, rows)
        keep = job[job_table.TASK] == job_table.GRADIENTS
        places = np.arange(len(rows)) + (job[job_table.START] if keep else 0)
        n = job[job_table.ROWS] if keep else len(rows)
        weights, table = self._weights(data, rows, y, job)
        ends = not keep or job[job_table.START] + job[job_table.BATCH] >= n
        weight = float(weights.sum(dtype=np.float64))
        penalized = ends and weight + (job.weights[0] if keep else 0.0) > 0
        with np.errstate(all="ignore"):
            losses, gradients = self._gradients(x, y, places, n, (weights, table), layers, known)
            total = float((losses * weights).sum(dtype=np.float64))
            total += n * self._penalty(layers) if penalized else 0.0
            if not math.isfinite(total):
                job[job_table.STATUS] = job_table.NOT_FINITE
                return False
            self._enter(job, total, weight)
            if keep:
                self._add(gradients, moments[0])
                if penalized:
                    self._finish(layers, moments[0])
            elif weight:
                self._updated = self._update(gradients, layers, moments)
                if not self._updated:
                    job[job_table.STATUS] = job_table.NOT_FINITE
                return self._updated
            else:
                self._updated = False
        return True

    def _weights(
        self, data: Dataset, rows: Ints, y: Array, job: Job
    ) -> tuple[Array, Floats | None]:
        """The weight of each row of a batch, times that of its class, in the network's dtype.

        Where classes weigh entries, also their weights, (2 outputs,), else None.
        """
        arrays = self.arrays
        weights: Floats = np.ones(len(rows)) if data.weights is None else data.weights[rows]
        if arrays.loss.ignores_nan:
            weights = weights * ~np.isnan(y).all(axis=1)
        mean, table = job.mean_weight, None
        if arrays.spec.weighs_classes:
            if arrays.loss.weighs_entries(self._outputs):
                mean, table = mean / job.weight_unit, arrays.class_weights / job.weight_unit
            else:
                weights = weights * reference.class_weights(arrays.class_weights, y)
        return (weights / mean).astype(arrays.parameters.dtype), table

    def _gradients(
        self,
        x: Array,
        y: Array,
        places: Ints,
        n: int,
        weighted: tuple[Array, Floats | None],
        layers: Layers,
        known: numpy_derivatives.Taken | None = None,
    ) -> tuple[Array, Layers]:
        """Row losses, and the gradient of sum(weights * losses) / n. weighted: of ``_weights``."""
        (weights, table), spec, hyper = weighted, self.arrays.spec, self.arrays.hyper
        factors = self._dropout(places, x.dtype)
        zs, outs = self._forward(x, layers, factors)
        smoothing = float(hyper[settings.SMOOTHING])
        losses, delta = self._evaluate_rows(zs[-1], outs[-1], y, n, smoothing, table)
        if spec.extended:
            delta = delta * weights[:, None]
        if known is not None:
            forward, described = (zs, outs), self._described(layers, factors)
            rest, both = numpy_derivatives.gradients(described, forward, delta, weights / n, known)
            return losses + rest, both
        own = layers[: self._count]
        matrices, more = [W for W, *_ in own], (factors, _norms(own), spec.adds_inputs)
        deltas, of_norms, _ = reference.errors(matrices, self._activations, zs, outs, delta, *more)
        pairs = zip(reference.gradients(outs, deltas), of_norms, strict=True)
        found: Layers = [(*pair, *(of_norm or ())) for pair, of_norm in pairs]
        for embedding in layers[self._count :]:
            error = reference.error_of_inputs(matrices, deltas)
            columns = self.arrays.number_columns
            parts: list[Any] = [*embedding, error]
            found.append(reference.embedding_gradients(x, columns, *parts))
        return losses, found

    def _described(self, layers: Layers, factors: list[Array | None]) -> list[Any]:
        matrices, more = [W for W, *_ in layers], (_norms(layers), self.arrays.spec.adds_inputs)
        return list(zip(matrices, self._activations, factors, *more, strict=True))

    def _evaluate_rows(
        self,
        z: Array,
        p: Array,
        y: Array,
        n: int,
        smoothing: float = 0.0,
        table: Floats | None = None,
    ) -> tuple[Array, Array]:
        """Row losses, and dLoss/dz of their sum over n. table: weights of classes, for entries."""
        loss, output = self.arrays.loss, self._activations[-1]
        weighs = loss.has_classes and loss.weighs_entries(self._outputs)
        if weighs and (loss.ignores_nan or table is not None):
            weights = reference.entry_weights(y, table)
            of_entries: tuple[Array, Array] = reference.bce_of_entries(
                z, p, y, n, weights, smoothing
            )
            return of_entries
        if loss.function is not None:
            losses, rates = reference.custom_losses(loss.function, p, y)
            return losses, reference.delta_from_output(output, z, p, rates / rates.dtype.type(n))
        losses = reference.row_losses(loss.code, z, p, y, output, loss.parameter, smoothing)
        delta = reference.output_delta(loss.code, output, z, p, y, n, loss.parameter, smoothing)
        return losses, delta

    def _dropout(self, places: Ints, dtype: Any) -> list[Array | None]:
        spec, updates = self.arrays.spec, int(self.arrays.hyper[settings.UPDATES])
        rates = spec.dropout or (0.0,) * len(spec.activations)
        factor, _ = self._scheduled(settings.DROPOUT_SCHEDULE)
        return [
            reference.dropout_factors(
                spec.seed, updates, layer, places, units, rate, factor
            ).astype(dtype)
            if rate
            else None
            for layer, (units, rate) in enumerate(zip(spec.sizes[1:], rates, strict=True), 1)
        ]

    def _penalty(self, layers: Layers) -> float:
        l1, l2 = self.arrays.hyper[[settings.L1, settings.L2]]
        weights = [w for w, *_ in layers[: self._count]]
        return float(reference.penalty(weights, l1, l2)) if l1 or l2 else 0.0

    @staticmethod
    def _enter(job: Job, total: float, weight: float) -> None:
        epoch = job[job_table.EPOCH] - job[job_table.FIRST]
        job.losses[epoch] += total
        job.weights[epoch] += weight

    @staticmethod
    def _add(gradients: Layers, into: Layers) -> None:
        for pair, total in zip(gradients, into, strict=True):
            for part, gradient in enumerate(pair):
                total[part][...] += gradient

    def outputs(self, data: Dataset, out: Array) -> int:
        """See ``Engine``."""
        return self._infer(data, out, None)

    def evaluate_rows(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``."""
        return self._infer(data, None, values)

    def derivative_losses(self, data: Dataset, values: Floats) -> int:
        """See ``Engine``."""
        assert data.derivatives is not None
        layers = self._layers(self.arrays.parameters)
        described = self._described(layers, [None] * len(layers))
        for start in range(0, data.rows, EVALUATED):
            rows = np.arange(start, min(data.rows, start + EVALUATED))
            status, x, _ = self._take(data, rows)
            if status != job_table.OK:
                return status + job_table.KINDS * start
            known = numpy_derivatives.take(self.arrays, data.derivatives, rows)
            zs, _ = self._forward(x, layers)
            values[rows] = numpy_derivatives.losses(described, zs, known)
        return job_table.OK

    def _infer(self, data: Dataset, out: Array | None, values: Floats | None) -> int:
        layers, loss = self._layers(self.arrays.parameters), self.arrays.loss
        for start in range(0, data.rows, BLOCK):
            rows = np.arange(start, min(data.rows, start + BLOCK))
            status, x, y = self._take(data, rows)
            if status != job_table.OK:
                return status + job_table.KINDS * start
            zs, outs = self._forward(x, layers)
            if out is not None:
                out[rows] = self._raw(outs[-1])
            if values is not None:
                with np.errstate(all="ignore"):
                    values[rows, 0], _ = self._evaluate_rows(zs[-1], outs[-1], y, len(rows))
                if loss.has_classes:
                    values[rows, 1] = reference.correct(loss.code, outs[-1], y)
        return job_table.OK

    def _raw(self, p: Array) -> Array:
        """Outputs in the user's units."""
        if not self.arrays.spec.scaling:
            return p
        with np.errstate(all="ignore"):
            raw: Array = reference.in_raw_units(p, *self.arrays.scales[4:])
        return raw


def _norms(layers: Layers) -> list[arenas.Layer | None]:
    """(gain, shift) of each layer that is normalized."""
    return [layer[2:] or None for layer in layers]
