"""Serves one call of an embedded model about derivatives: a Jacobian, or a JVP.

It is a C function of its own. A handle whose DERIVATIVES is 0 has no code for it yet;
``fastbp.runtime.jacobians_handle`` compiles the code, gives each slot memory of directions, and
writes the address of a *record*, int64 (RECORD,), there. The slots are those of predictions.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numba import types

from ..base import cached_code, jit
from ..base.jit import c_function, kernel
from ..ir.simd import call_code, offset, pointer_to
from ..ir.slots import acquire, release
from ..ir.typed_pointers import plan_at, typed_pointer_at
from ..primitives.gather import ADDRESS
from ..tables import jacobian_job as D
from ..tables import job_table as J
from ..tables import layout as P
from . import embed_server as S

# Elements of a record.
(
    SERVE,  # address of ``serve``
    CODE,  # address of jacobian_run.code
    ARENA,  # address of the memory of directions of the first slot
    ARENA_STRIDE,  # elements between those of two slots
    STRIDE,  # elements between two vectors of directions
    RECORD,  # length of a record
) = range(6)

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _Y, _OUT, _ONE = map(np.int64, (S.REQUEST_X, S.REQUEST_Y, S.REQUEST_OUT, 1))
_JOB_Y = np.int64(J.Y)

prepare_by: list[Callable[[], None]] = []
"""Called when compiled code first asks for derivatives: gives every model of the process its record
(``fastbp.runtime.jacobians_handle``)."""


@kernel
def _holds_jacobians(request, rows, outputs, inputs):
    """Whether out is (rows, outputs, inputs), or without the axes of one row and of one output."""
    dimensions, first = request[S.REQUEST_OUT + S.NDIM], request[S.REQUEST_OUT + S.ROWS]
    second = request[S.REQUEST_OUT + S.COLUMNS]
    if dimensions == 3:
        whole = first == rows and second == outputs
        return whole and request[S.REQUEST_OUT + S.DEPTH] == inputs
    if dimensions == 2:
        one_row, one_output = rows == 1 and first == outputs, outputs == 1 and first == rows
        return second == inputs and (one_row or one_output)
    return rows == 1 and outputs == 1 and first == inputs


@kernel
def _shares_memory(request, array, count, size, itemsize):
    """Whether an array of ``count`` elements and out, of ``size``, have memory in common."""
    start, out = request[array], request[S.REQUEST_OUT]
    return start < out + size * itemsize and out < start + count * itemsize


@kernel
def _check(request, rows, most_rows, outputs, inputs, itemsize):
    """The status of a request, from shapes and addresses alone."""
    if rows < 1 or rows > most_rows:
        return S.BAD_X
    size = rows * outputs * inputs
    if request[S.REQUEST_TASK] == D.JVP:
        size = rows * outputs
        if not S.has_shape(request, _Y, rows, inputs):
            return S.BAD_Y
        if not S.has_shape(request, _OUT, rows, outputs):
            return S.BAD_OUT
        if _shares_memory(request, _Y, rows * inputs, size, itemsize):
            return S.SHARED_OUT
    elif not _holds_jacobians(request, rows, outputs, inputs):
        return S.BAD_OUT
    return S.SHARED_OUT if _shares_memory(request, _X, rows * inputs, size, itemsize) else S.OK


@kernel
def _run(here, request, handle, rows, outputs, inputs):
    """Run the task in a free slot."""
    flags = pointer_to(handle[S.HERE] + 8 * (S.FIRST_SLOT + S.BUSY), types.int64)
    slot = acquire(flags, S.SLOT_STRIDE, handle[S.SLOTS], S.thread(here))
    place = handle[S.HERE] + 8 * (S.FIRST_SLOT + slot * S.SLOT_STRIDE)
    job, itemsize = typed_pointer_at(place, types.int64), handle[S.ITEMSIZE]
    record, task = typed_pointer_at(handle[S.DERIVATIVES], types.int64), request[S.REQUEST_TASK]
    job[S.SLOT_STATUS] = J.OK
    S.fill_job(job, task, request, itemsize, rows, inputs)
    size = rows * outputs * inputs
    if task == D.JVP:
        size, shape = rows * outputs, (rows, inputs)
        S.fill_descriptor(job, _JOB_Y, request, _Y, shape, itemsize, S.code_of(itemsize))
    job[D.ARENA] = record[ARENA] + itemsize * slot * record[ARENA_STRIDE]
    job[D.ARENA_STRIDE], job[D.STRIDE] = record[ARENA_STRIDE], record[STRIDE]
    call_code(record[CODE], place, J.RUN, 0, 1)
    job[_JOB_Y + ADDRESS] = 0  # a prediction in this slot has no y
    status = S.OK
    if job[S.SLOT_STATUS] != J.OK:
        status = S.REFUSED
        S.fill(job[J.OUT], size, itemsize, math.nan)
    release(offset(flags, slot * S.SLOT_STRIDE))
    return status


def _serve_derivatives(place):
    """Serve the request, int64 (REQUEST,), at an address, and set its status; 0.0, or NaN."""
    request = typed_pointer_at(place, types.int64)
    handle = typed_pointer_at(request[S.REQUEST_HANDLE], types.int64)
    plan = plan_at(handle[S.TRAINING + J.PLAN])
    inputs, outputs = plan[1, P.INPUTS], plan[plan[0, P.LAST], P.OUTPUTS]
    rows = S.rows_of_x(request, inputs)
    most_rows, itemsize = handle[S.MOST_ROWS], handle[S.ITEMSIZE]
    status = _check(request, rows, most_rows, outputs, inputs, itemsize)
    if status == S.OK:
        status = _run(place, request, handle, rows, outputs, inputs)
    request[S.REQUEST_STATUS] = status
    return 0.0 if status == S.OK else math.nan


_SIGNATURE = types.float64(types.int64)


@cache
def serve() -> int:
    """Address of ``_serve_derivatives``; compiles it, or loads it."""
    return c_function(_serve_derivatives, _SIGNATURE)


def symbol(itemsize: int, extended: bool) -> str:
    """The name of ``jacobian_run.code``, whose module need not be imported to look for it."""
    return f"fastbp_jacobian_{'extended_' if extended else ''}float{8 * itemsize}"


def is_at_hand(itemsize: int, extended: bool) -> bool:
    """Whether nothing need be compiled: an earlier process has left all code in the cache."""
    names = jit.symbol_of(_serve_derivatives), symbol(itemsize, extended)
    return all(map(cached_code.has, names))


def ship(folder: Path) -> None:
    """Write what ``serve`` compiles into a folder (jit.py)."""
    jit.ship(folder, _serve_derivatives, _SIGNATURE)
