"""The handle of an embedded model: its header, and memory (kernels/entry/embed_server.py)."""

from typing import NamedTuple
from weakref import WeakValueDictionary

import numba
import numpy as np

from ..common.types import Array, Ints
from ..data.tables import address
from ..kernels.base import code_stamp, sizes
from ..kernels.entry import embed_server, run
from ..kernels.tables import arenas, job_table, layout
from .arrays import TrainingArrays

MORE_SLOTS = 2
"""Slots for Python's threads, besides one for each of Numba's."""


_ALL: WeakValueDictionary[int, Ints] = WeakValueDictionary()
"""All headers of the process, by address."""


class ModelHandle(NamedTuple):
    """A header, int64, and its scratch memory: an arena for gradients, the work of each slot."""

    array: Ints
    scratch: Array


def inference_handle(arrays: TrainingArrays, most_rows: int, plan: Ints) -> ModelHandle:
    """The handle for predictions of up to ``most_rows`` rows. plan: of the memory of one slot."""
    return _handle(arrays, most_rows, (plan, plan))


def training_handle(
    arrays: TrainingArrays,
    most_rows: int,
    single_thread_rows: int,
    plans: tuple[Ints, Ints],
    work: Array,
) -> ModelHandle:
    """The handle for predictions and training.

    single_thread_rows: the most rows of a step that one thread makes. plans: of a prediction, and
    of a step. work: the memory of a step.
    """
    handle = _handle(arrays, most_rows, plans)
    array = handle.array
    array[embed_server.SINGLE_THREAD_ROWS] = single_thread_rows
    array[embed_server.OPTIMIZER_MOMENTS] = address(arrays.moments)
    array[embed_server.TRAINING + job_table.WORK] = address(work)
    array[embed_server.TRAINING + job_table.LOSSES] = (
        address(array) + array.itemsize * embed_server.LOSS_SUM
    )
    array[embed_server.TRAINING + job_table.WEIGHT_SUMS] = (
        address(array) + array.itemsize * embed_server.WEIGHT_SUM
    )
    return handle


def _handle(arrays: TrainingArrays, most_rows: int, plans: tuple[Ints, Ints]) -> ModelHandle:
    """plans: of the slots, and of the training job, whose address of work stays 0."""
    plan, training_plan = plans
    slots = numba.config.NUMBA_NUM_THREADS + MORE_SLOTS
    arena, work = int(plan[0, layout.PARAMETERS]), int(plan[0, layout.WORK])
    end = embed_server.FIRST_SLOT + slots * embed_server.SLOT_STRIDE
    # Pages that no call touches take no memory of the machine.
    scratch = arenas.allocate(arena + slots * work, arrays.parameters.dtype)
    array = arenas.allocate(end + plan.size + training_plan.size, np.int64)
    here, itemsize = address(array), arrays.parameters.itemsize
    array[embed_server.ENTRY], array[embed_server.STAMP], array[embed_server.HERE] = (
        embed_server.serve(),
        code_stamp.stamp(),
        here,
    )
    array[embed_server.CODE], array[embed_server.ITEMSIZE] = (
        run.code(itemsize, arrays.spec.extended),
        itemsize,
    )
    array[embed_server.MOST_ROWS], array[embed_server.SLOTS] = most_rows, slots
    array[embed_server.GRADIENT_ARENA] = address(scratch)
    array[end:] = np.concatenate([plan, training_plan], axis=None)
    pointers = {
        job_table.PARAMS: address(arrays.parameters),
        job_table.HYPER: address(arrays.hyper),
    }
    training = {job_table.PLAN: here + array.itemsize * (end + plan.size)}
    _set(array, embed_server.TRAINING, pointers | training)
    for slot in range(slots):
        start = embed_server.FIRST_SLOT + slot * embed_server.SLOT_STRIDE
        own = {
            job_table.PLAN: here + array.itemsize * end,
            job_table.WORK: address(scratch) + itemsize * (arena + slot * work),
            job_table.STATUSES: here + array.itemsize * (start + embed_server.SLOT_STATUS),
        }
        _set(array, start, pointers | own)
    _ALL[here] = array
    return ModelHandle(array, scratch)


def _set(array: Ints, start: int, elements: dict[int, int]) -> None:
    for element, value in elements.items():
        array[start + element] = value


def enroll(array: Ints) -> None:
    """Know a header, whose slots a forked process frees."""
    _ALL[address(array)] = array


def of_training() -> list[Ints]:
    """The headers of all models of the process that trainers have compiled."""
    return [array for array in _ALL.values() if array[embed_server.OPTIMIZER_MOMENTS] != 0]


def plan_of(array: Ints) -> Ints:
    """The plan of a header's slots, (1 + layers, COLUMNS), in place. See ``_handle``."""
    slots = int(array[embed_server.SLOTS])
    both = array[embed_server.FIRST_SLOT + slots * embed_server.SLOT_STRIDE :]
    return both[: both.size // 2].reshape(-1, sizes.COLUMNS)


def free_slots() -> None:
    """Free all slots, in a forked process: the threads that held them are in its parent."""
    for array in _ALL.values():
        slots = array[embed_server.FIRST_SLOT :][
            : array[embed_server.SLOTS] * embed_server.SLOT_STRIDE
        ]
        slots[embed_server.BUSY :: embed_server.SLOT_STRIDE] = 0
