"""Derivatives of outputs by inputs: tangents through all layers."""

import numpy as np

from ..base import codes
from .activations import activation, derivative
from .network import forward, layer_norm


def jacobian(weights, biases, activations, X, norms=None, residual=None):
    """The derivatives (B, O, I) of the outputs by the inputs X (B, I), in the network's units.

    Arguments as of ``forward``.
    """
    directions = np.broadcast_to(np.eye(X.shape[1], dtype=X.dtype), (len(X), *X.shape[1:] * 2))
    found = _tangents(weights, biases, activations, X, directions, norms, residual)
    return found.transpose(0, 2, 1)


def jvp(weights, biases, activations, X, V, norms=None, residual=None):
    """The derivatives (B, O) along one direction V (B, I) of each row of X."""
    return _tangents(weights, biases, activations, X, V[:, None], norms, residual)[:, 0]


def _tangents(weights, biases, activations, X, T, norms, residual):
    """Those of the outputs, (B, directions, O), from T (B, directions, I)."""
    zs, outs = forward(weights, biases, activations, X, None, norms, residual)
    for layer, (W, code) in enumerate(zip(weights, activations, strict=True)):
        norm, adds = norms and norms[layer], residual and residual[layer]
        S, z, a = T @ W, zs[layer], outs[layer + 1]
        if norm is not None:
            S, z = _through_norm(z, S, norm[0]), layer_norm(z, *norm)
        if adds:
            a = activation(code, z)
        S = _through_activation(code, z, a, S)
        T = S + T if adds else S
    return T


def _through_norm(z, S, gain):
    """Tangents of gain n + shift, n the normalized z: by differences of sums over units."""
    d = z - z.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(d).mean(axis=1, keepdims=True) + z.dtype.type(1e-5))
    n, change = (d / deviation)[:, None], S - S.mean(axis=2, keepdims=True)
    along = (change * n).mean(axis=2, keepdims=True)
    return gain * (change - n * along) / deviation[:, None]


def _through_activation(code, z, a, S):
    if code == codes.SOFTMAX:
        p = a[:, None]
        return p * (S - (p * S).sum(axis=2, keepdims=True))
    return S * derivative(code, z, a)[:, None]
