"""The twin engine: ``engine="numpy"``, kernels/reference.py alone. Nothing is compiled."""

import math
from collections.abc import Iterator

import numpy as np

from . import data as checks
from .job import Floats, Ints, Job
from .kernels import codes, jobs, layout, reference
from .state import Array, Data, State

BLOCK = 1024
"""Rows of an inference at a time."""

Layers = list[tuple[Array, Array]]


class TwinEngine:
    """Runs the NumPy twins on copies in natural shapes of the same arenas."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._plan = layout.make_plan(state.shape)
        self._outputs = state.shape.sizes[-1]

    def _layers(self, arena: Array) -> Layers:
        return list(layout.read_layers(self._plan, arena))

    def _forward(self, x: Array, layers: Layers) -> tuple[list[Array], list[Array]]:
        weights, biases = zip(*layers, strict=True)
        with np.errstate(over="ignore", invalid="ignore"):
            zs, outs = reference.forward(weights, biases, self.state.shape.activations, x)
        return zs, outs

    def _take(self, data: Data, rows: Ints) -> tuple[int, Array, Array]:
        """Status, X and y of these rows."""
        dtype, loss = self.state.parameters.dtype, self.state.loss
        x = data.x.array[rows]
        with np.errstate(over="ignore"):
            # Integers take the way of the gather, through float64.
            x = (x.astype(np.float64) if x.dtype.kind in "iu" else x).astype(dtype)
        if not np.isfinite(x).all():
            return jobs.BAD_INPUT, x, x
        if data.y is None:
            return jobs.FINE, x, x
        try:
            checks.check_targets(data.y, rows, loss, self._outputs, dtype)
        except ValueError:
            return jobs.BAD_TARGET, x, x
        y = data.y.array[rows]
        if loss.code == codes.CROSS_ENTROPY and y.shape[1] == 1 and y.dtype.kind in "iu":
            return jobs.FINE, x, y[:, 0]
        return jobs.FINE, x, y.astype(dtype)

    def train(self, data: Data, job: Job, into: Array) -> float:
        """See ``Engine``."""
        layers = self._layers(self.state.parameters)
        moments = [self._layers(arena) for arena in into]
        try:
            for rows in self._batches(job):
                if not self._step(data, rows, job, layers, moments):
                    break
        finally:
            layout.write_layers(self._plan, self.state.parameters, layers)
            for arena, moment in zip(into, moments, strict=True):
                layout.write_layers(self._plan, arena, moment)
        return 0.0

    def _batches(self, job: Job) -> Iterator[Ints]:
        while job[jobs.EPOCH] < job[jobs.EPOCHS] and job[jobs.BUDGET] > 0:
            n, start, order = job[jobs.ROWS], job[jobs.START], job.order
            if order is not None and start == 0 and job[jobs.SHUFFLED]:
                order[:] = reference.shuffled(job[jobs.SEED], job[jobs.EPOCH], n)
            stop = min(n, start + job[jobs.BATCH])
            job[jobs.BUDGET] -= 1
            yield np.arange(start, stop) if order is None else order[start:stop]
            self.state.hyper[layout.UPDATES] += job[jobs.TASK] == jobs.TRAIN
            job[jobs.START] = 0 if stop == n else stop
            job[jobs.EPOCH] += stop == n

    def _step(
        self,
        data: Data,
        rows: Ints,
        job: Job,
        layers: Layers,
        moments: list[Layers],
    ) -> bool:
        """One batch: forward, loss, backward, update or keep. False if it is not applied."""
        job[jobs.STATUS], x, y = self._take(data, rows)
        if job[jobs.STATUS] != jobs.FINE:
            return False
        shape, loss = self.state.shape, self.state.loss.code
        with np.errstate(all="ignore"):
            zs, outs = self._forward(x, layers)
            total = float(reference.row_losses(loss, zs[-1], outs[-1], y).sum(dtype=np.float64))
            if not math.isfinite(total):
                job[jobs.STATUS] = jobs.NOT_FINITE
                return False
            keep = job[jobs.TASK] == jobs.GRADIENTS
            n = job[jobs.ROWS] if keep else len(rows)
            last = shape.activations[-1]
            delta = reference.output_delta(loss, last, zs[-1], outs[-1], y, n)
            weights = [w for w, _ in layers]
            deltas = reference.backward(weights, shape.activations, zs, outs, delta)
            gradients = reference.gradients(outs, deltas)
            if keep:
                self._add(gradients, moments[0])
            else:
                self._update(gradients, layers, moments)
        job.losses[job[jobs.EPOCH] - job[jobs.FIRST]] += total
        return True

    @staticmethod
    def _add(gradients: Layers, into: Layers) -> None:
        for pair, total in zip(gradients, into, strict=True):
            for part, gradient in enumerate(pair):
                total[part][...] += gradient

    def _update(self, gradients: Layers, layers: Layers, moments: list[Layers]) -> None:
        state = self.state
        t = int(state.hyper[layout.UPDATES]) + 1
        for layer, pair in enumerate(gradients):
            for part, gradient in enumerate(pair):
                parameter = layers[layer][part]
                m, v = (
                    (moments[0][layer][part], moments[-1][layer][part])
                    if moments
                    else (parameter, parameter)
                )
                reference.update(state.shape.optimizer, state.hyper, t, parameter, gradient, m, v)

    def outputs(self, data: Data, out: Array) -> Ints:
        """See ``Engine``."""
        return self._infer(data, out, None)

    def judge(self, data: Data, values: Floats) -> Ints:
        """See ``Engine``."""
        return self._infer(data, None, values)

    def _infer(self, data: Data, out: Array | None, values: Floats | None) -> Ints:
        layers, loss = self._layers(self.state.parameters), self.state.loss.code
        for start in range(0, data.rows, BLOCK):
            rows = np.arange(start, min(data.rows, start + BLOCK))
            status, x, y = self._take(data, rows)
            if status != jobs.FINE:
                return np.array([status + jobs.KINDS * start])
            zs, outs = self._forward(x, layers)
            if out is not None:
                out[rows] = outs[-1]
            if values is not None:
                with np.errstate(all="ignore"):
                    values[rows, 0] = reference.row_losses(loss, zs[-1], outs[-1], y)
                if loss in (codes.BCE, codes.CROSS_ENTROPY):
                    values[rows, 1] = reference.correct(loss, outs[-1], y)
        return np.zeros(1, np.int64)
