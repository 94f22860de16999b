"""A Jacobian in reverse: the gradient of each output goes down to the inputs."""

from ..base.codes import SOFTMAX
from ..base.jit import kernel
from ..ir.simd import get, lanes, load, offset, put, store
from ..primitives.gemm import multiply_across
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
def _errors_of_outputs(plan, params, block, direction, shared, error, scratch):
    """dp/da of the units below the last layer, (units, lanes), for the output of each lane."""
    last, n_lanes = plan[0, P.LAST], lanes(error)
    top, units = offset(block, plan[0, P.TARGET]), plan[last, P.INPUTS]
    panel = direction if shared else direction // n_lanes
    w = offset(params, plan[last, P.WEIGHTS] + panel * plan[last, P.WEIGHT_STRIDE])
    if shared:
        d = lanes_of_units(top, direction * n_lanes, plan[last, P.OUTPUTS], scratch)
        for u in range(0, units * n_lanes, n_lanes):
            store(error, u, d * load(w, u))
    else:
        d = load(top, direction * n_lanes)
        for u in range(0, units * n_lanes, n_lanes):
            store(error, u, d * get(w, u + direction % n_lanes))


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
def _multiply_back(plan, params, layer, delta, error, stride, count):
    multiply_across(
        offset(params, plan[layer, P.WEIGHTS]),
        plan[layer, P.WEIGHT_STRIDE],
        delta,
        stride,
        error,
        stride,
        plan[layer, P.INPUTS],
        count,
        plan[layer, P.OUTPUTS],
    )


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
        _multiply_back(plan, params, last, other, error, stride, span[2])
    for layer in range(last - 1, 0, -1):
        delta = spare if plan[layer, P.RESIDUAL] == 1 else error
        times_place(plan, work, span, layer, plan[layer, P.A], error, delta, stride)
        through_norm(plan, work, span, layer, delta, stride)
        _multiply_back(plan, params, layer, delta, other, stride, span[2])
        add_bypass(plan, span, layer, error, other, stride)
        error, other = other, error
    for i in range(span[2]):
        to_raw_input_gradient(plan, offset(error, i * stride))
    return error
