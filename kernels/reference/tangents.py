"""Derivatives along directions of the inputs, and the gradient of a loss of them.

Forward mode carries tangents through the layers beside the values, along D directions at once:
(D, B, units). Reverse mode goes back through both (Czarnecki et al., Sobolev training, 2017): for
z = W^T a, zdot = W^T adot, a = f(z), adot = f'(z) zdot and errors e of a, edot of adot,

    dLoss/dz = e f'(z) + sum over the directions of edot f''(z) zdot,  dLoss/dzdot = edot f'(z).

``layers`` is one tuple a layer: (W (I, O), code of the activation, factors of dropout (B, O) or
None, (gain, shift) or None, whether it adds its inputs), as in ``forward``.
"""

import numpy as np

from ..base import codes
from .activations import activation, derivative, second_derivative
from .network import gradients, layer_norm, layer_norm_parts


def forward_tangents(layers, zs, directions):
    """All layers in order: (zdots, adots), the tangents of zs, and those of outs; see ``forward``.

    zs: of ``forward``. directions: the tangents of X, (D, B, I).
    """
    zdots, adots = [], [directions]
    for (W, code, factor, norm, adds), z in zip(layers, zs, strict=True):
        zdots.append(adots[-1] @ W)
        u, udot = _normalized(z, zdots[-1], norm)
        adot = _tangent(code, activation(code, u), u, udot)
        adot = adot if factor is None else adot * factor
        adots.append(adot + adots[-1] if adds else adot)
    return zdots, adots


def tangent_losses(pdots, targets, weights):
    """(loss of each row (B,), its derivative by pdots) of known derivatives of the outputs.

    The mean over directions and outputs of weights (pdots - targets)^2, where a target that is NaN
    counts for 0. pdots, targets: (D, B, O). weights: (D, O).
    """
    known = ~np.isnan(targets)
    d = np.where(known, pdots - np.where(known, targets, 0), pdots * 0)
    scale = pdots.dtype.type(1 / (pdots.shape[0] * pdots.shape[2]))
    weighted = d * weights[:, None, :].astype(pdots.dtype)
    return (weighted * d).sum(axis=(0, 2)) * scale, weighted * (2 * scale)


def through_outputs(code, z, zdots, rates):
    """(dLoss/dz (B, O), dLoss/dzdot (D, B, O)) of the outputs, from ``rates`` = dLoss/dpdot."""
    return _back(code, activation(code, z), z, zdots, np.zeros_like(z), rates)


def errors_with_tangents(layers, zs, zdots, delta, delta_dot):
    """The backward pass from dLoss/dz (B, O) and dLoss/dzdot (D, B, O) of the last layer.

    Returns (dLoss/dz, dLoss/dzdot, (dgain, dshift) or None), each of every layer.
    """
    deltas, dots, of_norms, past, past_dot = [delta], [delta_dot], [None], 0, 0
    for layer in range(len(layers) - 2, -1, -1):
        above, (_, code, factor, norm, adds) = layers[layer + 1][0], layers[layer]
        error, error_dot = deltas[0] @ above.T + past, dots[0] @ above.T + past_dot
        past, past_dot = (error, error_dot) if adds else (0, 0)
        if factor is not None:
            error, error_dot = error * factor, error_dot * factor
        z, zdot, of_norm = zs[layer], zdots[layer], None
        u, udot = _normalized(z, zdot, norm)
        delta, dot = _back(code, activation(code, u), u, udot, error, error_dot)
        if norm is not None:
            delta, dot, *of_norm = layer_norm_back(z, zdot, norm[0], delta, dot)
        deltas.insert(0, delta)
        dots.insert(0, dot)
        of_norms.insert(0, of_norm)
    return deltas, dots, of_norms


def gradients_with_tangents(outs, adots, deltas, dots):
    """[(dW (I, O), db (O,)), ...], summed over the rows and the directions; see ``gradients``."""
    total = gradients(outs, deltas)
    for d in range(len(adots[0])):
        along = gradients([a[d] for a in adots], [dot[d] for dot in dots])
        total = [(W + more, b) for (W, b), (more, _) in zip(total, along, strict=True)]
    return total


def layer_norm_tangents(z, zdots, gain):
    """The tangents (D, B, O) of u = ``layer_norm``, from those of z."""
    return gain * _normal_tangents(z, zdots)


def layer_norm_back(z, zdots, gain, du, dudots):
    """(dLoss/dz, dLoss/dzdot, dgain (O,), dshift (O,)), from dLoss/du and dLoss/dudot.

    With n = (z - mean) r and ndot = r (zdot - mean(zdot) - n k), k = mean(n zdot), where means are
    over the units of a row: of q = gain dLoss/dudot come dLoss/dzdot = r (q - mean(q) -
    n mean(q n)), the part -r q k - mean(q n) r zdot of dLoss/dn, and through r the part
    -r n mean(q ndot) of dLoss/dz.
    """
    n, r = layer_norm_parts(z)
    ndot, q, dn = _normal_tangents(z, zdots), gain * dudots, gain * du
    k, qn, qc = (_mean(x) for x in (n * zdots, q * n, q * ndot))
    dn = dn - (r * q * k + r * qn * zdots).sum(axis=0)
    dz = r * (dn - _mean(dn) - n * (_mean(dn * n) + qc.sum(axis=0)))
    dzdots = r * (q - _mean(q) - n * qn)
    return dz, dzdots, (du * n).sum(axis=0) + (dudots * ndot).sum(axis=(0, 1)), du.sum(axis=0)


def _mean(x):
    return x.mean(axis=-1, keepdims=True)


def _normal_tangents(z, zdots):
    n, r = layer_norm_parts(z)
    return r * (zdots - _mean(zdots) - n * _mean(n * zdots))


def _normalized(z, zdots, norm):
    if norm is None:
        return z, zdots
    return layer_norm(z, *norm), layer_norm_tangents(z, zdots, norm[0])


def _tangent(code, a, u, udots):
    if code == codes.SOFTMAX:
        return a * (udots - (a * udots).sum(axis=-1, keepdims=True))
    return derivative(code, u, a) * udots


def _back(code, a, u, udots, error, error_dots):
    """(dLoss/du, dLoss/dudot), from dLoss/da and dLoss/dadot."""
    if code == codes.SOFTMAX:
        return _softmax_back(a, udots, error, error_dots)
    first = derivative(code, u, a)
    bend = second_derivative(code, u, a) * (error_dots * udots).sum(axis=0)
    return error * first + bend, error_dots * first


def _softmax_back(p, udots, error, error_dots):
    """Likewise: pdot_j = p_j (udot_j - s) with s = sum of p udot."""
    s, mass = ((p * x).sum(axis=-1, keepdims=True) for x in (udots, error_dots))
    error = error + (error_dots * (udots - s) - udots * mass).sum(axis=0)
    return p * (error - (p * error).sum(axis=-1, keepdims=True)), p * (error_dots - mass)
