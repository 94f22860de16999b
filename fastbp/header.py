"""The header of an embedded model, and the memory that it points to (kernels/served.py)."""

from typing import NamedTuple
from weakref import WeakValueDictionary

import numba
import numpy as np

from .data import address
from .job import Ints
from .kernels import jit, jobs, layout, run, served
from .state import Array, State

MORE_SLOTS = 2
"""Slots beyond Numba's threads, for threads of Python's."""


_ALL: WeakValueDictionary[int, Ints] = WeakValueDictionary()
"""The headers that there are, by address."""


class Header(NamedTuple):
    """A header, int64, and its own scratch memory: an arena for gradients, then the slots' work."""

    array: Ints
    scratch: Array


def inference_header(state: State, most_rows: int, plan: Ints) -> Header:
    """A header that serves predictions of at most so many rows; plan: of a thread's own memory."""
    return _header(state, most_rows, (plan, plan))


def training_header(
    state: State, most_rows: int, alone_rows: int, plans: tuple[Ints, Ints], work: Array
) -> Header:
    """A header that serves training, too.

    alone_rows: of a step that is not worth a second thread. plans: of a prediction, and of a step,
    which ``work`` is for.
    """
    header = _header(state, most_rows, plans)
    array = header.array
    array[served.ALONE_ROWS] = alone_rows
    array[served.OPTIMIZER_MOMENTS] = address(state.moments)
    array[served.TRAINING + jobs.WORK] = address(work)
    array[served.TRAINING + jobs.LOSSES] = address(array) + array.itemsize * served.LOSS_SUM
    array[served.TRAINING + jobs.WEIGHT_SUMS] = address(array) + array.itemsize * served.WEIGHT_SUM
    return header


def _header(state: State, most_rows: int, plans: tuple[Ints, Ints]) -> Header:
    """plans: of the slots, and of the training job, which is left without work."""
    plan, training_plan = plans
    slots = numba.config.NUMBA_NUM_THREADS + MORE_SLOTS
    arena, work = int(plan[0, layout.PARAMETERS]), int(plan[0, layout.WORK])
    end = served.FIRST_SLOT + slots * served.SLOT_STRIDE
    # Memory that no call has touched yet is none of the machine's.
    scratch = layout.allocate(arena + slots * work, state.parameters.dtype)
    array = layout.allocate(end + plan.size + training_plan.size, np.int64)
    here, itemsize = address(array), state.parameters.itemsize
    array[served.ENTRY], array[served.STAMP], array[served.HERE] = served.serve(), jit.stamp(), here
    array[served.CODE], array[served.ITEMSIZE] = run.code(itemsize, state.shape.extended), itemsize
    array[served.MOST_ROWS], array[served.SLOTS] = most_rows, slots
    array[served.GRADIENT_ARENA] = address(scratch)
    array[end:] = np.concatenate([plan, training_plan], axis=None)
    pointers = {
        jobs.PARAMS: address(state.parameters),
        jobs.HYPER: address(state.hyper),
    }
    training = {jobs.PLAN: here + array.itemsize * (end + plan.size)}
    _set(array, served.TRAINING, pointers | training)
    for slot in range(slots):
        start = served.FIRST_SLOT + slot * served.SLOT_STRIDE
        own = {
            jobs.PLAN: here + array.itemsize * end,
            jobs.WORK: address(scratch) + itemsize * (arena + slot * work),
            jobs.STATUSES: here + array.itemsize * (start + served.SLOT_STATUS),
        }
        _set(array, start, pointers | own)
    _ALL[here] = array
    return Header(array, scratch)


def _set(array: Ints, start: int, elements: dict[int, int]) -> None:
    for element, value in elements.items():
        array[start + element] = value


def free_slots() -> None:
    """Give back all slots: in a forked process, whose parent's other threads took them along."""
    for array in _ALL.values():
        slots = array[served.FIRST_SLOT :][: array[served.SLOTS] * served.SLOT_STRIDE]
        slots[served.BUSY :: served.SLOT_STRIDE] = 0
