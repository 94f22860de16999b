"""The fused step: gather, forward, loss and backward by rows; then gradient and update by weights.

A step has two parallel regions, whatever the depth. Rows are independent up to the deltas, so each
share takes its own vectors of rows through all layers; then each share takes its own part of every
weight matrix over the whole batch. A batch with too few rows to share goes forward and back one
layer at a time instead, and each share takes its own units of the layer; what few rows are at all
(few.py) goes that way alone, too. No sum depends on how many shares there are.

What Python asks for is a *job*, one int64 vector: what to run, how far it has come, the user's
arrays, and the addresses of ours. run.py drives the stages below.
"""

import math

import numpy as np
from numba import carray, types

from .backward import backward, backward_layer, delta_of, error_of_inputs, spread
from .cells import cells_at, plan_at
from .codes import CROSS_ENTROPY, F64, SOFTMAX
from .denormals import flush_denormals, restore_denormals
from .few import (
    are_few,
    backward_few,
    error_of_inputs_few,
    forward_few,
    outputs_few,
    write_outputs_few,
)
from .forward import activate_outputs, forward, forward_layer, padded
from .gather import ADDRESS, DESCRIPTOR, DTYPE, N_COLUMNS, gather, gather_rows
from .jit import kernel
from .layout import (
    ACTIVATION,
    BLOCK,
    CAPACITY,
    IN,
    INPUTS,
    LAST,
    LOSS,
    OUTPUTS,
    PARAMETERS,
    ROW_HITS,
    ROW_LOSS,
    ROW_STATUS,
    SCRATCH,
    SCRATCH_STRIDE,
    TARGET,
    UPDATES,
    A,
    Z,
)
from .losses import delta_from_output, hits, invalid_target, loss_and_delta
from .shuffle import shuffle
from .simd import get, lanes, offset, pointer_to, put, store, transpose
from .update import update_share

# Elements of a job.
(
    TASK,  # TRAIN, GRADIENTS, INFER, FROM_OUTPUT or INPUT_GRADIENT
    ROWS,  # in the data set
    BATCH,  # rows of a batch
    SHUFFLED,  # 1: each epoch in its own order; 0: as the rows lie
    SEED,  # of the order
    FIRST,  # the epoch that losses[0] belongs to
    EPOCHS,  # run up to this epoch
    BUDGET,  # batches to run in this call, at most
    EPOCH,  # the epoch to go on with
    START,  # the row of the epoch to go on with
    STATUS,  # why a call ended early: the batch at START was not applied
    PLAN,  # address of the plan (layout.py)
    PARAMS,  # address of the parameter arena
    MOMENTS,  # address of the optimizer's moments, or of what GRADIENTS adds to
    WORK,  # address of the work arena
    HYPER,  # address of the hyperparameters, float64 (HYPER_LENGTH,)
    ORDER,  # address of the order of the rows, int64 (ROWS,), or 0 for as they lie
    LOSSES,  # address of the sums of row losses, float64 (EPOCHS - FIRST,)
    OUT,  # address of the outputs, (ROWS, outputs), or of dLoss/dX, (ROWS, inputs); or 0
    VALUES,  # address of loss and hits of each row of an inference, float64 (ROWS, 2), or 0
    STATUSES,  # address of an inference's statuses, int64 (shares,)
    LAYER,  # the layer that stage FORWARD or BACKWARD works on
    LOADED,  # 1: the batch lies in its blocks already, as the only one of every epoch does
    X,  # from here, the descriptor of X (gather.py)
) = range(24)
Y = X + DESCRIPTOR
"""From here, the descriptor of y, whose address is 0 where there is none."""
JOB = Y + DESCRIPTOR
"""Length of a job."""

TRAIN, GRADIENTS, INFER, FROM_OUTPUT, INPUT_GRADIENT = range(5)
"""The last two have in place of y the gradient of the user's own loss, dLoss/dp (rows, outputs):
FROM_OUTPUT updates by it, INPUT_GRADIENT takes it down to the inputs."""

FINE, BAD_INPUT, BAD_TARGET, NOT_FINITE, KINDS = range(5)
"""Statuses. That of an inference's share is kind + KINDS * the first row of the vector of rows
that holds an invalid value."""

NOTHING, BY_ROWS, FORWARD, BACKWARD, BY_WEIGHTS, FOR_OUTPUTS = map(np.int64, range(6))
"""Stages: parts of a job that shares may do side by side. A batch goes BY_ROWS, or FORWARD and
BACKWARD one layer after the other, and then BY_WEIGHTS."""

ADVANCE, RUN = range(6, 8)
"""What else ``call`` can be asked: the stage that follows a stage, or to do all of them alone."""


WIDE = 65536
"""Weights of a layer from which a region of its own pays. Three layers, batch 32, two threads, by
rows and layer by layer: 128 x 128 29 and 33 us, 256 x 256 100 and 98, 1024 x 1024 2265 and 1858."""

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _Y = np.int64(X), np.int64(Y)
_ZERO = np.int64(0)
_AS_THEY_LIE = _ZERO  # the order of rows that are taken one after another


@kernel
def _has_labels(plan, job):
    """Whether y is one column of integer class labels."""
    one_column = job[Y + N_COLUMNS] == 1 and job[Y + DTYPE] > F64
    return plan[0, LOSS] == CROSS_ENTROPY and one_column


@kernel
def _has_own_gradient(job):
    return job[TASK] == FROM_OUTPUT or job[TASK] == INPUT_GRADIENT


@kernel
def _batch_rows(job):
    return min(job[BATCH], job[ROWS] - job[START])


@kernel
def _mean_over(job):
    """How many rows the loss is a mean of."""
    return job[ROWS] if job[TASK] == GRADIENTS else _batch_rows(job)


@kernel
def _layer_by_layer(plan, work, rows, shares):
    """Whether a batch goes through one layer at a time, each share with its units of it.

    So do few rows; and where layers are wide, so few vectors of rows that a share would be idle for
    a third of the time, or would read all weights for a single vector.
    """
    w = lanes(work)
    vectors = padded(rows, w) // w
    if are_few(rows, w):
        return True
    left = vectors < 2 * shares and vectors % shares != 0
    wide = plan[0, PARAMETERS] > WIDE * plan[0, LAST]
    return shares > 1 and wide and (left or vectors <= shares)


@kernel
def _take_targets(plan, job, order, first, valid, block, scratch):
    """Bring y of one vector of rows into its block, if there is one; the status."""
    if job[Y + ADDRESS] != 0:
        y, outputs = offset(block, plan[0, TARGET]), plan[plan[0, LAST], OUTPUTS]
        if gather(job, _Y, order, first, valid, y, scratch):
            return BAD_TARGET
        if _has_own_gradient(job):
            return FINE
        if invalid_target(plan[0, LOSS], y, _has_labels(plan, job), valid, outputs):
            return BAD_TARGET
    return FINE


@kernel
def _take_rows(plan, work, job, order, first, valid, vector, scratch):
    """Bring one vector of rows of X, and of y if there is one, into its block; the status."""
    block = offset(work, vector * plan[0, BLOCK])
    if gather(job, _X, order, first, valid, offset(block, plan[1, IN]), scratch):
        return BAD_INPUT
    return _take_targets(plan, job, order, first, valid, block, scratch)


@kernel
def _take_batch(plan, work, job, order, first, rows):
    """Bring a batch that goes layer by layer into its blocks; the first status that is not FINE.

    That of an inference: kind + KINDS * the first row of the vector.
    """
    w, scratch = lanes(work), offset(work, plan[0, SCRATCH])
    if are_few(rows, w):
        if gather_rows(job, _X, order, first, rows, offset(work, plan[1, IN])):
            return BAD_INPUT
        return _take_targets(plan, job, order, first, rows, work, scratch)
    for v in range(padded(rows, w) // w):
        valid = min(w, rows - v * w)
        status = _take_rows(plan, work, job, order, first + v * w, valid, v, scratch)
        if status != FINE:
            return status + KINDS * v * w
    return FINE


@kernel
def _output_loss(plan, work, job, vector, valid, rows):
    """Loss and delta of the output layer for one vector of rows."""
    last = plan[0, LAST]
    block, units = offset(work, vector * plan[0, BLOCK]), plan[last, OUTPUTS]
    loss_and_delta(
        plan[0, LOSS],
        plan[last, ACTIVATION],
        offset(block, plan[last, Z]),
        offset(block, plan[last, A]),
        offset(block, plan[0, TARGET]),
        _has_labels(plan, job),
        delta_of(plan, work, vector, last),
        units,
        padded(units, lanes(work)),
        valid,
        rows,
        offset(block, plan[0, ROW_LOSS]),
    )


@kernel
def _output_delta(plan, work, job, vector, valid):
    """Delta of the output layer for one vector of rows, with what stands for their losses."""
    if not _has_own_gradient(job):
        _output_loss(plan, work, job, vector, valid, _mean_over(job))
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


@kernel
def _by_rows(plan, params, work, job, share, shares):
    """One share's vectors of rows: gather, forward, loss, backward. Only its blocks are written."""
    w, rows = lanes(work), _batch_rows(job)
    vectors = padded(rows, w) // w
    first, last = vectors * share // shares, vectors * (share + 1) // shares
    scratch = offset(work, plan[0, SCRATCH] + share * plan[0, SCRATCH_STRIDE])
    fine = True
    for v in range(first if job[LOADED] == 0 else last, last):
        valid = min(w, rows - v * w)
        status = _take_rows(plan, work, job, job[ORDER], job[START] + v * w, valid, v, scratch)
        put(offset(work, v * plan[0, BLOCK]), plan[0, ROW_STATUS], status)
        fine = fine and status == FINE
    if fine and first < last:
        forward(plan, params, work, first, last)
        for v in range(first, last):
            _output_delta(plan, work, job, v, min(w, rows - v * w))
        backward(plan, params, work, first, last)


@kernel
def _part(units, w, share, shares):
    """First and last of a share's part of a layer's units, in whole panels."""
    panels = padded(units, w) // w
    return panels * share // shares, panels * (share + 1) // shares


@kernel
def _forward(plan, params, work, job, rows, share, shares):
    """One share's units of a layer, for all rows of the batch."""
    w, layer = lanes(work), job[LAYER]
    first, last = _part(plan[layer, OUTPUTS], w, share, shares)
    if are_few(rows, w):
        forward_few(plan, params, work, layer, rows, first, last)
    elif first < last:
        high = min(last * w, plan[layer, OUTPUTS])
        forward_layer(plan, params, work, layer, _ZERO, padded(rows, w) // w, first * w, high)


@kernel
def _backward(plan, params, work, job, rows, share, shares):
    """One share's units below a layer, for all rows of the batch."""
    w, layer = lanes(work), job[LAYER]
    first, last = _part(plan[layer, INPUTS], w, share, shares)
    if are_few(rows, w):
        backward_few(plan, params, work, layer, rows, first, last)
    elif first < last:
        high = min(last * w, plan[layer, INPUTS])
        backward_layer(plan, params, work, layer, _ZERO, padded(rows, w) // w, first * w, high)


@kernel
def _finish_forward(plan, work, rows):
    """The outputs of a batch that went layer by layer."""
    w = lanes(work)
    if are_few(rows, w):
        outputs_few(plan, work, rows)
    for v in range(padded(rows, w) // w):
        activate_outputs(plan, work, v)


@kernel
def _turn_back(plan, work, job):
    """Outputs, loss and delta of a batch that went layer by layer; the stage that follows."""
    w, rows, top = lanes(work), _batch_rows(job), plan[0, LAST]
    vectors = padded(rows, w) // w
    _finish_forward(plan, work, rows)
    for v in range(vectors):
        put(offset(work, v * plan[0, BLOCK]), plan[0, ROW_STATUS], FINE)
        _output_delta(plan, work, job, v, min(w, rows - v * w))
    spread(plan, work, top, _ZERO, vectors, _ZERO, plan[top, OUTPUTS])
    job[LAYER] = top
    stage = _accept(plan, work, job)
    return BACKWARD if stage == BY_WEIGHTS and top > 1 else stage


@kernel
def _by_weights(plan, params, moments, work, hyper, job, share, shares):
    """One share's part of every weight matrix: gradient, then update or keep."""
    keep = job[TASK] == GRADIENTS
    update_share(plan, params, moments, work, hyper, keep, share, shares, _batch_rows(job))


@kernel
def _to_inputs(plan, params, work, job, share, shares):
    """One share's part of dLoss/dX, to OUT: what follows the deltas in place of BY_WEIGHTS."""
    w, rows, inputs = lanes(work), _batch_rows(job), plan[1, INPUTS]
    out, error = pointer_to(job[OUT], work), offset(work, plan[1, IN])
    if are_few(rows, w):
        first, last = _part(inputs, w, share, shares)
        error_of_inputs_few(plan, params, work, rows, first, last)
        for p in range(first, last):
            for r in range(rows):
                for i in range(min(w, inputs - p * w)):
                    put(out, r * inputs + p * w + i, get(error, (p * rows + r) * w + i))
        return
    vectors = padded(rows, w) // w
    first, last = vectors * share // shares, vectors * (share + 1) // shares
    scratch = offset(work, plan[0, SCRATCH] + share * plan[0, SCRATCH_STRIDE])
    error_of_inputs(plan, params, work, first, last)
    for v in range(first, last):
        valid = min(w, rows - v * w)
        _write_rows(offset(error, v * plan[0, BLOCK]), inputs, valid, out, v * w, scratch)


@kernel
def _begin(plan, work, job, shares):
    """The first stage of a batch, if there is one; at the first of an epoch, make its order."""
    if job[EPOCH] >= job[EPOCHS] or job[BUDGET] <= 0:
        return NOTHING
    if job[START] == 0 and job[SHUFFLED] == 1:
        shuffle(job[SEED], job[EPOCH], carray(pointer_to(job[ORDER], types.int64), job[ROWS]))
    job[BUDGET] -= 1
    rows = _batch_rows(job)
    if not _layer_by_layer(plan, work, rows, shares):
        return BY_ROWS
    job[LAYER] = 1
    if job[LOADED] == 0:
        job[STATUS] = _take_batch(plan, work, job, job[ORDER], job[START], rows) % KINDS
    return FORWARD if job[STATUS] == FINE else NOTHING


@kernel
def _accept(plan, work, job):
    """Add up the rows' losses, in their order; BY_WEIGHTS, or NOTHING if one is not valid."""
    w, total = lanes(work), 0.0
    for v in range(padded(_batch_rows(job), w) // w):
        block = offset(work, v * plan[0, BLOCK])
        status = int(get(block, plan[0, ROW_STATUS]))
        if status != FINE:
            job[STATUS] = status
            return NOTHING
        for lane in range(w):
            total += get(block, plan[0, ROW_LOSS] + lane)
    if not math.isfinite(total):
        job[STATUS] = NOT_FINITE
        return NOTHING
    losses, epoch = pointer_to(job[LOSSES], types.float64), job[EPOCH] - job[FIRST]
    put(losses, epoch, get(losses, epoch) + total)
    return BY_WEIGHTS


@kernel
def _end(hyper, job):
    """Count the update, and go on to the next batch or epoch."""
    if job[TASK] == TRAIN or job[TASK] == FROM_OUTPUT:
        hyper[UPDATES] += 1.0
    if job[BATCH] >= job[ROWS] and job[SHUFFLED] == 0:
        job[LOADED] = 1
    job[START] += job[BATCH]
    if job[START] >= job[ROWS]:
        job[START] = 0
        job[EPOCH] += 1


@kernel
def _write_rows(a, units, valid, out, row, scratch):
    """Copy a (units, lanes), one vector of rows, to rows ``row`` .. of out (n, units)."""
    w = lanes(a)
    for u in range(0, units, w):
        transpose(offset(a, u * w), w, scratch, w)
        for r in range(valid):
            for i in range(min(w, units - u)):
                put(out, (row + r) * units + u + i, get(scratch, r * w + i))


@kernel
def _judge_rows(plan, work, job, vector, valid, values, row):
    """Loss and hits of one vector's rows, to rows ``row`` .. of values (n, 2)."""
    last = plan[0, LAST]
    _output_loss(plan, work, job, vector, valid, job[ROWS])
    block = offset(work, vector * plan[0, BLOCK])
    right = offset(block, plan[0, ROW_HITS])
    p, y = offset(block, plan[last, A]), offset(block, plan[0, TARGET])
    store(right, 0, hits(plan[0, LOSS], p, y, _has_labels(plan, job), plan[last, OUTPUTS]))
    for lane in range(valid):
        put(values, 2 * (row + lane), get(block, plan[0, ROW_LOSS] + lane))
        put(values, 2 * (row + lane) + 1, get(right, lane))


@kernel
def _give(plan, work, job, out, vector, row, scratch):
    """What an inference wants of one vector's rows, which begin with ``row``."""
    valid = min(lanes(work), job[ROWS] - row)
    if job[VALUES] != 0:
        _judge_rows(plan, work, job, vector, valid, pointer_to(job[VALUES], types.float64), row)
    else:
        last = plan[0, LAST]
        a = offset(work, vector * plan[0, BLOCK] + plan[last, A])
        _write_rows(a, plan[last, OUTPUTS], valid, out, row, scratch)


@kernel
def _infer(plan, params, work, job, out, share, shares):
    """One share's rows, in its own blocks, as many at a time as it has blocks."""
    w, n = lanes(work), job[ROWS]
    vectors, blocks = padded(n, w) // w, plan[0, CAPACITY] // (w * shares)
    begin, stop, mine = vectors * share // shares, vectors * (share + 1) // shares, share * blocks
    turns = -(-(stop - begin) // blocks)
    abreast = -(-(stop - begin) // max(1, turns))  # 4 of at most 3 are 2 and 2, and not 3 and 1
    scratch = offset(work, plan[0, SCRATCH] + share * plan[0, SCRATCH_STRIDE])
    statuses = pointer_to(job[STATUSES], types.int64)
    for start in range(begin, stop, max(1, abreast)):
        count = min(abreast, stop - start)
        for v in range(count):
            row = (start + v) * w
            status = _take_rows(
                plan, work, job, _AS_THEY_LIE, row, min(w, n - row), mine + v, scratch
            )
            if status != FINE and get(statuses, share) == FINE:
                put(statuses, share, status + KINDS * row)
        forward(plan, params, work, mine, mine + count)
        for v in range(count):
            _give(plan, work, job, out, mine + v, (start + v) * w, scratch)


@kernel
def _begin_inference(plan, work, job, shares):
    """The first stage of an inference."""
    rows = job[ROWS]
    if not _layer_by_layer(plan, work, rows, shares):
        return FOR_OUTPUTS
    job[LAYER] = 1
    status = _take_batch(plan, work, job, _AS_THEY_LIE, _ZERO, rows)
    put(pointer_to(job[STATUSES], types.int64), 0, status)
    return FORWARD if status == FINE else NOTHING


@kernel
def _end_inference(plan, work, job):
    """Outputs or judgments of rows that went layer by layer."""
    w, rows = lanes(work), job[ROWS]
    out = pointer_to(job[OUT], work)
    coupled = plan[plan[0, LAST], ACTIVATION] == SOFTMAX
    if are_few(rows, w) and job[VALUES] == 0 and not coupled:
        write_outputs_few(plan, work, rows, out)
        return NOTHING
    _finish_forward(plan, work, rows)
    for v in range(padded(rows, w) // w):
        _give(plan, work, job, out, v, v * w, offset(work, plan[0, SCRATCH]))
    return NOTHING


@kernel
def _advance(plan, work, hyper, job, after, shares):
    """The stage that follows ``after``; NOTHING begins a job, and ends it."""
    infer = job[TASK] == INFER
    if after == FORWARD:
        if job[LAYER] < plan[0, LAST]:
            job[LAYER] += 1
            return FORWARD
        return _end_inference(plan, work, job) if infer else _turn_back(plan, work, job)
    if after == BACKWARD:
        job[LAYER] -= 1
        return BACKWARD if job[LAYER] > 1 else BY_WEIGHTS
    if infer:
        return _begin_inference(plan, work, job, shares) if after == NOTHING else NOTHING
    if after == BY_ROWS:
        return _accept(plan, work, job)
    if after == BY_WEIGHTS:
        _end(hyper, job)
    else:
        job[LOADED] = 0
    return _begin(plan, work, job, shares)


@kernel
def _do(plan, work, hyper, job, stage, share, shares, dtype):
    """One share's part of a stage."""
    params = pointer_to(job[PARAMS], dtype)
    rows = job[ROWS] if job[TASK] == INFER else _batch_rows(job)
    if stage == BY_ROWS:
        _by_rows(plan, params, work, job, share, shares)
    elif stage == FORWARD:
        _forward(plan, params, work, job, rows, share, shares)
    elif stage == BACKWARD:
        _backward(plan, params, work, job, rows, share, shares)
    elif stage == BY_WEIGHTS and job[TASK] == INPUT_GRADIENT:
        _to_inputs(plan, params, work, job, share, shares)
    elif stage == BY_WEIGHTS:
        moments = pointer_to(job[MOMENTS], dtype)
        _by_weights(plan, params, moments, work, hyper, job, share, shares)
    else:
        _infer(plan, params, work, job, pointer_to(job[OUT], dtype), share, shares)


@kernel
def call(address, request, share, shares, dtype):
    """Serve a request about a job: one of the stages, ADVANCE (``share`` says after which), RUN.

    address: of the job, int64 (JOB,). dtype: the element type of the arenas. Returns the
    next stage for ADVANCE, else NOTHING. Twin: ``fastbp.twin``.
    """
    job = cells_at(address, types.int64)
    hyper, plan = cells_at(job[HYPER], types.float64), plan_at(job[PLAN])
    work = pointer_to(job[WORK], dtype)
    before = flush_denormals()
    if request == ADVANCE:
        stage = _advance(plan, work, hyper, job, share, shares)
    elif request == RUN:
        stage = _advance(plan, work, hyper, job, NOTHING, shares)
        while stage != NOTHING:
            _do(plan, work, hyper, job, stage, share, shares, dtype)
            stage = _advance(plan, work, hyper, job, stage, shares)
    else:
        _do(plan, work, hyper, job, request, share, shares, dtype)
        stage = NOTHING
    restore_denormals(before)
    return stage
