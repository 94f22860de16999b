"""The fused step: gather, forward, loss and backward by rows; then gradient and update by weights.

A step has two parallel regions, whatever the depth. Rows are independent up to the deltas, so each
share takes its own vectors of rows through all layers; then each share takes its own part of every
weight matrix over the whole batch. A batch with too few rows to share goes forward and back one
layer at a time instead, and each share takes its own units of the layer; what few rows are at all
(few.py) goes that way alone, too. No sum depends on how many shares there are.

What Python asks for is a job (jobs.py). run.py drives the stages below.
"""

import math

import numpy as np
from numba import carray, types

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.denormals import flush_denormals, restore_denormals
from ..ir.simd import (
    get,
    lanes,
    offset,
    pointer_to,
    put,
)
from ..ir.typed_pointers import typed_pointer_at
from ..primitives.shuffle import reorder, shuffle
from ..stages.backward import (
    backward,
    backward_layer,
    delta_of,
    error_of_inputs,
    to_panels,
)
from ..stages.batch import (
    finish_forward,
    goes_by_layers,
    has_output_gradient,
    take_batch,
    take_rows,
    write_rows,
)
from ..stages.extended_stages import (
    after_weights,
    count_update,
    extra_stage,
    gradient_arena,
    measure_layer,
    prepare,
    stores_gradient,
)
from ..stages.forward import forward, forward_layer, padded
from ..stages.inference import begin_inference, end_inference, infer
from ..stages.losses import delta_from_output
from ..stages.output_loss import apply_row_weights, output_loss
from ..stages.regularization import part, penalty
from ..stages.scaling import to_raw_input_gradient, to_raw_input_gradient_panel
from ..stages.small_batch import (
    backward_small_batch,
    error_of_inputs_small_batch,
    forward_small_batch,
    is_small_batch,
)
from ..stages.update import update_part
from ..tables.job_table import (
    ADVANCE,
    ALL_ROWS,
    APPLY,
    BACKWARD,
    BATCH,
    BUDGET,
    BY_ROWS,
    BY_WEIGHTS,
    EPOCH,
    EPOCHS,
    FINISH,
    FIRST,
    FORWARD,
    FROM_OUTPUT,
    GRADIENTS,
    HYPER,
    IN_ORDER,
    INFER,
    INPUT_GRADIENT,
    KINDS,
    LAYER,
    LOADED,
    LOSSES,
    MEASURE,
    MOMENTS,
    NOT_FINITE,
    NOTHING,
    OK,
    ORDER,
    OUT,
    PARAMS,
    ROWS,
    RUN,
    SEED,
    SHUFFLED,
    START,
    STATUS,
    TASK,
    TRAIN,
    WEIGHT_SUMS,
    WORK,
)
from ..tables.layout import (
    ACTIVATION,
    BLOCK,
    IN,
    INPUTS,
    LAST,
    OUTPUTS,
    ROW_LOSS,
    ROW_STATUS,
    ROW_WEIGHT,
    SCRATCH,
    SCRATCH_STRIDE,
    TARGET,
    A,
    Z,
)
from ..tables.settings import ROW_SCALE

_ZERO = np.int64(0)  # a Python constant would compile its callee once more


@kernel
def _batch_rows(job):
    return min(job[BATCH], job[ROWS] - job[START])


@kernel
def _mean_over(job):
    """How many rows the loss is a mean of."""
    return job[ROWS] if job[TASK] == GRADIENTS else _batch_rows(job)


@kernel
def _output_delta(plan, work, job, vector, valid):
    """Delta of the output layer for one vector of rows, with what stands for their losses."""
    if not has_output_gradient(job):
        output_loss(plan, work, job, vector, valid, _mean_over(job))
        apply_row_weights(plan, work, job, vector, valid)
        return
    last = plan[0, LAST]
    block, units = offset(work, vector * plan[0, BLOCK]), plan[last, OUTPUTS]
    delta_from_output(
        plan[last, ACTIVATION],
        offset(block, plan[last, Z]),
        offset(block, plan[last, A]),
        offset(block, plan[0, TARGET]),
        delta_of(plan, work, vector, last),
        units,
        padded(units, lanes(work)),
        offset(block, plan[0, ROW_LOSS]),
    )
    apply_row_weights(plan, work, job, vector, valid)


@kernel
def _by_rows(plan, params, work, job, worker, workers):
    """One share's vectors of rows: gather, forward, loss, backward. Only its blocks are written."""
    w, rows = lanes(work), _batch_rows(job)
    vectors = padded(rows, w) // w
    first, last = part(vectors, worker, workers)
    scratch = offset(work, plan[0, SCRATCH] + worker * plan[0, SCRATCH_STRIDE])
    for layer in range(1, plan[0, LAST] + 1):
        measure_layer(plan, params, work, job, layer, worker, workers)
    fine = True
    for v in range(first if job[LOADED] == 0 else last, last):
        valid = min(w, rows - v * w)
        status = take_rows(plan, work, job, job[ORDER], job[START] + v * w, valid, v, scratch)
        put(offset(work, v * plan[0, BLOCK]), plan[0, ROW_STATUS], status)
        fine = fine and status == OK
    if fine and first < last:
        forward(plan, params, work, first, last)
        for v in range(first, last):
            _output_delta(plan, work, job, v, min(w, rows - v * w))
        backward(plan, params, work, first, last)


@kernel
def _forward(plan, params, work, job, rows, worker, workers):
    """One share's units of a layer, for all rows of the batch."""
    w, layer = lanes(work), job[LAYER]
    measure_layer(plan, params, work, job, layer, worker, workers)
    first, last = part(padded(plan[layer, OUTPUTS], w) // w, worker, workers)
    if is_small_batch(plan, rows, w):
        forward_small_batch(plan, params, work, layer, rows, first, last)
    elif first < last:
        high = min(last * w, plan[layer, OUTPUTS])
        forward_layer(plan, params, work, layer, _ZERO, padded(rows, w) // w, first * w, high)


@kernel
def _backward(plan, params, work, job, rows, worker, workers):
    """One share's units below a layer, for all rows of the batch."""
    w, layer = lanes(work), job[LAYER]
    first, last = part(padded(plan[layer, INPUTS], w) // w, worker, workers)
    if is_small_batch(plan, rows, w):
        backward_small_batch(plan, params, work, layer, rows, first, last)
    elif first < last:
        high = min(last * w, plan[layer, INPUTS])
        backward_layer(plan, params, work, layer, _ZERO, padded(rows, w) // w, first * w, high)


@kernel
def _finish_forward_by_layer(plan, work, job, workers):
    """Outputs, loss and delta of a batch that went layer by layer; the stage that follows."""
    w, rows, top = lanes(work), _batch_rows(job), plan[0, LAST]
    vectors = padded(rows, w) // w
    finish_forward(plan, work, rows)
    for v in range(vectors):
        put(offset(work, v * plan[0, BLOCK]), plan[0, ROW_STATUS], OK)
        _output_delta(plan, work, job, v, min(w, rows - v * w))
    to_panels(plan, work, top, _ZERO, vectors, _ZERO, plan[top, OUTPUTS])
    job[LAYER] = top
    stage = _accept(plan, work, job, workers)
    return BACKWARD if stage == BY_WEIGHTS and top > 1 else stage


@kernel
def _by_weights(plan, params, moments, work, hyper, job, worker, workers):
    """One share's part of every weight matrix: gradient, then update or keep."""
    adds, rows = job[TASK] == GRADIENTS, _batch_rows(job)
    stores = stores_gradient(plan) and not adds
    into, keep = gradient_arena(plan, moments) if stores else moments, adds or stores
    update_part(plan, params, into, work, hyper, keep, adds, worker, workers, rows)


@kernel
def _to_inputs(plan, params, work, job, worker, workers):
    """One share's part of dLoss/dX, to OUT: what follows the deltas in place of BY_WEIGHTS."""
    w, rows, inputs = lanes(work), _batch_rows(job), plan[1, INPUTS]
    out, error = pointer_to(job[OUT], work), offset(work, plan[1, IN])
    if is_small_batch(plan, rows, w):
        first, last = part(padded(inputs, w) // w, worker, workers)
        error_of_inputs_small_batch(plan, params, work, rows, first, last)
        for p in range(first, last):
            to_raw_input_gradient_panel(plan, offset(error, p * rows * w), rows, p * w)
            for r in range(rows):
                for i in range(min(w, inputs - p * w)):
                    put(out, r * inputs + p * w + i, get(error, (p * rows + r) * w + i))
        return
    first, last = part(padded(rows, w) // w, worker, workers)
    scratch = offset(work, plan[0, SCRATCH] + worker * plan[0, SCRATCH_STRIDE])
    error_of_inputs(plan, params, work, first, last)
    for v in range(first, last):
        valid, rows_error = min(w, rows - v * w), offset(error, v * plan[0, BLOCK])
        to_raw_input_gradient(plan, rows_error)
        write_rows(rows_error, inputs, valid, out, v * w, scratch)


@kernel
def _begin(plan, work, job, workers):
    """The first stage of a batch, if there is one; at the first of an epoch, make its order."""
    if job[EPOCH] >= job[EPOCHS] or job[BUDGET] <= 0:
        return NOTHING
    if job[START] == 0 and job[SHUFFLED] != IN_ORDER:
        order = carray(pointer_to(job[ORDER], types.int64), job[ROWS])
        if job[SHUFFLED] == ALL_ROWS:
            shuffle(job[SEED], job[EPOCH], order)
        else:
            reorder(job[SEED], job[EPOCH], order)
    job[BUDGET] -= 1
    prepare(plan, job)
    rows = _batch_rows(job)
    if not goes_by_layers(plan, work, rows, workers):
        return BY_ROWS
    job[LAYER] = 1
    if job[LOADED] == 0:
        job[STATUS] = take_batch(plan, work, job, job[ORDER], job[START], rows) % KINDS
    return FORWARD if job[STATUS] == OK else NOTHING


@kernel
def _go_on(job):
    """To the next batch or epoch."""
    if job[BATCH] >= job[ROWS] and job[SHUFFLED] == IN_ORDER:
        job[LOADED] = 1
    job[START] += job[BATCH]
    if job[START] >= job[ROWS]:
        job[START] = 0
        job[EPOCH] += 1


@kernel
def _sum_losses(plan, work, job):
    """The rows' losses, added up in their order; sets STATUS if a row is not valid."""
    w, total = lanes(work), 0.0
    for v in range(padded(_batch_rows(job), w) // w):
        block = offset(work, v * plan[0, BLOCK])
        status = int(get(block, plan[0, ROW_STATUS]))
        if status != OK:
            job[STATUS] = status
            return 0.0
        for lane in range(w):
            total += get(block, plan[0, ROW_LOSS] + lane)
    return total


@kernel
def _enter(job, sums, value):
    """Add to this epoch's element of the float64 at an address."""
    encoded, epoch = pointer_to(sums, types.float64), job[EPOCH] - job[FIRST]
    put(encoded, epoch, get(encoded, epoch) + value)


@kernel
def _accept_plain(plan, work, job, workers):
    total = _sum_losses(plan, work, job)
    if job[STATUS] == OK and not math.isfinite(total):
        job[STATUS] = NOT_FINITE
    if job[STATUS] != OK:
        return NOTHING
    _enter(job, job[LOSSES], total)
    return BY_WEIGHTS


@kernel
def _accept_extended(plan, work, job, workers):
    total, weight = _sum_losses(plan, work, job), 0.0
    if job[STATUS] != OK:
        return NOTHING
    w, rows, hyper = lanes(work), _batch_rows(job), typed_pointer_at(job[HYPER], types.float64)
    for v in range(padded(rows, w) // w):
        for lane in range(w):
            weight += get(work, v * plan[0, BLOCK] + plan[0, ROW_WEIGHT] + lane)
    total += weight * penalty(plan, work, hyper)
    if not math.isfinite(total):
        job[STATUS] = NOT_FINITE
        return NOTHING
    _enter(job, job[LOSSES], total)
    _enter(job, job[WEIGHT_SUMS], weight)
    if weight == 0.0 and job[TASK] != GRADIENTS:  # nothing to learn from
        _go_on(job)
        return _begin(plan, work, job, workers)
    hyper[ROW_SCALE] = 1.0 if job[TASK] == GRADIENTS else rows / weight
    return BY_WEIGHTS


_accept = by_plan(_accept_plain, _accept_extended)
"""Add up the rows' losses; the stage that follows, NOTHING if one is not valid.

(plan, work, job, shares)
"""


@kernel
def _end(plan, hyper, job):
    """Count the update, and go on to the next batch or epoch."""
    if job[TASK] == TRAIN or job[TASK] == FROM_OUTPUT:
        count_update(plan, hyper)
    _go_on(job)


@kernel
def _advance(plan, work, hyper, job, after, workers):
    """The stage that follows ``after``; NOTHING begins a job, and ends it."""
    infer = job[TASK] == INFER
    if after == FORWARD:
        if job[LAYER] < plan[0, LAST]:
            job[LAYER] += 1
            return FORWARD
        return (
            end_inference(plan, work, job)
            if infer
            else _finish_forward_by_layer(plan, work, job, workers)
        )
    if after == BACKWARD:
        job[LAYER] -= 1
        return BACKWARD if job[LAYER] > 1 else BY_WEIGHTS
    if infer:
        return begin_inference(plan, work, job, workers) if after == NOTHING else NOTHING
    if after == BY_ROWS:
        return _accept(plan, work, job, workers)
    if after == NOTHING:
        job[LOADED] = 0
    else:
        stage = after_weights(plan, work, hyper, job, after)
        if stage != NOTHING or job[STATUS] != OK:
            return stage
        _end(plan, hyper, job)
    return _begin(plan, work, job, workers)


@kernel
def _do(plan, work, hyper, job, stage, worker, workers, dtype):
    """One share's part of a stage."""
    params = pointer_to(job[PARAMS], dtype)
    rows = job[ROWS] if job[TASK] == INFER else _batch_rows(job)
    if stage == BY_ROWS:
        _by_rows(plan, params, work, job, worker, workers)
    elif stage == FORWARD:
        _forward(plan, params, work, job, rows, worker, workers)
    elif stage == BACKWARD:
        _backward(plan, params, work, job, rows, worker, workers)
    elif stage == BY_WEIGHTS and job[TASK] == INPUT_GRADIENT:
        _to_inputs(plan, params, work, job, worker, workers)
    elif stage == BY_WEIGHTS:
        moments = pointer_to(job[MOMENTS], dtype)
        _by_weights(plan, params, moments, work, hyper, job, worker, workers)
    elif stage == MEASURE or stage == APPLY or stage == FINISH:
        moments = pointer_to(job[MOMENTS], dtype)
        extra_stage(plan, params, moments, work, hyper, stage, worker, workers)
    else:
        infer(plan, params, work, job, pointer_to(job[OUT], dtype), worker, workers)


@kernel
def call(plan, job, request, worker, workers, dtype):
    """Serve a request about a job: one of the stages, ADVANCE (``share`` says after which), RUN.

    plan: the job's, of a type that says which kernels it is for. dtype: the element type of the
    arenas. Returns the next stage for ADVANCE, else NOTHING. Twin: ``fastbp.runtime.numpy_engine``.
    """
    hyper = typed_pointer_at(job[HYPER], types.float64)
    work = pointer_to(job[WORK], dtype)
    before = flush_denormals()
    if request == ADVANCE:
        stage = _advance(plan, work, hyper, job, worker, workers)
    elif request == RUN:
        stage = _advance(plan, work, hyper, job, NOTHING, workers)
        while stage != NOTHING:
            _do(plan, work, hyper, job, stage, worker, workers, dtype)
            stage = _advance(plan, work, hyper, job, stage, workers)
    else:
        _do(plan, work, hyper, job, request, worker, workers, dtype)
        stage = NOTHING
    restore_denormals(before)
    return stage
