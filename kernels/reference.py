"""Plain NumPy twins of the compiled stages, in natural shapes: the oracle and ``engine="numpy"``.

Arrays have one row a sample: X (B, I), W (I, O), b (O,), z, a and delta (B, O). Every function
keeps the dtype it is given (float32 or float64) unless it says otherwise.
"""

import math

import numpy as np

from . import codes, schedules

# Activations


def activation(code, z):
    """The activation a (B, O) of z (B, O); softmax over each row. torch's definitions."""
    return _ACTIVATIONS[code](z)


def slope(code, z, a):
    """da/dz (B, O). At a kink the slope of the left side, as torch has it. Not for softmax."""
    return _SLOPES[code](z, a)


def _sigmoid(z):
    small = np.exp(-np.abs(z))  # at most 1: never overflows
    return np.where(z >= 0, 1, small) / (1 + small)


def _softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _elu(z):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


_erfc = np.frompyfunc(math.erfc, 1, 1)


def _normal_cdf(z):
    x = z.astype(np.float64) * -math.sqrt(0.5)  # in float32 its rounding grows with z^2
    return 0.5 * _erfc(x).astype(z.dtype)


def _normal_density(z):
    return np.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))


def _shifted(z):
    return z - z.max(axis=1, keepdims=True)


def _softmax(z):
    e = np.exp(_shifted(z))
    return e / e.sum(axis=1, keepdims=True)


_ACTIVATIONS = {
    codes.IDENTITY: lambda z: z.copy(),
    codes.SIGMOID: _sigmoid,
    codes.TANH: np.tanh,
    codes.RELU: lambda z: np.maximum(z, 0),
    codes.LEAKY_RELU: lambda z: np.where(z > 0, z, codes.LEAKY_SLOPE * z),
    codes.ELU: _elu,
    codes.SOFTPLUS: _softplus,
    codes.SILU: lambda z: z * _sigmoid(z),
    codes.GELU: lambda z: z * _normal_cdf(z),
    codes.SOFTMAX: _softmax,
}


def _step(z, left):
    return np.where(z > 0, 1, left).astype(z.dtype)


def _silu_slope(z, _a):
    s = _sigmoid(z)
    return s * (1 + z * (1 - s))


_SLOPES = {
    codes.IDENTITY: lambda z, _a: np.ones_like(z),
    codes.SIGMOID: lambda _z, a: a * (1 - a),
    codes.TANH: lambda _z, a: 1 - a * a,
    codes.RELU: lambda z, _a: _step(z, 0),
    codes.LEAKY_RELU: lambda z, _a: _step(z, codes.LEAKY_SLOPE),
    codes.ELU: lambda z, a: np.where(z > 0, 1, a + 1),
    codes.SOFTPLUS: lambda z, _a: _sigmoid(z),
    codes.SILU: _silu_slope,
    codes.GELU: lambda z, _a: _normal_cdf(z) + z * _normal_density(z),
}

# The network


def forward(weights, biases, activations, X):
    """All layers in order: (zs, outs) with zs[l] = outs[l] @ W + b and outs[l + 1] its activation.

    ``activations`` holds one code a layer; outs[0] is X itself.
    """
    zs, outs = [], [X]
    for W, b, code in zip(weights, biases, activations, strict=True):
        zs.append(outs[-1] @ W + b)
        outs.append(activation(code, zs[-1]))
    return zs, outs


def backward(weights, activations, zs, outs, delta):
    """dLoss/dz of every layer, first layer first, from ``delta``, that of the last."""
    deltas = [delta]
    for layer in range(len(weights) - 2, -1, -1):
        error = deltas[0] @ weights[layer + 1].T
        deltas.insert(0, error * slope(activations[layer], zs[layer], outs[layer + 1]))
    return deltas


def error_of_inputs(weights, deltas):
    """dLoss/dX (B, I), from the delta of the first layer."""
    return deltas[0] @ weights[0].T


def gradients(outs, deltas):
    """[(dW (I, O), db (O,)), ...], summed over the rows."""
    return [(a.T @ delta, delta.sum(axis=0)) for a, delta in zip(outs[:-1], deltas, strict=True)]


# Losses


def row_losses(loss, z, p, y):
    """Loss of each row (B,); the loss of a batch is their mean.

    z and p (B, O) are the last layer before and after its activation. y (B, O), or for
    cross_entropy also integer labels (B,).
    """
    return _ROW_LOSSES[loss](z, p, _target_rows(y, z))


def output_delta(loss, output, z, p, y, n):
    """dLoss/dz (B, O) of the loss sum(row_losses) / n, where ``output`` is the activation's code.

    ``n`` counts the rows of the whole batch, of which these may be a part.
    """
    y, n = _target_rows(y, z), int(n)
    if loss == codes.CROSS_ENTROPY:  # rows of y sum to 1 within 1e-3 only
        return (p * y.sum(axis=1, keepdims=True) - y) / n
    if loss == codes.BCE:
        return (p - y) / (n * p.shape[1])
    scale = 2 / (n * p.shape[1]) if loss == codes.MSE else 1 / n
    return scale * (p - y) * slope(output, z, p)


def delta_from_output(output, z, p, v):
    """dLoss/dz (B, O) of a loss whose own gradient dLoss/dp is v (B, O)."""
    if output == codes.SOFTMAX:
        return p * (v - (p * v).sum(axis=1, keepdims=True))
    return v * slope(output, z, p)


def correct(loss, p, y):
    """How much of each row is right, (B,) float64; its mean is the accuracy.

    cross_entropy: 1 where the largest entry is at the label, the lowest index on ties, else 0.
    bce: the share of entries with (p >= 0.5) == (y >= 0.5). NaN is never right.
    """
    if loss == codes.BCE:
        return (((p >= 0.5) == (y >= 0.5)) & ~np.isnan(p)).mean(axis=1)
    if loss == codes.CROSS_ENTROPY:
        labels = y if y.ndim == 1 else y.argmax(axis=1)
        return ((p.argmax(axis=1) == labels) & ~np.isnan(p).any(axis=1)).astype(np.float64)
    raise ValueError(f"loss {loss} has no accuracy: only bce and cross_entropy have")


def _target_rows(y, z):
    if y.ndim == 2:
        return y.astype(z.dtype, copy=False)
    rows = np.zeros_like(z)
    rows[np.arange(len(y)), y] = 1
    return rows


def _mse(_z, p, y):
    return np.square(p - y).mean(axis=1)


def _squared_error(_z, p, y):
    return 0.5 * np.square(p - y).sum(axis=1)


def _bce(z, _p, y):
    return (_softplus(z) - z * y).mean(axis=1)


def _cross_entropy(z, _p, y):
    z = _shifted(z)
    minus_log_p = np.log(np.exp(z).sum(axis=1, keepdims=True)) - z
    return (y * minus_log_p).sum(axis=1)


_ROW_LOSSES = {
    codes.MSE: _mse,
    codes.SQUARED_ERROR: _squared_error,
    codes.BCE: _bce,
    codes.CROSS_ENTROPY: _cross_entropy,
}

# Updates


def update(optimizer, hyper, t, w, g, m, v):
    """One update of the parameters w with the gradient g, in place on w, m and v.

    ``hyper`` is the float64 vector of codes.py, ``t`` the number of this update, from 1. m and v
    have the shape of w and start at 0; one that the optimizer does not use is not touched. torch's
    rules in torch's order of operations: scalars in double precision, arrays in their own.
    """
    hyper, t = hyper.tolist(), int(t)
    if optimizer == codes.ADAMW:
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


_UPDATES = {
    codes.SGD: _sgd,
    codes.ADAM: _adam,
    codes.ADAMW: _adam,
    codes.RMSPROP: _rmsprop,
}

# Schedules


def scheduled(values, t):
    """(factor of the learning rate, momentum or NaN) after t updates; see schedules.py.

    ``values`` are the cells of a schedule, (N_SCHEDULE,) float64.
    """
    values, t = np.asarray(values).tolist(), float(t)
    warmup, first = values[schedules.WARMUP], values[schedules.START_FACTOR]
    rise = first + (1 - first) * t / warmup if t < warmup else 1.0
    factor, momentum = _SCHEDULES[values[schedules.CODE]](values, max(t - warmup, 0.0))
    return rise * factor, momentum


def _anneal(anneal):
    def annealed(values, t):
        first, peak, end, last, outer, inner = values[schedules.FIRST :]
        if t < peak:
            return anneal(first, 1.0, t / peak), anneal(outer, inner, t / peak)
        share = min(1.0, (t - peak) / (last - peak))
        return anneal(1.0, end, share), anneal(inner, outer, share)

    return annealed


_SCHEDULES = {
    schedules.CONSTANT: lambda _values, _t: (1.0, math.nan),
    schedules.STEPS: lambda values, t: (
        values[schedules.GAMMA] ** (t // values[schedules.EVERY]),
        math.nan,
    ),
    schedules.INVERSE: lambda values, t: ((t + 1) ** -values[schedules.POWER], math.nan),
    schedules.COSINE: _anneal(
        lambda begin, end, share: end + (begin - end) / 2 * (math.cos(math.pi * share) + 1)
    ),
    schedules.LINEAR: _anneal(lambda begin, end, share: begin + (end - begin) * share),
}

# Shuffling

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def _mix(z):
    """The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) on 64-bit integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)


def shuffled(seed, epoch, n):
    """The order (n,) int64 of the rows in an epoch: Fisher-Yates on a counter-based generator.

    It depends on seed (in [0, 2**63)), epoch and n alone.
    """
    key = _mix(_mix((seed + _GOLDEN) & _MASK) + epoch & _MASK)
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        r = _mix(key + i * _GOLDEN & _MASK) >> 32
        j = r * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)
