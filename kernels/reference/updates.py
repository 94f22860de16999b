"""Penalties, clipping, and the update rules of the optimizers."""

import math

import numpy as np

from ..base import codes
from ..stages.update_rules import ADAGRAD, ADAM, ADAMW, NADAM, RADAM, RMSPROP, SGD


def penalty(weights, l1, l2):
    """The penalty on weights, [W (I, O), ...]: l1 sum |w| + l2 / 2 sum w^2."""
    sizes = sum(np.abs(W).sum(dtype=np.float64) for W in weights)
    return l1 * sizes + 0.5 * l2 * sum(np.square(W).sum(dtype=np.float64) for W in weights)


def final_gradient(w, g, l1, l2, largest):
    """The gradient g of the rows' losses, with that of penalties, clipped if largest > 0.

    l1 = l2 = 0 for biases.
    """
    if l1 or l2:
        g = g + w.dtype.type(l2) * w + w.dtype.type(l1) * np.sign(w)
    return np.clip(g, -largest, largest) if largest else g


def clip_scale(gradients, largest):
    """The factor that brings the norm of all gradients within ``largest``, or NaN."""
    norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradients))
    return min(1.0, largest / (norm + 1e-6)) if math.isfinite(norm) else math.nan


def update(optimizer, hyper, t, w, g, m, v):
    """One update of the parameters w with the gradient g, in place on w, m and v.

    ``hyper``: the float64 vector of codes.py. ``t``: the number of this update, from 1. m and v
    have the shape of w and start at 0; a moment that the optimizer does not use stays as it is. The
    rules and the order of operations are torch's: scalars in double precision, arrays in their
    dtype.
    """
    hyper, t = hyper.tolist(), int(t)
    if optimizer == ADAMW or (optimizer == RADAM and hyper[codes.DECAY]):
        w *= 1 - hyper[codes.LR] * hyper[codes.WEIGHT_DECAY]
    elif hyper[codes.WEIGHT_DECAY]:
        g = g + hyper[codes.WEIGHT_DECAY] * w
    _UPDATES[optimizer](hyper, t, w, g, m, v)


def _sgd(hyper, _t, w, g, m, _v):
    if hyper[codes.MOMENTUM]:
        m *= hyper[codes.MOMENTUM]
        m += g
        g = g + hyper[codes.MOMENTUM] * m if hyper[codes.NESTEROV] else m
    w -= hyper[codes.LR] * g


def _adam(hyper, t, w, g, m, v):
    beta1, beta2 = hyper[codes.BETA1], hyper[codes.BETA2]
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    step_size = hyper[codes.LR] / (1 - beta1**t)
    w -= step_size * (m / (np.sqrt(v) / math.sqrt(1 - beta2**t) + hyper[codes.EPS]))


def _rmsprop(hyper, _t, w, g, m, v):
    alpha = hyper[codes.BETA2]
    v *= alpha
    v += (1 - alpha) * g * g
    g = g / (np.sqrt(v) + hyper[codes.EPS])
    if hyper[codes.MOMENTUM]:
        m *= hyper[codes.MOMENTUM]
        m += g
        g = m
    w -= hyper[codes.LR] * g


def nadam_momentum(hyper, t):
    """NAdam's momentum at update t, from 1."""
    return hyper[codes.BETA1] * (1 - 0.5 * 0.96 ** (t * hyper[codes.DECAY]))


def _nadam(hyper, t, w, g, m, v):
    beta1, beta2 = hyper[codes.BETA1], hyper[codes.BETA2]
    mu, later = nadam_momentum(hyper, t), nadam_momentum(hyper, t + 1)
    product = math.prod(nadam_momentum(hyper, i) for i in range(1, t + 1))
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    root = np.sqrt(v) / math.sqrt(1 - beta2**t) + hyper[codes.EPS]
    w -= hyper[codes.LR] * (1 - mu) / (1 - product) * (g / root)
    w -= hyper[codes.LR] * later / (1 - product * later) * (m / root)


def _adagrad(hyper, t, w, g, _m, v):
    v += g * g
    w -= (
        hyper[codes.LR] / (1 + (t - 1) * hyper[codes.DECAY]) * (g / (np.sqrt(v) + hyper[codes.EPS]))
    )


def _radam(hyper, t, w, g, m, v):
    beta1, beta2 = hyper[codes.BETA1], hyper[codes.BETA2]
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * g * g
    step = hyper[codes.LR] * (m / (1 - beta1**t))
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    if rho > 5:
        rect = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
        step = step * (math.sqrt(1 - beta2**t) / (np.sqrt(v) + hyper[codes.EPS])) * math.sqrt(rect)
    w -= step


_UPDATES = {
    SGD: _sgd,
    ADAM: _adam,
    ADAMW: _adam,
    RMSPROP: _rmsprop,
    ADAGRAD: _adagrad,
    NADAM: _nadam,
    RADAM: _radam,
}
