"""Forward and backward through all layers: dropout, layer norm, residual connections, units."""

import math

import numpy as np

from ..base.sizes import SUM_ROWS
from .activations import activation, derivative
from .shuffling import GOLDEN, MASK, mix


def standardized(x, mean, factor):
    """X or targets (B, n) in the network's units. mean, factor: (n,)."""
    return (x - mean) * factor


def in_raw_units(p, factor, shift):
    """Outputs (B, O) in raw units. factor, shift: (O,)."""
    return p * factor + shift


def forward(weights, biases, activations, X, factors=None, norms=None, residual=None):
    """All layers in order: (zs, outs) with zs[l] = outs[l] @ W + b and outs[l + 1] its activation.

    ``activations`` holds one code a layer; outs[0] is X itself. factors,
    norms and residual have one item for each layer, None where the layer has none: the factors of
    dropout (B, O) on the activations; (gain (O,), shift (O,)); True where the layer adds outs[l].
    """
    zs, outs = [], [X]
    each = (_each(option, weights) for option in (factors, norms, residual))
    for W, b, code, factor, norm, adds in zip(weights, biases, activations, *each, strict=True):
        zs.append(outs[-1] @ W + b)
        a = activation(code, _normalized(zs[-1], norm))
        a = a if factor is None else a * factor
        outs.append(a + outs[-1] if adds else a)
    return zs, outs


def backward(weights, activations, zs, outs, delta, factors=None, norms=None, residual=None):
    """dLoss/dz of every layer, first layer first, from ``delta``, that of the last."""
    deltas, _, _ = errors(weights, activations, zs, outs, delta, factors, norms, residual)
    return deltas


def errors(weights, activations, zs, outs, delta, factors=None, norms=None, residual=None):
    """The backward pass from ``delta``, dLoss/dz (B, O) of the last layer.

    Returns (the deltas of ``backward``, (dgain, dshift) or None for each layer, the error that
    bypasses a residual first layer: (B, I), or 0 without one).
    """
    deltas, of_norms, past = [delta], [None], 0
    factors, norms, residual = (_each(option, weights) for option in (factors, norms, residual))
    for layer in range(len(weights) - 2, -1, -1):
        error, code = deltas[0] @ weights[layer + 1].T + past, activations[layer]
        u, a, of_norm = _normalized(zs[layer], norms[layer]), outs[layer + 1], None
        past = error if residual[layer] else 0
        if factors[layer] is not None:
            error = error * factors[layer]
        if factors[layer] is not None or residual[layer]:
            a = activation(code, u)
        delta = error * derivative(code, u, a)
        if norms[layer] is not None:
            delta, *of_norm = layer_norm_gradients(zs[layer], norms[layer][0], delta)
        deltas.insert(0, delta)
        of_norms.insert(0, of_norm)
    return deltas, of_norms, past


def _each(option, weights):
    return [None] * len(weights) if option is None else option


def layer_norm(z, gain, shift):
    """gain n + shift (B, O), where n is z normalized over the units of each row."""
    n, _ = layer_norm_parts(z)
    return gain * n + shift


def layer_norm_gradients(z, gain, du):
    """(dLoss/dz (B, O), dgain (O,), dshift (O,)), from dLoss/du of u = ``layer_norm``."""
    n, inverse = layer_norm_parts(z)
    dn = du * gain
    mean, along = (x.mean(axis=1, keepdims=True) for x in (dn, dn * n))
    return (dn - mean - n * along) * inverse, _sum_of_rows(du * n), _sum_of_rows(du)


def layer_norm_parts(z):
    """(z normalized over the units of each row (B, O), 1 / its standard deviation (B, 1))."""
    d = z - z.mean(axis=1, keepdims=True)
    d -= d.mean(axis=1, keepdims=True)  # the rounding error of the mean
    variance = np.square(d).mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt(variance + z.dtype.type(1e-5)) + (variance - variance)  # NaN for infinity
    return d * inverse, inverse


def _normalized(z, norm):
    return z if norm is None else layer_norm(z, *norm)


def dropout_factors(seed, update, layer, rows, units, rate, scheduled=1.0):
    """The factors of dropout on a layer's activations, (B, O) float64: 0 or 1 / (1 - rate).

    rows: places in the batch, (B,). layer: from 1. A hash of 32 bits (dropout.py) that depends
    on (seed, update, layer, row, unit) alone. scheduled: the schedule's factor on the rate.
    """
    most = 2**32 - 1
    threshold = min(math.floor(min(round(rate * 2**32), most) * scheduled + 0.5), most)
    key = mix(mix((mix(seed ^ GOLDEN) + update) & MASK) + layer * GOLDEN & MASK)
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    numbers = np.asarray(rows, np.int64)[:, None] * units + np.arange(units)
    x = numbers.astype(np.uint32) ^ low
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) + high
    x = x * np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return np.where(x >= np.uint32(threshold), 2**32 / (2**32 - threshold), 0.0)


def error_of_inputs(weights, deltas, past=0):
    """dLoss/dX (B, I), from the delta of the first layer and the error that bypasses it."""
    return deltas[0] @ weights[0].T + past


def gradients(outs, deltas):
    """[(dW (I, O), db (O,)), ...], summed over the rows."""
    pairs = zip(outs[:-1], deltas, strict=True)
    return [(_product_over_rows(a, delta), _sum_of_rows(delta)) for a, delta in pairs]


def _product_over_rows(a, delta):
    """a^T delta (I, O), the products of blocks of rows added up in order."""
    return sum(a[rows].T @ delta[rows] for rows in row_blocks(a))


def _sum_of_rows(x):
    """The sum over the rows (columns,), the sums of blocks of rows added up in order."""
    return sum(x[rows].sum(axis=0) for rows in row_blocks(x))


def row_blocks(x):
    """Slices of SUM_ROWS rows: within one, the order of a sum is NumPy's."""
    return [slice(start, start + SUM_ROWS) for start in range(0, len(x), SUM_ROWS)]
