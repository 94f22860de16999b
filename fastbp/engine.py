"""The compiled engine: arrays and thread counts for the kernels."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from . import threads
from .kernels import layout, step
from .state import Array, Data, Floats, Ints, State

BLOCKS = 12
"""Vectors of rows that a share of an inference takes through the network at a time: a multiple of
the widest tile's, enough for the weights to be read from far memory rarely."""


@lru_cache(maxsize=64)
def _plan(shape: layout.Shape) -> Ints:
    plan = layout.make_plan(shape)
    plan.flags.writeable = True
    return plan


class CompiledEngine:
    """Runs the kernels, in as many shares as the work is worth."""

    def __init__(self, state: State, limit: int) -> None:
        self.state = state
        self.limit = limit
        self.forced_shares = 0
        self._shape = replace(state.shape, capacity=0)
        self._plan: Ints
        self._work: Array

    def _shares(self, flops: float) -> int:
        return self.forced_shares or threads.shares(self.limit, flops)

    def _weights(self) -> int:
        sizes = self.state.shape.sizes
        return sum(a * b for a, b in pairwise(sizes))

    def _make_room(self, rows: int, shares: int) -> None:
        shape = self._shape
        if rows > shape.capacity or shares > shape.shares:
            capacity, shares = max(rows, shape.capacity), max(shares, shape.shares)
            shape = replace(shape, capacity=capacity, shares=shares)
            plan = _plan(shape)
            self._work = layout.allocate(plan[0, layout.WORK], self.state.parameters.dtype)
            self._shape, self._plan = shape, plan

    def run(self, data: Data, order: Ints, job: Ints, losses: Floats, into: Array) -> None:
        """See ``Engine``."""
        rows = min(int(job[step.BATCH]), data.rows)
        shares = self._shares(6.0 * rows * self._weights())
        self._make_room(rows, shares)
        state = self.state
        arguments = (
            self._plan,
            state.parameters,
            into,
            self._work,
            state.hyper,
            data.descriptors(),
            order,
            job,
            losses,
        )
        if shares == 1:
            step.run(*arguments)
        else:
            with threads.parallel(shares):
                step.run_parallel(*arguments, shares)

    def outputs(self, data: Data, out: Array) -> Ints:
        """See ``Engine``."""
        return infer(self.state, self._shares(self._inference(data)), data, out, NO_VALUES)

    def judge(self, data: Data, values: Floats) -> Ints:
        """See ``Engine``."""
        nothing = np.empty(0, self.state.parameters.dtype)
        return infer(self.state, self._shares(self._inference(data)), data, nothing, values)

    def _inference(self, data: Data) -> float:
        return 2.0 * data.rows * self._weights()


NO_VALUES = np.empty((0, 2))
"""For an inference that wants outputs."""


def infer(state: State, shares: int, data: Data, out: Array, values: Floats) -> Ints:
    """Outputs or judgments of all rows, with memory of its own: safe from many threads at once."""
    lanes = state.shape.lanes
    vectors = min(BLOCKS, -(-data.rows // (lanes * shares)))
    plan = _plan(replace(state.shape, capacity=vectors * lanes * shares, shares=shares))
    work = layout.allocate(plan[0, layout.WORK], state.parameters.dtype)
    status = np.zeros(shares, np.int64)
    flat = out.reshape(-1)
    arguments = (plan, state.parameters, work, data.descriptors(), flat, values, status)
    if shares == 1:
        step.infer(*arguments)
    else:
        with threads.parallel(shares):
            step.infer_parallel(*arguments)
    return status
