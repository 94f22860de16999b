"""Rows on their way between the user's arrays and the blocks of the work arena."""

import numpy as np
from numba import types

from .backward import delta_of
from .cells import cells_at
from .codes import CROSS_ENTROPY, F64
from .codes import OWN_LOSS as OWN_LOSS_CODE
from .few import are_few, by_rows_alone, outputs_few
from .forward import activate_outputs, padded
from .gather import ADDRESS, DTYPE, N_COLUMNS, gather, gather_rows
from .jit import kernel
from .jobs import (
    BAD_INPUT,
    BAD_TARGET,
    FINE,
    FROM_OUTPUT,
    HYPER,
    INFER,
    INPUT_GRADIENT,
    KINDS,
    ORDER,
    ROW_WEIGHTS,
    START,
    TASK,
    X,
    Y,
)
from .layout import (
    ACTIVATION,
    BLOCK,
    CLASSES,
    IN,
    LAST,
    LOSS,
    OUTPUTS,
    OWN_LOSS,
    OWN_ROWS,
    PARAMETERS,
    ROW_LOSS,
    ROW_WEIGHT,
    SCRATCH,
    TARGET,
    TARGETS,
    A,
    Z,
)
from .losses import invalid_target, loss_and_delta
from .more_losses import (
    extended_loss_and_delta,
    own_loss_and_delta,
    times_class_weights,
    weigh_rows,
)
from .scaling import (
    scale_own_gradient,
    standardize_input_rows,
    standardize_inputs,
    standardize_targets,
)
from .settings import LOSS_PARAMETER, SMOOTHING
from .simd import get, lanes, offset, pointer_to, put, transpose
from .variants import by_plan

WIDE = 65536
"""Weights of a layer from which a region of its own pays. Three layers, batch 32, two threads, by
rows and layer by layer: 128 x 128 29 and 33 us, 256 x 256 100 and 98, 1024 x 1024 2265 and 1858."""

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _Y = np.int64(X), np.int64(Y)


@kernel
def has_labels(plan, job):
    """Whether y is one column of integer class labels."""
    one_column = job[Y + N_COLUMNS] == 1 and job[Y + DTYPE] > F64
    return plan[0, LOSS] == CROSS_ENTROPY and one_column


@kernel
def has_own_gradient(job):
    """Whether y holds the gradient of a loss of the user's own."""
    return job[TASK] == FROM_OUTPUT or job[TASK] == INPUT_GRADIENT


@kernel
def goes_by_layers(plan, work, rows, shares):
    """Whether a batch goes through one layer at a time, each share with its units of it.

    So do few rows; and where layers are wide, so few vectors of rows that a share would be idle for
    a third of the time, or would read all weights for a single vector.
    """
    w = lanes(work)
    vectors = padded(rows, w) // w
    if are_few(plan, rows, w):
        return True
    if by_rows_alone(plan):
        return False
    left = vectors < 2 * shares and vectors % shares != 0
    wide = plan[0, PARAMETERS] > WIDE * plan[0, LAST]
    return shares > 1 and wide and (left or vectors <= shares)


@kernel
def _take_targets(plan, job, order, first, valid, block, scratch):
    """Bring y of one vector of rows into its block, if there is one; the status."""
    if job[Y + ADDRESS] != 0:
        y, outputs = offset(block, plan[0, TARGET]), plan[0, TARGETS]
        if gather(job, _Y, order, first, valid, y, scratch):
            return BAD_TARGET
        if has_own_gradient(job):
            scale_own_gradient(plan, y)
            return FINE
        if invalid_target(plan[0, LOSS], y, has_labels(plan, job), valid, outputs):
            return BAD_TARGET
        standardize_targets(plan, y)
    return FINE


@kernel
def take_rows(plan, work, job, order, first, valid, vector, scratch):
    """Bring one vector of rows of X, and of y if there is one, into its block; the status."""
    block = offset(work, vector * plan[0, BLOCK])
    x = offset(block, plan[1, IN])
    if gather(job, _X, order, first, valid, x, scratch):
        return BAD_INPUT
    standardize_inputs(plan, x)
    return _take_targets(plan, job, order, first, valid, block, scratch)


@kernel
def take_batch(plan, work, job, order, first, rows):
    """Bring a batch that goes layer by layer into its blocks; the first status that is not FINE.

    That of an inference: kind + KINDS * the first row of the vector.
    """
    w, scratch = lanes(work), offset(work, plan[0, SCRATCH])
    if are_few(plan, rows, w):
        x = offset(work, plan[1, IN])
        if gather_rows(job, _X, order, first, rows, x):
            return BAD_INPUT
        standardize_input_rows(plan, x, rows)
        return _take_targets(plan, job, order, first, rows, work, scratch)
    for v in range(padded(rows, w) // w):
        valid = min(w, rows - v * w)
        status = take_rows(plan, work, job, order, first + v * w, valid, v, scratch)
        if status != FINE:
            return status + KINDS * v * w
    return FINE


@kernel
def finish_forward(plan, work, rows):
    """The outputs of a batch that went layer by layer."""
    w = lanes(work)
    if are_few(plan, rows, w):
        outputs_few(plan, work, rows)
    for v in range(padded(rows, w) // w):
        activate_outputs(plan, work, v)


@kernel
def _output_loss(plan, work, job, vector, valid, rows):
    last = plan[0, LAST]
    block, units = offset(work, vector * plan[0, BLOCK]), plan[last, OUTPUTS]
    loss_and_delta(
        plan[0, LOSS],
        plan[last, ACTIVATION],
        offset(block, plan[last, Z]),
        offset(block, plan[last, A]),
        offset(block, plan[0, TARGET]),
        has_labels(plan, job),
        delta_of(plan, work, vector, last),
        units,
        padded(units, lanes(work)),
        valid,
        rows,
        offset(block, plan[0, ROW_LOSS]),
        None,
    )


@kernel
def _extended_output_loss(plan, work, job, vector, valid, rows):
    last, hyper = plan[0, LAST], cells_at(job[HYPER], types.float64)
    block, units = offset(work, vector * plan[0, BLOCK]), plan[last, OUTPUTS]
    z, p = offset(block, plan[last, Z]), offset(block, plan[last, A])
    y, delta = offset(block, plan[0, TARGET]), delta_of(plan, work, vector, last)
    code, row_loss = plan[last, ACTIVATION], offset(block, plan[0, ROW_LOSS])
    whole = padded(units, lanes(work))
    if plan[0, LOSS] == OWN_LOSS_CODE:
        v, one_row = delta_of(plan, work, vector, last - 1), offset(block, plan[0, OWN_ROWS])
        own_loss_and_delta(
            plan[0, OWN_LOSS],
            code,
            z,
            p,
            y,
            v,
            one_row,
            delta,
            units,
            whole,
            valid,
            rows,
            row_loss,
        )
        return
    extended_loss_and_delta(
        plan[0, LOSS],
        hyper[LOSS_PARAMETER],
        0.0 if job[TASK] == INFER else hyper[SMOOTHING],
        code,
        z,
        p,
        y,
        has_labels(plan, job),
        delta,
        units,
        whole,
        valid,
        rows,
        row_loss,
    )


output_loss = by_plan(_output_loss, _extended_output_loss)
"""Loss and delta of the output layer for one vector of rows.

(plan, work, job, vector, valid, rows); rows: how many the loss is a mean of.
"""


@kernel
def _leave_rows(plan, work, job, vector, valid):
    pass


@kernel
def _weigh_rows(plan, work, job, vector, valid):
    last, w = plan[0, LAST], lanes(work)
    block, units = offset(work, vector * plan[0, BLOCK]), plan[last, OUTPUTS]
    weight, own = offset(block, plan[0, ROW_WEIGHT]), has_own_gradient(job)
    for lane in range(w):
        put(weight, lane, 1.0 if lane < valid else 0.0)
    if job[ROW_WEIGHTS] != 0:
        given = pointer_to(job[ROW_WEIGHTS], types.float64)
        order = pointer_to(job[ORDER], types.int64)
        for lane in range(valid):
            row = job[START] + vector * w + lane
            put(weight, lane, get(given, get(order, row) if job[ORDER] != 0 else row))
    if plan[0, CLASSES] == 1 and not own:
        y, hyper = offset(block, plan[0, TARGET]), cells_at(job[HYPER], types.float64)
        times_class_weights(hyper, last, y, has_labels(plan, job), units, weight)
    if job[ROW_WEIGHTS] != 0 or (plan[0, CLASSES] == 1 and not own):
        delta = delta_of(plan, work, vector, last)
        weigh_rows(weight, delta, units, offset(block, plan[0, ROW_LOSS]))


weigh = by_plan(_leave_rows, _weigh_rows)
"""Weigh one vector of rows, loss and delta: (plan, work, job, vector, valid)."""


@kernel
def write_rows(a, units, valid, out, row, scratch):
    """Copy a (units, lanes), one vector of rows, to rows ``row`` .. of out (n, units)."""
    w = lanes(a)
    for u in range(0, units, w):
        transpose(offset(a, u * w), w, scratch, w)
        for r in range(valid):
            for i in range(min(w, units - u)):
                put(out, (row + r) * units + u + i, get(scratch, r * w + i))
