"""A training step on values and derivatives: its stages, beside those of the extended code.

A job with tangents has a table (tangent_table.py) and takes this code. BY_ROWS, BY_WEIGHTS and
FOR_OUTPUTS are here; what else a job needs, such as the order of rows, the sum of the losses and
the clipping of the gradient, is asked of the extended code by its address. So nothing is compiled
for those who have no derivatives, and little twice.
"""

import numpy as np
from numba import types

from ..base.jit import kernel
from ..ir.denormals import flush_denormals, restore_denormals
from ..ir.simd import (
    call_code,
    get,
    lanes,
    load,
    offset,
    pointer_to,
    put,
    splat,
    store,
)
from ..ir.typed_pointers import typed_pointer_at
from ..stages.adjoints import adjoint_loss, adjoints, backward_with_adjoints
from ..stages.batch import gather_block
from ..stages.extended_stages import gradient_arena, measure_layer, stores_gradient
from ..stages.forward import forward, padded
from ..stages.regularization import part
from ..stages.tangent_backward import backward_with_tangents
from ..stages.tangent_forward import first_tangents, forward_tangents, gather_tangents
from ..stages.tangent_loss import tangent_loss_and_delta
from ..stages.tangent_update import update_part_with_tangents
from ..stages.update import ACCUMULATE, STORE, UPDATE
from ..tables import job_table as J
from ..tables import layout as P
from ..tables import tangent_table as T
from .worker_stages import batch_rows, output_delta

_ADVANCE = np.int64(J.ADVANCE)  # a Python constant would compile its callee once more


@kernel
def _gather(plan, work, table, job, vectors, vector, valid, scratch):
    """X, y, directions and derivatives of one vector of rows into its blocks; the status."""
    first = job[J.START] + vector * lanes(work)
    by_nonzeros = job[J.BY_NONZEROS] == 1  # never: no such code in a job with tangents
    status = gather_block(plan, work, job, job[J.ORDER], first, valid, vector, scratch, by_nonzeros)
    if status != J.OK:
        return status
    tangents = first_tangents(plan, work, table, vectors, vector)
    return gather_tangents(plan, table, tangents, job[J.ORDER], first, valid, scratch)


@kernel
def _losses(plan, work, table, vector, vectors, valid, rows):
    """The loss of derivatives of each row (lanes,), of one vector of rows after its ``forward``.

    vectors: of the batch. rows: that the loss is a mean of. Leaves what the backward pass reads.
    """
    first = vectors + vector * table[T.COUNT]
    if table[T.KIND] == T.OUTPUTS:
        return adjoint_loss(plan, work, table, vector, first, valid, rows)
    tangents = first_tangents(plan, work, table, vectors, vector)
    return tangent_loss_and_delta(plan, work, table, vector, tangents, valid, rows)


@kernel
def _derivatives(plan, params, work, table, span, vectors):
    """Derivatives of the outputs of the vectors of rows ``span``, after their ``forward``."""
    if table[T.KIND] == T.OUTPUTS:
        adjoints(plan, params, work, table, span, vectors)
    else:
        forward_tangents(plan, params, work, table, span, vectors)


@kernel
def _backward(plan, params, work, table, span, vectors):
    if table[T.KIND] == T.OUTPUTS:
        backward_with_adjoints(plan, params, work, table, span, vectors)
    else:
        backward_with_tangents(plan, params, work, table, span, vectors)


@kernel
def _both_losses(plan, work, table, job, vectors, vector, valid):
    """Those of one vector of rows, with its weights, and the deltas of the outputs."""
    output_delta(plan, work, job, vector, valid)
    rows = job[J.ROWS] if job[J.TASK] == J.GRADIENTS else batch_rows(job)
    values = offset(work, vector * plan[0, P.BLOCK])
    loss = _losses(plan, work, table, vector, vectors, valid, rows)
    weighted = loss * load(values, plan[0, P.ROW_WEIGHT])
    store(values, plan[0, P.ROW_LOSS], load(values, plan[0, P.ROW_LOSS]) + weighted)


AT_A_TIME = 2**16
"""Elements of the blocks that a worker takes through the layers and back at a time: they stay in
the second cache. The bits do not depend on it."""

FEWEST = 24
"""Blocks at a time, at least: each group reads all weights."""


@kernel
def _by_rows(plan, params, work, table, job, worker, workers):
    """One worker's vectors of rows: gather, forward, losses, backward. It writes its own blocks."""
    n_lanes, rows = lanes(work), batch_rows(job)
    vectors = padded(rows, n_lanes) // n_lanes
    first, last = part(vectors, worker, workers)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    for layer in range(1, plan[0, P.LAST] + 1):
        measure_layer(plan, params, work, job, layer, worker, workers)
    fine = True
    for v in range(first if job[J.LOADED] == 0 else last, last):
        valid = min(n_lanes, rows - v * n_lanes)
        status = _gather(plan, work, table, job, vectors, v, valid, scratch)
        put(offset(work, v * plan[0, P.BLOCK]), plan[0, P.ROW_STATUS], status)
        fine = fine and status == J.OK
    if not fine:
        return
    blocks = max(FEWEST, AT_A_TIME // plan[0, P.BLOCK])
    some = max(1, blocks // (1 + table[T.COUNT]))
    for begin in range(first, last, some):
        end = min(last, begin + some)
        forward(plan, params, work, job, begin, end)
        _derivatives(plan, params, work, table, (begin, end), vectors)
        for v in range(begin, end):
            _both_losses(plan, work, table, job, vectors, v, min(n_lanes, rows - v * n_lanes))
        _backward(plan, params, work, table, (begin, end), vectors)


@kernel
def _by_weights(plan, params, moments, work, table, job, worker, workers):
    """One worker's part of every weight matrix: gradient, then update or store."""
    hyper = typed_pointer_at(job[J.HYPER], types.float64)
    mode, target = UPDATE, moments
    if job[J.TASK] == J.GRADIENTS:
        mode = ACCUMULATE
    elif stores_gradient(plan):
        mode, target = STORE, gradient_arena(plan, moments)
    arenas, rows = (params, target, work), batch_rows(job)
    update_part_with_tangents(plan, arenas, hyper, mode, worker, workers, rows, table)


@kernel
def _evaluate(plan, params, work, table, job, worker, workers):
    """The loss of known derivatives of one worker's rows, to VALUES (ROWS,); all fit in work."""
    n_lanes, rows = lanes(work), job[J.ROWS]
    vectors = padded(rows, n_lanes) // n_lanes
    first, last = part(vectors, worker, workers)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    statuses = pointer_to(job[J.STATUSES], types.int64)
    values = pointer_to(job[J.VALUES], types.float64)
    for v in range(first, last):
        valid, block = min(n_lanes, rows - v * n_lanes), offset(work, v * plan[0, P.BLOCK])
        status = _gather(plan, work, table, job, vectors, v, valid, scratch)
        if status != J.OK and get(statuses, worker) == J.OK:
            put(statuses, worker, status + J.KINDS * v * n_lanes)
        forward(plan, params, work, job, v, v + 1)
        _derivatives(plan, params, work, table, (v, v + 1), vectors)
        store(block, plan[0, P.ROW_WEIGHT], splat(block, 1.0))
        loss = _losses(plan, work, table, v, vectors, valid, rows)
        store(block, plan[0, P.ROW_LOSS], loss)
        for lane in range(valid):
            put(values, v * n_lanes + lane, get(block, plan[0, P.ROW_LOSS] + lane))


@kernel
def _stage(plan, job, stage, worker, workers, dtype):
    """One worker's part of a stage; the next stage for ADVANCE."""
    table = typed_pointer_at(job[J.TANGENTS], types.int64)
    mine = stage == J.BY_ROWS or stage == J.BY_WEIGHTS or stage == J.FOR_OUTPUTS
    if not mine:
        return call_code(table[T.CODE], job, stage, worker, workers)
    params, work = pointer_to(job[J.PARAMS], dtype), pointer_to(job[J.WORK], dtype)
    before = flush_denormals()
    if stage == J.BY_ROWS:
        _by_rows(plan, params, work, table, job, worker, workers)
    elif stage == J.BY_WEIGHTS:
        moments = pointer_to(job[J.MOMENTS], dtype)
        _by_weights(plan, params, moments, work, table, job, worker, workers)
    else:
        _evaluate(plan, params, work, table, job, worker, workers)
    restore_denormals(before)
    return J.NOTHING


@kernel
def call(plan, job, request, worker, workers, dtype):
    """As ``step.call``, for a job with tangents. Twin: ``fastbp.runtime.numpy_engine``."""
    if request != J.RUN:
        return _stage(plan, job, request, worker, workers, dtype)
    stage = _stage(plan, job, _ADVANCE, J.NOTHING, workers, dtype)
    while stage != J.NOTHING:
        _stage(plan, job, stage, worker, workers, dtype)
        stage = _stage(plan, job, _ADVANCE, stage, workers, dtype)
    return stage
