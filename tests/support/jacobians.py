"""Networks whose Jacobians tests compare, and other ways to the same numbers."""

import numpy as np

from fastbp.data.tables import as_inputs
from fastbp.kernels import reference
from fastbp.runtime.arrays import Dataset, raise_status
from support.cases import CASES, Case

SHAPES = {
    "outputs go back": Case((9, 21, 17, 2), 19, ("tanh", "gelu")),
    "inputs go forward": Case((2, 21, 17, 9), 19, ("tanh", "gelu")),
    "one row back": Case((23, 33, 33, 19), 1, "silu"),
    "one row forward": Case((19, 33, 33, 23), 1, "silu"),
    "few rows": Case((4, 9, 9, 3), 3, "elu"),
    "many directions": Case((40, 50, 45, 30), 21, "tanh"),
    "many rows of one output": Case((5, 18, 18, 1), 211, "softplus"),
    "no layer between, forward": Case((3, 7), 12),
}
"""Both directions, with rows in the lanes and with directions in the lanes, in one group and in
several."""

ROUTES = SHAPES | {
    name: CASES[name] for name in ("no hidden layer", "odd", "deep", "1-1-1", "wide")
}


def jacobian_by(net, X, workers, with_outputs=False):
    """``net.jacobian(X)`` by so many workers; with the outputs, if they are asked for."""
    data, derivatives = Dataset(as_inputs(X, net.sizes[0])), net.arrays.derivatives
    out = np.full((data.rows, net.sizes[-1], net.sizes[0]), np.nan, net.dtype)
    p = np.full((data.rows, net.sizes[-1]), np.nan, net.dtype) if with_outputs else None
    raise_status(derivatives.run_by(workers, data, out, p), data, derivatives.arrays)
    return (p, out) if with_outputs else out


def parts_of(net):
    """The arguments of the twins before X, and those after it."""
    norms = list(zip(net.gains, net.shifts, strict=True)) if net.layer_norm else []
    codes = net.arrays.spec.activations
    each = zip(net.custom_activations, codes, strict=True)
    activations = [function or code for function, code in each]
    after = [*norms, *[None] * (len(codes) - len(norms))], net.arrays.spec.adds_inputs
    return (net.weights, net.biases, activations), after


def twin(net, X):
    """The Jacobian in NumPy, of a network that does not scale."""
    before, after = parts_of(net)
    return reference.jacobian(*before, np.asarray(X, net.dtype), *after)


def twin_jvp(net, X, V):
    """Likewise, J v of each row."""
    before, after = parts_of(net)
    return reference.jvp(*before, np.asarray(X, net.dtype), np.asarray(V, net.dtype), *after)


def differences(predict, X, h):
    """Central differences (n, outputs, inputs) of ``predict``; h: a step for each input."""
    steps = np.eye(X.shape[1]) * h
    columns = [
        (predict(X + step) - predict(X - step)) / (2 * size)
        for step, size in zip(steps, np.broadcast_to(h, len(steps)), strict=True)
    ]
    return np.stack(columns, axis=2)
