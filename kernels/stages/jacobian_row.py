"""Jacobians of few rows of a small network: one row at a time, with units in the lanes.

In jacobian.py a register holds one unit of as many rows or directions as it has lanes, and a
network of one row and three outputs would leave most of them empty. Here it holds units of one
direction, as small_batch.py does with rows: the directions of a row are the rows of its products,
*row panels* (panels of units, directions, lanes).
"""

import numpy as np

from ..base.codes import SOFTMAX
from ..base.jit import kernel
from ..ir.simd import get, lanes, load, offset, put, splat, store
from ..primitives.elementwise import derivative
from ..primitives.gather import gather_rows
from ..primitives.gemv import multiply_rows, multiply_rows_back
from ..tables import jacobian_job as D
from ..tables import job_table as J
from ..tables import layout as P
from .forward import activate_outputs, padded
from .jacobian_blocks import goes_backward, n_directions, prepare_outputs
from .jacobian_items import lanes_of_units
from .scaling import (
    input_factor,
    output_factor,
    standardize_input_rows,
    to_raw_input_gradient_panel,
)
from .small_batch import forward_small_batch, is_small_batch, outputs_small_batch

MOST_PARAMETERS = 2**15
"""Elements of the parameters up to which rows go singly: each direction reads all weights, which
must come from a near cache."""

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _ZERO, _ONE = np.int64(J.X), np.int64(0), np.int64(1)


@kernel
def go_singly(plan, job, n_lanes):
    """Whether the rows of a job are taken one at a time: sizes and the number of rows decide."""
    few = is_small_batch(plan, job[J.ROWS], n_lanes) and job[J.TASK] == D.JACOBIAN
    small = plan[0, P.PARAMETERS] <= MOST_PARAMETERS
    return few and small and n_directions(plan, job) <= 2 * n_lanes


@kernel
def _panels(units, n_lanes):
    return -(-units // n_lanes)


@kernel
def forward_row(plan, params, job, row, block):
    """A row through all layers, to derivatives; whether a value is refused.

    Hidden layers' derivatives lie in place of a, (panels, 1, lanes); the outputs and their
    derivatives as in a large batch, in lane 0. Twin: ``forward``.
    """
    n_lanes, last, x = lanes(block), plan[0, P.LAST], offset(block, plan[1, P.IN])
    bad = gather_rows(job, _X, _ZERO, row, _ONE, x)
    standardize_input_rows(plan, x, _ONE)
    for layer in range(1, last + 1):
        panels = _panels(plan[layer, P.OUTPUTS], n_lanes)
        forward_small_batch(plan, params, block, layer, _ONE, _ZERO, panels)
    outputs_small_batch(plan, block, _ONE)
    activate_outputs(plan, block, _ZERO)
    prepare_outputs(plan, block)
    for layer in range(1, last):
        z, a = offset(block, plan[layer, P.Z]), offset(block, plan[layer, P.A])
        for i in range(0, padded(plan[layer, P.OUTPUTS], n_lanes), n_lanes):
            store(a, i, derivative(plan[layer, P.ACTIVATION], load(z, i), load(a, i)))
    return bad


@kernel
def _clear(x, n, units):
    for i in range(0, n * padded(units, lanes(x)), lanes(x)):
        store(x, i, splat(x, 0.0))


@kernel
def _place(x, n, direction, unit):
    """Where a unit of a direction lies in row panels of ``n`` directions."""
    n_lanes = lanes(x)
    return (unit // n_lanes * n + direction) * n_lanes + unit % n_lanes


@kernel
def _times(d, n, units, x):
    """x (panels, n, lanes) times d (panels, 1, lanes), in place."""
    n_lanes = lanes(x)
    for panel in range(_panels(units, n_lanes)):
        factor = load(d, panel * n_lanes)
        for i in range(panel * n * n_lanes, (panel + 1) * n * n_lanes, n_lanes):
            store(x, i, load(x, i) * factor)


@kernel
def _delta_of_outputs(plan, block, n, delta):
    """dp/dz of every output, (panels, n outputs, lanes)."""
    last, n_lanes = plan[0, P.LAST], lanes(delta)
    top = offset(block, plan[0, P.TARGET])
    _clear(delta, n, n)
    for k in range(n):
        q = get(top, k * n_lanes)
        if plan[last, P.ACTIVATION] != SOFTMAX:
            put(delta, _place(delta, n, k, k), q)
            continue
        factor = output_factor(plan, delta, k)
        for u in range(n):
            p = get(top, u * n_lanes)
            slope = q * (1.0 - q) if u == k else -q * p
            put(delta, _place(delta, n, k, u), slope * factor)


@kernel
def errors_of_row(plan, params, block, n, places):
    """Where the gradients of the row's ``n`` outputs are, (panels of inputs, n, lanes), raw units.

    block: as ``forward_row`` leaves it. places: two of row panels. Twin: ``jacobian``.
    """
    (delta, error), n_lanes = places, lanes(block)
    _delta_of_outputs(plan, block, n, delta)
    for layer in range(plan[0, P.LAST], 0, -1):
        if layer < plan[0, P.LAST]:
            _times(offset(block, plan[layer, P.A]), n, plan[layer, P.OUTPUTS], delta)
        multiply_rows_back(
            n,
            offset(params, plan[layer, P.WEIGHTS]),
            plan[layer, P.WEIGHT_STRIDE],
            delta,
            n * n_lanes,
            _panels(plan[layer, P.OUTPUTS], n_lanes),
            error,
            n * n_lanes,
            _ZERO,
            _panels(plan[layer, P.INPUTS], n_lanes),
        )
        delta, error = error, delta
    for u in range(0, plan[1, P.INPUTS], n_lanes):
        to_raw_input_gradient_panel(plan, offset(delta, u * n), n, u)
    return delta


@kernel
def _through_output(plan, block, n, x, scratch):
    """x (panels of outputs, n, lanes) times dp/dz of the outputs in raw units, in place."""
    last, n_lanes = plan[0, P.LAST], lanes(x)
    top, units = offset(block, plan[0, P.TARGET]), plan[last, P.OUTPUTS]
    if plan[last, P.ACTIVATION] != SOFTMAX:
        for u in range(0, units, n_lanes):
            factor = lanes_of_units(top, u, units, scratch)
            for i in range(u * n, (u + n_lanes) * n, n_lanes):
                store(x, i, load(x, i) * factor)
        return
    for r in range(n):
        total = 0.0
        for u in range(units):
            total += get(top, u * n_lanes) * get(x, _place(x, n, r, u))
        for u in range(units):
            at, p = _place(x, n, r, u), get(top, u * n_lanes)
            put(x, at, p * (get(x, at) - total) * output_factor(plan, x, u))


@kernel
def _first_tangents(plan, params, n, x):
    """x (panels of units, n, lanes) = W: the tangents of layer 1 along the inputs, in raw units."""
    n_lanes = lanes(x)
    for panel in range(_panels(plan[1, P.OUTPUTS], n_lanes)):
        w = offset(params, plan[1, P.WEIGHTS] + panel * plan[1, P.WEIGHT_STRIDE])
        for i in range(n):
            factor = input_factor(plan, x, i)
            store(x, (panel * n + i) * n_lanes, load(w, i * n_lanes) * factor)


@kernel
def tangents_of_row(plan, params, block, n, places, scratch):
    """Where the tangents of the row's ``n`` inputs are, (panels of outputs, n, lanes), raw units.

    block: as ``forward_row`` leaves it. places: two of row panels. Twin: ``jacobian``.
    """
    (x, y), n_lanes = places, lanes(block)
    _first_tangents(plan, params, n, x)
    for layer in range(2, plan[0, P.LAST] + 1):
        _times(offset(block, plan[layer - 1, P.A]), n, plan[layer, P.INPUTS], x)
        _clear(y, n, plan[layer, P.OUTPUTS])
        multiply_rows(
            n,
            x,
            offset(params, plan[layer, P.WEIGHTS]),
            plan[layer, P.WEIGHT_STRIDE],
            y,
            n * n_lanes,
            _panels(plan[layer, P.OUTPUTS], n_lanes),
            plan[layer, P.INPUTS],
        )
        x, y = y, x
    _through_output(plan, block, n, x, scratch)
    return x


@kernel
def jacobian_of_row(plan, params, block, memory, row, out, scratch):
    """A row's Jacobian to out (rows, outputs, inputs), from ``forward_row``. Twin: ``jacobian``.

    memory: two times row panels of all directions. scratch: (lanes,).
    """
    outputs, inputs = plan[plan[0, P.LAST], P.OUTPUTS], plan[1, P.INPUTS]
    backward, widest = goes_backward(plan), _ZERO
    for layer in range(1, plan[0, P.LAST] + 1):
        widest = max(widest, plan[layer, P.INPUTS], plan[layer, P.OUTPUTS])
    n, units, of_direction, of_unit = inputs, outputs, _ONE, inputs
    if backward:
        n, units, of_direction, of_unit = outputs, inputs, inputs, _ONE
    places = memory, offset(memory, n * padded(widest, lanes(memory)))
    if backward:
        found = errors_of_row(plan, params, block, n, places)
    else:
        found = tangents_of_row(plan, params, block, n, places, scratch)
    start = row * outputs * inputs
    for k in range(n):
        for u in range(units):
            put(out, start + k * of_direction + u * of_unit, get(found, _place(found, n, k, u)))
