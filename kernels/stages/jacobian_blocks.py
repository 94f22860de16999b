"""The first half of a Jacobian: rows go forward, and derivatives take the place of activations.

The lanes of a block are rows of the batch. Where few rows would leave lanes empty, a block has one
row in every lane, and the lanes will be directions of it.
"""

import numpy as np

from ..base.codes import SOFTMAX
from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import get, lanes, load, offset, splat, store
from ..primitives.elementwise import derivative, derivatives
from ..primitives.gather import gather
from ..tables import jacobian_job as D
from ..tables import job_table as J
from ..tables import layout as P
from .custom_activation import fill_lanes
from .nonzeros import mark
from .scaling import scale_output_gradient, standardize_inputs

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _ZERO, _ONE = np.int64(J.X), np.int64(0), np.int64(1)


@kernel
def goes_backward(plan):
    """Whether the gradients of all outputs take fewer operations than the tangents of all inputs.

    The last layer's product takes none in reverse: its weights are the errors of the units below.
    Forward the first layer's takes none: its weights are the tangents of the units above.
    """
    last, below, above = plan[0, P.LAST], _ZERO, _ZERO
    for layer in range(1, last):
        below += plan[layer, P.INPUTS] * plan[layer, P.OUTPUTS]
        above += plan[layer + 1, P.INPUTS] * plan[layer + 1, P.OUTPUTS]
    return plan[last, P.OUTPUTS] * below <= plan[1, P.INPUTS] * above


@kernel
def n_directions(plan, job):
    """Directions of a row: outputs in reverse, inputs forward, 1 of a JVP."""
    if job[J.TASK] == D.JVP:
        return _ONE
    return plan[plan[0, P.LAST], P.OUTPUTS] if goes_backward(plan) else plan[1, P.INPUTS]


@kernel
def shares_row(plan, job, n_lanes):
    """Whether the lanes of a vector are directions of one row: where that takes fewer products."""
    rows, n = job[J.ROWS], n_directions(plan, job)
    by_rows = -(-rows // n_lanes) * (1 + n)
    return job[J.TASK] == D.JACOBIAN and rows * (1 + -(-n // n_lanes)) < by_rows


@kernel
def gather_directions(plan, job, row, shared, block, scratch):
    """Rows from ``row`` on into a block, or one row into every lane; whether a value is refused.

    block: layout.py. scratch: (lanes, lanes). Twin: plain indexing.
    """
    n_lanes, inputs = lanes(block), plan[1, P.INPUTS]
    x = offset(block, plan[1, P.IN])
    valid = _ONE if shared else min(n_lanes, job[J.ROWS] - row)
    mark(plan, block, False)
    bad = gather(job, _X, _ZERO, row, valid, x, scratch)
    if shared:
        for i in range(0, inputs * n_lanes, n_lanes):
            store(x, i, splat(x, get(x, i)))
        valid = n_lanes
    standardize_inputs(plan, x)
    fill_lanes(plan, x, inputs, valid)
    return bad


@kernel
def _derivative(plan, params, block, layer):
    z, a = offset(block, plan[layer, P.Z]), offset(block, plan[layer, P.A])
    derivatives(plan[layer, P.ACTIVATION], z, a, a, plan[layer, P.OUTPUTS])


@kernel
def _derivative_extended(plan, params, block, layer):
    n_lanes, normalized = lanes(block), plan[layer, P.PER_UNIT] > 1
    z, a = offset(block, plan[layer, P.Z]), offset(block, plan[layer, P.A])
    # Z holds the activations before a residual layer adds its inputs (hidden.py).
    own = offset(block, plan[layer, P.Z] if plan[layer, P.RESIDUAL] == 1 else plan[layer, P.A])
    gain = offset(params, plan[layer, P.BIAS] + plan[layer, P.PER_UNIT_STRIDE])
    for u in range(plan[layer, P.OUTPUTS]):
        i = u * n_lanes
        d = derivative(plan[layer, P.ACTIVATION], load(z, i), load(own, i))
        if normalized:
            d = d * get(gain, u)
        store(a, i, d)


_to_derivative = by_plan(_derivative, _derivative_extended)
"""a of a hidden layer becomes da/dz, of a normalized one da/dn: (plan, params, block, layer)."""


@kernel
def prepare_outputs(plan, block):
    """Put into the place of y dp/dz of the last layer, by outputs in raw units; of softmax p.

    plan: layout.py. block: of one vector of rows, after forward. Twin: ``derivative``.
    """
    last, n_lanes = plan[0, P.LAST], lanes(block)
    z, p = offset(block, plan[last, P.Z]), offset(block, plan[last, P.A])
    top, code = offset(block, plan[0, P.TARGET]), plan[last, P.ACTIVATION]
    for i in range(0, plan[last, P.OUTPUTS] * n_lanes, n_lanes):
        if code == SOFTMAX:
            store(top, i, load(p, i))
        else:
            store(top, i, derivative(code, load(z, i), load(p, i)))
    if code != SOFTMAX:
        scale_output_gradient(plan, top)


@kernel
def prepare(plan, params, block):
    """``prepare_outputs``, and the derivatives of the other layers in place of their a."""
    for layer in range(1, plan[0, P.LAST]):
        _to_derivative(plan, params, block, layer)
    prepare_outputs(plan, block)
