"""Plain NumPy twins of the compiled stages, in natural shapes: the oracle and ``engine="numpy"``.

Arrays have one row a sample: X (B, I), W (I, O), b (O,), z, a and delta (B, O). Every function
keeps the dtype it is given (float32 or float64) unless it says otherwise.
"""

import math

import numpy as np

from .base import codes
from .tables import schedules

# Activations


def activation(code, z):
    """The activation a (B, O) of z (B, O); softmax over each row. torch's definitions.

    code: or the user's own function, here and wherever a layer's code is asked for.
    """
    return custom_activation(code, z)[0] if callable(code) else _ACTIVATIONS[code](z)


def derivative(code, z, a):
    """da/dz (B, O). At a kink the slope of the left side, as torch has it. Not for softmax."""
    return custom_activation(code, z)[1] if callable(code) else _SLOPES[code](z, a)


def custom_activation(function, z):
    """(a, da/dz), both (B, O), of the user's own activation; a is NaN where there is no number."""
    a, rates = np.empty_like(z), np.empty_like(z)
    for place, x in np.ndenumerate(z):
        try:
            a[place], rates[place] = function(x)
        except Exception:  # noqa: BLE001 - compiled kernels cannot pass it on
            a[place] = rates[place] = math.nan
    return np.where(np.isnan(z), z, a + rates * 0), rates


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

# Units


def standardized(x, mean, factor):
    """X or targets (B, n) as the network has them. mean, factor: (n,)."""
    return (x - mean) * factor


def in_raw_units(p, factor, shift):
    """Outputs (B, O) as the user has them. factor, shift: (O,)."""
    return p * factor + shift


# The network


def forward(weights, biases, activations, X, factors=None, norms=None, residual=None):
    """All layers in order: (zs, outs) with zs[l] = outs[l] @ W + b and outs[l + 1] its activation.

    ``activations`` holds one code a layer; outs[0] is X itself. One of each layer, or None for a
    layer without: factors, those of dropout (B, O) on the activations; norms, (gain (O,), shift
    (O,)); residual, True where the layer adds outs[l].
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
    """What comes back from ``delta``, dLoss/dz (B, O) of the last layer.

    Returns (``backward``, (dgain, dshift) or None of every layer, the error that goes past the
    first layer: (B, I) or 0).
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
    n, _ = _normal(z)
    return gain * n + shift


def layer_norm_gradients(z, gain, du):
    """(dLoss/dz (B, O), dgain (O,), dshift (O,)), from dLoss/du of u = ``layer_norm``."""
    n, inverse = _normal(z)
    dn = du * gain
    mean, along = (x.mean(axis=1, keepdims=True) for x in (dn, dn * n))
    return (dn - mean - n * along) * inverse, (du * n).sum(axis=0), du.sum(axis=0)


def _normal(z):
    d = z - z.mean(axis=1, keepdims=True)
    d -= d.mean(axis=1, keepdims=True)  # what the mean's rounding left
    inverse = 1 / np.sqrt(np.square(d).mean(axis=1, keepdims=True) + z.dtype.type(1e-5))
    return d * inverse, inverse


def _normalized(z, norm):
    return z if norm is None else layer_norm(z, *norm)


def dropout_factors(seed, update, layer, rows, units, rate):
    """What dropout multiplies a layer's activations by, (B, O) float64: 0 or 1 / (1 - rate).

    rows: the places in the batch, (B,). layer: from 1. A hash of 32 bits (dropout.py) that depends
    on (seed, update, layer, row, unit) alone.
    """
    threshold = min(round(rate * 2**32), 2**32 - 1)
    key = _mix(_mix((_mix(seed ^ _GOLDEN) + update) & _MASK) + layer * _GOLDEN & _MASK)
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    numbers = np.asarray(rows, np.int64)[:, None] * units + np.arange(units)
    x = numbers.astype(np.uint32) ^ low
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) + high
    x = x * np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return np.where(x >= np.uint32(threshold), 2**32 / (2**32 - threshold), 0.0)


def error_of_inputs(weights, deltas, past=0):
    """dLoss/dX (B, I), from the delta of the first layer, and the error that goes past it."""
    return deltas[0] @ weights[0].T + past


def gradients(outs, deltas):
    """[(dW (I, O), db (O,)), ...], summed over the rows."""
    return [(a.T @ delta, delta.sum(axis=0)) for a, delta in zip(outs[:-1], deltas, strict=True)]


# Losses


def row_losses(loss, z, p, y, output=codes.IDENTITY, parameter=0.0, smoothing=0.0):
    """Loss of each row (B,); the loss of a batch is their mean.

    z and p (B, O) are the last layer before and after its activation, whose code is ``output``.
    y (B, O), or for cross_entropy also integer labels (B,). parameter: huber's delta, the quantile.
    """
    y = smoothed(loss, _target_rows(y, z), smoothing)
    if loss in _MORE_LOSSES:
        values, _ = _MORE_LOSSES[loss](p, y, parameter, output)
        return values.mean(axis=1)
    return _ROW_LOSSES[loss](z, p, y)


def smoothed(loss, y, smoothing):
    """Targets (B, O) of cross_entropy or bce with label smoothing (Szegedy et al., 2016)."""
    if not smoothing:
        return y
    return y * (1 - smoothing) + smoothing / (2 if loss == codes.BCE else y.shape[1])


def output_delta(loss, output, z, p, y, n, parameter=0.0, smoothing=0.0):
    """dLoss/dz (B, O) of the loss sum(row_losses) / n, where ``output`` is the activation's code.

    ``n`` counts the rows of the whole batch, of which these may be a part.
    """
    y, n = smoothed(loss, _target_rows(y, z), smoothing), int(n)
    if loss in _MORE_LOSSES:
        values, rates = _MORE_LOSSES[loss](p, y, parameter, output)
        return rates * derivative(output, z, p) / (n * values.shape[1])
    if loss == codes.CROSS_ENTROPY:  # rows of y sum to 1 within 1e-3 only
        return (p * y.sum(axis=1, keepdims=True) - y) / n
    if loss == codes.BCE:
        return (p - y) / (n * p.shape[1])
    scale = 2 / (n * p.shape[1]) if loss == codes.MSE else 1 / n
    return scale * (p - y) * derivative(output, z, p)


def delta_from_output(output, z, p, v):
    """dLoss/dz (B, O) of a loss whose own gradient dLoss/dp is v (B, O)."""
    if output == codes.SOFTMAX:
        return p * (v - (p * v).sum(axis=1, keepdims=True))
    return v * derivative(output, z, p)


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


def _mae(p, y, _parameter, _output):
    return np.abs(p - y), np.sign(p - y)


def _huber(p, y, delta, _output):
    d = p - y
    near = np.abs(d) <= delta
    value = np.where(near, 0.5 * d * d, delta * (np.abs(d) - 0.5 * delta))
    return value.astype(p.dtype), np.where(near, d, delta * np.sign(d)).astype(p.dtype)


def _quantile(p, y, q, _output):
    d = p - y
    rate = np.where(d > 0, 1 - q, np.where(d < 0, -q, d)).astype(p.dtype)
    return d * rate, rate


def _poisson(p, y, _parameter, output):
    if output == codes.IDENTITY:
        return np.exp(p) - y * p, np.exp(p) - y
    rate = p + p.dtype.type(1e-8)
    return p - y * np.log(rate), 1 - y / rate


def _gaussian_nll(p, y, _parameter, _output):
    mean, s = np.split(p, 2, axis=1)
    d, precision = mean - y, np.exp(-s)
    value = 0.5 * (s + d * d * precision)
    return value, np.concatenate([d * precision, 0.5 * (1 - d * d * precision)], axis=1)


_MORE_LOSSES = {
    codes.MAE: _mae,
    codes.HUBER: _huber,
    codes.QUANTILE: _quantile,
    codes.POISSON: _poisson,
    codes.GAUSSIAN_NLL: _gaussian_nll,
}
"""(values, dvalue/dp) of p and y, whose mean over columns of values is the loss of a row."""


def own_losses(function, p, y):
    """(loss of each row (B,), dLoss/dp (B, O)) of the user's own loss."""
    values, rates = np.zeros(len(p)), np.zeros_like(p)
    for i, (one, target) in enumerate(zip(p, y, strict=True)):
        try:
            values[i] = function(one.copy(), target.copy(), rates[i])
        except Exception:  # noqa: BLE001 - compiled kernels cannot pass it on
            values[i] = math.nan
        values[i] += (rates[i] * 0).sum()  # NaN, where the gradient is not finite
    return values, rates


# Penalties and clipping


def penalty(weights, l1, l2):
    """What weights, [W (I, O), ...], cost: l1 sum |w| + l2 / 2 sum w^2."""
    sizes = sum(np.abs(W).sum(dtype=np.float64) for W in weights)
    return l1 * sizes + 0.5 * l2 * sum(np.square(W).sum(dtype=np.float64) for W in weights)


def final_gradient(w, g, scale, l1, l2, largest):
    """The gradient g of the rows' losses, scaled, with that of penalties, clipped if largest > 0.

    l1 = l2 = 0 for biases.
    """
    g = g * w.dtype.type(scale)
    if l1 or l2:
        g = g + w.dtype.type(l2) * w + w.dtype.type(l1) * np.sign(w)
    return np.clip(g, -largest, largest) if largest else g


def clip_scale(gradients, largest):
    """What brings the norm of all gradients down to ``largest``; NaN if it is not finite."""
    norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in gradients))
    return min(1.0, largest / (norm + 1e-6)) if math.isfinite(norm) else math.nan


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


_UPDATES = {
    codes.SGD: _sgd,
    codes.ADAM: _adam,
    codes.ADAMW: _adam,
    codes.RMSPROP: _rmsprop,
    codes.ADAGRAD: _adagrad,
    codes.NADAM: _nadam,
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
        first, peak, end, last, outer, inner = values[schedules.FIRST : schedules.N_SCHEDULE]
        if t < peak:
            return anneal(first, 1.0, t / peak), anneal(outer, inner, t / peak)
        worker = min(1.0, (t - peak) / (last - peak))
        return anneal(1.0, end, worker), anneal(inner, outer, worker)

    return annealed


_SCHEDULES = {
    schedules.CONSTANT: lambda _values, _t: (1.0, math.nan),
    schedules.STEPS: lambda values, t: (
        values[schedules.GAMMA] ** (t // values[schedules.EVERY]),
        math.nan,
    ),
    schedules.INVERSE: lambda values, t: ((t + 1) ** -values[schedules.POWER], math.nan),
    schedules.COSINE: _anneal(
        lambda begin, end, worker: end + (begin - end) / 2 * (math.cos(math.pi * worker) + 1)
    ),
    schedules.LINEAR: _anneal(lambda begin, end, worker: begin + (end - begin) * worker),
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
