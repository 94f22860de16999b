"""The fused step: gather, forward, loss and backward by rows; then gradient and update by weights.

A step has two parallel regions, whatever the depth. Rows are independent up to the deltas: each
worker takes some vectors of rows through all layers. Then each worker takes a part of every weight
matrix over the whole batch. A batch with too few rows for the workers goes forward and back one
layer at a time, and each worker takes some units of the layer. A small batch (small_batch.py)
always goes that way. No sum depends on the number of workers.

A job (job_table.py) says what to run. The functions here choose the next stage; worker_stages.py
has a worker's part of each stage; run.py runs them.
"""

import math

import numpy as np
from numba import types

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
    to_panels,
)
from ..stages.batch import (
    finish_forward,
    gather_batch,
    goes_by_layers,
)
from ..stages.extended_stages import (
    after_weights,
    count_update,
    first_of_apply,
    prepare,
)
from ..stages.forward import padded
from ..stages.inference import begin_inference, end_inference
from ..stages.nonzeros import goes_by_nonzeros
from ..stages.regularization import penalty
from ..tables import job_table as J
from ..tables import layout as P
from .worker_stages import batch_rows, output_delta, run_stage

_ZERO = np.int64(0)  # a Python constant would compile its callee once more


@kernel
def _finish_forward_by_layer(plan, work, job, workers):
    """Outputs, loss and delta of a batch that went layer by layer; the stage that follows."""
    n_lanes, rows, top = lanes(work), batch_rows(job), plan[0, P.LAST]
    vectors = padded(rows, n_lanes) // n_lanes
    finish_forward(plan, work, rows)
    for v in range(vectors):
        put(offset(work, v * plan[0, P.BLOCK]), plan[0, P.ROW_STATUS], J.OK)
        output_delta(plan, work, job, v, min(n_lanes, rows - v * n_lanes))
    to_panels(plan, work, top, _ZERO, vectors, _ZERO, plan[top, P.OUTPUTS])
    job[J.LAYER] = top
    stage = _accept(plan, work, job, workers)
    return J.BACKWARD if stage == J.BY_WEIGHTS and top > 1 else stage


@kernel
def _begin_batch(plan, work, job, workers):
    """The first stage of a batch, or NOTHING after the last. Shuffles at the start of an epoch."""
    if job[J.EPOCH] >= job[J.EPOCHS] or job[J.BUDGET] <= 0:
        return J.NOTHING
    if job[J.START] == 0 and job[J.SHUFFLED] != J.IN_ORDER:
        order = pointer_to(job[J.ORDER], types.int64)
        if job[J.SHUFFLED] == J.ALL_ROWS:
            shuffle(job[J.SEED], job[J.EPOCH], order, job[J.ROWS])
        else:
            reorder(job[J.SEED], job[J.EPOCH], order, job[J.ROWS])
    job[J.BUDGET] -= 1
    prepare(plan, job)
    if job[J.TASK] == J.APPLY_GRADIENT:
        return first_of_apply(plan)
    rows = batch_rows(job)
    sparse = goes_by_nonzeros(job, job[J.START], rows)
    job[J.BY_NONZEROS] = int(sparse)
    if not goes_by_layers(plan, work, rows, workers):
        return J.BY_ROWS
    job[J.LAYER] = 1
    if job[J.LOADED] == 0:
        status = gather_batch(plan, work, job, job[J.ORDER], job[J.START], rows, sparse)
        job[J.STATUS] = status % J.KINDS
    return J.FORWARD if job[J.STATUS] == J.OK else J.NOTHING


@kernel
def _next_batch(job):
    """Move the job's cursor to the next batch or epoch."""
    if job[J.BATCH] >= job[J.ROWS] and job[J.SHUFFLED] == J.IN_ORDER:
        job[J.LOADED] = 1
    job[J.START] += job[J.BATCH]
    if job[J.START] >= job[J.ROWS]:
        job[J.START] = 0
        job[J.EPOCH] += 1


@kernel
def _sum_losses(plan, work, job):
    """The sum of the rows' losses, in order; sets STATUS if a row is invalid."""
    n_lanes, total = lanes(work), 0.0
    for v in range(padded(batch_rows(job), n_lanes) // n_lanes):
        block = offset(work, v * plan[0, P.BLOCK])
        status = int(get(block, plan[0, P.ROW_STATUS]))
        if status != J.OK:
            job[J.STATUS] = status
            return 0.0
        for lane in range(n_lanes):
            total += get(block, plan[0, P.ROW_LOSS] + lane)
    return total


@kernel
def _add_to_epoch(job, sums, value):
    """Add to this epoch's element of a float64 array at an address."""
    totals, epoch = pointer_to(sums, types.float64), job[J.EPOCH] - job[J.FIRST]
    put(totals, epoch, get(totals, epoch) + value)


@kernel
def _accept_plain(plan, work, job, workers):
    total = _sum_losses(plan, work, job)
    if job[J.STATUS] == J.OK and not math.isfinite(total):
        job[J.STATUS] = J.NOT_FINITE
    if job[J.STATUS] != J.OK:
        return J.NOTHING
    _add_to_epoch(job, job[J.LOSSES], total)
    return J.BY_WEIGHTS


@kernel
def _accept_extended(plan, work, job, workers):
    total, weight = _sum_losses(plan, work, job), 0.0
    if job[J.STATUS] != J.OK:
        return J.NOTHING
    n_lanes, rows, hyper = (
        lanes(work),
        batch_rows(job),
        typed_pointer_at(job[J.HYPER], types.float64),
    )
    for v in range(padded(rows, n_lanes) // n_lanes):
        for lane in range(n_lanes):
            weight += get(work, v * plan[0, P.BLOCK] + plan[0, P.ROW_WEIGHT] + lane)
    weighed, keeps = weight, job[J.TASK] == J.GRADIENTS
    if keeps:  # the penalties count once, for all batches of the loss
        weighed += get(pointer_to(job[J.WEIGHT_SUMS], types.float64), 0)
        rows = job[J.ROWS]
    if weighed > 0.0 and (not keeps or job[J.START] + job[J.BATCH] >= job[J.ROWS]):
        total += rows * penalty(plan, work, hyper)
    if not math.isfinite(total):
        job[J.STATUS] = J.NOT_FINITE
        return J.NOTHING
    _add_to_epoch(job, job[J.LOSSES], total)
    _add_to_epoch(job, job[J.WEIGHT_SUMS], weight)
    if weight == 0.0 and not keeps:  # no row has a weight: no update
        _next_batch(job)
        return _begin_batch(plan, work, job, workers)
    return J.BY_WEIGHTS


_accept = by_plan(_accept_plain, _accept_extended)
"""Add the rows' losses to the epoch's sum; the next stage, or NOTHING if a row is invalid.

(plan, work, job, workers)
"""


@kernel
def _finish_update(plan, hyper, job):
    """Count the update, and go on to the next batch or epoch."""
    task = job[J.TASK]
    if task == J.TRAIN or task == J.FROM_OUTPUT or task == J.APPLY_GRADIENT:
        count_update(plan, hyper)
    _next_batch(job)


@kernel
def _next_stage(plan, work, hyper, job, after, workers):
    """The stage that follows ``after``. NOTHING is before the first stage and after the last."""
    infer = job[J.TASK] == J.INFER
    if after == J.FORWARD:
        if job[J.LAYER] < plan[0, P.LAST]:
            job[J.LAYER] += 1
            return J.FORWARD
        return (
            end_inference(plan, work, job)
            if infer
            else _finish_forward_by_layer(plan, work, job, workers)
        )
    if after == J.BACKWARD:
        job[J.LAYER] -= 1
        return J.BACKWARD if job[J.LAYER] > 1 else J.BY_WEIGHTS
    if infer:
        return begin_inference(plan, work, job, workers) if after == J.NOTHING else J.NOTHING
    if after == J.BY_ROWS:
        return _accept(plan, work, job, workers)
    if after == J.NOTHING:
        job[J.LOADED] = 0
    else:
        stage = after_weights(plan, work, hyper, job, after)
        if stage != J.NOTHING or job[J.STATUS] != J.OK:
            return stage
        _finish_update(plan, hyper, job)
    return _begin_batch(plan, work, job, workers)


@kernel
def call(plan, job, request, worker, workers, dtype):
    """Serve a request about a job: a stage, ADVANCE (``worker`` is the last stage), or RUN.

    plan: the job's; its type says which variant of the kernels runs. dtype: of the arenas. Returns
    the next stage for ADVANCE, else NOTHING. Twin: ``fastbp.runtime.numpy_engine``.
    """
    hyper = typed_pointer_at(job[J.HYPER], types.float64)
    work = pointer_to(job[J.WORK], dtype)
    before = flush_denormals()
    if request == J.ADVANCE:
        stage = _next_stage(plan, work, hyper, job, worker, workers)
    elif request == J.RUN:
        stage = _next_stage(plan, work, hyper, job, J.NOTHING, workers)
        while stage != J.NOTHING:
            run_stage(plan, work, hyper, job, stage, worker, workers, dtype)
            stage = _next_stage(plan, work, hyper, job, stage, workers)
    else:
        run_stage(plan, work, hyper, job, request, worker, workers, dtype)
        stage = J.NOTHING
    restore_denormals(before)
    return stage
