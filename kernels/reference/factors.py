"""A learned scaling of the inputs: the first layer's weights are diag(s) W."""

import numpy as np


def product(s, W):
    """diag(s) W (I, O), from s (I,) and W (I, O)."""
    return s[:, None] * W


def gradients_of_factors(s, W, gradient):
    """(dLoss/ds (I,), dLoss/dW (I, O)), from the gradient (I, O) by diag(s) W."""
    return (W * gradient).sum(axis=1), s[:, None] * gradient


def changed_inputs(weights, s, W):
    """The inputs (I,) whose weights (I, O) another has changed: they are not s W.

    Kernels take denormal numbers for 0.
    """
    with np.errstate(all="ignore"):
        same = np.abs(weights - product(s, W)) < np.finfo(W.dtype).tiny
    return ~same.all(axis=1)
