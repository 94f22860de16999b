"""Residual connections (He et al., 2016): a hidden layer adds the a of the layer before to its own.

In the backward pass the error of its a also bypasses the layer: ERROR of a block keeps it while the
layer's delta is computed in place.
"""

import numpy as np

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import lanes, load, offset, store
from ..tables import layout as P

_ONE = np.int64(1)  # a Python constant would compile its callee once more


@kernel
def add_inputs(plan, work, layer, vector):
    """Add the inputs of a layer, if it is residual, to the result of ``activate_units``.

    plan, work: layout.py. vector: the number of a vector of rows. Twin: ``forward``.
    """
    if plan[layer, P.RESIDUAL] == 0:
        return
    n_lanes, block = lanes(work), offset(work, vector * plan[0, P.BLOCK])
    in_place = plan[layer, P.NEEDS_Z] == 1 or plan[layer, P.DROPOUT] > 0  # hidden.py
    activated = offset(block, plan[layer, P.A] if in_place else plan[layer, P.Z])
    inputs, a = offset(block, plan[layer, P.IN]), offset(block, plan[layer, P.A])
    for i in range(0, plan[layer, P.OUTPUTS] * n_lanes, n_lanes):
        store(a, i, load(activated, i) + load(inputs, i))


@kernel
def carry_error(plan, work, layer, vector, error):
    """Add the error of a residual layer's a to the error below it; keep the sum in ERROR.

    plan, work: layout.py. error: (units below, lanes) of the vector of rows of that number. Twin:
    ``errors``.
    """
    takes, keeps = plan[layer, P.RESIDUAL] == 1, layer > 1 and plan[layer - 1, P.RESIDUAL] == 1
    if not takes and not keeps:
        return
    n_lanes = lanes(work)
    kept = offset(work, vector * plan[0, P.BLOCK] + plan[0, P.ERROR])
    for i in range(0, plan[layer, P.INPUTS] * n_lanes, n_lanes):
        e = load(error, i)
        if takes:
            e = e + load(kept, i)
            store(error, i, e)
        if keeps:
            store(kept, i, e)


@kernel
def _carry_error_to_inputs(plan, work, vector, error):
    carry_error(plan, work, _ONE, vector, error)


carry_error_to_inputs = by_plan(None, _carry_error_to_inputs)
"""``carry_error`` of layer 1: (plan, work, vector, error)."""
