"""The first layer of a batch of sparse rows: z and the gradient of W from the nonzeros alone.

A zero adds nothing to a chain of multiply-adds: a chain over the nonzeros, in their order, has the
bits of the chain over all inputs while the weights are finite. (The sign of a zero may differ.)
W's rows of the other inputs are not read, and their gradient, which is 0, is not computed; where
the optimizer leaves a parameter without gradient as it is, these rows are not updated either.

The nonzeros of a vector of rows lie where its dense X would (IN of layer 1): 32 int32, begin and
end of each row; the columns, int32; the values. Padded rows are the first row again, as in a dense
X (``fill_lanes``).
"""

import numpy as np
from numba import types

from ..base import codes
from ..base.jit import kernel
from ..base.sizes import NONZERO_CHUNK, NONZERO_PANELS, NONZERO_SHARE, SUM_ROWS
from ..base.variants import by_plan
from ..ir.simd import (
    fma,
    get,
    lanes,
    load,
    offset,
    pointer_to,
    prefetch_at,
    put,
    splat,
    store,
    transpose,
)
from ..ir.typed_pointers import typed_pointer_at
from ..primitives.csr import column_of, span, value_of
from ..primitives.gather import ADDRESS
from ..tables import job_table as J
from ..tables import layout as P
from . import nonzeros
from .extended_stages import gradient_arena
from .forward import padded
from .input_scaling import begin_chosen, end_chosen
from .norm import linear_place
from .regularization import WEIGHT, has_penalty, part
from .update import (
    ACCUMULATE,
    STORE,
    UPDATE,
    coefficients_of_layer,
    delta_panel,
    is_frozen,
    use_gradient,
)
from .update_rules import ADAGRAD, SGD

_ZERO = np.int64(0)  # a Python constant would compile its callee once more

_SPANS = 32
"""int32 before the columns: whole cache lines."""

AHEAD = 8
"""Nonzeros between the prefetch of a row of W and its use."""

_NONE = 2**31 - 1
"""In place of a row's next column, after the last."""


@kernel
def _room(plan, n_lanes):
    """The most nonzeros of a vector of rows."""
    return plan[1, P.INPUTS] * n_lanes // NONZERO_SHARE


@kernel
def _lists(plan, work, vector):
    """(spans, columns, values) of a block."""
    x = offset(work, vector * plan[0, P.BLOCK] + plan[1, P.IN])
    spans = pointer_to(x, types.int32)
    columns = offset(spans, _SPANS)
    room = _room(plan, lanes(work)) + _SPANS
    return spans, columns, pointer_to(offset(columns, room // _SPANS * _SPANS), work)


@kernel
def _end_of_batch(job):
    """The place in the order that follows the rows of the batch, or of the inference."""
    if job[J.TASK] == J.INFER:
        return job[J.ROWS]
    return min(job[J.START] + job[J.BATCH], job[J.ROWS])


@kernel
def _row(job, place):
    """The row at a place of the order."""
    if job[J.TASK] == J.INFER or job[J.ORDER] == 0:
        return place
    return get(pointer_to(job[J.ORDER], types.int64), place)


@kernel
def _fit(plan, work, job, first, rows):
    """Whether each vector of these rows has few enough nonzeros."""
    n_lanes, record = lanes(work), typed_pointer_at(job[J.X + ADDRESS], types.int64)
    room = _room(plan, n_lanes)
    for start in range(first, first + rows, n_lanes):
        count = 0
        for place in range(start, min(start + n_lanes, first + rows)):
            begin, end = span(record, _row(job, place))
            if end < begin:
                return False
            count += end - begin
        if count > room:
            return False
    return True


@kernel
def _gather(plan, work, job, first, vector):
    """The nonzeros of one vector of rows into its block; whether one was refused.

    An inference goes on with the blocks that it has: from a row that is refused on, rows are empty.
    """
    n_lanes, record = lanes(work), typed_pointer_at(job[J.X + ADDRESS], types.int64)
    spans, columns, values = _lists(plan, work, vector)
    room, at, bad = _room(plan, n_lanes), 0, False
    for i in range(_SPANS):
        put(spans, i, _ZERO)
    for r in range(min(n_lanes, _end_of_batch(job) - first)):
        begin, end = span(record, _row(job, first + r))
        if end < begin or at + end - begin > room:
            return True
        put(spans, 2 * r, at)
        before = -1
        for place in range(begin, end):
            column = column_of(record, place)
            if column <= before or column >= plan[1, P.INPUTS]:
                return True
            put(columns, at, column)
            put(values, at, value_of(record, place))
            bad = bad or get(values, at) - get(values, at) != 0.0
            before, at = column, at + 1
        put(spans, 2 * r + 1, at)
    for r in range(min(n_lanes, _end_of_batch(job) - first), n_lanes):
        put(spans, 2 * r, get(spans, 0))
        put(spans, 2 * r + 1, get(spans, 1))
    return bad


# Forward


@kernel
def _four_panels(columns, values, begin, end, w, stride, bias, z):
    """z (4 panels, lanes, lanes), one row of each, from the nonzeros of a row.

    w: four panels of W, ``stride`` apart. bias: of their units.
    """
    n_lanes, panel = lanes(z), lanes(z) * lanes(z)
    w1, w2, w3 = offset(w, stride), offset(w, 2 * stride), offset(w, 3 * stride)
    s0 = s1 = s2 = s3 = splat(z, 0.0)
    for i in range(begin, end):
        ahead = get(columns, i + AHEAD) * n_lanes
        prefetch_at(w, ahead)
        prefetch_at(w1, ahead)
        prefetch_at(w2, ahead)
        prefetch_at(w3, ahead)
        x, row = get(values, i), get(columns, i) * n_lanes
        s0, s1 = fma(load(w, row), x, s0), fma(load(w1, row), x, s1)
        s2, s3 = fma(load(w2, row), x, s2), fma(load(w3, row), x, s3)
    store(z, 0, s0 + load(bias, 0))
    store(z, panel, s1 + load(bias, n_lanes))
    store(z, 2 * panel, s2 + load(bias, 2 * n_lanes))
    store(z, 3 * panel, s3 + load(bias, 3 * n_lanes))


@kernel
def _one_panel(columns, values, begin, end, w, bias, z):
    """The same of one panel."""
    n_lanes, total = lanes(z), splat(z, 0.0)
    for i in range(begin, end):
        prefetch_at(w, get(columns, i + AHEAD) * n_lanes)
        total = fma(load(w, get(columns, i) * n_lanes), get(values, i), total)
    store(z, 0, total + load(bias, 0))


@kernel
def _forward(plan, work, job, vector, first, last):
    """z of one vector of rows, for the panels ``first`` to ``last`` of units. Twin: ``forward``."""
    n_lanes, params = lanes(work), pointer_to(job[J.PARAMS], work)
    spans, columns, values = _lists(plan, work, vector)
    z = offset(work, vector * plan[0, P.BLOCK] + linear_place(plan, 1))
    stride = plan[1, P.WEIGHT_STRIDE]
    for r in range(n_lanes):
        begin, end, panel = get(spans, 2 * r), get(spans, 2 * r + 1), first
        while panel < last:
            w = offset(params, plan[1, P.WEIGHTS] + panel * stride)
            bias = offset(params, plan[1, P.BIAS] + panel * n_lanes)
            here = offset(z, (panel * n_lanes + r) * n_lanes)
            if last - panel >= 4:
                _four_panels(columns, values, begin, end, w, stride, bias, here)
                panel += 4
            else:
                _one_panel(columns, values, begin, end, w, bias, here)
                panel += 1
    for panel in range(first, last):
        square = offset(z, panel * n_lanes * n_lanes)
        transpose(square, n_lanes, square, n_lanes)


# Gradient and update


@kernel
def _leaves_plain(plan, hyper):
    no_decay = hyper[codes.WEIGHT_DECAY] == 0.0
    return plan[0, P.OPTIMIZER] == SGD and plan[0, P.MOMENTS] == 0 and no_decay


@kernel
def _leaves_extended(plan, hyper):
    if has_penalty(hyper) or plan[0, P.AVERAGE] >= 0:
        return False
    sums = plan[0, P.OPTIMIZER] == ADAGRAD and hyper[codes.EPS] > 1e-30  # else it divides 0 by 0
    return _leaves_plain(plan, hyper) or (sums and hyper[codes.WEIGHT_DECAY] == 0.0)


leaves_the_rest = by_plan(_leaves_plain, _leaves_extended)
"""Whether an update leaves parameters whose gradient is 0 as they are: (plan, hyper)."""


@kernel
def _find(plan, work, rows, column, places, nexts):
    """The place of each row's first nonzero from ``column`` on, and its column."""
    n_lanes = lanes(work)
    for r in range(rows):
        spans, columns, _ = _lists(plan, work, r // n_lanes)
        place, end = get(spans, r % n_lanes * 2), get(spans, r % n_lanes * 2 + 1)
        last = end
        while place < end:
            middle = (place + end) // 2
            if get(columns, middle) < column:
                place = middle + 1
            else:
                end = middle
        put(places, r, place)
        put(nexts, r, get(columns, place) if place < last else _NONE)


@kernel
def _add_rows(plan, arenas, cursors, span, base, panels, g):
    """Add the rows span = (first, last) to g (panels, chunk, lanes), the gradient of a chunk.

    cursors: (places, nexts), moved on to the next chunk. base: the first input of this one. panels:
    (first, count). Returns the inputs that have nonzeros, as bits.
    """
    work, n_lanes, (places, nexts), touched = arenas[2], lanes(g), cursors, _ZERO
    deltas, stride = delta_panel(plan, work, 1, panels[0]), plan[1, P.DELTA_PANEL_STRIDE]
    apart = plan[1, P.WEIGHT_STRIDE]
    weights = offset(arenas[0], plan[1, P.WEIGHTS] + panels[0] * apart)
    for r in range(span[0], span[1]):
        column = get(nexts, r)
        if column >= base + NONZERO_CHUNK:
            continue
        spans, columns, values = _lists(plan, work, r // n_lanes)
        place, end = get(places, r), get(spans, r % n_lanes * 2 + 1)
        while column < base + NONZERO_CHUNK:
            touched |= types.int64(1) << (column - base)
            x, here = get(values, place), offset(g, (column - base) * n_lanes)
            for p in range(panels[1]):
                prefetch_at(weights, column * n_lanes + p * apart)
                at = p * NONZERO_CHUNK * n_lanes
                delta = load(deltas, p * stride + r * n_lanes)
                store(here, at, fma(delta, x, load(here, at)))
            place += 1
            column = get(columns, place) if place < end else _NONE
        put(places, r, place)
        put(nexts, r, column)
    return touched


@kernel
def _use(plan, coef, arenas, mode, base, panels, touched, g):
    """Use the gradient g of a chunk. touched: the inputs to use it for, as bits; -1 for all."""
    n_lanes = lanes(g)
    count = min(NONZERO_CHUNK, plan[1, P.INPUTS] - base)
    for p in range(panels[1]):
        start = plan[1, P.WEIGHTS] + (panels[0] + p) * plan[1, P.WEIGHT_STRIDE] + base * n_lanes
        here = offset(g, p * NONZERO_CHUNK * n_lanes)
        if touched == -1:
            use_gradient(plan, coef, arenas, mode, start, here, count * n_lanes, WEIGHT)
            continue
        for i in range(count):
            if (touched >> i) & 1 == 1:
                at = i * n_lanes
                one = offset(here, at)
                use_gradient(plan, coef, arenas, mode, start + at, one, n_lanes, WEIGHT)


@kernel
def _clear(g, count):
    for i in range(0, count, lanes(g)):
        store(g, i, splat(g, 0.0))


@kernel
def _chunk(plan, coef, arenas, mode, base, panels, rows, scratch):
    """The gradient of the inputs of a chunk, from ``base`` on, in scratch; ACCUMULATE adds it up.

    Sums are those of a dense batch: a chain within SUM_ROWS rows, whose sums are added in order.
    Returns the inputs that have nonzeros, as bits.
    """
    size = panels[1] * NONZERO_CHUNK * lanes(scratch)
    cursors, total = _cursors(plan, scratch), scratch
    touched = _ZERO
    for row in range(0, rows, SUM_ROWS):
        adds = row > 0 and mode != ACCUMULATE
        g = offset(scratch, NONZERO_PANELS * NONZERO_CHUNK * lanes(scratch) if adds else _ZERO)
        _clear(g, size)
        span = row, min(rows, row + SUM_ROWS)
        some = _add_rows(plan, arenas, cursors, span, base, panels, g)
        if mode == ACCUMULATE:
            _use(plan, coef, arenas, mode, base, panels, some, g)
        elif adds:
            for i in range(0, size, lanes(g)):
                store(total, i, load(g, i) + load(total, i))
        touched |= some
    return touched


@kernel
def _update_chunk(plan, rates, arenas, mode, base, panels, chosen, g):
    """Use the gradient g of a chunk for the inputs ``chosen``, as bits; -1 for all.

    rates: (coef, hyper). The panels of a chunk come in order.
    """
    (coef, hyper), span = rates, (base, min(base + NONZERO_CHUNK, plan[1, P.INPUTS]))
    if mode == UPDATE and panels[0] == 0:
        begin_chosen(plan, arenas[0], arenas[1], span, chosen)
    _use(plan, coef, arenas, mode, base, panels, chosen, g)
    if mode == UPDATE and (panels[0] + panels[1]) * lanes(g) >= plan[1, P.OUTPUTS]:
        end_chosen(plan, arenas[0], arenas[1], hyper, span, chosen)


@kernel
def _cursors(plan, scratch):
    """(places, nexts) in a worker's scratch, int32 (rows,) each, behind two gradients."""
    behind = offset(scratch, 2 * NONZERO_PANELS * NONZERO_CHUNK * lanes(scratch))
    places = pointer_to(behind, types.int32)
    return places, offset(places, padded(plan[0, P.CAPACITY], lanes(scratch)))


@kernel
def _least(nexts, rows):
    found = types.int64(_NONE)
    for r in range(rows):
        found = min(found, types.int64(get(nexts, r)))
    return found


@kernel
def _update(plan, work, job, mode, worker, workers):
    """One worker's inputs of W: gradient and update. Twins: ``gradients``, ``update``."""
    hyper = typed_pointer_at(job[J.HYPER], types.float64)
    if mode != ACCUMULATE and is_frozen(plan, 1, hyper):
        return
    params, target = pointer_to(job[J.PARAMS], work), pointer_to(job[J.MOMENTS], work)
    if mode == STORE:
        target = gradient_arena(plan, target)
    arenas, coef = (params, target, work), coefficients_of_layer(plan, 1, hyper)
    leaves = mode == ACCUMULATE or (mode == UPDATE and leaves_the_rest(plan, hyper))
    rows, n_lanes = _end_of_batch(job) - job[J.START], lanes(work)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    places, nexts = _cursors(plan, scratch)
    first, last = part(-(-plan[1, P.INPUTS] // NONZERO_CHUNK), worker, workers)
    count = -(-plan[1, P.OUTPUTS] // n_lanes)
    for panel in range(0, count, NONZERO_PANELS):
        panels, base = (panel, min(NONZERO_PANELS, count - panel)), first * NONZERO_CHUNK
        _find(plan, work, rows, base, places, nexts)
        while base < last * NONZERO_CHUNK:
            touched = _chunk(plan, coef, arenas, mode, base, panels, rows, scratch)
            if mode != ACCUMULATE:
                chosen = touched if leaves else types.int64(-1)
                _update_chunk(plan, (coef, hyper), arenas, mode, base, panels, chosen, scratch)
            base += NONZERO_CHUNK
            if leaves:
                base = max(base, _least(nexts, rows) // NONZERO_CHUNK * NONZERO_CHUNK)


@kernel
def serve(plan, job, request, a, b, c, d, dtype):
    """Serve a request of nonzeros.py. Returns 1 or 0 where it asks whether."""
    work, n_lanes = pointer_to(job[J.WORK], dtype), lanes(pointer_to(job[J.WORK], dtype))
    if request == nonzeros.FIT:
        return int(_fit(plan, work, job, a, b))
    if request == nonzeros.GATHER:
        return int(_gather(plan, work, job, a, b))
    if request == nonzeros.FORWARD:
        for vector in range(a, b):
            _forward(plan, work, job, vector, c // n_lanes, -(-d // n_lanes))
    else:
        _update(plan, work, job, c, a, b)
    return 0
