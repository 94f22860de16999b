"""Sums of the gradients of parts, and of arrays, by compiled code that flushes denormals."""

import numpy as np

from ..common.types import Array, Ints
from ..data.tables import address
from ..kernels.entry import parts_run
from ..kernels.stages.part_gradients import scratch_elements
from ..kernels.tables import arenas
from ..runtime import forks, layer, places, threads
from .cuts import Span
from .programs import program

LINE = 16
"""Elements between the scratch of two workers are a multiple of it."""


def run_in_parallel(code: int, request: Ints, what: int, workers: int) -> bool:
    """Run what a code does as a parallel region; False, and nothing done, where there is none."""
    if workers == 1 or not forks.can_split() or layer.start() == "workqueue":
        return False
    from ..kernels.entry.stage_run import stage_in_parallel

    threads.run_exclusive(workers, stage_in_parallel, request, code, what, workers, *places.known())
    return True


def add(target: Array, other: Array) -> None:
    """target = target + other: arrays that begin at a cache line, of whole vectors."""
    _run(parts_run.ADD, target, other=other)


def round_with_rest(values: Array, left: Array, rounded: Array) -> None:
    """Round values + left to bfloat16, and leave what that loses: as ``reference``, in place."""
    _run(parts_run.ROUND, left, other=values, rounded=rounded)


def widen(rounded: Array, target: Array) -> None:
    """Bfloat16 (n,) as uint16 to float32 (n,)."""
    _run(parts_run.WIDEN, target, rounded=rounded)


def add_widened(rounded: Array, target: Array) -> None:
    """target = target + rounded."""
    _run(parts_run.ADD_WIDENED, target, rounded=rounded)


def _run(
    what: int, target: Array, other: Array | None = None, rounded: Array | None = None
) -> None:
    request = np.zeros(parts_run.REQUEST, np.int64)
    request[parts_run.TARGET], request[parts_run.COUNT] = address(target), target.size
    if other is not None:
        request[parts_run.OTHER] = address(other)
    if rounded is not None:
        request[parts_run.ROUNDED] = address(rounded)
    parts_run.serial(target.itemsize)(address(request), what, 0, 1)


class PartSums:
    """Sums the gradients of parts of the rows that a work arena holds."""

    def __init__(self, dtype: np.dtype[np.floating], lanes: int, hyper: Array) -> None:
        self._dtype, self._lanes = dtype, lanes
        self._request = np.zeros(parts_run.REQUEST, np.int64)
        self._request[parts_run.HYPER] = address(hyper)
        self._scratch = arenas.allocate(0, dtype)

    def work_in(self, plan: Ints, work: Array) -> None:
        """Read the rows in this arena."""
        self._request[parts_run.PLAN] = address(plan)
        self._request[parts_run.WORK] = address(work)

    def sum(
        self, leaves: tuple[Span, ...], node: Span, target: Array, layers: Span, workers: int
    ) -> None:
        """Sum the parts below a node to the elements of some layers in ``target`` (size,).

        leaves: the vectors of rows of each part. layers: by their numbers.
        """
        request, lanes = self._request, self._lanes
        operations, slots = program(leaves, node, lanes)
        stride = -(-scratch_elements(lanes, slots) // LINE) * LINE
        if self._scratch.size < workers * stride:
            self._scratch = arenas.allocate(workers * stride, self._dtype)
        request[parts_run.TARGET], request[parts_run.PROGRAM] = address(target), address(operations)
        request[parts_run.SCRATCH] = address(self._scratch)
        request[parts_run.SCRATCH_STRIDE] = stride
        request[parts_run.FIRST_LAYER], request[parts_run.END_LAYER] = layers
        itemsize = self._dtype.itemsize
        code = parts_run.code(itemsize)
        if not run_in_parallel(code, request, parts_run.GRADIENT, workers):
            for worker in range(workers):
                serial = parts_run.serial(itemsize)
                serial(address(request), parts_run.GRADIENT, worker, workers)
