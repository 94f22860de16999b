"""Weight gradients, and the optimizer's update of each tile while it is in the nearest cache."""

import math

from ..base import codes
from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import (
    fma,
    get,
    lanes,
    load,
    offset,
    sqrt,
    store,
)
from ..primitives.elementwise import sum_of_vectors
from ..primitives.gemm import (
    ADD,
    ROWS,
    WRITE,
    next_vectors,
    tile_across,
)
from ..tables.layout import (
    AVERAGE,
    BIAS,
    BLOCK,
    DELTA_PANEL_STRIDE,
    DELTA_PANELS,
    IN,
    INPUTS,
    LAST,
    MOMENTS,
    OPTIMIZER,
    OUTPUTS,
    PARAMETERS,
    PER_UNIT,
    PER_UNIT_STRIDE,
    SCRATCH,
    SCRATCH_STRIDE,
    SMALL_BATCH_VECTORS,
    WEIGHT_STRIDE,
    WEIGHTS,
)
from ..tables.settings import (
    LR_FACTOR,
    MU_PRODUCT,
    STEP_LR,
    STEP_MOMENTUM,
    UPDATES,
    of_layer,
)
from .forward import padded
from .norm import norm_gradients
from .regularization import (
    DECAY_OF_AVERAGE,
    common_coefficients,
    final_gradient,
    move_average,
    part,
)
from .small_batch import is_small_batch

LR, MOMENTUM, NESTEROV, DECAY, SHRINK, BETA1, BETA2, EPS, UNBIAS, GRADIENT_LR = range(10)
"""What ``coefficients`` returns: LR is the step size, SHRINK AdamW's factor on the weights, UNBIAS
the factor on sqrt(v). GRADIENT_LR, of ``extended_coefficients_of``, is the step size of NAdam's
plain gradient."""


@kernel
def coefficients(optimizer, hyper, lr, momentum):
    """The scalars of one update, computed once in float64.

    hyper: settings.py. lr, momentum: of this update; momentum stands for beta1 where there is one.
    """
    decay, shrink, unbias, step = hyper[codes.WEIGHT_DECAY], 1.0, 1.0, lr
    if optimizer == codes.ADAM or optimizer == codes.ADAMW:
        t = hyper[UPDATES] + 1.0
        step = lr / (1.0 - momentum**t)
        unbias = 1.0 / math.sqrt(1.0 - hyper[codes.BETA2] ** t)
        if optimizer == codes.ADAMW:
            decay, shrink = 0.0, 1.0 - lr * decay
    return (
        step,
        momentum,
        hyper[codes.NESTEROV],
        decay,
        shrink,
        momentum,
        hyper[codes.BETA2],
        hyper[codes.EPS],
        unbias,
    )


@kernel
def extended_coefficients_of(optimizer, hyper, lr, momentum):
    """``coefficients`` for the optimizers of extended plans, too, and GRADIENT_LR."""
    t, step, ahead = hyper[UPDATES] + 1.0, lr, 0.0
    own = coefficients(optimizer, hyper, lr, momentum)
    step, unbias = own[LR], own[UNBIAS]
    if optimizer == codes.NADAM:
        mu, later = nadam_momentum(hyper, t), nadam_momentum(hyper, t + 1.0)
        product = hyper[MU_PRODUCT] * mu
        ahead = lr * (1.0 - mu) / (1.0 - product)
        step = lr * later / (1.0 - product * later)
        unbias = 1.0 / math.sqrt(1.0 - hyper[codes.BETA2] ** t)
    elif optimizer == codes.ADAGRAD:
        step = lr / (1.0 + (t - 1.0) * hyper[codes.DECAY])
    return (step, *own[MOMENTUM:UNBIAS], unbias, ahead)


@kernel
def nadam_momentum(hyper, t):
    """NAdam's momentum at update t, from 1 (Dozat, 2016)."""
    return hyper[codes.BETA1] * (1.0 - 0.5 * 0.96 ** (t * hyper[codes.DECAY]))


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
def _nadam(k, w, g, m, v, count):
    for at in range(0, count, lanes(w)):
        p = load(w, at)
        d = fma(p, k[DECAY], load(g, at))
        mean = load(m, at)
        mean = fma(d - mean, 1.0 - k[BETA1], mean)
        square = fma(d * d, 1.0 - k[BETA2], load(v, at) * k[BETA2])
        store(m, at, mean)
        store(v, at, square)
        step = fma(mean, k[LR], d * k[GRADIENT_LR])
        store(w, at, p - step / fma(sqrt(square), k[UNBIAS], k[EPS]))


@kernel
def _adagrad(k, w, g, v, count):
    for at in range(0, count, lanes(w)):
        p = load(w, at)
        d = fma(p, k[DECAY], load(g, at))
        square = fma(d, d, load(v, at))
        store(v, at, square)
        store(w, at, fma(d / (sqrt(square) + k[EPS]), -k[LR], p))


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
def update_extended(optimizer, k, w, g, m, v, count):
    """``update`` for the optimizers of extended plans, too."""
    if optimizer == codes.NADAM:
        _nadam(k, w, g, m, v, count)
    elif optimizer == codes.ADAGRAD:
        _adagrad(k, w, g, v, count)
    else:
        update(optimizer, k, w, g, m, v, count)


# One call for every tile: (plan, k, params, moments, at, g, count, is_weight)


@kernel
def _update_tile(plan, k, params, moments, at, g, count, is_weight):
    w = offset(params, at)
    m = offset(moments, at) if plan[0, MOMENTS] > 0 else w
    v = offset(m, plan[0, PARAMETERS]) if plan[0, MOMENTS] > 1 else m
    update(plan[0, OPTIMIZER], k, w, g, m, v, count)


@kernel
def _extended_update_tile(plan, k, params, moments, at, g, count, is_weight):
    w = offset(params, at)
    m = offset(moments, at) if plan[0, MOMENTS] > 0 else w
    v = offset(m, plan[0, PARAMETERS]) if plan[0, MOMENTS] > 1 else m
    own, common = k
    final_gradient(common, w, g, count, is_weight)
    update_extended(plan[0, OPTIMIZER], own, w, g, m, v, count)
    if plan[0, AVERAGE] >= 0:
        place = plan[0, AVERAGE] * plan[0, PARAMETERS] + at
        move_average(common[DECAY_OF_AVERAGE], w, offset(moments, place), count)


update_tile = by_plan(_update_tile, _extended_update_tile)
"""One update of ``count`` elements from ``at`` on, by the gradient g.

plan, params, moments: layout.py. k: of ``_begin_layer``. g: may be changed. is_weight: whether
the elements are weights and not biases. Twin: ``update``.
"""


@kernel
def beta1_or_momentum(optimizer, hyper):
    """What a schedule of the momentum replaces."""
    adaptive = optimizer == codes.ADAM or optimizer == codes.ADAMW or optimizer == codes.NADAM
    return hyper[codes.BETA1] if adaptive else hyper[codes.MOMENTUM]


@kernel
def _coefficients(plan, hyper):
    optimizer = plan[0, OPTIMIZER]
    return coefficients(optimizer, hyper, hyper[codes.LR], beta1_or_momentum(optimizer, hyper))


@kernel
def _extended_coefficients(plan, hyper):
    return common_coefficients(hyper)


_begin_update = by_plan(_coefficients, _extended_coefficients)
"""The scalars that all layers share: (plan, hyper)."""


@kernel
def _same(plan, layer, hyper, common):
    return common


@kernel
def _with_layer_rate(plan, layer, hyper, common):
    lr = hyper[STEP_LR] * hyper[of_layer(layer, LR_FACTOR)]
    own = extended_coefficients_of(plan[0, OPTIMIZER], hyper, lr, hyper[STEP_MOMENTUM])
    return own, common


_begin_layer = by_plan(_same, _with_layer_rate)
"""The scalars of a layer's update, from those that all share: (plan, layer, hyper, common)."""


@kernel
def _never(plan, layer, hyper, keep):
    return False


@kernel
def _is_frozen(plan, layer, hyper, keep):
    return not keep and hyper[of_layer(layer, LR_FACTOR)] == 0.0


is_frozen = by_plan(_never, _is_frozen)
"""Whether a layer's gradient is not needed: (plan, layer, hyper, keep)."""


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
def _keep(total, g, count, adds):
    """total += g, or total = g."""
    for i in range(0, count, lanes(g)):
        store(total, i, load(total, i) + load(g, i) if adds else load(g, i))


@kernel
def _weights_of_small_batch(
    plan, layer, params, moments, work, scratch, k, keep, adds, rows, worker, workers
):
    """Gradient and update of one share's part of W, for a batch of few rows.

    By panels of outputs, which are contiguous, unless there are too few of them to share.
    """
    w = lanes(work)
    units, panels = plan[layer, INPUTS], -(-plan[layer, OUTPUTS] // w)
    first, last, low, high = 0, panels, 0, units
    if panels >= workers:
        first, last = part(panels, worker, workers)
    else:
        low, high = part(-(-units // w), worker, workers)
        low, high = low * w, min(high * w, units)
    for panel in range(first, last):
        deltas = offset(work, plan[layer, DELTA_PANELS] + panel * plan[layer, DELTA_PANEL_STRIDE])
        for i in range(low, high, SMALL_BATCH_VECTORS):
            count = min(SMALL_BATCH_VECTORS, high - i)
            at = plan[layer, WEIGHTS] + panel * plan[layer, WEIGHT_STRIDE] + i * w
            _outer(offset(work, plan[layer, IN] + i * rows), deltas, scratch, rows, count)
            if keep:
                _keep(offset(moments, at), scratch, count * w, adds)
            else:
                update_tile(plan, k, params, moments, at, scratch, count * w, True)


@kernel
def _weights_of_layer(
    plan, layer, params, moments, work, scratch, k, keep, adds, first, last, vectors
):
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
                ADD if keep and adds else WRITE,
                p,
                m,
                v,
                stride,
            )
            if not keep:
                for j in range(n):
                    g, place = offset(scratch, j * tile), at + j * stride
                    update_tile(plan, k, params, moments, place, g, tile, True)
        panel += n


@kernel
def _biases_of_layer(plan, layer, params, moments, work, scratch, k, keep, adds, first, last, rows):
    """Gradient and update of the vectors ``first`` to ``last`` of biases."""
    w = lanes(work)
    for panel in range(first, last):
        deltas = offset(work, plan[layer, DELTA_PANELS] + panel * plan[layer, DELTA_PANEL_STRIDE])
        at = plan[layer, BIAS] + panel * w
        store(scratch, 0, sum_of_vectors(deltas, rows))
        if keep:
            _keep(offset(moments, at), scratch, w, adds)
        else:
            update_tile(plan, k, params, moments, at, scratch, w, False)


@kernel
def _norms(plan, layer, params, moments, work, scratch, k, keep, adds, first, last, vectors):
    if plan[layer, PER_UNIT] == 1:
        return
    w = lanes(work)
    for panel in range(first, last):
        norm_gradients(plan, work, layer, panel, vectors, scratch)
        for kind in range(2):
            at = plan[layer, BIAS] + (kind + 1) * plan[layer, PER_UNIT_STRIDE] + panel * w
            if keep:
                _keep(offset(moments, at), offset(scratch, kind * w), w, adds)
            else:
                update_tile(plan, k, params, moments, at, offset(scratch, kind * w), w, False)


_norms_of_layer = by_plan(None, _norms)
"""Gradient and update of the vectors ``first`` to ``last`` of gains and shifts.

(plan, layer, params, moments, work, scratch, k, keep, adds, first, last, vectors)
"""


@kernel
def update_part(plan, params, moments, work, hyper, keep, adds, worker, workers, rows):
    """One share's part of an update: its part of every W and b.

    plan, params, moments, work: layout.py. hyper: settings.py. keep: write the gradient to
    ``moments``, an arena laid out as the parameters, and update nothing; adds: add it to what is
    there. rows: of the batch. Twins: ``gradients``, ``update``.
    """
    w = lanes(work)
    scratch = offset(work, plan[0, SCRATCH] + worker * plan[0, SCRATCH_STRIDE])
    few, whole = is_small_batch(plan, rows, w), padded(rows, w)
    common = _begin_update(plan, hyper)
    for layer in range(plan[0, LAST], 0, -1):
        if is_frozen(plan, layer, hyper, keep and adds):
            continue
        k = _begin_layer(plan, layer, hyper, common)
        if few:
            _weights_of_small_batch(
                plan, layer, params, moments, work, scratch, k, keep, adds, rows, worker, workers
            )
        else:
            first, last = part(-(-plan[layer, INPUTS] // min(ROWS, w)), worker, workers)
            vectors = whole // w
            _weights_of_layer(
                plan, layer, params, moments, work, scratch, k, keep, adds, first, last, vectors
            )
        first, last = part(-(-plan[layer, OUTPUTS] // w), worker, workers)
        summed = rows if few else whole
        _biases_of_layer(
            plan, layer, params, moments, work, scratch, k, keep, adds, first, last, summed
        )
        _norms_of_layer(
            plan, layer, params, moments, work, scratch, k, keep, adds, first, last, whole // w
        )


APPLIED_AT_A_TIME = 1024
"""Elements of a stored gradient that are in the nearest cache while they are updated."""


@kernel
def apply_part(plan, params, moments, gradient, hyper, worker, workers):
    """Update one share's panels, and their biases, by a gradient that was stored before.

    plan, params, moments, gradient: layout.py; hyper: settings.py. Twin: ``update``.
    """
    w, common = lanes(params), _begin_update(plan, hyper)
    for layer in range(1, plan[0, LAST] + 1):
        if is_frozen(plan, layer, hyper, False):
            continue
        k = _begin_layer(plan, layer, hyper, common)
        first, last = part(padded(plan[layer, OUTPUTS], w) // w, worker, workers)
        for panel in range(first, last):
            start = plan[layer, WEIGHTS] + panel * plan[layer, WEIGHT_STRIDE]
            end = start + plan[layer, INPUTS] * w
            for at in range(start, end, APPLIED_AT_A_TIME):
                count = min(APPLIED_AT_A_TIME, end - at)
                update_tile(plan, k, params, moments, at, offset(gradient, at), count, True)
            for kind in range(plan[layer, PER_UNIT]):
                at = plan[layer, BIAS] + kind * plan[layer, PER_UNIT_STRIDE] + panel * w
                update_tile(plan, k, params, moments, at, offset(gradient, at), w, False)
