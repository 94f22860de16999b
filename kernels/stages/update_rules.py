"""The optimizers' update rules on whole vectors of parameters."""

import math

from ..base import codes
from ..base.jit import kernel
from ..ir.simd import fma, lanes, load, sqrt, store
from ..tables import settings as H

SGD = 0
ADAM = 1
ADAMW = 2
RMSPROP = 3
ADAGRAD = 4
NADAM = 5
RADAM = 6
"""Codes. Moments: SGD keeps its velocity in m; Adam's family keeps m and v; RMSPROP keeps the mean
square in v and its velocity in m; ADAGRAD keeps the sum of squares in v. Column DECAY: ADAGRAD's
lr_decay; NADAM's momentum_decay; RADAM: 1 for decoupled weight decay."""

LR, MOMENTUM, NESTEROV, DECAY, SHRINK, BETA1, BETA2, EPS, UNBIAS, GRADIENT_LR = range(10)
"""What ``coefficients`` returns: LR is the step size, SHRINK AdamW's factor on the weights, UNBIAS
the factor on sqrt(v). GRADIENT_LR, of ``extended_coefficients_of``, is the step size of NAdam's
plain gradient."""


@kernel
def coefficients(optimizer, hyper, lr, momentum, decay):
    """The scalars of one update, computed once in float64.

    hyper: settings.py. lr, momentum, decay: of this update. momentum stands for beta1 where there
    is one; decay is that of weights.
    """
    power_1 = power_2 = 0.0
    if optimizer == ADAM or optimizer == ADAMW:
        t = hyper[H.UPDATES] + 1.0
        power_1, power_2 = momentum**t, hyper[codes.BETA2] ** t
    return _by_powers(optimizer, hyper, lr, momentum, decay, power_1, power_2)


@kernel
def _by_powers(optimizer, hyper, lr, momentum, decay, power_1, power_2):
    """``coefficients``, of given powers of beta1 and beta2."""
    shrink, unbias, step = 1.0, 1.0, lr
    if optimizer == ADAM or optimizer == ADAMW:
        step, unbias = lr / (1.0 - power_1), 1.0 / math.sqrt(1.0 - power_2)
        if optimizer == ADAMW:
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
def extended_coefficients_of(optimizer, hyper, lr, momentum, decay):
    """``coefficients`` for the optimizers of extended plans, too, and GRADIENT_LR.

    hyper has what ``set_powers`` works out.
    """
    t, step, ahead, power_2 = hyper[H.UPDATES] + 1.0, lr, 0.0, hyper[H.POWER_2]
    plain = _by_powers(optimizer, hyper, lr, momentum, decay, hyper[H.POWER_1], power_2)
    step, decay, shrink = plain[LR], plain[DECAY], plain[SHRINK]
    eps, unbias = plain[EPS], plain[UNBIAS]
    if optimizer == NADAM:
        mu, later = hyper[H.MU], hyper[H.NEXT_MU]
        product = hyper[H.OPTIMIZER_STATE] * mu
        ahead = lr * (1.0 - mu) / (1.0 - product)
        step = lr * later / (1.0 - product * later)
        unbias = 1.0 / math.sqrt(1.0 - power_2)
    elif optimizer == RADAM:
        step, rectified = radam_step(hyper, t, lr)
        if not rectified:  # _adam divides by 1
            unbias, eps = 0.0, 1.0
        if hyper[codes.DECAY] != 0.0:
            shrink, decay = 1.0 - lr * decay, 0.0
    elif optimizer == ADAGRAD:
        step = lr / (1.0 + (t - 1.0) * hyper[codes.DECAY])
    return (
        step,
        momentum,
        plain[NESTEROV],
        decay,
        shrink,
        momentum,
        plain[BETA2],
        eps,
        unbias,
        ahead,
    )


@kernel
def set_powers(optimizer, hyper):
    """Work out POWER_1, POWER_2, MU and NEXT_MU of an update, those that its rule takes.

    hyper: has STEP_MOMENTUM.
    """
    t = hyper[H.UPDATES] + 1.0
    if optimizer == ADAM or optimizer == ADAMW or optimizer == RADAM:
        hyper[H.POWER_1] = hyper[H.STEP_MOMENTUM] ** t
        hyper[H.POWER_2] = hyper[codes.BETA2] ** t
    elif optimizer == NADAM:
        hyper[H.POWER_2] = hyper[codes.BETA2] ** t
        hyper[H.MU] = nadam_momentum(hyper, t)
        hyper[H.NEXT_MU] = nadam_momentum(hyper, t + 1.0)


@kernel
def radam_step(hyper, t, lr):
    """RAdam's step size at update t, from 1, and whether it is rectified (Liu et al., 2020)."""
    beta2, power = hyper[codes.BETA2], hyper[H.POWER_2]
    step, unbiased = lr / (1.0 - hyper[H.POWER_1]), 1.0 - power
    longest = 2.0 / (1.0 - beta2) - 1.0
    length = longest - 2.0 * t * power / unbiased
    if length <= 5.0:
        return step, False
    variance = (length - 4.0) * (length - 2.0) * longest
    variance /= (longest - 4.0) * (longest - 2.0) * length
    return step * math.sqrt(unbiased * variance), True


@kernel
def nadam_momentum(hyper, t):
    """NAdam's momentum at update t, from 1 (Dozat, 2016)."""
    return hyper[codes.BETA1] * (1.0 - 0.5 * 0.96 ** (t * hyper[codes.DECAY]))


@kernel
def _sgd(coef, w, g, m, count):
    for at in range(0, count, lanes(w)):
        param = load(w, at)
        d = fma(param, coef[DECAY], load(g, at))
        if coef[MOMENTUM] != 0.0:
            velocity = fma(load(m, at), coef[MOMENTUM], d)
            store(m, at, velocity)
            d = fma(velocity, coef[MOMENTUM], d) if coef[NESTEROV] != 0.0 else velocity
        store(w, at, fma(d, -coef[LR], param))


@kernel
def _adam(coef, w, g, m, v, count):
    for at in range(0, count, lanes(w)):
        param = load(w, at)
        d = fma(param, coef[DECAY], load(g, at))
        mean = load(m, at)
        mean = fma(d - mean, 1.0 - coef[BETA1], mean)
        square = fma(d * d, 1.0 - coef[BETA2], load(v, at) * coef[BETA2])
        store(m, at, mean)
        store(v, at, square)
        store(
            w,
            at,
            fma(mean / fma(sqrt(square), coef[UNBIAS], coef[EPS]), -coef[LR], param * coef[SHRINK]),
        )


@kernel
def _rmsprop(coef, w, g, m, v, count):
    for at in range(0, count, lanes(w)):
        param = load(w, at)
        d = fma(param, coef[DECAY], load(g, at))
        square = fma(d * d, 1.0 - coef[BETA2], load(v, at) * coef[BETA2])
        store(v, at, square)
        d = d / (sqrt(square) + coef[EPS])
        if coef[MOMENTUM] != 0.0:
            d = fma(load(m, at), coef[MOMENTUM], d)
            store(m, at, d)
        store(w, at, fma(d, -coef[LR], param))


@kernel
def _nadam(coef, w, g, m, v, count):
    for at in range(0, count, lanes(w)):
        param = load(w, at)
        d = fma(param, coef[DECAY], load(g, at))
        mean = load(m, at)
        mean = fma(d - mean, 1.0 - coef[BETA1], mean)
        square = fma(d * d, 1.0 - coef[BETA2], load(v, at) * coef[BETA2])
        store(m, at, mean)
        store(v, at, square)
        step = fma(mean, coef[LR], d * coef[GRADIENT_LR])
        store(w, at, param - step / fma(sqrt(square), coef[UNBIAS], coef[EPS]))


@kernel
def _adagrad(coef, w, g, v, count):
    for at in range(0, count, lanes(w)):
        param = load(w, at)
        d = fma(param, coef[DECAY], load(g, at))
        square = fma(d, d, load(v, at))
        store(v, at, square)
        store(w, at, fma(d / (sqrt(square) + coef[EPS]), -coef[LR], param))


@kernel
def update(optimizer, coef, w, g, m, v, count):
    """One update of ``count`` elements, whole vectors, of the parameters w by the gradient g.

    coef: ``coefficients``. m, v: moments (the codes above say which optimizer has which). No two of
    w, g, m and v may alias. Twin: same name; torch's rules.
    """
    if optimizer == SGD:
        _sgd(coef, w, g, m, count)
    elif optimizer == RMSPROP:
        _rmsprop(coef, w, g, m, v, count)
    else:
        _adam(coef, w, g, m, v, count)


@kernel
def update_extended(optimizer, coef, w, g, m, v, count):
    """``update`` for the optimizers of extended plans, too."""
    if optimizer == NADAM:
        _nadam(coef, w, g, m, v, count)
    elif optimizer == ADAGRAD:
        _adagrad(coef, w, g, v, count)
    else:  # RADAM, too, goes by _adam
        update(optimizer, coef, w, g, m, v, count)


@kernel
def momentum_of(hyper):
    """Momentum or beta1, which a schedule may replace: one of them, and the other is 0."""
    return hyper[codes.BETA1] + hyper[codes.MOMENTUM]


@kernel
def next_state(optimizer, hyper):
    """OPTIMIZER_STATE after this update."""
    state = hyper[H.OPTIMIZER_STATE]
    if optimizer == NADAM:
        return state * hyper[H.MU]
    return state
