"""Weight gradients, and the optimizer's update of each tile while it is in the nearest cache."""

import math

from . import codes
from .few import are_few
from .forward import padded
from .gemm import ADD, ROWS, WRITE, next_vectors, tile_across
from .jit import kernel
from .layout import (
    BIAS,
    BLOCK,
    DELTA_PANEL_STRIDE,
    DELTA_PANELS,
    FEW_AT_A_TIME,
    IN,
    INPUTS,
    LAST,
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
from .simd import fma, get, lanes, load, offset, splat, sqrt, store

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
    for i in range(0, rows // 2 * 2 * w, 2 * w):
        even = even + load(deltas, i)
        odd = odd + load(deltas, i + w)
    if rows % 2 == 1:
        even = even + load(deltas, (rows - 1) * w)
    return even + odd


@kernel
def _outer(a, deltas, g, rows, count):
    """g (count, lanes), the sum over a few rows of a[r, i] delta[r], for ``count`` units i.

    a: row panels of units (gemv.py). deltas: one panel (rows, lanes). Four units at a time share
    its loads: they lie in one panel, or there is one row. g has room for whole fours.
    Twin: ``gradients``.
    """
    w = lanes(a)
    for i in range(0, count, 4):
        p = offset(a, i // w * rows * w + i % w)
        delta = load(deltas, 0)
        g0, g1 = delta * get(p, 0), delta * get(p, 1)
        g2, g3 = delta * get(p, 2), delta * get(p, 3)
        for at in range(w, rows * w, w):
            delta = load(deltas, at)
            g0, g1 = fma(delta, get(p, at), g0), fma(delta, get(p, at + 1), g1)
            g2, g3 = fma(delta, get(p, at + 2), g2), fma(delta, get(p, at + 3), g3)
        q = offset(g, i * w)
        store(q, 0, g0)
        store(q, w, g1)
        store(q, 2 * w, g2)
        store(q, 3 * w, g3)


@kernel
def _add(total, g, count):
    for i in range(0, count, lanes(g)):
        store(total, i, load(total, i) + load(g, i))


@kernel
def _part(count, share, shares):
    """First and last of a share's part of ``count`` things."""
    return count * share // shares, count * (share + 1) // shares


@kernel
def _weights_of_few(plan, layer, params, moments, work, scratch, k, keep, rows, share, shares):
    """Gradient and update of one share's part of W, for a batch of few rows.

    By panels of outputs, which are contiguous, unless there are too few of them to share.
    """
    w = lanes(work)
    n_moments, size = plan[0, MOMENTS], plan[0, PARAMETERS]
    units, panels = plan[layer, INPUTS], -(-plan[layer, OUTPUTS] // w)
    first, last, low, high = 0, panels, 0, units
    if panels >= shares:
        first, last = _part(panels, share, shares)
    else:
        low, high = _part(-(-units // w), share, shares)
        low, high = low * w, min(high * w, units)
    for panel in range(first, last):
        deltas = offset(work, plan[layer, DELTA_PANELS] + panel * plan[layer, DELTA_PANEL_STRIDE])
        for i in range(low, high, FEW_AT_A_TIME):
            count = min(FEW_AT_A_TIME, high - i)
            at = plan[layer, WEIGHTS] + panel * plan[layer, WEIGHT_STRIDE] + i * w
            p, m = offset(params, at), offset(moments, at)
            v = offset(m, size) if n_moments > 1 else m
            _outer(offset(work, plan[layer, IN] + i * rows), deltas, scratch, rows, count)
            if keep:
                _add(m, scratch, count * w)
            else:
                update(plan[0, OPTIMIZER], k, p, scratch, m, v, count * w)


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
def _biases_of_layer(plan, layer, params, moments, work, scratch, k, keep, first, last, rows):
    """Gradient and update of the vectors ``first`` to ``last`` of biases."""
    w = lanes(work)
    n_moments, size = plan[0, MOMENTS], plan[0, PARAMETERS]
    for panel in range(first, last):
        deltas = offset(work, plan[layer, DELTA_PANELS] + panel * plan[layer, DELTA_PANEL_STRIDE])
        at = plan[layer, BIAS] + panel * w
        p, m = offset(params, at), offset(moments, at)
        v = offset(m, size) if n_moments > 1 else m
        store(scratch, 0, _sum_of_rows(deltas, rows))
        if keep:
            _add(m, scratch, w)
        else:
            update(plan[0, OPTIMIZER], k, p, scratch, m, v, w)


@kernel
def update_share(plan, params, moments, work, hyper, keep, share, shares, rows):
    """One share's part of an update: its part of every W and b.

    plan, params, moments, work: layout.py. hyper: ``coefficients``. keep: add the gradient to
    ``moments``, an arena laid out as the parameters, and update nothing. rows: of the batch.
    Twins: ``gradients``, ``update``.
    """
    w = lanes(work)
    k = coefficients(plan[0, OPTIMIZER], hyper)
    scratch = offset(work, plan[0, SCRATCH] + share * plan[0, SCRATCH_STRIDE])
    few, whole = are_few(rows, w), padded(rows, w)
    for layer in range(plan[0, LAST], 0, -1):
        if few:
            _weights_of_few(
                plan, layer, params, moments, work, scratch, k, keep, rows, share, shares
            )
        else:
            first, last = _part(-(-plan[layer, INPUTS] // min(ROWS, w)), share, shares)
            _weights_of_layer(
                plan, layer, params, moments, work, scratch, k, keep, first, last, whole // w
            )
        first, last = _part(-(-plan[layer, OUTPUTS] // w), share, shares)
        summed = rows if few else whole
        _biases_of_layer(plan, layer, params, moments, work, scratch, k, keep, first, last, summed)
