"""Tangents: the derivative along a direction of the inputs goes up to the outputs.

Along an input it is, before the first layer's activations, a row of W: no product is needed.
"""

import numpy as np

from ..base.codes import SOFTMAX
from ..base.jit import kernel
from ..ir.simd import fma, get, lanes, load, offset, put, splat, store, transpose
from ..primitives.gather import gather
from ..primitives.gemm import multiply_down
from ..tables import jacobian_job as D
from ..tables import job_table as J
from ..tables import layout as P
from .jacobian_items import add_bypass, block_of, direction_of, through_norm, times_place
from .scaling import (
    input_factor,
    scale_output_gradient,
    to_raw_input_gradient,
    to_raw_input_gradient_panel,
)

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_Y, _ZERO, _FIRST = np.int64(J.Y), np.int64(0), np.int64(1)


@kernel
def _unit_tangent(direction, shared, inputs, x):
    """x (inputs, lanes): 1 at each lane's input, 0 elsewhere."""
    n_lanes = lanes(x)
    for i in range(0, inputs * n_lanes, n_lanes):
        store(x, i, splat(x, 0.0))
    for lane in range(n_lanes):
        u = direction * n_lanes + lane if shared else direction
        if u < inputs:
            put(x, u * n_lanes + lane, 1.0)


@kernel
def _row_of_weights(plan, params, unit, z):
    """z (units of layer 1, lanes) along an input: its row of W in every lane."""
    n_lanes, factor = lanes(z), input_factor(plan, z, unit)
    for u in range(0, plan[1, P.OUTPUTS], n_lanes):
        panel = plan[1, P.WEIGHTS] + u // n_lanes * plan[1, P.WEIGHT_STRIDE]
        w = offset(params, panel + unit * n_lanes)
        for i in range(n_lanes):
            store(z, (u + i) * n_lanes, splat(z, get(w, i)) * factor)


@kernel
def _rows_of_weights(plan, params, first, z):
    """z (units of layer 1, lanes) along inputs from ``first`` on: the row of W of each lane."""
    n_lanes, units = lanes(z), plan[1, P.OUTPUTS]
    for u in range(0, units, n_lanes):
        panel = plan[1, P.WEIGHTS] + u // n_lanes * plan[1, P.WEIGHT_STRIDE]
        w = offset(params, panel + first * n_lanes)  # whole panels have whole vectors of rows
        transpose(w, n_lanes, offset(z, u * n_lanes), n_lanes)
    to_raw_input_gradient_panel(plan, z, units, first)


@kernel
def _along_inputs(plan, params, direction, shared, x, z):
    """The tangents of layer 1 along each lane's input, to z; of the inputs, if it adds them, to x.

    Both (units, lanes).
    """
    if plan[1, P.RESIDUAL] == 1:
        _unit_tangent(direction, shared, plan[1, P.INPUTS], x)
        to_raw_input_gradient(plan, x)
    if shared:
        _rows_of_weights(plan, params, direction * lanes(z), z)
    else:
        _row_of_weights(plan, params, direction, z)


@kernel
def _multiply(plan, params, layer, x, z, stride, count, zeros):
    multiply_down(
        offset(params, plan[layer, P.WEIGHTS]),
        plan[layer, P.WEIGHT_STRIDE],
        x,
        stride,
        z,
        stride,
        plan[layer, P.OUTPUTS],
        count,
        plan[layer, P.INPUTS],
        zeros,
    )


@kernel
def tangents_of_first_layer(plan, params, job, span, shared, places, stride, zeros, scratch):
    """The tangents of layer 1, (items, units, lanes), to the second place; in the user's units.

    plan, params: layout.py. job: jacobian_job.py; the directions of a JVP are the user's. span:
    jacobian_items.py. places, zeros: of ``tangents_of_outputs``. scratch: (lanes, lanes). Returns
    whether a direction is not finite. Twin: ``jacobian``.
    """
    x, z, _ = places
    n_lanes, bad = lanes(x), False
    for i in range(span[2]):
        here = offset(x, i * stride)
        if job[J.TASK] == D.JVP:
            row = (span[1] + i) * n_lanes
            valid = min(n_lanes, job[J.ROWS] - row)
            if gather(job, _Y, _ZERO, row, valid, here, scratch):
                bad = True
            to_raw_input_gradient(plan, here)
        else:
            _along_inputs(plan, params, direction_of(span, i), shared, here, offset(z, i * stride))
    if job[J.TASK] == D.JVP:
        _multiply(plan, params, _FIRST, x, z, stride, span[2], zeros)
    return bad


@kernel
def _through_output(plan, work, span, x, stride):
    """x (items, outputs, lanes) times dp/dz of the outputs in raw units, in place."""
    last, n_lanes = plan[0, P.LAST], lanes(x)
    if plan[last, P.ACTIVATION] != SOFTMAX:
        times_place(plan, work, span, last, plan[0, P.TARGET], x, x, stride)
        return
    for i in range(span[2]):
        p = offset(block_of(plan, work, span, i), plan[0, P.TARGET])
        here, total = offset(x, i * stride), splat(x, 0.0)
        for u in range(0, plan[last, P.OUTPUTS] * n_lanes, n_lanes):
            total = fma(load(p, u), load(here, u), total)
        for u in range(0, plan[last, P.OUTPUTS] * n_lanes, n_lanes):
            store(here, u, load(p, u) * (load(here, u) - total))
        scale_output_gradient(plan, here)


@kernel
def tangents_of_outputs(plan, params, work, span, places, stride, zeros):
    """Where the tangents of the outputs are, (items, outputs, lanes), in raw units.

    plan, params, work: layout.py; blocks as ``prepare`` leaves them. span: jacobian_items.py.
    places: three of (items, units of the widest layer, lanes), as ``tangents_of_first_layer``
    leaves them. zeros: in place of biases. Twin: ``jacobian``.
    """
    x, y, _ = places
    last = plan[0, P.LAST]
    for layer in range(1, last + 1):
        if layer > 1:
            _multiply(plan, params, layer, x, y, stride, span[2], zeros)
        if layer < last:
            through_norm(plan, work, span, layer, y, stride)
            times_place(plan, work, span, layer, plan[layer, P.A], y, y, stride)
            add_bypass(plan, span, layer, x, y, stride)
        x, y = y, x
    _through_output(plan, work, span, x, stride)
    return x
