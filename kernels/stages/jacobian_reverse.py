"""A Jacobian in reverse: the gradient of each output goes down to the inputs.

What computes the error of a layer multiplies it by the derivatives of the layer at once, while it
is in registers; but not where the layer adds its inputs, or the next one does.
"""

from ..base.codes import SOFTMAX
from ..base.jit import kernel
from ..ir.simd import get, lanes, load, offset, put, store
from ..primitives.gemm import multiply_across, multiply_across_times
from ..tables import layout as P
from .jacobian_items import (
    add_bypass,
    block_of,
    direction_of,
    lanes_of_units,
    through_norm,
    times_place,
)
from .scaling import output_factor, to_raw_input_gradient


@kernel
def _multiplies_at_once(plan, layer):
    """Whether the error of a layer comes times its derivatives."""
    return layer > 0 and plan[layer, P.RESIDUAL] == 0 and plan[layer + 1, P.RESIDUAL] == 0


@kernel
def _errors_of_outputs(plan, params, block, direction, shared, error, scratch):
    """dp/da of the units below the last layer, (units, lanes), for the output of each lane."""
    last, n_lanes = plan[0, P.LAST], lanes(error)
    top, units = offset(block, plan[0, P.TARGET]), plan[last, P.INPUTS]
    panel = direction if shared else direction // n_lanes
    w = offset(params, plan[last, P.WEIGHTS] + panel * plan[last, P.WEIGHT_STRIDE])
    below, at_once = offset(block, plan[last - 1, P.A]), _multiplies_at_once(plan, last - 1)
    if shared:
        d = lanes_of_units(top, direction * n_lanes, plan[last, P.OUTPUTS], scratch)
        for u in range(0, units * n_lanes, n_lanes):
            e = d * load(w, u)
            store(error, u, e * load(below, u) if at_once else e)
    else:
        d = load(top, direction * n_lanes)
        for u in range(0, units * n_lanes, n_lanes):
            e = d * get(w, u + direction % n_lanes)
            store(error, u, e * load(below, u) if at_once else e)


@kernel
def _scaled_softmax(plan, p, direction, shared, scratch):
    """The output p of each lane's direction, and the same times its factor into raw units."""
    n_lanes, units = lanes(p), plan[plan[0, P.LAST], P.OUTPUTS]
    if not shared:
        chosen = load(p, direction * n_lanes)
        return chosen, chosen * output_factor(plan, p, direction)
    first = direction * n_lanes
    chosen = lanes_of_units(p, first, units, scratch)
    for i in range(min(n_lanes, units - first)):
        put(scratch, i, output_factor(plan, p, first + i))
    return chosen, chosen * load(scratch, 0)


@kernel
def _delta_of_softmax(plan, block, direction, shared, delta, scratch):
    """dp/dz of the last layer, (units, lanes), for the output of each lane."""
    last, n_lanes = plan[0, P.LAST], lanes(delta)
    p, units = offset(block, plan[0, P.TARGET]), plan[last, P.OUTPUTS]
    chosen, scaled = _scaled_softmax(plan, p, direction, shared, scratch)
    for u in range(0, units * n_lanes, n_lanes):
        store(delta, u, -scaled * load(p, u))
    own = scaled * (1.0 - chosen)
    if not shared:
        store(delta, direction * n_lanes, own)
        return
    first = direction * n_lanes
    store(scratch, 0, own)
    for i in range(min(n_lanes, units - first)):
        put(delta, (first + i) * n_lanes + i, get(scratch, i))


@kernel
def _multiply_back(plan, params, work, span, layer, delta, error, stride):
    """The errors of the layer below a layer, of each item of a span."""
    weights, apart = offset(params, plan[layer, P.WEIGHTS]), plan[layer, P.WEIGHT_STRIDE]
    rows, steps = plan[layer, P.INPUTS], plan[layer, P.OUTPUTS]
    if _multiplies_at_once(plan, layer - 1):
        first = offset(work, span[0] * plan[0, P.BLOCK] + plan[layer - 1, P.A])
        factors = first, plan[0, P.BLOCK], span[1] % span[3], span[3]
        multiply_across_times(
            weights, apart, delta, stride, error, stride, rows, span[2], steps, factors
        )
    else:
        multiply_across(weights, apart, delta, stride, error, stride, rows, span[2], steps)


@kernel
def errors_of_inputs(plan, params, work, span, shared, places, stride, scratch):
    """Where the gradients of a span's outputs by the inputs are: (items, inputs, lanes), raw units.

    plan, params, work: layout.py; blocks as ``prepare`` leaves them. span: jacobian_items.py.
    places: three of (items, units of the widest layer, lanes). scratch: (lanes,). Twin:
    ``jacobian``.
    """
    error, other, spare = places
    last = plan[0, P.LAST]
    softmax = plan[last, P.ACTIVATION] == SOFTMAX
    for i in range(span[2]):
        block, k = block_of(plan, work, span, i), direction_of(span, i)
        if softmax:
            _delta_of_softmax(plan, block, k, shared, offset(other, i * stride), scratch)
        else:
            _errors_of_outputs(plan, params, block, k, shared, offset(error, i * stride), scratch)
    if softmax:
        _multiply_back(plan, params, work, span, last, other, error, stride)
    for layer in range(last - 1, 0, -1):
        delta = spare if plan[layer, P.RESIDUAL] == 1 else error
        if not _multiplies_at_once(plan, layer):
            times_place(plan, work, span, layer, plan[layer, P.A], error, delta, stride)
        through_norm(plan, work, span, layer, delta, stride)
        _multiply_back(plan, params, work, span, layer, delta, other, stride)
        add_bypass(plan, span, layer, error, other, stride)
        error, other = other, error
    for i in range(span[2]):
        to_raw_input_gradient(plan, offset(error, i * stride))
    return error
