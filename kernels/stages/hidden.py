"""What becomes of a hidden layer's z, and of the error of its units: activation and dropout.

Where a layer has dropout or adds its inputs, Z holds the activations before that (z itself, where
the slope needs z; where the activation is the user's own, the slope). In a normalized layer
(norm.py) what is called z here is what its activation takes.
"""

import numpy as np

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import lanes, offset, splat, store
from ..primitives.elementwise import activate, times_derivative
from ..tables import layout as P
from .custom_activation import activate_any
from .dropout import counter, drop
from .norm import normalize, normalize_back
from .residual import add_inputs, carry_error, keeps_z

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def _activate(
    plan, params, work, layer, vector, z, a, units, padded, first, vector_step, lane_step
):
    activate(plan[layer, P.ACTIVATION], z, a, units, padded)


@kernel
def _activate_and_drop(plan, layer, z, a, units, padded, first, vector_step, lane_step):
    if plan[layer, P.DROPOUT] == 0 and plan[layer, P.RESIDUAL] == 0:
        activate_any(plan, layer, z, a, units, padded)
        return
    whole = a if keeps_z(plan, layer) else z
    activate_any(plan, layer, z, whole, units, padded)
    if plan[layer, P.DROPOUT] > 0:
        drop(plan, layer, whole, a, units, first, vector_step, lane_step)
    n_lanes = lanes(a)
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(a, i, splat(a, 0.0))


@kernel
def _normalize_and_activate(
    plan, params, work, layer, vector, z, a, units, padded, first, vector_step, lane_step
):
    normalize(plan, params, work, layer, vector)
    _activate_and_drop(plan, layer, z, a, units, padded, first, vector_step, lane_step)
    add_inputs(plan, work, layer, vector)


activate_units = by_plan(_activate, _normalize_and_activate)
"""a of some units of a hidden layer for a vector of rows; zeros in the padded ones.

plan, params, work, layer: layout.py. vector: the number of the vector of rows. z, a: (padded,
lanes), of which ``units`` vectors count; they may be the same where the plan gives them one place.
first, vector_step, lane_step: of ``dropout.drop``.
"""


@kernel
def _activate_panels(plan, layer, z, a, first, last, rows):
    count = (last - first) * rows
    activate(plan[layer, P.ACTIVATION], z, a, count, count)


@kernel
def _activate_and_drop_panels(plan, layer, z, a, first, last, rows):
    n_lanes, units = lanes(a), plan[layer, P.OUTPUTS]
    for panel in range(first, last):
        at, number = (panel - first) * rows * n_lanes, counter(plan, _ZERO, panel * n_lanes, units)
        z_panel, a_panel = offset(z, at), offset(a, at)
        _activate_and_drop(plan, layer, z_panel, a_panel, rows, rows, number, units, _ONE)


activate_panels = by_plan(_activate_panels, _activate_and_drop_panels)
"""The same for the panels ``first`` to ``last`` of units where rows are few: z, a (rows, lanes)."""


@kernel
def _derivative(
    plan, params, work, layer, vector, delta, z, a, units, padded, first, vector_step, lane_step
):
    times_derivative(plan[layer, P.ACTIVATION], delta, z, a, units, padded)


@kernel
def _derivative_and_drop(plan, layer, delta, z, a, units, padded, first, vector_step, lane_step):
    if plan[layer, P.DROPOUT] == 0 and plan[layer, P.RESIDUAL] == 0:
        times_derivative(plan[layer, P.ACTIVATION], delta, z, a, units, padded)
        return
    times_derivative(plan[layer, P.ACTIVATION], delta, z, z, units, padded)
    if plan[layer, P.DROPOUT] > 0:
        drop(plan, layer, delta, delta, units, first, vector_step, lane_step)


@kernel
def _derivative_and_more(
    plan, params, work, layer, vector, delta, z, a, units, padded, first, vector_step, lane_step
):
    carry_error(plan, work, layer + 1, vector, delta)
    _derivative_and_drop(plan, layer, delta, z, a, units, padded, first, vector_step, lane_step)
    normalize_back(plan, params, work, layer, vector, delta)


slope_units = by_plan(_derivative, _derivative_and_more)
"""delta of some units of a hidden layer, from the error that came down to their a, in place.

delta: (padded, lanes), and aliases neither z nor a. All else: as ``activate_units``.
"""
