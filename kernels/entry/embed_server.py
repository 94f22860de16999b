"""Serves one call of an embedded model: checks the shapes, fills in a job, runs it.

A *model handle* is an int64 vector with the addresses of a trainer's arrays, the stamp of the
kernels that it was made for, and the job of training. The slots follow it: each has a job and
scratch memory for one thread, so that many threads can predict at once. A *request* is int64
(REQUEST,) on the caller's stack (embed_request.py). The user's compiled and cached code holds no
address. Of a handle it reads the first three elements alone.

The functions here do not depend on the element type: they are compiled once, as a C function.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
from numba import types

from ..base import jit
from ..base.codes import CLASS, F32, F64, I64
from ..base.jit import c_function, kernel
from ..ir.simd import (
    call_code,
    get,
    lanes,
    offset,
    pointer_to,
    put,
)
from ..ir.slots import acquire, release
from ..ir.typed_pointers import plan_at, typed_pointer_at
from ..primitives.gather import (
    ADDRESS,
    COLUMN_BYTES,
    DTYPE,
    N_COLUMNS,
    N_ROWS,
    ROW_BYTES,
)
from ..primitives.shuffle import GOLDEN
from ..tables import job_table as J
from ..tables import layout as P
from .embed_copy import mix, same_layers, same_scaling
from .embed_numbers import length_of_numbers, write_numbers

# Elements of a model handle. The first three keep their places in every version.
(
    ENTRY,  # address of ``serve``
    STAMP,  # code_stamp.stamp() of the kernels that it is for
    HERE,  # its own address: it differs in a copied handle, which is therefore rejected
    CODE,  # address of step.call
    ITEMSIZE,  # bytes of an element
    MOST_ROWS,  # of one call
    SINGLE_THREAD_ROWS,  # up to which a step is no faster with a second thread
    OPTIMIZER_MOMENTS,  # address of the optimizer's moments
    GRADIENT_ARENA,  # address of an arena laid out as the parameters
    LOSS_SUM,  # a float64: the sum of the row losses of the last call
    WEIGHT_SUM,  # a float64: the sum of the weights of the rows, for extended plans
    SLOTS,  # number of slots
    DERIVATIVES,  # address of a record (jacobian_server.py), or 0 before derivatives are asked for
    TRAINING,  # from here, the job of training
) = range(14)

FIRST_SLOT = -(-(TRAINING + J.JOB) // 8) * 8
"""From here, the slots. A slot is a job and two elements, its status and whether it is busy."""

SLOT_STATUS, BUSY = J.JOB, J.JOB + 1

SLOT_STRIDE = -(-(J.JOB + 2) // 8) * 8
"""Elements between two slots: whole cache lines, because each slot is used by another thread."""

# Elements of a request. An array has address, dimensions, rows, columns; X and y, where they are a
# TABLE, also bytes between rows, bytes between columns, type code. out may have a third axis.
(
    REQUEST_HANDLE,  # address of the model handle
    REQUEST_TASK,  # TRAIN_IF_SERIAL, or one of job_table.py
    REQUEST_LABELS,  # 1: y is an array of integer labels
    REQUEST_STATUS,  # the answer
    REQUEST_X,  # from here, X
    REQUEST_Y,  # from here, y, or dLoss/dp
    REQUEST_WEIGHTS,  # address of the weights of the rows, float64 (rows,), or 0 for none
    REQUEST_OUT,  # from here, out
    REQUEST,  # length of a request
) = (*range(5), 11, 18, 19, 24)

# Elements of an array, after its address.
NDIM, ROWS, COLUMNS, _ROW_BYTES, _COLUMN_BYTES, _DTYPE = range(1, 7)

DEPTH = COLUMNS + 1
"""Of an out of three dimensions, the last."""

TABLE = 3
"""In place of dimensions: a table of any strides and type, which Python has checked: its width, and
for y its rows. Other arrays are C-contiguous and of the element type, or int64 labels."""

TRAIN_IF_SERIAL = 100
"""A task beside those of job_table.py: TRAIN, but REFUSED where more threads would pay."""

COPY = 101
"""A task beside those of job_table.py: move the parameters of the model whose handle is in the
place of X to those of REQUEST_HANDLE, by the share, a float64, in the place of y."""

OK, REFUSED, NO_MODEL, BAD_X, BAD_Y, BAD_OUT, SHARED_OUT, NO_CODE = range(8)
"""Statuses of a request. REFUSED: a value of X or y is invalid, or the loss is not finite; nothing
has changed. NO_CODE: the model has no DERIVATIVES."""


WORD = 4
"""Bytes of a word. Gradients are copied word by word, so that one function serves both element
types."""

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _Y, _OUT, _ONE = map(np.int64, (REQUEST_X, REQUEST_Y, REQUEST_OUT, 1))
_JOB_X, _JOB_Y, _INFER, _ITEM = map(np.int64, (J.X, J.Y, J.INFER, 8))
_F32, _F64, _I64 = map(np.int64, (F32, F64, I64))


@kernel
def rows_of_x(request, inputs):
    """Rows of X (rows, inputs) or (inputs,); 0 if it has another shape."""
    if request[REQUEST_X + NDIM] == 1:
        return 1 if request[REQUEST_X + ROWS] == inputs else 0
    return request[REQUEST_X + ROWS] if request[REQUEST_X + COLUMNS] == inputs else 0


@kernel
def has_shape(request, array, rows, columns):
    """Whether an array is (rows, columns); it may be flat where rows or columns is 1."""
    if request[array + NDIM] == 2:
        return request[array + ROWS] == rows and request[array + COLUMNS] == columns
    return request[array + ROWS] == rows * columns and (rows == 1 or columns == 1)


@kernel
def _targets_fit(request, plan, rows, outputs):
    if request[REQUEST_Y + NDIM] == TABLE:
        return True
    if request[REQUEST_LABELS] == 1:
        known = plan[plan[0, P.LAST], P.TARGET_KIND] == CLASS
        return known and request[REQUEST_Y + NDIM] < 2 and request[REQUEST_Y + ROWS] == rows
    is_gradient = (
        request[REQUEST_TASK] == J.FROM_OUTPUT or request[REQUEST_TASK] == J.INPUT_GRADIENT
    )
    return has_shape(request, _Y, rows, outputs if is_gradient else plan[0, P.TARGETS])


@kernel
def _n_parameters(plan):
    count = 0
    for layer in range(1, plan[0, P.LAST] + 1):
        of_unit = plan[layer, P.INPUTS] + plan[layer, P.PER_UNIT]
        count += of_unit * plan[layer, P.OUTPUTS]
    return count + length_of_numbers(plan)


@kernel
def size_of(request, array, itemsize):
    """Bytes, or for an itemsize of 1 elements, of an array of at most two dimensions."""
    return request[array + ROWS] * request[array + COLUMNS] * itemsize


@kernel
def overlap(request, array, itemsize):
    """Whether an array and out have memory in common."""
    start, out = request[array], request[REQUEST_OUT]
    size, out_size = size_of(request, array, itemsize), size_of(request, _OUT, itemsize)
    return start < out + out_size and out < start + size


@kernel
def _out_status(request, plan, rows, inputs, outputs, itemsize):
    task, fits = request[REQUEST_TASK], True
    if task == J.INFER:
        fits = has_shape(request, _OUT, rows, outputs)
    elif task == J.INPUT_GRADIENT:
        fits = has_shape(request, _OUT, rows, inputs)
    elif task == J.GRADIENTS:
        fits = has_shape(request, _OUT, _ONE, _n_parameters(plan))
    if not fits:
        return BAD_OUT
    if overlap(request, _X, itemsize) or overlap(request, _Y, itemsize):
        return SHARED_OUT
    return OK


@kernel
def _is_for_one_thread(request, handle, plan, rows, outputs):
    """Whether one thread is enough for a TRAIN_IF_SERIAL, and y has a shape that ``Trainer`` takes.

    ``Trainer`` takes flat targets for one output alone.
    """
    single = outputs == 1 and plan[plan[0, P.LAST], P.TARGET_KIND] != CLASS
    shaped = request[REQUEST_LABELS] == 1 or request[REQUEST_Y + NDIM] >= 2 or single
    return shaped and rows <= handle[SINGLE_THREAD_ROWS]


@kernel
def _check(request, handle, plan, rows, inputs):
    """The status of a request, from shapes and addresses alone."""
    outputs = plan[plan[0, P.LAST], P.OUTPUTS]
    if rows < 1 or rows > handle[MOST_ROWS]:
        return BAD_X
    if request[REQUEST_TASK] == TRAIN_IF_SERIAL and not _is_for_one_thread(
        request, handle, plan, rows, outputs
    ):
        return REFUSED
    if request[REQUEST_TASK] != J.INFER and not _targets_fit(request, plan, rows, outputs):
        return BAD_Y
    return _out_status(request, plan, rows, inputs, outputs, handle[ITEMSIZE])


@kernel
def fill_descriptor(job, data, request, array, shape, itemsize, code):
    """Describe an array for the gather. shape, itemsize, code: of one that is no TABLE."""
    rows, columns = shape
    job[data + ADDRESS] = request[array]
    job[data + N_ROWS] = rows
    job[data + N_COLUMNS] = columns
    if request[array + NDIM] == TABLE:
        job[data + ROW_BYTES] = request[array + _ROW_BYTES]
        job[data + COLUMN_BYTES] = request[array + _COLUMN_BYTES]
        job[data + DTYPE] = request[array + _DTYPE]
    else:
        job[data + ROW_BYTES] = columns * itemsize
        job[data + COLUMN_BYTES] = itemsize
        job[data + DTYPE] = code


@kernel
def code_of(itemsize):
    """The type code of elements of 4 or 8 bytes."""
    return _F32 if itemsize == 4 else _F64


@kernel
def fill_job(job, task, request, itemsize, rows, inputs):
    """Fill in a job: one batch of these rows, in order."""
    job[J.TASK] = task
    job[J.ROWS] = rows
    job[J.BATCH] = rows
    job[J.EPOCH] = 0
    job[J.EPOCHS] = 1
    job[J.BUDGET] = 1
    job[J.START] = 0
    job[J.ORDER] = 0
    job[J.STATUS] = J.OK
    job[J.OUT] = request[REQUEST_OUT]
    job[J.ROW_WEIGHTS] = request[REQUEST_WEIGHTS]
    fill_descriptor(job, _JOB_X, request, _X, (rows, inputs), itemsize, code_of(itemsize))


@kernel
def thread(here):
    """A number >= 0 that differs between most threads, from a place on the caller's stack."""
    page = types.uint64(here) >> types.uint64(12)
    return types.int64((page * types.uint64(GOLDEN)) >> types.uint64(33))


@kernel
def predict(here, request, handle, rows, inputs):
    """Run an inference in a free slot."""
    flags = pointer_to(handle[HERE] + 8 * (FIRST_SLOT + BUSY), types.int64)
    slot = acquire(flags, SLOT_STRIDE, handle[SLOTS], thread(here))
    place = handle[HERE] + 8 * (FIRST_SLOT + slot * SLOT_STRIDE)
    job = typed_pointer_at(place, types.int64)
    job[SLOT_STATUS] = J.OK
    fill_job(job, _INFER, request, handle[ITEMSIZE], rows, inputs)
    call_code(handle[CODE], place, J.RUN, 0, 1)
    status = OK
    if job[SLOT_STATUS] != J.OK:
        status = REFUSED
        fill(job[J.OUT], size_of(request, _OUT, _ONE), handle[ITEMSIZE], math.nan)
    release(offset(flags, slot * SLOT_STRIDE))
    return status


@kernel
def _write_natural(plan, arena, out, words):
    """Copy an arena laid out as the parameters to out, in natural shapes, layer by layer.

    A layer is W, row by row, then b, then gains and shifts if it is normalized. The embeddings of
    numbers follow the layers. arena, out: pointers to words, ``words`` for each element.
    """
    n_lanes, at = lanes(arena), 0
    for layer in range(1, plan[0, P.LAST] + 1):
        inputs, units = plan[layer, P.INPUTS], plan[layer, P.OUTPUTS] * words
        for u in range(0, units, n_lanes):
            stride = plan[layer, P.WEIGHT_STRIDE] * words
            panel = offset(arena, plan[layer, P.WEIGHTS] * words + u // n_lanes * stride)
            for i in range(inputs):
                for j in range(min(n_lanes, units - u)):
                    put(out, at + i * units + u + j, get(panel, i * n_lanes + j))
        at += inputs * units
        for kind in range(plan[layer, P.PER_UNIT]):
            start = plan[layer, P.BIAS] + kind * plan[layer, P.PER_UNIT_STRIDE]
            for u in range(units):
                put(out, at + u, get(arena, start * words + u))
            at += units
    write_numbers(plan, arena, offset(out, at), words)


@kernel
def _words(address):
    return pointer_to(address, types.float32)


@kernel
def fill(address, count, itemsize, value):
    """Set ``count`` elements of 4 or 8 bytes at an address to a value."""
    if itemsize == 4:
        single = pointer_to(address, types.float32)
        for i in range(count):
            put(single, i, value)
    else:
        double = pointer_to(address, types.float64)
        for i in range(count):
            put(double, i, value)


@kernel
def _train(request, handle, plan, rows, inputs):
    """Run a task that needs y: a step, gradients, or an input gradient."""
    task, itemsize = request[REQUEST_TASK], handle[ITEMSIZE]
    place = handle[HERE] + 8 * TRAINING
    job = typed_pointer_at(place, types.int64)
    fill_job(job, J.TRAIN if task == TRAIN_IF_SERIAL else task, request, itemsize, rows, inputs)
    if request[REQUEST_LABELS] == 1:
        fill_descriptor(job, _JOB_Y, request, _Y, (rows, _ONE), _ITEM, _I64)
    else:
        columns = request[REQUEST_Y + ROWS] * request[REQUEST_Y + COLUMNS] // rows
        shape = rows, columns
        fill_descriptor(job, _JOB_Y, request, _Y, shape, itemsize, code_of(itemsize))
    handle[LOSS_SUM] = handle[WEIGHT_SUM] = 0  # and 0.0
    job[J.MOMENTS] = handle[OPTIMIZER_MOMENTS]
    if task == J.GRADIENTS:
        job[J.MOMENTS] = handle[GRADIENT_ARENA]
        fill(job[J.MOMENTS], plan[0, P.PARAMETERS], itemsize, 0.0)
    call_code(handle[CODE], place, J.RUN, 0, 1)
    if job[J.STATUS] != J.OK:
        if task == J.INPUT_GRADIENT:
            fill(job[J.OUT], rows * inputs, itemsize, math.nan)
        return REFUSED
    if task == J.GRADIENTS:
        arena, out = _words(handle[GRADIENT_ARENA]), _words(request[REQUEST_OUT])
        _write_natural(plan, arena, out, itemsize // WORD)
    return OK


@kernel
def _copy(request, handle, plan):
    """Serve a COPY. BAD_X: other layers. BAD_Y: no share. BAD_OUT: another scaling."""
    if request[REQUEST_X + ROWS] < FIRST_SLOT:
        return NO_MODEL
    source = typed_pointer_at(request[REQUEST_X], types.int64)
    if source[HERE] != request[REQUEST_X] or source[STAMP] != handle[STAMP]:
        return NO_MODEL
    plan_of_source = plan_at(source[TRAINING + J.PLAN])
    if not same_layers(plan, plan_of_source):
        return BAD_X
    if not same_scaling(plan, plan_of_source, handle[ITEMSIZE]):
        return BAD_OUT
    share = get(pointer_to(request[REQUEST_Y], types.float64), 0)
    if not 0.0 <= share <= 1.0:
        return BAD_Y
    arenas = source[TRAINING + J.PARAMS], handle[TRAINING + J.PARAMS]
    mix(arenas[0], arenas[1], plan[0, P.PARAMETERS], handle[ITEMSIZE], share)
    return OK


def _serve(place):
    """Serve the request, int64 (REQUEST,), at an address, and set its status.

    Returns the mean loss of the rows (for FROM_OUTPUT and INPUT_GRADIENT the mean of sum p
    dLoss/dp), 0 for INFER and COPY, and NaN where the status is not OK.
    """
    request = typed_pointer_at(place, types.int64)
    handle = typed_pointer_at(request[REQUEST_HANDLE], types.int64)
    plan = plan_at(handle[TRAINING + J.PLAN])
    if request[REQUEST_TASK] == COPY:
        request[REQUEST_STATUS] = _copy(request, handle, plan)
        return 0.0
    inputs = plan[0, P.X_COLUMNS]
    rows = rows_of_x(request, inputs)
    status = _check(request, handle, plan, rows, inputs)
    if status == OK:
        if request[REQUEST_TASK] == J.INFER:
            status = predict(place, request, handle, rows, inputs)
        else:
            status = _train(request, handle, plan, rows, inputs)
    request[REQUEST_STATUS] = status
    if status != OK:
        return math.nan
    if request[REQUEST_TASK] == J.INFER:
        return 0.0
    sums = pointer_to(handle[HERE] + 8 * LOSS_SUM, types.float64)
    return get(sums, 0) / rows


_SIGNATURE = types.float64(types.int64)


@cache
def serve() -> int:
    """Address of ``_serve``; compiles it, or loads it."""
    return c_function(_serve, _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``serve`` compiles into a folder (jit.py)."""
    jit.ship(folder, _serve, _SIGNATURE)
