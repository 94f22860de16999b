"""Inference: outputs, or loss and n_correct, of any number of rows, in blocks that are reused."""

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
from ..tables import job_table as J
from ..tables import layout as P
from .batch import (
    finish_forward,
    gather_batch,
    gather_block,
    goes_by_layers,
    has_labels,
    write_rows,
)
from .forward import forward, padded
from .losses import n_correct
from .nonzeros import goes_by_nonzeros
from .output_loss import output_loss
from .scaling import to_raw_outputs
from .small_batch import is_small_batch, write_outputs_small_batch

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_ZERO = np.int64(0)
_AS_THEY_LIE = _ZERO  # the order of rows that are taken one after another


@kernel
def _evaluate_rows(plan, work, job, vector, valid, values, row):
    """Loss and n_correct of one vector's rows, to rows ``row`` .. of values (n, 2)."""
    last = plan[0, P.LAST]
    output_loss(plan, work, job, vector, valid, job[J.ROWS])
    block = offset(work, vector * plan[0, P.BLOCK])
    right = offset(block, plan[0, P.ROW_CORRECT])
    p, y = offset(block, plan[last, P.A]), offset(block, plan[0, P.TARGET])
    store(right, 0, n_correct(plan[0, P.LOSS], p, y, has_labels(plan, job), plan[last, P.OUTPUTS]))
    for lane in range(valid):
        put(values, 2 * (row + lane), get(block, plan[0, P.ROW_LOSS] + lane))
        put(values, 2 * (row + lane) + 1, get(right, lane))


@kernel
def _write_results(plan, work, job, out, vector, row, scratch):
    """Write the outputs of one vector of rows from ``row`` on, or their loss and n_correct."""
    valid = min(lanes(work), job[J.ROWS] - row)
    if job[J.VALUES] != 0:
        values = pointer_to(job[J.VALUES], types.float64)
        _evaluate_rows(plan, work, job, vector, valid, values, row)
    else:
        last = plan[0, P.LAST]
        a = offset(work, vector * plan[0, P.BLOCK] + plan[last, P.A])
        to_raw_outputs(plan, a)
        write_rows(a, plan[last, P.OUTPUTS], valid, out, row, scratch)


@kernel
def infer(plan, params, work, job, out, worker, workers):
    """One worker's rows, in the worker's blocks, as many vectors at a time as it has blocks."""
    n_lanes, n = lanes(work), job[J.ROWS]
    vectors, blocks = padded(n, n_lanes) // n_lanes, plan[0, P.CAPACITY] // (n_lanes * workers)
    begin, stop, mine = (
        vectors * worker // workers,
        vectors * (worker + 1) // workers,
        worker * blocks,
    )
    turns = max(1, -(-(stop - begin) // blocks))
    # 4 vectors in 3 blocks go as 2 and 2, not 3 and 1.
    abreast = max(1, -(-(stop - begin) // turns))
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    statuses = pointer_to(job[J.STATUSES], types.int64)
    for start in range(begin, stop, abreast):
        count, first = min(abreast, stop - start), start * n_lanes
        sparse = goes_by_nonzeros(job, first, min(count * n_lanes, n - first))
        for v in range(count):
            row = (start + v) * n_lanes
            valid = min(n_lanes, n - row)
            status = gather_block(
                plan, work, job, _AS_THEY_LIE, row, valid, mine + v, scratch, sparse
            )
            if status != J.OK and get(statuses, worker) == J.OK:
                put(statuses, worker, status + J.KINDS * row)
        forward(plan, params, work, job, mine, mine + count)
        for v in range(count):
            _write_results(plan, work, job, out, mine + v, (start + v) * n_lanes, scratch)


@kernel
def begin_inference(plan, work, job, workers):
    """The first stage of an inference."""
    rows = job[J.ROWS]
    if not goes_by_layers(plan, work, rows, workers):
        return J.FOR_OUTPUTS
    job[J.LAYER] = 1
    sparse = goes_by_nonzeros(job, _ZERO, rows)
    status = gather_batch(plan, work, job, _AS_THEY_LIE, _ZERO, rows, sparse)
    put(pointer_to(job[J.STATUSES], types.int64), 0, status)
    return J.FORWARD if status == J.OK else J.NOTHING


@kernel
def end_inference(plan, work, job):
    """Outputs, or loss and n_correct, of rows that went layer by layer."""
    n_lanes, rows = lanes(work), job[J.ROWS]
    out = pointer_to(job[J.OUT], work)
    code = plan[plan[0, P.LAST], P.ACTIVATION]
    whole = code == SOFTMAX or code == CUSTOM_ACTIVATION
    if is_small_batch(plan, rows, n_lanes) and job[J.VALUES] == 0 and not whole:
        write_outputs_small_batch(plan, work, rows, out)
        return J.NOTHING
    finish_forward(plan, work, rows)
    for v in range(padded(rows, n_lanes) // n_lanes):
        _write_results(plan, work, job, out, v, v * n_lanes, offset(work, plan[0, P.SCRATCH]))
    return J.NOTHING
