"""Tangents: the derivative along a direction of the inputs goes up to the outputs."""

import numpy as np

from ..base.codes import SOFTMAX
from ..base.jit import kernel
from ..ir.simd import fma, lanes, load, offset, put, splat, store
from ..primitives.gather import gather
from ..primitives.gemm import multiply_down
from ..tables import jacobian_job as D
from ..tables import job_table as J
from ..tables import layout as P
from .jacobian_items import add_bypass, block_of, direction_of, through_norm, times_place
from .scaling import scale_output_gradient, to_raw_input_gradient

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_Y, _ZERO = np.int64(J.Y), np.int64(0)


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
def tangents_of_inputs(plan, job, span, shared, x, stride, scratch):
    """The directions of a span, x (items, inputs, lanes), in the network's units.

    span: jacobian_items.py. Those of a JVP are the user's. Returns whether one is not finite.
    """
    n_lanes, bad = lanes(x), False
    for i in range(span[2]):
        here = offset(x, i * stride)
        if job[J.TASK] == D.JVP:
            row = (span[1] + i) * n_lanes
            valid = min(n_lanes, job[J.ROWS] - row)
            if gather(job, _Y, _ZERO, row, valid, here, scratch):
                bad = True
        else:
            _unit_tangent(direction_of(span, i), shared, plan[1, P.INPUTS], here)
        to_raw_input_gradient(plan, here)
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
    places: three of (items, units of the widest layer, lanes); the first holds
    ``tangents_of_inputs``. zeros: in place of biases. Twin: ``jacobian``.
    """
    x, y, _ = places
    last = plan[0, P.LAST]
    for layer in range(1, last + 1):
        multiply_down(
            offset(params, plan[layer, P.WEIGHTS]),
            plan[layer, P.WEIGHT_STRIDE],
            x,
            stride,
            y,
            stride,
            plan[layer, P.OUTPUTS],
            span[2],
            plan[layer, P.INPUTS],
            zeros,
        )
        if layer < last:
            through_norm(plan, work, span, layer, y, stride)
            times_place(plan, work, span, layer, plan[layer, P.A], y, y, stride)
            add_bypass(plan, span, layer, x, y, stride)
        x, y = y, x
    _through_output(plan, work, span, x, stride)
    return x
