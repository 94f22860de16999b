"""The fused step: gather, forward, loss and backward by rows; then gradient and update by weights.

A step has two parallel regions, whatever the depth. Rows are independent up to the deltas, so each
share takes its own vectors of rows through all layers; then each share takes its own rows of every
weight matrix over the whole batch. No sum depends on how many shares there are.
"""

import math

import numpy as np
from numba import prange

from .backward import backward, delta_of
from .codes import CROSS_ENTROPY, F64
from .denormals import flush_denormals, restore_denormals
from .forward import forward, padded
from .gather import ADDRESS, DTYPE, N_COLUMNS, N_ROWS, gather
from .gemm import ADD
from .jit import entry, kernel, parallel_entry
from .layout import (
    ACTIVATION,
    BLOCK,
    CAPACITY,
    IN,
    LOSS,
    OUTPUTS,
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
from .losses import hits, invalid_target, loss_and_delta
from .shuffle import shuffle
from .simd import address, get, lanes, offset, put, store, transpose
from .update import gradient_share, update_share

# Elements of a job, the int64 vector by which Python says what to run and learns how far it came.
(
    TASK,  # TRAIN or GRADIENTS
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
) = range(11)
JOB = 11

TRAIN, GRADIENTS = range(2)
FINE, BAD_INPUT, BAD_TARGET, NOT_FINITE = range(4)
STATUSES = 4

_AS_THEY_LIE = np.empty(0, np.int64)
"""The order of rows that are taken one after another."""

X, Y = range(2)
"""Rows of the data: the descriptors (gather.py) of X and of y, whose address is 0 for none."""


@kernel
def _has_labels(plan, data):
    """Whether y is one column of integer class labels."""
    one_column = data[Y, N_COLUMNS] == 1 and data[Y, DTYPE] > F64
    return plan[0, LOSS] == CROSS_ENTROPY and one_column


@kernel
def _take_rows(plan, work, data, order, first, valid, vector, scratch):
    """Bring one vector of rows of X, and of y if there is one, into its block; the status."""
    block = offset(work, vector * plan[0, BLOCK])
    if gather(data[X], order, first, valid, offset(block, plan[1, IN]), scratch):
        return BAD_INPUT
    if data[Y, ADDRESS] != 0:
        y, outputs = offset(block, plan[0, TARGET]), plan[len(plan) - 1, OUTPUTS]
        if gather(data[Y], order, first, valid, y, scratch):
            return BAD_TARGET
        if invalid_target(plan[0, LOSS], y, _has_labels(plan, data), valid, outputs):
            return BAD_TARGET
    return FINE


@kernel
def _output_loss(plan, work, data, vector, valid, rows):
    """Loss and delta of the output layer for one vector of rows."""
    last = len(plan) - 1
    block, units = offset(work, vector * plan[0, BLOCK]), plan[last, OUTPUTS]
    loss_and_delta(
        plan[0, LOSS],
        plan[last, ACTIVATION],
        offset(block, plan[last, Z]),
        offset(block, plan[last, A]),
        offset(block, plan[0, TARGET]),
        _has_labels(plan, data),
        delta_of(plan, work, vector, last),
        units,
        padded(units, lanes(work)),
        valid,
        rows,
        offset(block, plan[0, ROW_LOSS]),
    )


@kernel
def _rows_share(plan, params, work, data, order, job, share, shares):
    """One share's vectors of rows: gather, forward, loss, backward. Only its blocks are written."""
    before = flush_denormals()
    w = lanes(work)
    rows = min(job[BATCH], job[ROWS] - job[START])
    mean_over = job[ROWS] if job[TASK] == GRADIENTS else rows
    vectors = padded(rows, w) // w
    first, last = vectors * share // shares, vectors * (share + 1) // shares
    scratch = offset(work, plan[0, SCRATCH] + share * plan[0, SCRATCH_STRIDE])
    fine = True
    for v in range(first, last):
        valid = min(w, rows - v * w)
        status = _take_rows(plan, work, data, order, job[START] + v * w, valid, v, scratch)
        put(offset(work, v * plan[0, BLOCK]), plan[0, ROW_STATUS], status)
        fine = fine and status == FINE
    if fine and first < last:
        forward(plan, params, work, first, last)
        for v in range(first, last):
            _output_loss(plan, work, data, v, min(w, rows - v * w), mean_over)
        backward(plan, params, work, first, last)
    restore_denormals(before)


@kernel
def _weights_share(plan, params, moments, work, hyper, job, share, shares):
    """One share's rows of every weight matrix: gradient, then update or keep."""
    before = flush_denormals()
    rows = min(job[BATCH], job[ROWS] - job[START])
    vectors = padded(rows, lanes(work)) // lanes(work)
    if job[TASK] == GRADIENTS:
        gradient_share(plan, moments, work, share, shares, vectors, ADD)
    else:
        update_share(plan, params, moments, work, hyper, share, shares, vectors)
    restore_denormals(before)


@kernel
def _begin_batch(job, order):
    """Whether there is a batch to run; at the first of an epoch, its order."""
    if job[EPOCH] >= job[EPOCHS] or job[BUDGET] <= 0:
        return False
    if job[START] == 0 and job[SHUFFLED] == 1:
        shuffle(job[SEED], job[EPOCH], order)
    job[BUDGET] -= 1
    return True


@kernel
def _accept_batch(plan, work, job, losses):
    """Add up the rows' losses, in the order of the rows; False and a status if one is not valid."""
    w = lanes(work)
    rows = min(job[BATCH], job[ROWS] - job[START])
    total = 0.0
    for v in range(padded(rows, w) // w):
        block = offset(work, v * plan[0, BLOCK])
        status = int(get(block, plan[0, ROW_STATUS]))
        if status != FINE:
            job[STATUS] = status
            return False
        for lane in range(w):
            total += get(block, plan[0, ROW_LOSS] + lane)
    if not math.isfinite(total):
        job[STATUS] = NOT_FINITE
        return False
    losses[job[EPOCH] - job[FIRST]] += total
    return True


@kernel
def _end_batch(hyper, job):
    hyper[UPDATES] += 1.0
    job[START] += job[BATCH]
    if job[START] >= job[ROWS]:
        job[START] = 0
        job[EPOCH] += 1


@entry
def run(plan, params, moments, work, hyper, data, order, job, losses):
    """Run the job's batches from where it stands, in the calling thread.

    plan, params, work: layout.py; moments: the optimizer's, or where GRADIENTS adds to. hyper:
    float64 (HYPER,). data: int64 (2, 6), descriptors. order: int64 (ROWS,), or empty for rows as
    they lie. job: int64 (JOB,). losses: float64 (EPOCHS - FIRST,), to which each epoch's row losses
    are added. Twin: ``fastbp.twin``.
    """
    p, m, s = address(params), address(moments), address(work)
    while _begin_batch(job, order):
        _rows_share(plan, p, s, data, order, job, 0, 1)
        if not _accept_batch(plan, s, job, losses):
            break
        _weights_share(plan, p, m, s, hyper, job, 0, 1)
        _end_batch(hyper, job)


@parallel_entry
def run_parallel(plan, params, moments, work, hyper, data, order, job, losses, shares):
    """``run``, in two parallel regions a batch, each in ``shares`` shares. The same bits."""
    while _begin_batch(job, order):
        for share in prange(shares):
            _rows_share(plan, address(params), address(work), data, order, job, share, shares)
        if not _accept_batch(plan, address(work), job, losses):
            break
        for share in prange(shares):
            _weights_share(
                plan, address(params), address(moments), address(work), hyper, job, share, shares
            )
        _end_batch(hyper, job)


@kernel
def _write_rows(plan, work, vector, valid, out, row, scratch):
    """Copy one vector's outputs to rows ``row`` .. of out (n, outputs), C-contiguous."""
    w, last = lanes(work), len(plan) - 1
    units = plan[last, OUTPUTS]
    a = offset(work, vector * plan[0, BLOCK] + plan[last, A])
    for u in range(0, units, w):
        transpose(offset(a, u * w), w, scratch, w)
        for r in range(valid):
            for i in range(min(w, units - u)):
                put(out, (row + r) * units + u + i, get(scratch, r * w + i))


@kernel
def _judge_rows(plan, work, data, vector, valid, values, row):
    """Loss and hits of one vector's rows, to rows ``row`` .. of values (n, 2)."""
    last = len(plan) - 1
    _output_loss(plan, work, data, vector, valid, 1)
    block = offset(work, vector * plan[0, BLOCK])
    right = offset(block, plan[0, ROW_HITS])
    p, y = offset(block, plan[last, A]), offset(block, plan[0, TARGET])
    labels = _has_labels(plan, data)
    store(right, 0, hits(plan[0, LOSS], p, y, labels, plan[last, OUTPUTS]))
    for lane in range(valid):
        values[row + lane, 0] = get(block, plan[0, ROW_LOSS] + lane)
        values[row + lane, 1] = get(right, lane)


@kernel
def _infer_share(plan, params, work, data, out, values, status, share, shares):
    """One share's rows, in its own blocks, as many at a time as it has blocks."""
    before = flush_denormals()
    w, n = lanes(work), data[X, N_ROWS]
    vectors, blocks = padded(n, w) // w, plan[0, CAPACITY] // (w * shares)
    stop, mine = vectors * (share + 1) // shares, share * blocks
    scratch = offset(work, plan[0, SCRATCH] + share * plan[0, SCRATCH_STRIDE])
    for start in range(vectors * share // shares, stop, blocks):
        count = min(blocks, stop - start)
        for v in range(count):
            row = (start + v) * w
            found = _take_rows(
                plan, work, data, _AS_THEY_LIE, row, min(w, n - row), mine + v, scratch
            )
            if found != FINE and status[share] == FINE:
                status[share] = found + STATUSES * row
        forward(plan, params, work, mine, mine + count)
        for v in range(count):
            row = (start + v) * w
            if len(values) > 0:
                _judge_rows(plan, work, data, mine + v, min(w, n - row), values, row)
            else:
                _write_rows(plan, work, mine + v, min(w, n - row), out, row, scratch)
    restore_denormals(before)


@entry
def infer(plan, params, work, data, out, values, status):
    """Outputs of all rows of X, or loss and hits of each row.

    plan, params, work, data: as in ``run``; plan's CAPACITY is split among the shares. out: (n *
    outputs,), used where values is empty. values: float64 (n, 2), loss and hits, or (0, 2).
    status: int64 (shares,), zeros; afterwards, of a share that met an invalid value, its kind
    + STATUSES * the first row of the vector of rows that holds it. Twins: ``forward``,
    ``row_losses``, ``correct``.
    """
    _infer_share(plan, address(params), address(work), data, address(out), values, status, 0, 1)


@parallel_entry
def infer_parallel(plan, params, work, data, out, values, status):
    """``infer`` in one parallel region of len(status) shares."""
    shares = len(status)
    for share in prange(shares):
        _infer_share(
            plan, address(params), address(work), data, address(out), values, status, share, shares
        )
