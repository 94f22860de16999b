"""Forward: a share of the batch rows through all layers."""

from . import codes
from .elementwise import activate
from .gemm import multiply_down
from .jit import kernel
from .layout import (
    ACTIVATION,
    BIAS,
    BLOCK,
    IN,
    INPUTS,
    OUTPUTS,
    WEIGHT_STRIDE,
    WEIGHTS,
    A,
    Z,
)
from .losses import softmax
from .simd import lanes, offset


@kernel
def padded(units, w):
    """``units`` rounded up to whole vectors."""
    return -(-units // w) * w


@kernel
def forward(plan, params, work, first, last):
    """z and a of every layer, for the vectors of rows ``first`` to ``last``.

    plan, params, work: layout.py. Reads the activations IN of layer 1. Twin: same name.
    """
    w, block = lanes(work), plan[0, BLOCK]
    base = offset(work, first * block)
    for layer in range(1, len(plan)):
        units = plan[layer, OUTPUTS]
        multiply_down(
            offset(params, plan[layer, WEIGHTS]),
            plan[layer, WEIGHT_STRIDE],
            offset(base, plan[layer, IN]),
            block,
            offset(base, plan[layer, Z]),
            block,
            units,
            last - first,
            plan[layer, INPUTS],
            offset(params, plan[layer, BIAS]),
        )
        for v in range(first, last):
            z = offset(work, v * block + plan[layer, Z])
            a = offset(work, v * block + plan[layer, A])
            if plan[layer, ACTIVATION] == codes.SOFTMAX:
                softmax(z, a, units, padded(units, w))
            else:
                activate(plan[layer, ACTIVATION], z, a, units, padded(units, w))
