"""Backward: the deltas of a share of the batch rows, from the last layer to the first."""

from .elementwise import times_slope
from .forward import padded
from .gemm import multiply_across
from .jit import kernel
from .layout import (
    ACTIVATION,
    BLOCK,
    DELTA,
    DELTA_PANEL_STRIDE,
    DELTA_PANELS,
    DELTA_STRIDE,
    INPUTS,
    OUTPUTS,
    WEIGHT_STRIDE,
    WEIGHTS,
    A,
    Z,
)
from .simd import lanes, offset, transpose


@kernel
def delta_of(plan, work, vector, layer):
    """Where the delta (units, lanes) of a layer lies in a vector's block: the two take turns."""
    place = plan[0, DELTA] + layer % 2 * plan[0, DELTA_STRIDE]
    return offset(work, vector * plan[0, BLOCK] + place)


@kernel
def _spread(plan, work, vector, layer):
    """Copy a delta (units, lanes) to the layer's panels of units (rows, lanes)."""
    w = lanes(work)
    delta = delta_of(plan, work, vector, layer)
    panels = offset(work, plan[layer, DELTA_PANELS] + vector * w * w)
    for p in range(padded(plan[layer, OUTPUTS], w) // w):
        transpose(
            offset(delta, p * w * w), w, offset(panels, p * plan[layer, DELTA_PANEL_STRIDE]), w
        )


@kernel
def backward(plan, params, work, first, last):
    """Deltas of all layers, for the vectors of rows ``first`` to ``last``.

    plan, params, work: layout.py. Reads the delta of the last layer and every z and a; leaves each
    layer's delta in its panels, DELTA_PANELS. Twin: same name.
    """
    w, block = lanes(work), plan[0, BLOCK]
    for layer in range(len(plan) - 1, 0, -1):
        for v in range(first, last):
            _spread(plan, work, v, layer)
        if layer == 1:
            break
        units, below = plan[layer, INPUTS], layer - 1
        multiply_across(
            offset(params, plan[layer, WEIGHTS]),
            plan[layer, WEIGHT_STRIDE],
            delta_of(plan, work, first, layer),
            block,
            delta_of(plan, work, first, below),
            block,
            units,
            last - first,
            plan[layer, OUTPUTS],
        )
        for v in range(first, last):
            times_slope(
                plan[below, ACTIVATION],
                delta_of(plan, work, v, below),
                offset(work, v * block + plan[below, Z]),
                offset(work, v * block + plan[below, A]),
                units,
                padded(units, w),
            )
