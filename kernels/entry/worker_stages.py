"""One worker's part of each stage of a job."""

import numpy as np

from ..base.jit import kernel
from ..ir.simd import (
    get,
    lanes,
    offset,
    pointer_to,
    put,
)
from ..stages.backward import (
    backward,
    backward_layer,
    delta_of,
    error_of_inputs,
)
from ..stages.batch import (
    gather_block,
    has_output_gradient,
    write_rows,
)
from ..stages.extended_stages import (
    extra_stage,
    gradient_arena,
    measure_layer,
    stores_gradient,
)
from ..stages.forward import forward, forward_layer, padded
from ..stages.inference import infer
from ..stages.losses import delta_from_output
from ..stages.nonzeros import update_by_nonzeros
from ..stages.output_loss import apply_row_weights, output_loss
from ..stages.regularization import part
from ..stages.scaling import to_raw_input_gradient, to_raw_input_gradient_panel
from ..stages.small_batch import (
    backward_small_batch,
    error_of_inputs_small_batch,
    forward_small_batch,
    is_small_batch,
)
from ..stages.update import ACCUMULATE, STORE, UPDATE, update_part
from ..tables import job_table as J
from ..tables import layout as P

_ZERO = np.int64(0)  # a Python constant would compile its callee once more


@kernel
def batch_rows(job):
    """Rows of the batch at START."""
    return min(job[J.BATCH], job[J.ROWS] - job[J.START])


@kernel
def _mean_over(job):
    """The number of rows that the loss is a mean of."""
    return job[J.ROWS] if job[J.TASK] == J.GRADIENTS else batch_rows(job)


@kernel
def output_delta(plan, work, job, vector, valid):
    """Delta of the output layer and the row losses, for one vector of rows."""
    if not has_output_gradient(job):
        output_loss(plan, work, job, vector, valid, _mean_over(job))
        apply_row_weights(plan, work, job, vector, valid)
        return
    last = plan[0, P.LAST]
    block, units = offset(work, vector * plan[0, P.BLOCK]), plan[last, P.OUTPUTS]
    delta_from_output(
        plan[last, P.ACTIVATION],
        offset(block, plan[last, P.Z]),
        offset(block, plan[last, P.A]),
        offset(block, plan[0, P.TARGET]),
        delta_of(plan, work, vector, last),
        units,
        padded(units, lanes(work)),
        offset(block, plan[0, P.ROW_LOSS]),
    )
    apply_row_weights(plan, work, job, vector, valid)


@kernel
def _by_rows(plan, params, work, job, worker, workers):
    """One worker's vectors of rows: gather, forward, loss, backward. It writes its blocks alone."""
    n_lanes, rows = lanes(work), batch_rows(job)
    vectors = padded(rows, n_lanes) // n_lanes
    first, last = part(vectors, worker, workers)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    for layer in range(1, plan[0, P.LAST] + 1):
        measure_layer(plan, params, work, job, layer, worker, workers)
    fine = True
    for v in range(first if job[J.LOADED] == 0 else last, last):
        valid = min(n_lanes, rows - v * n_lanes)
        status = gather_block(
            plan,
            work,
            job,
            job[J.ORDER],
            job[J.START] + v * n_lanes,
            valid,
            v,
            scratch,
            job[J.BY_NONZEROS] == 1,
        )
        put(offset(work, v * plan[0, P.BLOCK]), plan[0, P.ROW_STATUS], status)
        fine = fine and status == J.OK
    if fine and first < last:
        forward(plan, params, work, job, first, last)
        for v in range(first, last):
            output_delta(plan, work, job, v, min(n_lanes, rows - v * n_lanes))
        backward(plan, params, work, first, last)


@kernel
def _forward(plan, params, work, job, rows, worker, workers):
    """One worker's units of a layer, for all rows of the batch."""
    n_lanes, layer = lanes(work), job[J.LAYER]
    measure_layer(plan, params, work, job, layer, worker, workers)
    first, last = part(padded(plan[layer, P.OUTPUTS], n_lanes) // n_lanes, worker, workers)
    if is_small_batch(plan, rows, n_lanes):
        forward_small_batch(plan, params, work, layer, rows, first, last)
    elif first < last:
        high = min(last * n_lanes, plan[layer, P.OUTPUTS])
        forward_layer(
            plan,
            params,
            work,
            job,
            layer,
            _ZERO,
            padded(rows, n_lanes) // n_lanes,
            first * n_lanes,
            high,
        )


@kernel
def _backward(plan, params, work, job, rows, worker, workers):
    """One worker's units below a layer, for all rows of the batch."""
    n_lanes, layer = lanes(work), job[J.LAYER]
    first, last = part(padded(plan[layer, P.INPUTS], n_lanes) // n_lanes, worker, workers)
    if is_small_batch(plan, rows, n_lanes):
        backward_small_batch(plan, params, work, layer, rows, first, last)
    elif first < last:
        high = min(last * n_lanes, plan[layer, P.INPUTS])
        backward_layer(
            plan,
            params,
            work,
            layer,
            _ZERO,
            padded(rows, n_lanes) // n_lanes,
            first * n_lanes,
            high,
        )


@kernel
def _by_weights(plan, params, moments, work, hyper, job, worker, workers):
    """One worker's part of every weight matrix: gradient, then update or store."""
    rows, mode, target = batch_rows(job), UPDATE, moments
    if job[J.TASK] == J.GRADIENTS:
        mode = ACCUMULATE
    elif stores_gradient(plan):
        mode, target = STORE, gradient_arena(plan, moments)
    sparse = update_by_nonzeros(plan, work, job, mode, worker, workers)
    first_layer = 2 if sparse else 1
    update_part(plan, (params, target, work), hyper, mode, worker, workers, rows, first_layer)


@kernel
def _to_inputs(plan, params, work, job, worker, workers):
    """One worker's part of dLoss/dX, to OUT. INPUT_GRADIENT runs it in place of BY_WEIGHTS."""
    n_lanes, rows, inputs = lanes(work), batch_rows(job), plan[0, P.X_COLUMNS]
    out, error = pointer_to(job[J.OUT], work), offset(work, plan[1, P.IN])
    if is_small_batch(plan, rows, n_lanes):
        first, last = part(padded(inputs, n_lanes) // n_lanes, worker, workers)
        error_of_inputs_small_batch(plan, params, work, rows, first, last)
        for panel in range(first, last):
            to_raw_input_gradient_panel(
                plan, offset(error, panel * rows * n_lanes), rows, panel * n_lanes
            )
            for r in range(rows):
                for i in range(min(n_lanes, inputs - panel * n_lanes)):
                    put(
                        out,
                        r * inputs + panel * n_lanes + i,
                        get(error, (panel * rows + r) * n_lanes + i),
                    )
        return
    first, last = part(padded(rows, n_lanes) // n_lanes, worker, workers)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    error_of_inputs(plan, params, work, first, last)
    for v in range(first, last):
        valid, rows_error = min(n_lanes, rows - v * n_lanes), offset(error, v * plan[0, P.BLOCK])
        to_raw_input_gradient(plan, rows_error)
        write_rows(rows_error, inputs, valid, out, v * n_lanes, scratch)


@kernel
def run_stage(plan, work, hyper, job, stage, worker, workers, dtype):
    """One worker's part of a stage."""
    params = pointer_to(job[J.PARAMS], dtype)
    rows = job[J.ROWS] if job[J.TASK] == J.INFER else batch_rows(job)
    if stage == J.BY_ROWS:
        _by_rows(plan, params, work, job, worker, workers)
    elif stage == J.FORWARD:
        _forward(plan, params, work, job, rows, worker, workers)
    elif stage == J.BACKWARD:
        _backward(plan, params, work, job, rows, worker, workers)
    elif stage == J.BY_WEIGHTS and job[J.TASK] == J.INPUT_GRADIENT:
        _to_inputs(plan, params, work, job, worker, workers)
    elif stage == J.BY_WEIGHTS:
        moments = pointer_to(job[J.MOMENTS], dtype)
        _by_weights(plan, params, moments, work, hyper, job, worker, workers)
    elif stage == J.MEASURE or stage == J.APPLY or stage == J.FINISH:
        moments = pointer_to(job[J.MOMENTS], dtype)
        extra_stage(plan, params, moments, work, hyper, job, stage, worker, workers)
    else:
        infer(plan, params, work, job, pointer_to(job[J.OUT], dtype), worker, workers)
