"""Penalties, clipping and averaging of extended plans.

The gradient is changed in this order: the penalties add their gradient; each element is clipped;
the whole gradient is clipped to a norm. A sum over all weights, or over the whole gradient, is one
part for each panel, added in the order of the panels: the bits are the same for any number of
threads.
"""

import math

import numpy as np

from ..base.jit import kernel
from ..ir.simd import (
    fabs,
    fma,
    get,
    lanes,
    load,
    offset,
    select,
    splat,
    store,
)
from ..tables import layout as P
from ..tables import settings as H
from .forward import padded

# Which of a panel's two sums. NumPy values: a Python constant would compile its callee once more.
_SIZES, _SQUARES = np.int64(0), np.int64(1)
_SQUARES_OF_GRADIENT, _NO_MORE = _SIZES, np.int64(0)

NORM_EPS = 1e-6
"""Added to a norm before it divides (torch's clip_grad_norm_)."""

WEIGHT, NO_WEIGHT = np.bool_(True), np.bool_(False)
"""Whether elements of a gradient are weights, which alone have a penalty. Python's constants would
compile each callee once more."""

L1_FACTOR, L2_FACTOR, LARGEST, CLIPPING, DECAY_OF_AVERAGE = range(5)
"""What ``common_coefficients`` returns."""


@kernel
def part(count, worker, workers):
    """(first, last) of a worker's part of ``count`` items."""
    return count * worker // workers, count * (worker + 1) // workers


@kernel
def common_coefficients(hyper):
    """The scalars that all layers share."""
    return (
        hyper[H.L1] * hyper[H.PENALTY_SCALE],
        hyper[H.L2] * hyper[H.PENALTY_SCALE],
        hyper[H.CLIP_VALUE],
        hyper[H.CLIP_SCALE],
        hyper[H.AVERAGING] if hyper[H.UPDATES] > 0.0 else 0.0,
    )


@kernel
def _final(coef, w, g, is_weight):
    """One vector of the optimizer's gradient, from the gradient g of the batch's losses."""
    if is_weight:
        g = fma(w, coef[L2_FACTOR], g)
        g = g + select(w > 0.0, coef[L1_FACTOR], select(w < 0.0, -coef[L1_FACTOR], 0.0))
    if coef[LARGEST] > 0.0:
        g = select(g > coef[LARGEST], coef[LARGEST], select(g < -coef[LARGEST], -coef[LARGEST], g))
    return g * coef[CLIPPING]


@kernel
def final_gradient(coef, w, g, count, is_weight):
    """Turn g (count,) into the gradient that the optimizer takes, in place. w: the parameters.

    Neither aliases the other. Twin: same name.
    """
    penalized = is_weight and (coef[L1_FACTOR] != 0.0 or coef[L2_FACTOR] != 0.0)
    if penalized or coef[CLIPPING] != 1.0 or coef[LARGEST] > 0.0:
        for i in range(0, count, lanes(w)):
            store(g, i, _final(coef, load(w, i), load(g, i), is_weight))


@kernel
def move_average(decay, w, average, count):
    """average = decay average + (1 - decay) w, for ``count`` elements."""
    for i in range(0, count, lanes(w)):
        x = load(w, i)
        store(average, i, fma(load(average, i) - x, decay, x))


# Sums


@kernel
def _sums_of(plan, work, layer, panel):
    """Two vectors for a panel's sums."""
    number = plan[layer, P.FIRST_PANEL] + panel
    return offset(work, plan[0, P.PANEL_SUMS] + 2 * lanes(work) * number)


@kernel
def has_penalty(hyper):
    """Whether there is a penalty on weights."""
    return hyper[H.L1] != 0.0 or hyper[H.L2] != 0.0


@kernel
def measure_weights(plan, params, work, hyper, layer, worker, workers):
    """Sums of |w| and w^2 over one worker's panels of a layer, lane by lane."""
    if not has_penalty(hyper):
        return
    n_lanes = lanes(work)
    first, last = part(padded(plan[layer, P.OUTPUTS], n_lanes) // n_lanes, worker, workers)
    for panel in range(first, last):
        weights = offset(params, plan[layer, P.WEIGHTS] + panel * plan[layer, P.WEIGHT_STRIDE])
        sizes = squares = splat(weights, 0.0)
        for i in range(0, plan[layer, P.INPUTS] * n_lanes, n_lanes):
            x = load(weights, i)
            sizes, squares = sizes + fabs(x), fma(x, x, squares)
        store(_sums_of(plan, work, layer, panel), 0, sizes)
        store(_sums_of(plan, work, layer, panel), n_lanes, squares)


@kernel
def measure_gradient(plan, params, gradient, work, hyper, worker, workers):
    """Sums of the squares of the final gradient over one worker's panels, biases included."""
    n_lanes, coef = lanes(work), common_coefficients(hyper)
    for layer in range(1, plan[0, P.LAST] + 1):
        first, last = part(padded(plan[layer, P.OUTPUTS], n_lanes) // n_lanes, worker, workers)
        frozen = hyper[H.of_layer(layer, H.LR_FACTOR)] == 0.0
        for panel in range(first, last):
            at = plan[layer, P.WEIGHTS] + panel * plan[layer, P.WEIGHT_STRIDE]
            weights, g = offset(params, at), offset(gradient, at)
            squares = splat(weights, 0.0)
            if not frozen:
                for i in range(0, plan[layer, P.INPUTS] * n_lanes, n_lanes):
                    x = _final(coef, load(weights, i), load(g, i), WEIGHT)
                    squares = fma(x, x, squares)
                for kind in range(plan[layer, P.PER_UNIT]):
                    at = (
                        plan[layer, P.BIAS]
                        + kind * plan[layer, P.PER_UNIT_STRIDE]
                        + panel * n_lanes
                    )
                    x = _final(coef, load(params, at), load(gradient, at), NO_WEIGHT)
                    squares = fma(x, x, squares)
            store(_sums_of(plan, work, layer, panel), 0, squares)


@kernel
def panels_of_layers(plan, n_lanes):
    """The number of panels of all W. The sums of numbers that are embedded follow theirs."""
    last = plan[0, P.LAST]
    return plan[last, P.FIRST_PANEL] + padded(plan[last, P.OUTPUTS], n_lanes) // n_lanes


@kernel
def _total(plan, work, which, more):
    """The sum over all panels, and ``more`` sums behind theirs, of one of two sums, float64."""
    n_lanes = lanes(work)
    panels = panels_of_layers(plan, n_lanes) + more
    sums = offset(work, plan[0, P.PANEL_SUMS] + which * n_lanes)
    lane_sums = splat(work, 0.0)
    for i in range(0, panels * 2 * n_lanes, 2 * n_lanes):
        lane_sums = lane_sums + load(sums, i)
    store(sums, 0, lane_sums)  # the sums are no longer needed
    total = 0.0
    for lane in range(n_lanes):
        total += get(sums, lane)
    return total


@kernel
def penalty(plan, work, hyper):
    """L1 sum |w| + L2 / 2 sum w^2, from the sums of ``measure_weights``. Twin: same name."""
    value = 0.0
    if hyper[H.L1] != 0.0:  # 0 * inf is NaN
        value += hyper[H.L1] * _total(plan, work, _SIZES, _NO_MORE)
    if hyper[H.L2] != 0.0:
        value += 0.5 * hyper[H.L2] * _total(plan, work, _SQUARES, _NO_MORE)
    return value


@kernel
def clip_scale(plan, work, hyper):
    """The factor that brings the gradient within CLIP_NORM, from the sums of ``measure_gradient``.

    Not finite where the gradient is not. Twin: same name.
    """
    norm = math.sqrt(_total(plan, work, _SQUARES_OF_GRADIENT, plan[0, P.NUMBERS]))
    scale = hyper[H.CLIP_NORM] / (norm + NORM_EPS)
    return min(1.0, scale) if math.isfinite(norm) else math.nan


@kernel
def finish_gradients(plan, params, gradient, hyper, worker, workers):
    """Add the gradient of the penalties to one worker's panels of a stored gradient."""
    n_lanes, scale = lanes(params), hyper[H.PENALTY_SCALE]
    coef = (scale * hyper[H.L1], scale * hyper[H.L2], 0.0, 1.0, 0.0)
    for layer in range(1, plan[0, P.LAST] + 1):
        first, last = part(padded(plan[layer, P.OUTPUTS], n_lanes) // n_lanes, worker, workers)
        for panel in range(first, last):
            at = plan[layer, P.WEIGHTS] + panel * plan[layer, P.WEIGHT_STRIDE]
            count = plan[layer, P.INPUTS] * n_lanes
            final_gradient(coef, offset(params, at), offset(gradient, at), count, WEIGHT)
