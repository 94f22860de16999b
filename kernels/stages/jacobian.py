"""Derivatives of the outputs by the inputs: a batched chain of the products of a step.

*Directions* go through the layers: in reverse the gradient of each output down to the inputs
(jacobian_reverse.py), forward the tangent of each input up to the outputs (jacobian_forward.py),
whichever takes fewer operations. Their vectors are laid out as those of rows, and the products are
those of backward.py and forward.py. Every lane is computed by itself: its bits depend neither on
its neighbors nor on the number of workers. Few rows of a small network go one at a time
(jacobian_row.py), with sums in an order of their own.
"""

import numpy as np
from numba import types

from ..base.jit import kernel
from ..ir.simd import (
    get,
    lanes,
    load,
    offset,
    pointer_to,
    put,
    splat,
    store,
    store_first,
    transpose,
)
from ..tables import jacobian_job as D
from ..tables import job_table as J
from ..tables import layout as P
from .batch import write_rows
from .forward import forward
from .jacobian_blocks import gather_directions, goes_backward, n_directions, prepare, shares_row
from .jacobian_forward import tangents_of_first_layer, tangents_of_outputs
from .jacobian_items import direction_of
from .jacobian_reverse import errors_of_inputs
from .jacobian_row import forward_row, go_singly, jacobian_of_row
from .regularization import part
from .scaling import to_raw_outputs

WORTH_TRANSPOSING = 4
"""Units of which fewer are copied faster one by one than by vectors."""

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def _places_in_out(plan, job, shared, item, per, n_lanes):
    """Where an item belongs in OUT: (valid lanes, start, step of a lane, step of a unit)."""
    outputs, inputs = plan[plan[0, P.LAST], P.OUTPUTS], plan[1, P.INPUTS]
    if job[J.TASK] == D.JVP:
        row = item * n_lanes
        return min(n_lanes, job[J.ROWS] - row), row * outputs, outputs, _ONE
    n, of_direction, of_unit = inputs, _ONE, inputs
    if goes_backward(plan):
        n, of_direction, of_unit = outputs, inputs, _ONE
    k, size = item % per, outputs * inputs
    if shared:
        first = k * n_lanes
        start = item // per * size + first * of_direction
        return min(n_lanes, n - first), start, of_direction, of_unit
    row = item // per * n_lanes
    return min(n_lanes, job[J.ROWS] - row), row * size + k * of_direction, size, of_unit


@kernel
def _scatter(x, units, out, places, scratch):
    """Copy x (units, lanes) to where ``_places_in_out`` says: units, or lanes, lie side by side."""
    n_lanes = lanes(x)
    valid, start, of_lane, of_unit = places
    if of_unit > 1:
        for u in range(units):
            store_first(out, start + u * of_unit, load(x, u * n_lanes), valid)
    elif units < WORTH_TRANSPOSING:
        for lane in range(valid):
            for u in range(units):
                put(out, start + lane * of_lane + u, get(x, u * n_lanes + lane))
    else:
        for u in range(0, units, n_lanes):
            transpose(offset(x, u * n_lanes), n_lanes, scratch, n_lanes)
            for lane in range(valid):
                to = start + lane * of_lane + u
                store_first(out, to, load(scratch, lane * n_lanes), units - u)


@kernel
def _scatter_tangents(x, stride, count, units, out, places):
    """Likewise ``count`` items x (items, units, lanes), along inputs one after another.

    They lie side by side in OUT, whose lines of cache are so written once and not ``count`` times.
    """
    n_lanes = lanes(x)
    valid, start, of_lane, of_unit = places
    for u in range(units):
        for lane in range(valid):
            to = start + lane * of_lane + u * of_unit
            for i in range(count):
                put(out, to + i, get(x, i * stride + u * n_lanes + lane))


@kernel
def _write_span(plan, job, shared, span, x, units, scratch):
    """The items of a span, x (items, units, lanes), to OUT. scratch: (lanes, lanes)."""
    n_lanes, stride, out, i = lanes(x), job[D.STRIDE], pointer_to(job[J.OUT], x), _ZERO
    side_by_side = job[J.TASK] == D.JACOBIAN and not shared and not goes_backward(plan)
    while i < span[2]:
        to, count = _places_in_out(plan, job, shared, span[1] + i, span[3], n_lanes), _ONE
        if side_by_side:
            count = min(span[2] - i, span[3] - direction_of(span, i))
            _scatter_tangents(offset(x, i * stride), stride, count, units, out, to)
        else:
            _scatter(offset(x, i * stride), units, out, to, scratch)
        i += count


@kernel
def _run_span(plan, params, work, job, span, memory, scratch):
    """A span of items through all layers and to OUT; whether a direction is refused."""
    n_lanes, stride = lanes(work), job[D.STRIDE]
    shared, size = shares_row(plan, job, n_lanes), D.GROUP * stride
    places = memory, offset(memory, size), offset(memory, 2 * size)
    units, bad = plan[1, P.INPUTS], False
    if job[J.TASK] == D.JACOBIAN and goes_backward(plan):
        found = errors_of_inputs(plan, params, work, span, shared, places, stride, scratch)
    else:
        zeros, units = offset(memory, D.PLACES * size), plan[plan[0, P.LAST], P.OUTPUTS]
        bad = tangents_of_first_layer(
            plan, params, job, span, shared, places, stride, zeros, scratch
        )
        found = tangents_of_outputs(plan, params, work, span, places, stride, zeros)
    _write_span(plan, job, shared, span, found, units, scratch)
    return bad


@kernel
def _note(job, worker, kind, row):
    """Set the status of a worker, if it has none yet."""
    statuses = pointer_to(job[J.STATUSES], types.int64)
    if get(statuses, worker) == J.OK:
        put(statuses, worker, kind + J.KINDS * row)


@kernel
def _begin_blocks(plan, params, work, job, vectors, mine, worker, scratch):
    """Rows of the vectors (first, last) into blocks from ``mine`` on, forward and ``prepare``."""
    n_lanes, (first, last) = lanes(work), vectors
    shared = shares_row(plan, job, n_lanes)
    rows_each = _ONE if shared else n_lanes
    for v in range(first, last):
        block = offset(work, (mine + v - first) * plan[0, P.BLOCK])
        if gather_directions(plan, job, v * rows_each, shared, block, scratch):
            _note(job, worker, J.BAD_INPUT, v * rows_each)
    forward(plan, params, work, job, mine, mine + last - first)
    for v in range(first, last):
        prepare(plan, params, offset(work, (mine + v - first) * plan[0, P.BLOCK]))


@kernel
def _write_outputs(plan, work, job, block, vector, scratch):
    """The outputs of a vector of rows, in raw units, to OUTPUTS."""
    n_lanes, last = lanes(work), plan[0, P.LAST]
    p, out = offset(block, plan[last, P.A]), pointer_to(job[D.OUTPUTS], work)
    to_raw_outputs(plan, p)
    if shares_row(plan, job, n_lanes):
        write_rows(p, plan[last, P.OUTPUTS], _ONE, out, vector, scratch)
    else:
        row = vector * n_lanes
        valid = min(n_lanes, job[J.ROWS] - row)
        write_rows(p, plan[last, P.OUTPUTS], valid, out, row, scratch)


@kernel
def _derive_singly(plan, params, work, job, worker, workers):
    """One worker's rows, one at a time."""
    first, last = part(job[J.ROWS], worker, workers)
    blocks, last_layer = plan[0, P.CAPACITY] // (lanes(work) * workers), plan[0, P.LAST]
    block = offset(work, worker * blocks * plan[0, P.BLOCK])
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    memory = offset(pointer_to(job[D.ARENA], work), worker * job[D.ARENA_STRIDE])
    out = pointer_to(job[J.OUT], work)
    for row in range(first, last):
        if forward_row(plan, params, job, row, block):
            _note(job, worker, J.BAD_INPUT, row)
        jacobian_of_row(plan, params, block, memory, row, out, scratch)
        if job[D.OUTPUTS] != 0:
            p, to = offset(block, plan[last_layer, P.A]), pointer_to(job[D.OUTPUTS], work)
            to_raw_outputs(plan, p)
            write_rows(p, plan[last_layer, P.OUTPUTS], _ONE, to, row, scratch)


@kernel
def _derive_in_groups(plan, params, work, job, worker, workers):
    """One worker's items. Workers that share a vector of rows each take it forward."""
    n_lanes, n, rows = lanes(work), n_directions(plan, job), job[J.ROWS]
    shared = shares_row(plan, job, n_lanes)
    per, vectors = (-(-n // n_lanes), rows) if shared else (n, -(-rows // n_lanes))
    first, last = part(vectors * per, worker, workers)
    blocks = plan[0, P.CAPACITY] // (n_lanes * workers)
    mine, begin, end = worker * blocks, first // per, -(-last // per)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    memory = offset(pointer_to(job[D.ARENA], work), worker * job[D.ARENA_STRIDE])
    zeros = offset(memory, D.PLACES * D.GROUP * job[D.STRIDE])
    for i in range(0, job[D.STRIDE], n_lanes):
        store(zeros, i, splat(zeros, 0.0))
    for start in range(begin, end if first < last else begin, blocks):
        stop = min(start + blocks, end)
        _begin_blocks(plan, params, work, job, (start, stop), mine, worker, scratch)
        if job[D.OUTPUTS] != 0:
            for v in range(start, stop):
                if first <= v * per < last:
                    block = offset(work, (mine + v - start) * plan[0, P.BLOCK])
                    _write_outputs(plan, work, job, block, v, scratch)
        high = min(last, stop * per)
        for item in range(max(first, start * per), high, D.GROUP):
            span = mine + item // per - start, item, min(D.GROUP, high - item), per
            if _run_span(plan, params, work, job, span, memory, scratch):
                _note(job, worker, J.BAD_TARGET, item // per * n_lanes)


@kernel
def derive(plan, params, work, job, worker, workers):
    """One worker's derivatives to OUT and, if asked, outputs to OUTPUTS.

    plan, params, work: layout.py. job: jacobian_job.py. Twins: ``jacobian``, ``jvp``.
    """
    if go_singly(plan, job, lanes(work)):
        _derive_singly(plan, params, work, job, worker, workers)
    else:
        _derive_in_groups(plan, params, work, job, worker, workers)
