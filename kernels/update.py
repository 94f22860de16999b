"""Weight gradients, and the optimizer's update of each tile while it is in the nearest cache."""

import math

from . import codes
from .gemm import ADD, ROWS, WRITE, next_vectors, tile_across
from .jit import kernel
from .layout import (
    BIAS,
    BLOCK,
    DELTA_PANEL_STRIDE,
    DELTA_PANELS,
    IN,
    INPUTS,
    MOMENTS,
    OPTIMIZER,
    OUTPUTS,
    PARAMETERS,
    SCRATCH,
    SCRATCH_STRIDE,
    UPDATES,
    WEIGHT_STRIDE,
    WEIGHTS,
)
from .simd import fma, lanes, load, offset, splat, sqrt, store

LR, MOMENTUM, NESTEROV, DECAY, SHRINK, BETA1, BETA2, EPS, UNBIAS = range(9)
"""What ``coefficients`` returns: LR is the step size, SHRINK AdamW's factor on the weights, UNBIAS
the factor on sqrt(v)."""


@kernel
def coefficients(optimizer, hyper):
    """The scalars of one update, computed once in float64.

    hyper: float64, codes.py's columns and the number of updates made before this one.
    """
    lr, decay, shrink, unbias = hyper[codes.LR], hyper[codes.WEIGHT_DECAY], 1.0, 1.0
    step = lr
    if optimizer == codes.ADAM or optimizer == codes.ADAMW:
        t = hyper[UPDATES] + 1.0
        step = lr / (1.0 - hyper[codes.BETA1] ** t)
        unbias = 1.0 / math.sqrt(1.0 - hyper[codes.BETA2] ** t)
        if optimizer == codes.ADAMW:
            decay, shrink = 0.0, 1.0 - lr * decay
    return (
        step,
        hyper[codes.MOMENTUM],
        hyper[codes.NESTEROV],
        decay,
        shrink,
        hyper[codes.BETA1],
        hyper[codes.BETA2],
        hyper[codes.EPS],
        unbias,
    )


@kernel
def _sgd(k, w, g, m, count):
    for at in range(0, count, lanes(w)):
        p = load(w, at)
        d = fma(p, k[DECAY], load(g, at))
        if k[MOMENTUM] != 0.0:
            velocity = fma(load(m, at), k[MOMENTUM], d)
            store(m, at, velocity)
            d = fma(velocity, k[MOMENTUM], d) if k[NESTEROV] != 0.0 else velocity
        store(w, at, fma(d, -k[LR], p))


@kernel
def _adam(k, w, g, m, v, count):
    for at in range(0, count, lanes(w)):
        p = load(w, at)
        d = fma(p, k[DECAY], load(g, at))
        mean = load(m, at)
        mean = fma(d - mean, 1.0 - k[BETA1], mean)
        square = fma(d * d, 1.0 - k[BETA2], load(v, at) * k[BETA2])
        store(m, at, mean)
        store(v, at, square)
        store(w, at, fma(mean / fma(sqrt(square), k[UNBIAS], k[EPS]), -k[LR], p * k[SHRINK]))


@kernel
def _rmsprop(k, w, g, m, v, count):
    for at in range(0, count, lanes(w)):
        p = load(w, at)
        d = fma(p, k[DECAY], load(g, at))
        square = fma(d * d, 1.0 - k[BETA2], load(v, at) * k[BETA2])
        store(v, at, square)
        d = d / (sqrt(square) + k[EPS])
        if k[MOMENTUM] != 0.0:
            d = fma(load(m, at), k[MOMENTUM], d)
            store(m, at, d)
        store(w, at, fma(d, -k[LR], p))


@kernel
def update(optimizer, k, w, g, m, v, count):
    """One update of ``count`` elements, whole vectors, of the parameters w by the gradient g.

    k: ``coefficients``. m, v: moments, as codes.py says which optimizer has which. No two may
    alias. Twin: same name; torch's rules.
    """
    if optimizer == codes.SGD:
        _sgd(k, w, g, m, count)
    elif optimizer == codes.RMSPROP:
        _rmsprop(k, w, g, m, v, count)
    else:
        _adam(k, w, g, m, v, count)


@kernel
def _sum_of_rows(deltas, rows):
    """(lanes,), the sum over rows of one panel of deltas (rows, lanes), two chains at a time."""
    w = lanes(deltas)
    even = odd = splat(deltas, 0.0)
    for i in range(0, rows * w, 2 * w):
        even = even + load(deltas, i)
        odd = odd + load(deltas, i + w)
    return even + odd


@kernel
def _weights_of_layer(plan, layer, params, moments, work, scratch, k, keep, first, last, vectors):
    """Gradient and update of the tiles ``first`` to ``last`` of input units, all outputs."""
    w = lanes(work)
    tile = min(ROWS, w) * w
    n_moments, size = plan[0, MOMENTS], plan[0, PARAMETERS]
    panels, stride = -(-plan[layer, OUTPUTS] // w), plan[layer, WEIGHT_STRIDE]
    panel = 0
    while panel < panels:
        n = next_vectors(panels - panel)
        deltas = offset(work, plan[layer, DELTA_PANELS] + panel * plan[layer, DELTA_PANEL_STRIDE])
        for t in range(first, last):
            at = plan[layer, WEIGHTS] + panel * stride + t * tile
            p = offset(params, at)
            m = offset(moments, at) if keep or n_moments > 0 else p
            v = offset(m, size) if n_moments > 1 and not keep else m
            tile_across(
                n,
                offset(work, plan[layer, IN] + t * tile),
                plan[0, BLOCK],
                deltas,
                plan[layer, DELTA_PANEL_STRIDE],
                m if keep else scratch,
                stride if keep else tile,
                vectors * w,
                ADD if keep else WRITE,
                p,
                m,
                v,
                stride,
            )
            if not keep:
                for j in range(n):
                    g, at = offset(scratch, j * tile), j * stride
                    update(
                        plan[0, OPTIMIZER], k, offset(p, at), g, offset(m, at), offset(v, at), tile
                    )
        panel += n


@kernel
def _biases_of_layer(plan, layer, params, moments, work, scratch, k, keep, first, last, vectors):
    """Gradient and update of the vectors ``first`` to ``last`` of biases."""
    w = lanes(work)
    n_moments, size = plan[0, MOMENTS], plan[0, PARAMETERS]
    for panel in range(first, last):
        deltas = offset(work, plan[layer, DELTA_PANELS] + panel * plan[layer, DELTA_PANEL_STRIDE])
        at = plan[layer, BIAS] + panel * w
        p, m = offset(params, at), offset(moments, at)
        v = offset(m, size) if n_moments > 1 else m
        if keep:
            store(m, 0, load(m, 0) + _sum_of_rows(deltas, vectors * w))
        else:
            store(scratch, 0, _sum_of_rows(deltas, vectors * w))
            update(plan[0, OPTIMIZER], k, p, scratch, m, v, w)


@kernel
def update_share(plan, params, moments, work, hyper, keep, share, shares, vectors):
    """One share's part of an update: its rows of every W, its vectors of every b.

    plan, params, moments, work: layout.py. hyper: ``coefficients``. keep: add the gradient to
    ``moments``, an arena laid out as the parameters, and update nothing. vectors: of rows in the
    batch. Twins: ``gradients``, ``update``.
    """
    w = lanes(work)
    k = coefficients(plan[0, OPTIMIZER], hyper)
    scratch = offset(work, plan[0, SCRATCH] + share * plan[0, SCRATCH_STRIDE])
    for layer in range(len(plan) - 1, 0, -1):
        n = -(-plan[layer, INPUTS] // min(ROWS, w))
        first, last = n * share // shares, n * (share + 1) // shares
        _weights_of_layer(
            plan, layer, params, moments, work, scratch, k, keep, first, last, vectors
        )
        n = -(-plan[layer, OUTPUTS] // w)
        first, last = n * share // shares, n * (share + 1) // shares
        _biases_of_layer(plan, layer, params, moments, work, scratch, k, keep, first, last, vectors)
