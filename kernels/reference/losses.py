"""Losses, their gradients, and what counts as correct."""

import math

import numpy as np

from ..base import codes
from .activations import derivative, shifted, softplus


def row_losses(loss, z, p, y, output=codes.IDENTITY, parameter=0.0, smoothing=0.0):
    """Loss of each row (B,); the loss of a batch is their mean.

    z and p (B, O) are the last layer before and after its activation, whose code is ``output``.
    y (B, O), or for cross_entropy also integer labels (B,). parameter: huber's delta, the
    quantile, beta.
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

    n: rows of the whole batch; z, p and y may hold some of them.
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


def entry_weights(y, table=None):
    """The weight of each entry of bce's y (B, O), float64: of its class, 0 where it is NaN.

    table: (2 O,), the weights of 0 and of 1 of each output; None for 1.
    """
    known = ~np.isnan(y)
    if table is None:
        return known.astype(np.float64)
    share = np.where(known, y, 0).astype(np.float64)
    return np.where(known, table[::2] * (1 - share) + table[1::2] * share, 0)


def bce_of_entries(z, p, y, n, weights, smoothing=0.0):
    """Row losses (B,) and dLoss/dz (B, O) of sum(row losses) / n, of bce times weights (B, O)."""
    known = ~np.isnan(y)
    aim = smoothed(codes.BCE, np.where(known, y, 0).astype(z.dtype), smoothing)
    weights = weights.astype(z.dtype)
    values = np.where(known, (softplus(z) - z * aim) * weights, z * 0)
    delta = np.where(known, (p - aim) * weights / (n * p.shape[1]), 0)
    return values.mean(axis=1), delta.astype(z.dtype)


def class_weights(table, y):
    """The weight of each row's class, (B,) float64: table (classes,) by labels (B,) or y (B, O).

    For probabilities it is the mean of the table by y.
    """
    if y.ndim == 1:
        return table[y]
    if y.shape[1] == 1:
        share = y[:, 0].astype(np.float64)
        return table[0] * (1 - share) + table[1] * share
    return y @ table


def delta_from_output(output, z, p, v):
    """dLoss/dz (B, O) of a loss whose gradient dLoss/dp is v (B, O)."""
    if output == codes.SOFTMAX:
        return p * (v - (p * v).sum(axis=1, keepdims=True))
    return v * derivative(output, z, p)


def correct(loss, p, y):
    """The fraction of each row that is correct, (B,) float64; its mean is the accuracy.

    cross_entropy: 1 where the largest entry is at the label, the lowest index on ties, else 0.
    bce: the share of entries with (p >= 0.5) == (y >= 0.5). NaN, in p or y, is never correct.
    """
    if loss == codes.BCE:
        return (((p >= 0.5) == (y >= 0.5)) & ~np.isnan(p) & ~np.isnan(y)).mean(axis=1)
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
    return (softplus(z) - z * y).mean(axis=1)


def _cross_entropy(z, _p, y):
    z = shifted(z)
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


def _gaussian_nll(p, y, beta, _output):
    mean, s = np.split(p, 2, axis=1)
    known = ~np.isnan(y)
    d = np.where(known, mean - y, mean * 0)
    excess, weight = d * d * np.exp(-s), np.exp(s * p.dtype.type(beta))
    value = np.where(known, 0.5 * (s + excess), (s + d) * 0) + (weight * 0 if beta else 0)
    rates = d * np.exp(-s) * weight, np.where(known, 0.5 * (1 - excess) * weight, 0)
    return value.astype(p.dtype), np.concatenate(rates, axis=1).astype(p.dtype)


def _log_cosh(p, y, _parameter, _output):
    d = p - y
    size = np.abs(d)
    near = 0.5 * np.log1p(np.sinh(np.minimum(size, 0.75)) ** 2)
    far = size - math.log(2) + np.log1p(np.exp(-2 * size))
    return np.where(size < 0.75, near, far).astype(p.dtype), np.tanh(d)


_MORE_LOSSES = {
    codes.MAE: _mae,
    codes.HUBER: _huber,
    codes.QUANTILE: _quantile,
    codes.LOG_COSH: _log_cosh,
    codes.POISSON: _poisson,
    codes.GAUSSIAN_NLL: _gaussian_nll,
    codes.BETA_NLL: _gaussian_nll,
}
"""(values, dvalue/dp) of p and y; the mean over the columns of values is the loss of a row. The
dvalue/dp of beta_nll has weights: gaussian_nll is that with beta 0."""


def custom_losses(function, p, y):
    """(loss of each row (B,), dLoss/dp (B, O)) of a custom loss."""
    values, rates = np.zeros(len(p)), np.zeros_like(p)
    for i, (one, target) in enumerate(zip(p, y, strict=True)):
        try:
            values[i] = function(one.copy(), target.copy(), rates[i])
        except Exception:  # noqa: BLE001 - compiled kernels cannot pass it on
            values[i] = math.nan
        values[i] += (rates[i] * 0).sum()  # NaN, where the gradient is not finite
    return values, rates
