"""Activations and their derivatives."""

import math

import numpy as np

from ..base import codes


def activation(code, z):
    """The activation a (B, O) of z (B, O); softmax over each row. torch's definitions.

    code: of codes.py, or a custom activation itself, here and in every argument for a layer's code.
    """
    return custom_activation(code, z)[0] if callable(code) else _ACTIVATIONS[code](z)


def derivative(code, z, a):
    """da/dz (B, O). At a kink the derivative of the left side, as in torch. Not for softmax."""
    return custom_activation(code, z)[1] if callable(code) else _DERIVATIVES[code](z, a)


def second_derivative(code, z, a):
    """d2a/dz2 (B, O) of a smooth activation. Not for softmax, nor custom ones."""
    return _SECOND_DERIVATIVES[code](z, a)


def custom_activation(function, z):
    """(a, da/dz), both (B, O), of a custom activation; a is NaN where the function fails."""
    a, rates = np.empty_like(z), np.empty_like(z)
    for place, x in np.ndenumerate(z):
        try:
            a[place], rates[place] = function(x)
        except Exception:  # noqa: BLE001 - compiled kernels cannot pass it on
            a[place] = rates[place] = math.nan
    return np.where(np.isnan(z), z, a + rates * 0), rates


def sigmoid(z):
    """1 / (1 + e^-z)."""
    small = np.exp(-np.abs(z))  # at most 1: never overflows
    return np.where(z >= 0, 1, small) / (1 + small)


def softplus(z):
    """ln(1 + e^z), without overflow."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _elu(z):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


_erfc = np.frompyfunc(math.erfc, 1, 1)


def _normal_cdf(z):
    x = z.astype(np.float64) * -math.sqrt(0.5)  # in float32 its rounding grows with z^2
    return 0.5 * _erfc(x).astype(z.dtype)


def _normal_density(z):
    return np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))


def shifted(z):
    """z (B, O) minus the largest entry of each row."""
    return z - z.max(axis=1, keepdims=True)


def _softmax(z):
    e = np.exp(shifted(z))
    return e / e.sum(axis=1, keepdims=True)


_ACTIVATIONS = {
    codes.IDENTITY: lambda z: z.copy(),
    codes.SIGMOID: sigmoid,
    codes.TANH: np.tanh,
    codes.RELU: lambda z: np.maximum(z, 0),
    codes.LEAKY_RELU: lambda z: np.where(z > 0, z, codes.LEAKY_SLOPE * z),
    codes.ELU: _elu,
    codes.SOFTPLUS: softplus,
    codes.SILU: lambda z: z * sigmoid(z),
    codes.GELU: lambda z: z * _normal_cdf(z),
    codes.SELU: lambda z: codes.SELU_SCALE * np.where(z > 0, z, codes.SELU_ALPHA * _elu(z)),
    codes.MISH: lambda z: z * np.tanh(softplus(z)),
    codes.SOFTMAX: _softmax,
}


def _step(z, left):
    return np.where(z > 0, 1, left).astype(z.dtype)


def _silu_derivative(z, _a):
    s = sigmoid(z)
    return s * (1 + z * (1 - s))


def _mish_derivative(z, _a):
    q = np.exp(-2 * softplus(z))
    return np.tanh(softplus(z)) + z * sigmoid(z) * 4 * q / (1 + q) ** 2  # 1 - tanh^2 of softplus


_DERIVATIVES = {
    codes.IDENTITY: lambda z, _a: np.ones_like(z),
    codes.SIGMOID: lambda _z, a: a * (1 - a),
    codes.TANH: lambda _z, a: 1 - a * a,
    codes.RELU: lambda z, _a: _step(z, 0),
    codes.LEAKY_RELU: lambda z, _a: _step(z, codes.LEAKY_SLOPE),
    codes.ELU: lambda z, a: np.where(z > 0, 1, a + 1),
    codes.SOFTPLUS: lambda z, _a: sigmoid(z),
    codes.SILU: _silu_derivative,
    codes.GELU: lambda z, _a: _normal_cdf(z) + z * _normal_density(z),
    codes.SELU: lambda z, a: np.where(
        z > 0, codes.SELU_SCALE, a + codes.SELU_SCALE * codes.SELU_ALPHA
    ).astype(z.dtype),
    codes.MISH: _mish_derivative,
}


def _silu_second(z, _a):
    s = sigmoid(z)
    return s * (1 - s) * (2 + z * (1 - 2 * s))


def _mish_second(z, _a):
    s, t, q = sigmoid(z), np.tanh(softplus(z)), np.exp(-2 * softplus(z))
    first = s * 4 * q / (1 + q) ** 2  # the derivative of t
    return first * (2 + z * (1 - s - 2 * t * s))


_SECOND_DERIVATIVES = {
    codes.IDENTITY: lambda z, _a: np.zeros_like(z),
    codes.SIGMOID: lambda _z, a: a * (1 - a) * (1 - 2 * a),
    codes.TANH: lambda _z, a: -2 * a * (1 - a * a),
    codes.SOFTPLUS: lambda z, _a: sigmoid(z) * sigmoid(-z),
    codes.SILU: _silu_second,
    codes.GELU: lambda z, _a: _normal_density(z) * (2 - z * z),
    codes.MISH: _mish_second,
}
