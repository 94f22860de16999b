"""Forward and backward for a small batch, one layer at a time, split by the layer's units.

Activations lie as row panels (gemv.py) in the block of the first vector of rows, deltas in the
panels that the weight gradient reads (layout.py). The outputs alone are transposed, so that softmax
and losses have the layout of a large batch: units in rows, rows in lanes.
"""

import numpy as np

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import (
    get,
    lane_index,
    lanes,
    load,
    offset,
    put,
    select,
    splat,
    store,
    transpose,
)
from ..primitives.elementwise import activate
from ..primitives.gemv import multiply_rows, multiply_rows_back
from ..tables import layout as P
from .dropout import counter
from .hidden import activate_panels, delta_of_units
from .scaling import to_raw_output_panel

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def _never(plan):
    return False


@kernel
def _reads_rows_only(plan):
    return plan[0, P.ROWS_ONLY] == 1


is_rows_only = by_plan(_never, _reads_rows_only)
"""Whether every batch takes the stage BY_ROWS, as layer norm and residual layers need: (plan)."""


@kernel
def is_small_batch(plan, rows, n_lanes):
    """Whether a batch is small: at most half a vector of rows. Its units lie in the lanes."""
    return 2 * rows <= n_lanes and not is_rows_only(plan)


@kernel
def _clear_lanes(panel, rows, used):
    """Zeros in the lanes of a panel (rows, lanes) from ``used`` on."""
    n_lanes = lanes(panel)
    for i in range(0, rows * n_lanes, n_lanes):
        exists = lane_index(panel) < splat(panel, used)
        store(panel, i, select(exists, load(panel, i), 0.0))


@kernel
def _transpose_panels(panels, rows, count):
    """Transpose ``count`` panels (lanes, lanes), whose first ``rows`` rows count, in place."""
    n_lanes = lanes(panels)
    for number in range(count):
        panel = offset(panels, number * n_lanes * n_lanes)
        for r in range(rows, n_lanes):
            store(panel, r * n_lanes, splat(panel, 0.0))
        transpose(panel, n_lanes, panel, n_lanes)


@kernel
def forward_small_batch(plan, params, work, layer, rows, first, last):
    """z and a of the panels ``first`` to ``last`` of a layer's units, for a small batch.

    plan, params, work: layout.py. The last layer gets z alone, in the first rows of whole panels
    (lanes, lanes), which ``outputs_small_batch`` transposes. Twin: ``forward``.
    """
    n_lanes, units = lanes(work), plan[layer, P.OUTPUTS]
    is_last = layer == plan[0, P.LAST]
    stride = n_lanes * n_lanes if is_last else rows * n_lanes
    z = offset(work, plan[layer, P.Z] + first * stride)
    for panel in range(first, last):
        bias = load(offset(params, plan[layer, P.BIAS]), panel * n_lanes)
        for r in range(rows):
            store(z, (panel - first) * stride + r * n_lanes, bias)
    multiply_rows(
        rows,
        offset(work, plan[layer, P.IN]),
        offset(params, plan[layer, P.WEIGHTS] + first * plan[layer, P.WEIGHT_STRIDE]),
        plan[layer, P.WEIGHT_STRIDE],
        z,
        stride,
        last - first,
        plan[layer, P.INPUTS],
    )
    if not is_last:
        a = offset(work, plan[layer, P.A] + first * stride)
        activate_panels(plan, layer, z, a, first, last, rows)
        if last * n_lanes > units:
            _clear_lanes(offset(a, (last - 1 - first) * stride), rows, units - (last - 1) * n_lanes)


@kernel
def outputs_small_batch(plan, work, rows):
    """z of the last layer as (units, lanes), the layout of a large batch."""
    layer = plan[0, P.LAST]
    _transpose_panels(
        offset(work, plan[layer, P.Z]), rows, -(-plan[layer, P.OUTPUTS] // lanes(work))
    )


@kernel
def write_outputs_small_batch(plan, work, rows, out):
    """Outputs of a small batch to out (rows, units), from z as ``forward_small_batch`` leaves it.

    Not for softmax, which couples outputs, nor for a custom activation, which cannot work in place.
    """
    n_lanes, layer = lanes(work), plan[0, P.LAST]
    units, z = plan[layer, P.OUTPUTS], offset(work, plan[layer, P.Z])
    for u in range(0, units, n_lanes):
        panel = offset(z, u * n_lanes)
        activate(plan[layer, P.ACTIVATION], panel, panel, rows, rows)
        to_raw_output_panel(plan, panel, rows, u)
        for r in range(rows):
            for i in range(min(n_lanes, units - u)):
                put(out, r * units + u + i, get(panel, r * n_lanes + i))


@kernel
def backward_small_batch(plan, params, work, layer, rows, first, last):
    """Delta of the panels ``first`` to ``last`` of the units below a layer, from the layer's delta.

    plan, params, work: layout.py. Both deltas lie in DELTA_PANELS. Twin: ``backward``.
    """
    n_lanes, below = lanes(work), layer - 1
    stride = plan[below, P.DELTA_PANEL_STRIDE]
    delta = offset(work, plan[below, P.DELTA_PANELS])
    multiply_rows_back(
        rows,
        offset(params, plan[layer, P.WEIGHTS]),
        plan[layer, P.WEIGHT_STRIDE],
        offset(work, plan[layer, P.DELTA_PANELS]),
        plan[layer, P.DELTA_PANEL_STRIDE],
        -(-plan[layer, P.OUTPUTS] // n_lanes),
        delta,
        stride,
        first,
        last,
    )
    units = plan[below, P.OUTPUTS]
    for panel in range(first, last):
        at = panel * rows * n_lanes
        places = (
            offset(delta, panel * stride),
            offset(work, plan[below, P.Z] + at),
            offset(work, plan[below, P.A] + at),
        )
        counters = (counter(plan, _ZERO, panel * n_lanes, units), units, _ONE)
        delta_of_units(plan, (params, work), below, _ZERO, places, (rows, rows), counters)


@kernel
def error_of_inputs_small_batch(plan, params, work, rows, first, last):
    """dLoss/dX of the panels ``first`` to ``last`` of inputs, where the inputs themselves lay.

    plan, params, work: layout.py. Reads the delta of layer 1 in DELTA_PANELS. Twin:
    ``error_of_inputs``.
    """
    n_lanes = lanes(work)
    multiply_rows_back(
        rows,
        offset(params, plan[1, P.WEIGHTS]),
        plan[1, P.WEIGHT_STRIDE],
        offset(work, plan[1, P.DELTA_PANELS]),
        plan[1, P.DELTA_PANEL_STRIDE],
        -(-plan[1, P.OUTPUTS] // n_lanes),
        offset(work, plan[1, P.IN]),
        rows * n_lanes,
        first,
        last,
    )
