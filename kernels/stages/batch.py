"""Batch rows between the user's arrays and the blocks of the work arena."""

import numpy as np

from ..base.codes import CLASS, F16, F32, F64
from ..base.jit import kernel
from ..ir.simd import (
    get,
    lanes,
    offset,
    put,
    transpose,
)
from ..primitives.gather import (
    ADDRESS,
    DTYPE,
    N_COLUMNS,
    gather,
    gather_rows,
)
from ..tables import job_table as J
from ..tables import layout as P
from .custom_activation import fill_lanes
from .forward import activate_outputs, padded
from .losses import allows_nan, invalid_target
from .nonzeros import GATHER, ask, mark
from .scaling import (
    scale_output_gradient,
    standardize_input_rows,
    standardize_inputs,
    standardize_targets,
)
from .small_batch import is_rows_only, is_small_batch, outputs_small_batch

WIDE = 65536
"""Mean weights of a layer above which a parallel region for each layer pays. Three layers, batch
32, two threads, by rows and layer by layer: 128 x 128 29 and 33 us, 256 x 256 100 and 98, 1024 x
1024 2265 and 1858."""

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _Y, _ZERO = np.int64(J.X), np.int64(J.Y), np.int64(0)


@kernel
def has_labels(plan, job):
    """Whether y is one column of integer class labels."""
    dtype = job[J.Y + DTYPE]
    integers = dtype != F16 and dtype != F32 and dtype != F64
    classes = plan[plan[0, P.LAST], P.TARGET_KIND] == CLASS
    return classes and job[J.Y + N_COLUMNS] == 1 and integers


@kernel
def has_output_gradient(job):
    """Whether y holds dLoss/dp of a custom loss."""
    return job[J.TASK] == J.FROM_OUTPUT or job[J.TASK] == J.INPUT_GRADIENT


@kernel
def goes_by_layers(plan, work, rows, workers):
    """Whether a batch goes layer by layer, each worker computing its part of the layer's units.

    True for small batches. With wide layers also true where splitting by rows would leave a worker
    idle for a third of the time, or would make it read all weights for a single vector of rows.
    """
    n_lanes = lanes(work)
    vectors = padded(rows, n_lanes) // n_lanes
    if is_small_batch(plan, rows, n_lanes):
        return True
    if is_rows_only(plan):
        return False
    left = vectors < 2 * workers and vectors % workers != 0
    wide = plan[0, P.PARAMETERS] > WIDE * plan[0, P.LAST]
    return workers > 1 and wide and (left or vectors <= workers)


@kernel
def _gather_targets(plan, job, order, first, valid, block, scratch):
    """Gather y of one vector of rows, if there is a y, into its block; the status."""
    if job[J.Y + ADDRESS] != 0:
        y, outputs = offset(block, plan[0, P.TARGET]), plan[0, P.TARGETS]
        kind = plan[plan[0, P.LAST], P.TARGET_KIND]
        if gather(job, _Y, order, first, valid, y, scratch) and (
            not allows_nan(kind) or has_output_gradient(job)
        ):
            return J.BAD_TARGET
        if has_output_gradient(job):
            scale_output_gradient(plan, y)
            return J.OK
        if invalid_target(kind, y, has_labels(plan, job), valid, outputs):
            return J.BAD_TARGET
        standardize_targets(plan, y)
    return J.OK


@kernel
def gather_block(plan, work, job, order, first, valid, vector, scratch, by_nonzeros):
    """Gather one vector of rows of X, and of y if there is a y, into its block; the status."""
    block = offset(work, vector * plan[0, P.BLOCK])
    x = offset(block, plan[1, P.IN])
    mark(plan, block, by_nonzeros)
    if by_nonzeros:
        if ask(job, GATHER, first, vector, _ZERO, _ZERO) != 0:
            return J.BAD_INPUT
    else:
        if gather(job, _X, order, first, valid, x, scratch):
            return J.BAD_INPUT
        standardize_inputs(plan, x)
        fill_lanes(plan, x, plan[0, P.X_COLUMNS], valid)
    return _gather_targets(plan, job, order, first, valid, block, scratch)


@kernel
def gather_batch(plan, work, job, order, first, rows, by_nonzeros):
    """Gather a batch that goes layer by layer into its blocks; the first status that is not OK.

    The status of an inference is kind + KINDS * the first row of the vector.
    """
    n_lanes, scratch = lanes(work), offset(work, plan[0, P.SCRATCH])
    if is_small_batch(plan, rows, n_lanes):
        x = offset(work, plan[1, P.IN])
        if gather_rows(job, _X, order, first, rows, x):
            return J.BAD_INPUT
        mark(plan, work, False)
        standardize_input_rows(plan, x, rows)
        return _gather_targets(plan, job, order, first, rows, work, scratch)
    for v in range(padded(rows, n_lanes) // n_lanes):
        valid = min(n_lanes, rows - v * n_lanes)
        start = first + v * n_lanes
        status = gather_block(plan, work, job, order, start, valid, v, scratch, by_nonzeros)
        if status != J.OK:
            return status + J.KINDS * v * n_lanes
    return J.OK


@kernel
def finish_forward(plan, work, rows):
    """The outputs of a batch that went layer by layer."""
    n_lanes = lanes(work)
    if is_small_batch(plan, rows, n_lanes):
        outputs_small_batch(plan, work, rows)
    for v in range(padded(rows, n_lanes) // n_lanes):
        activate_outputs(plan, work, v)


@kernel
def write_rows(a, units, valid, out, row, scratch):
    """Copy a (units, lanes), one vector of rows, to rows ``row`` .. of out (n, units)."""
    n_lanes = lanes(a)
    for u in range(0, units, n_lanes):
        transpose(offset(a, u * n_lanes), n_lanes, scratch, n_lanes)
        for r in range(valid):
            for i in range(min(n_lanes, units - u)):
                put(out, (row + r) * units + u + i, get(scratch, r * n_lanes + i))
