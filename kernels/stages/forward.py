"""Forward: vectors of batch rows through the layers."""

import numpy as np

from ..base import codes
from ..base.jit import kernel
from ..ir.simd import lanes, offset
from ..primitives.gemm import multiply_down
from ..tables import layout as P
from .custom_activation import activate_layer
from .dropout import counter
from .hidden import activate_units
from .losses import softmax
from .nonzeros import FORWARD, ask, lies_as_nonzeros
from .norm import linear_place
from .number_embedding import embed_numbers

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def padded(units, n_lanes):
    """``units`` rounded up to whole vectors."""
    return -(-units // n_lanes) * n_lanes


@kernel
def forward_layer(plan, params, work, job, layer, first, last, low, high):
    """z of the units ``low`` to ``high`` of a layer, for the vectors of rows ``first`` to ``last``.

    plan, params, work: layout.py. job: job_table.py. low: a multiple of the lanes. a too, except
    in the last layer, where softmax couples units: ``activate_outputs``. Twin: ``forward``.
    """
    n_lanes, block = lanes(work), plan[0, P.BLOCK]
    base = offset(work, first * block)
    if layer == 1 and lies_as_nonzeros(plan, base):
        ask(job, FORWARD, first, last, low, high)
    else:
        multiply_down(
            offset(params, plan[layer, P.WEIGHTS] + low // n_lanes * plan[layer, P.WEIGHT_STRIDE]),
            plan[layer, P.WEIGHT_STRIDE],
            offset(base, plan[layer, P.IN]),
            block,
            offset(base, linear_place(plan, layer) + low * n_lanes),
            block,
            high - low,
            last - first,
            plan[layer, P.INPUTS],
            offset(params, plan[layer, P.BIAS] + low),
        )
    if layer == plan[0, P.LAST]:
        return
    units, counts = plan[layer, P.OUTPUTS], (high - low, padded(high - low, n_lanes))
    for v in range(first, last):
        row = offset(work, v * block)
        places = (
            offset(row, plan[layer, P.Z] + low * n_lanes),
            offset(row, plan[layer, P.A] + low * n_lanes),
        )
        counters = (counter(plan, v * n_lanes, low, units), _ONE, units)
        activate_units(plan, (params, work), layer, v, places, counts, counters)


@kernel
def activate_outputs(plan, work, vector):
    """The outputs of one vector of rows, from z of the last layer."""
    layer = plan[0, P.LAST]
    units, n_lanes = plan[layer, P.OUTPUTS], lanes(work)
    block = offset(work, vector * plan[0, P.BLOCK])
    z, a = offset(block, plan[layer, P.Z]), offset(block, plan[layer, P.A])
    if plan[layer, P.ACTIVATION] == codes.SOFTMAX:
        softmax(z, a, units, padded(units, n_lanes))
    else:
        activate_layer(plan, layer, z, a, units, padded(units, n_lanes))


@kernel
def forward(plan, params, work, job, first, last):
    """z and a of every layer, for the vectors of rows ``first`` to ``last``, which lie alike.

    plan, params, work: layout.py. job: job_table.py. Reads the activations IN of layer 1, and adds
    the embeddings of numbers to them. Twin: same name.
    """
    embed_numbers(plan, params, work, first, last)
    for layer in range(1, plan[0, P.LAST] + 1):
        forward_layer(plan, params, work, job, layer, first, last, _ZERO, plan[layer, P.OUTPUTS])
    for v in range(first, last):
        activate_outputs(plan, work, v)
