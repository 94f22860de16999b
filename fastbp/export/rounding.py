"""What a network computes, in float64, and how far rounding may take another program from it.

A chain of n additions has an error of CONFIDENCE sqrt(n) u times the size of its partial sums at
most, but for one in some thousand, u being the unit roundoff and roundings being independent
(Higham and Mary, 2019). Partial sums are taken for as large as the root of the sum of squares of
the terms, as in a random walk, with the size of the result, as in a steady climb. Errors of units,
too, add up by their squares in the next layer. An elementwise function is within FUNCTION u of its
size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..common.types import Array, Floats
from ..kernels import reference
from ..kernels.base import codes
from .content import Content, Layer

CONFIDENCE = 4
FUNCTION = 8

STEEPEST = {"sigmoid": 0.25, "silu": 1.1, "gelu": 1.13, "mish": 1.09, "selu": 1.76}
"""The largest slope of an activation, where it is not 1."""

BEND = {"sigmoid": 0.1, "tanh": 0.77, "elu": 1.0, "softplus": 0.25, "silu": 0.5, "gelu": 0.8}
BEND |= {"selu": 1.76, "mish": 0.6}
"""The largest derivative of the slope, where there is one."""

JUMP = {"relu": 1.0, "leaky_relu": 0.99, "selu": 0.71}
"""How much the slope changes at 0."""


class Sized(NamedTuple):
    """Numbers (rows, n), and how large the error of each may be."""

    value: Floats
    error: Floats


class Pass(NamedTuple):
    """A layer as a row has passed it: da/dz, and for layer norm the normal units and factors."""

    layer: Layer
    slope: Sized
    normal: Sized | None
    factor: Sized | None
    outputs: Sized


def double(array: Array) -> Floats:
    """The array in float64."""
    return np.asarray(array, np.float64)


def roundoff(content: Content) -> float:
    """The unit roundoff of a network's dtype."""
    return float(np.finfo(content.dtype).eps) / 2


def forward(content: Content, X: Array, error: Floats | None = None) -> tuple[Sized, list[Pass]]:
    """The outputs of X (rows, inputs), of the network's dtype, and what backward needs.

    error: of X, like it; None for 0.
    """
    x = Sized(double(X), np.zeros(X.shape) if error is None else error)
    u, passed = roundoff(content), list[Pass]()
    if content.inputs is not None:
        mean, factor = map(double, content.inputs)
        value = (x.value - mean) * factor
        x = Sized(value, x.error * np.abs(factor) + 2 * u * np.abs(value))
    for layer in content.layers:
        passed.append(_layer(layer, x, u))
        x = passed[-1].outputs
    if content.outputs is None:
        return x, passed
    factor, shift = map(double, content.outputs)
    size = np.abs(x.value * factor) + np.abs(shift)
    return Sized(x.value * factor + shift, x.error * factor + 2 * u * size), passed


def gradient(content: Content, passed: Sequence[Pass], v: Array) -> Sized:
    """J^T v (rows, inputs) for the rows of ``forward``; v (rows, outputs)."""
    u, e = roundoff(content), Sized(double(v), np.zeros(v.shape))
    if content.outputs is not None:
        e = _scaled(e, double(content.outputs[0]), u)
    for one in reversed(passed):
        e = _layer_back(one, e, u)
    return e if content.inputs is None else _scaled(e, double(content.inputs[1]), u)


def _scaled(x: Sized, factor: Floats, u: float) -> Sized:
    value = x.value * factor
    return Sized(value, x.error * np.abs(factor) + u * np.abs(value))


def _times(x: Sized, y: Sized, u: float) -> Sized:
    value = x.value * y.value
    error = x.error * np.abs(y.value) + np.abs(x.value) * y.error + x.error * y.error
    return Sized(value, error + u * np.abs(value))


def _product(x: Sized, W: Floats, b: Floats, u: float) -> Sized:
    value, squares = x.value @ W + b, W**2
    size = np.sqrt(x.value**2 @ squares + b**2) + np.abs(value)
    error = CONFIDENCE * np.sqrt(len(W) + 1) * u * size + np.sqrt(x.error**2 @ squares)
    return Sized(value, error)


def _mean(x: Floats) -> Floats:
    mean: Floats = x.mean(axis=1, keepdims=True)
    return mean


def _layer(layer: Layer, x: Sized, u: float) -> Pass:
    z, normal, factor = (
        _product(x, double(layer.weights), double(layer.bias), u),
        None,
        None,
    )
    if layer.gain is not None and layer.shift is not None:
        normal, factor = _normalized(z, u)
        size = np.abs(normal.value * layer.gain) + np.abs(layer.shift)
        value = normal.value * layer.gain + layer.shift
        z = Sized(value, normal.error * np.abs(layer.gain) + 2 * u * size)
    a, slope = _softmax(z, u) if layer.code == codes.SOFTMAX else _activation(layer, z, u)
    if layer.adds_inputs:
        value = a.value + x.value
        return Pass(
            layer, slope, normal, factor, Sized(value, a.error + x.error + u * np.abs(value))
        )
    return Pass(layer, slope, normal, factor, a)


def _activation(layer: Layer, z: Sized, u: float) -> tuple[Sized, Sized]:
    """a, and da/dz."""
    name, value = layer.activation, reference.activation(layer.code, z.value)
    size = np.abs(z.value) if name == "gelu" else np.abs(value)  # its cdf is 1 minus nearly 1
    a = Sized(value, STEEPEST.get(name, 1.0) * z.error + FUNCTION * u * size)
    slope = np.broadcast_to(reference.derivative(layer.code, z.value, value), value.shape)
    error = BEND.get(name, 0.0) * z.error + FUNCTION * u * slope_size(name, z.value)
    error = error + JUMP.get(name, 0.0) * (np.abs(z.value) <= z.error)
    return a, Sized(slope, error)


def slope_size(name: str, z: Floats) -> Floats:
    """Of which size, at least, the terms are that da/dz is made of."""
    return np.maximum(1, np.abs(z)) if name == "silu" else np.ones_like(z)  # z s (1 - s), s near 1


def _softmax(z: Sized, u: float) -> tuple[Sized, Sized]:
    """p twice: the derivative of softmax is made of it."""
    p = reference.activation(codes.SOFTMAX, z.value)
    below = z.value.max(axis=1, keepdims=True) - z.value
    moved = z.error + (p * z.error).sum(axis=1, keepdims=True)
    rounded = (FUNCTION + CONFIDENCE * np.sqrt(p.shape[1]) + below) * u
    found = Sized(p, p * (moved + rounded))
    return found, found


def _normalized(z: Sized, u: float) -> tuple[Sized, Sized]:
    """Units (rows, n) without mean and of variance 1, and the factors (rows, 1)."""
    d, share = z.value - _mean(z.value), CONFIDENCE * np.sqrt(z.value.shape[1]) * u
    factor = 1 / np.sqrt(_mean(d**2) + 1e-5)
    n, error = d * factor, z.error + share * (np.abs(z.value) + _mean(np.abs(z.value)))
    along = _mean(np.abs(n) * error) * factor + share
    spread = (error + _mean(error)) * factor + np.abs(n) * along
    return Sized(n, spread), Sized(factor, factor * along)


def _layer_back(one: Pass, e: Sized, u: float) -> Sized:
    """The gradient by the inputs of a layer, from that by its outputs."""
    delta = _times(e, one.slope, u)
    if one.layer.code == codes.SOFTMAX:
        delta = _softmax_back(e, one.slope, u)
    if one.normal is not None and one.factor is not None and one.layer.gain is not None:
        delta = _scaled(delta, double(one.layer.gain), u)
        delta = _normalized_back(delta, one.normal, one.factor, u)
    below = _product(delta, double(one.layer.weights).T, np.zeros(1), u)
    if one.layer.adds_inputs:
        value = below.value + e.value
        return Sized(value, below.error + e.error + u * (np.abs(value) + np.abs(e.value)))
    return below


def _softmax_back(e: Sized, p: Sized, u: float) -> Sized:
    terms = _times(e, p, u)
    mean = terms.value.sum(axis=1, keepdims=True)
    share = CONFIDENCE * np.sqrt(p.value.shape[1]) * u
    error = (terms.error + share * np.abs(terms.value)).sum(axis=1, keepdims=True)
    apart = Sized(e.value - mean, e.error + error + u * (np.abs(e.value) + np.abs(mean)))
    return _times(apart, p, u)


def _normalized_back(d: Sized, n: Sized, factor: Sized, u: float) -> Sized:
    share = CONFIDENCE * np.sqrt(d.value.shape[1]) * u
    product = _times(d, n, u)
    along = Sized(_mean(product.value), _mean(product.error + share * np.abs(product.value)))
    mean = Sized(_mean(d.value), _mean(d.error + share * np.abs(d.value)))
    back = _times(n, along, u)
    value = d.value - mean.value - back.value
    error = d.error + mean.error + back.error
    error = error + 2 * u * (np.abs(d.value) + np.abs(mean.value) + np.abs(back.value))
    return _times(Sized(value, error), factor, u)
