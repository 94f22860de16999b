"""A learned scaling of the inputs: the first layer's weights are diag(s) W, and both are learned.

The network holds the product diag(s) W: forward, backward, predictions and files know nothing of
the factors. A trainer keeps W, s and the moments of s behind its moments
(tables/learned_scaling.py). With G = dLoss/d(diag(s) W), dLoss/dW is diag(s) G, and dLoss/ds has
the sums of W G over the outputs.

A worker takes whole inputs, because that sum runs over all panels. An update of some inputs is
``begin_inputs``, ``to_factors`` and the optimizer's rule for each panel in order, ``update_scale``
and ``write_product``. The sum is one chain over the panels in each lane; then the lanes are added.

Another may have changed the product since the last update: ``Network.set_parameters``, another
trainer, ``embed.copy``. Inputs whose weights are not s W to the bit start anew, from s = 1.
"""

import numpy as np

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import (
    any_lane,
    differs,
    fma,
    get,
    lanes,
    load,
    offset,
    put,
    select,
    splat,
    store,
    transpose,
)
from ..primitives.elementwise import sum_of_vectors
from ..tables import layout as P
from ..tables import settings as H
from .forward import padded
from .regularization import DECAY_OF_AVERAGE, common_coefficients, move_average, part
from .update_rules import extended_coefficients_of, update_extended

_FIRST = np.int64(1)  # a Python constant would compile its callee once more


@kernel
def _never(plan, layer):
    return False


@kernel
def _scales(plan, layer):
    return plan[layer, P.INPUT_SCALING] >= 0


scales_inputs = by_plan(_never, _scales)
"""Whether a layer's weights are learned as diag(s) W: (plan, layer)."""


@kernel
def inputs_of_worker(plan, layer, n_lanes, worker, workers):
    """(first, last) of a worker's inputs of a layer, whole vectors of them."""
    low, high = part(-(-plan[layer, P.INPUTS] // n_lanes), worker, workers)
    return low * n_lanes, min(high * n_lanes, plan[layer, P.INPUTS])


@kernel
def _factors(plan, moments):
    """(W as lane panels, s with its moments behind it, dLoss/ds lane by lane)."""
    n_lanes = lanes(moments)
    weights = offset(moments, plan[1, P.INPUT_SCALING])
    scale = offset(weights, -(-plan[1, P.OUTPUTS] // n_lanes) * plan[1, P.WEIGHT_STRIDE])
    return weights, scale, offset(scale, _kept(plan) * padded(plan[1, P.INPUTS], n_lanes))


@kernel
def _kept(plan):
    """Numbers kept for each input: s and its moments."""
    return 1 + plan[0, P.MOMENTS]


@kernel
def _start_anew(plan, params, factors, i):
    """W becomes the network's weights of input i, and s 1, without moments."""
    weights, scale, _ = factors
    n_lanes, stride = lanes(params), plan[1, P.WEIGHT_STRIDE]
    for panel in range(-(-plan[1, P.OUTPUTS] // n_lanes)):
        at = panel * stride + i * n_lanes
        store(weights, at, load(params, plan[1, P.WEIGHTS] + at))
    put(scale, i, 1.0)
    for kind in range(1, _kept(plan)):
        put(scale, kind * padded(plan[1, P.INPUTS], n_lanes) + i, 0.0)


@kernel
def begin_inputs(plan, params, moments, first, last):
    """Let inputs whose weights in the network are not s W start anew. Twin: ``changed_inputs``.

    The sums, which are 0 between updates, count the differences.
    """
    n_lanes, factors = lanes(params), _factors(plan, moments)
    weights, scale, sums = factors
    for panel in range(-(-plan[1, P.OUTPUTS] // n_lanes)):
        start = panel * plan[1, P.WEIGHT_STRIDE]
        for i in range(first, last):
            at = start + i * n_lanes
            product = load(weights, at) * get(scale, i)
            other = differs(load(params, plan[1, P.WEIGHTS] + at), product)
            found = load(sums, i * n_lanes)
            store(sums, i * n_lanes, found + select(other, 1.0, 0.0))
    for i in range(first, last):
        if any_lane(load(sums, i * n_lanes) > 0.0):
            _start_anew(plan, params, factors, i)
        store(sums, i * n_lanes, splat(sums, 0.0))


@kernel
def to_factors(plan, moments, at, g, count):
    """Turn g, of ``count`` elements of one panel from ``at`` on, into dLoss/dW; returns W there.

    Adds W g to dLoss/ds. Twin: ``gradients_of_factors``.
    """
    n_lanes, (weights, scale, sums) = lanes(g), _factors(plan, moments)
    place = at - plan[1, P.WEIGHTS]
    w, first = offset(weights, place), place % plan[1, P.WEIGHT_STRIDE] // n_lanes
    for i in range(count // n_lanes):
        slope, total = load(g, i * n_lanes), offset(sums, (first + i) * n_lanes)
        store(total, 0, fma(load(w, i * n_lanes), slope, load(total, 0)))
        store(g, i * n_lanes, slope * get(scale, first + i))
    return w


@kernel
def update_scale(plan, moments, hyper, first, last):
    """Update s of whole vectors of inputs by dLoss/ds, which becomes 0 again."""
    n_lanes, inputs = lanes(moments), padded(plan[1, P.INPUTS], lanes(moments))
    _, scale, sums = _factors(plan, moments)
    lr = hyper[H.STEP_LR] * hyper[H.of_layer(_FIRST, H.LR_FACTOR)] * hyper[plan[1, P.SCALING_RATE]]
    decay = hyper[H.STEP_DECAY] * hyper[H.of_layer(_FIRST, H.DECAY_FACTOR)]
    coef = extended_coefficients_of(plan[0, P.OPTIMIZER], hyper, lr, hyper[H.STEP_MOMENTUM], decay)
    for i in range(first, last, n_lanes):
        slopes, s = offset(sums, i * n_lanes), offset(scale, i)
        transpose(slopes, n_lanes, slopes, n_lanes)
        store(slopes, 0, sum_of_vectors(slopes, n_lanes))
        m = offset(s, inputs) if plan[0, P.MOMENTS] > 0 else s
        v = offset(m, inputs) if plan[0, P.MOMENTS] > 1 else m
        update_extended(plan[0, P.OPTIMIZER], coef, s, slopes, m, v, n_lanes)
        for j in range(0, n_lanes * n_lanes, n_lanes):
            store(slopes, j, splat(slopes, 0.0))


@kernel
def write_product(plan, params, moments, hyper, first, last):
    """Write diag(s) W of some inputs to the network, and move its average, if there is one."""
    n_lanes, (weights, scale, _) = lanes(params), _factors(plan, moments)
    for panel in range(-(-plan[1, P.OUTPUTS] // n_lanes)):
        start = panel * plan[1, P.WEIGHT_STRIDE]
        network = offset(params, plan[1, P.WEIGHTS] + start)
        for i in range(first, last):
            at = i * n_lanes
            store(network, at, load(weights, start + at) * get(scale, i))
        if plan[0, P.AVERAGE] >= 0:
            at = plan[1, P.WEIGHTS] + start + first * n_lanes
            average = offset(moments, plan[0, P.AVERAGE] * plan[0, P.PARAMETERS] + at)
            decay, count = common_coefficients(hyper)[DECAY_OF_AVERAGE], (last - first) * n_lanes
            move_average(decay, offset(params, at), average, count)


# A worker's part of an update, and a part of the inputs of sparse rows


@kernel
def _begin(plan, layer, params, moments, worker, workers):
    if _scales(plan, layer):
        first, last = inputs_of_worker(plan, layer, lanes(params), worker, workers)
        begin_inputs(plan, params, moments, first, last)


@kernel
def _end(plan, layer, params, moments, hyper, worker, workers):
    if _scales(plan, layer):
        first, last = inputs_of_worker(plan, layer, lanes(params), worker, workers)
        update_scale(plan, moments, hyper, first, last)
        write_product(plan, params, moments, hyper, first, last)


begin_update = by_plan(None, _begin)
"""Before the update of a worker's inputs: (plan, layer, params, moments, worker, workers)."""

end_update = by_plan(None, _end)
"""After it: (plan, layer, params, moments, hyper, worker, workers)."""


@kernel
def _begin_chosen(plan, params, moments, span, chosen):
    if not _scales(plan, _FIRST):
        return
    if chosen == -1:
        begin_inputs(plan, params, moments, span[0], span[1])
        return
    for i in range(span[0], span[1]):
        if (chosen >> (i - span[0])) & 1 == 1:
            begin_inputs(plan, params, moments, i, i + 1)


@kernel
def _end_chosen(plan, params, moments, hyper, span, chosen):
    if not _scales(plan, _FIRST):
        return
    update_scale(plan, moments, hyper, span[0], span[1])
    if chosen == -1:
        write_product(plan, params, moments, hyper, span[0], span[1])
        return
    for i in range(span[0], span[1]):
        if (chosen >> (i - span[0])) & 1 == 1:
            write_product(plan, params, moments, hyper, i, i + 1)


begin_chosen = by_plan(None, _begin_chosen)
"""Before the update of some of the inputs span = (first, last): (plan, params, moments, span,
chosen). chosen: those inputs, as bits; -1 for all. first: a whole number of vectors."""

end_chosen = by_plan(None, _end_chosen)
"""After it: (plan, params, moments, hyper, span, chosen). The rule leaves s of the others."""
