"""Inference: outputs, or loss and hits, of any number of rows, in blocks that are used again."""

import numpy as np
from numba import types

from ..base.codes import CUSTOM_ACTIVATION, SOFTMAX
from ..base.jit import kernel
from ..ir.simd import (
    get,
    lanes,
    offset,
    pointer_to,
    put,
    store,
)
from ..tables.job_table import (
    FOR_OUTPUTS,
    FORWARD,
    KINDS,
    LAYER,
    NOTHING,
    OK,
    OUT,
    ROWS,
    STATUSES,
    VALUES,
)
from ..tables.layout import (
    ACTIVATION,
    BLOCK,
    CAPACITY,
    LAST,
    LOSS,
    OUTPUTS,
    ROW_CORRECT,
    ROW_LOSS,
    SCRATCH,
    SCRATCH_STRIDE,
    TARGET,
    A,
)
from .batch import (
    finish_forward,
    goes_by_layers,
    has_labels,
    take_batch,
    take_rows,
    write_rows,
)
from .forward import forward, padded
from .losses import n_correct
from .output_loss import output_loss
from .scaling import to_raw_outputs
from .small_batch import is_small_batch, write_outputs_small_batch

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_ZERO = np.int64(0)
_AS_THEY_LIE = _ZERO  # the order of rows that are taken one after another


@kernel
def _evaluate_rows(plan, work, job, vector, valid, values, row):
    """Loss and hits of one vector's rows, to rows ``row`` .. of values (n, 2)."""
    last = plan[0, LAST]
    output_loss(plan, work, job, vector, valid, job[ROWS])
    block = offset(work, vector * plan[0, BLOCK])
    right = offset(block, plan[0, ROW_CORRECT])
    p, y = offset(block, plan[last, A]), offset(block, plan[0, TARGET])
    store(right, 0, n_correct(plan[0, LOSS], p, y, has_labels(plan, job), plan[last, OUTPUTS]))
    for lane in range(valid):
        put(values, 2 * (row + lane), get(block, plan[0, ROW_LOSS] + lane))
        put(values, 2 * (row + lane) + 1, get(right, lane))


@kernel
def _give(plan, work, job, out, vector, row, scratch):
    """What an inference wants of one vector's rows, which begin with ``row``."""
    valid = min(lanes(work), job[ROWS] - row)
    if job[VALUES] != 0:
        _evaluate_rows(plan, work, job, vector, valid, pointer_to(job[VALUES], types.float64), row)
    else:
        last = plan[0, LAST]
        a = offset(work, vector * plan[0, BLOCK] + plan[last, A])
        to_raw_outputs(plan, a)
        write_rows(a, plan[last, OUTPUTS], valid, out, row, scratch)


@kernel
def infer(plan, params, work, job, out, worker, workers):
    """One share's rows, in its own blocks, as many at a time as it has blocks."""
    w, n = lanes(work), job[ROWS]
    vectors, blocks = padded(n, w) // w, plan[0, CAPACITY] // (w * workers)
    begin, stop, mine = (
        vectors * worker // workers,
        vectors * (worker + 1) // workers,
        worker * blocks,
    )
    turns = max(1, -(-(stop - begin) // blocks))
    abreast = max(1, -(-(stop - begin) // turns))  # 4 of at most 3 are 2 and 2, and not 3 and 1
    scratch = offset(work, plan[0, SCRATCH] + worker * plan[0, SCRATCH_STRIDE])
    statuses = pointer_to(job[STATUSES], types.int64)
    for start in range(begin, stop, abreast):
        count = min(abreast, stop - start)
        for v in range(count):
            row = (start + v) * w
            status = take_rows(
                plan, work, job, _AS_THEY_LIE, row, min(w, n - row), mine + v, scratch
            )
            if status != OK and get(statuses, worker) == OK:
                put(statuses, worker, status + KINDS * row)
        forward(plan, params, work, mine, mine + count)
        for v in range(count):
            _give(plan, work, job, out, mine + v, (start + v) * w, scratch)


@kernel
def begin_inference(plan, work, job, workers):
    """The first stage of an inference."""
    rows = job[ROWS]
    if not goes_by_layers(plan, work, rows, workers):
        return FOR_OUTPUTS
    job[LAYER] = 1
    status = take_batch(plan, work, job, _AS_THEY_LIE, _ZERO, rows)
    put(pointer_to(job[STATUSES], types.int64), 0, status)
    return FORWARD if status == OK else NOTHING


@kernel
def end_inference(plan, work, job):
    """Outputs or judgments of rows that went layer by layer."""
    w, rows = lanes(work), job[ROWS]
    out = pointer_to(job[OUT], work)
    code = plan[plan[0, LAST], ACTIVATION]
    whole = code == SOFTMAX or code == CUSTOM_ACTIVATION
    if is_small_batch(plan, rows, w) and job[VALUES] == 0 and not whole:
        write_outputs_small_batch(plan, work, rows, out)
        return NOTHING
    finish_forward(plan, work, rows)
    for v in range(padded(rows, w) // w):
        _give(plan, work, job, out, v, v * w, offset(work, plan[0, SCRATCH]))
    return NOTHING
