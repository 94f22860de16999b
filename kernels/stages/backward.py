"""Backward: the deltas of vectors of batch rows, from the last layer to the first."""

import numpy as np

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import lanes, load, offset, store, transpose
from ..primitives.gemm import multiply_across
from ..tables import layout as P
from .dropout import counter
from .forward import padded
from .hidden import delta_of_units
from .number_embedding import add_to_error
from .residual import carry_error_to_inputs

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def delta_of(plan, work, vector, layer):
    """The delta (units, lanes) of a layer in a vector's block; the two places take turns."""
    place = plan[0, P.DELTA] + layer % 2 * plan[0, P.DELTA_STRIDE]
    return offset(work, vector * plan[0, P.BLOCK] + place)


@kernel
def to_panels(plan, work, layer, first, last, low, high):
    """Copy a layer's delta (units, lanes) to its panels of units (rows, lanes).

    For the vectors of rows ``first`` to ``last``, and the panels that hold the units ``low``, a
    multiple of the lanes, to ``high``.
    """
    n_lanes, stride = lanes(work), plan[layer, P.DELTA_PANEL_STRIDE]
    for v in range(first, last):
        delta = delta_of(plan, work, v, layer)
        panels = offset(work, plan[layer, P.DELTA_PANELS] + v * n_lanes * n_lanes)
        for panel in range(low // n_lanes, padded(high, n_lanes) // n_lanes):
            transpose(
                offset(delta, panel * n_lanes * n_lanes),
                n_lanes,
                offset(panels, panel * stride),
                n_lanes,
            )


@kernel
def backward_layer(plan, params, work, layer, first, last, low, high):
    """Delta of the units ``low`` to ``high`` below a layer, from the layer's delta.

    plan, params, work: layout.py. For the vectors of rows ``first`` to ``last``. low: a multiple of
    the lanes. Writes it to its panels, DELTA_PANELS, too. Twin: ``backward``.
    """
    n_lanes, block, below = lanes(work), plan[0, P.BLOCK], layer - 1
    multiply_across(
        offset(params, plan[layer, P.WEIGHTS] + low * n_lanes),
        plan[layer, P.WEIGHT_STRIDE],
        delta_of(plan, work, first, layer),
        block,
        offset(delta_of(plan, work, first, below), low * n_lanes),
        block,
        high - low,
        last - first,
        plan[layer, P.OUTPUTS],
    )
    units, counts = plan[below, P.OUTPUTS], (high - low, padded(high - low, n_lanes))
    for v in range(first, last):
        row = offset(work, v * block)
        places = (
            offset(delta_of(plan, work, v, below), low * n_lanes),
            offset(row, plan[below, P.Z] + low * n_lanes),
            offset(row, plan[below, P.A] + low * n_lanes),
        )
        counters = (counter(plan, v * n_lanes, low, units), _ONE, units)
        delta_of_units(plan, (params, work), below, v, places, counts, counters)
    to_panels(plan, work, below, first, last, low, high)


@kernel
def _errors_below_layer_1(plan, params, work, first, last, low, error):
    """The error of the inputs of layer 1 from ``low`` on, from the layer's delta.

    For the vectors of rows ``first`` to ``last``. low: a multiple of the lanes. error: the place of
    input 0 of the first vector.
    """
    n_lanes, block = lanes(work), plan[0, P.BLOCK]
    multiply_across(
        offset(params, plan[1, P.WEIGHTS] + low * n_lanes),
        plan[1, P.WEIGHT_STRIDE],
        delta_of(plan, work, first, _ONE),
        block,
        offset(error, low * n_lanes),
        block,
        plan[1, P.INPUTS] - low,
        last - first,
        plan[1, P.OUTPUTS],
    )


@kernel
def _error_over_inputs(plan, params, work, first, last):
    block = plan[0, P.BLOCK]
    error = offset(work, first * block + plan[1, P.IN])
    _errors_below_layer_1(plan, params, work, first, last, _ZERO, error)
    for v in range(first, last):
        carry_error_to_inputs(plan, work, v, offset(work, v * block + plan[1, P.IN]))


@kernel
def _error_through_numbers(plan, params, work, first, last):
    if plan[0, P.NUMBERS] == 0:
        _error_over_inputs(plan, params, work, first, last)
        return
    n_lanes, block = lanes(work), plan[0, P.BLOCK]
    error = delta_of(plan, work, first, _ZERO)
    _errors_below_layer_1(plan, params, work, first, last, _ZERO, error)
    add_to_error(plan, params, work, first, last)
    for v in range(first, last):
        inputs, error = offset(work, v * block + plan[1, P.IN]), delta_of(plan, work, v, _ZERO)
        for i in range(0, plan[0, P.X_COLUMNS] * n_lanes, n_lanes):
            store(inputs, i, load(error, i))


error_of_inputs = by_plan(_error_over_inputs, _error_through_numbers)
"""dLoss/dX for the vectors of rows ``first`` to ``last``, written over the inputs.

(plan, params, work, first, last); plan, params, work: layout.py. Reads the delta of layer 1. Twin:
same name.
"""


@kernel
def _errors_of_numbers(plan, params, work, first, last):
    if plan[0, P.NUMBERS] > 0:
        n_lanes = lanes(work)
        low = plan[0, P.X_COLUMNS] // n_lanes * n_lanes
        error = delta_of(plan, work, first, _ZERO)
        _errors_below_layer_1(plan, params, work, first, last, low, error)


errors_of_numbers = by_plan(None, _errors_of_numbers)
"""The error of the inputs that embeddings add, in the place of a delta of layer 0.

(plan, params, work, first, last); for the vectors of rows ``first`` to ``last``. Reads the delta of
layer 1. Twin: ``error_of_inputs``.
"""


@kernel
def backward(plan, params, work, first, last):
    """Deltas of all layers, for the vectors of rows ``first`` to ``last``.

    plan, params, work: layout.py. Reads the delta of the last layer and every z and a; leaves each
    layer's delta in its panels, DELTA_PANELS, and the error of embeddings. Twin: same name.
    """
    top = plan[0, P.LAST]
    to_panels(plan, work, top, first, last, _ZERO, plan[top, P.OUTPUTS])
    for layer in range(top, 1, -1):
        backward_layer(plan, params, work, layer, first, last, _ZERO, plan[layer, P.INPUTS])
    errors_of_numbers(plan, params, work, first, last)
