"""A hidden layer's activation and dropout: forward from z to a, backward from error to delta.

Where a layer has dropout or adds its inputs, Z holds the activations before that. It holds z itself
where the derivative needs z, and the derivative where the activation is a custom one. In a
normalized layer (norm.py) z stands for u, the input of its activation.
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
from .residual import add_inputs, carry_error

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def _activate(plan, arenas, layer, vector, places, counts, counters):
    z, a = places
    activate(plan[layer, P.ACTIVATION], z, a, counts[0], counts[1])


@kernel
def _activate_and_drop(plan, layer, places, counts, counters):
    z, a = places
    units, padded = counts
    if plan[layer, P.DROPOUT] == 0 and plan[layer, P.RESIDUAL] == 0:
        activate_any(plan, layer, z, a, units, padded)
        return
    whole = a if plan[layer, P.NEEDS_Z] == 1 else z
    activate_any(plan, layer, z, whole, units, padded)
    if plan[layer, P.DROPOUT] > 0:
        drop(plan, layer, whole, a, units, counters)
    n_lanes = lanes(a)
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(a, i, splat(a, 0.0))


@kernel
def _normalize_and_activate(plan, arenas, layer, vector, places, counts, counters):
    params, work = arenas
    normalize(plan, params, work, layer, vector)
    _activate_and_drop(plan, layer, places, counts, counters)
    add_inputs(plan, work, layer, vector)


activate_units = by_plan(_activate, _normalize_and_activate)
"""a of some units of a hidden layer for one vector of rows; zeros in the padded units.

(plan, arenas, layer, vector, places, counts, counters)

plan: layout.py. arenas: (params, work). vector: the number of the vector of rows. places: (z, a),
each (padded, lanes); they may be the same where the plan gives them one place. counts: (units,
padded). counters: of ``dropout.drop``. Twin: ``forward``.
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
        places = offset(z, at), offset(a, at)
        _activate_and_drop(plan, layer, places, (rows, rows), (number, units, _ONE))


activate_panels = by_plan(_activate_panels, _activate_and_drop_panels)
"""a of the panels ``first`` to ``last`` of a hidden layer's units, for a small batch.

(plan, layer, z, a, first, last, rows); z, a: one panel (rows, lanes) after the other.
"""


@kernel
def _times_derivative(plan, arenas, layer, vector, places, counts, counters):
    delta, z, a = places
    times_derivative(plan[layer, P.ACTIVATION], delta, z, a, counts[0], counts[1])


@kernel
def _times_derivative_and_drop(plan, layer, places, counts, counters):
    delta, z, a = places
    units, padded = counts
    if plan[layer, P.DROPOUT] == 0 and plan[layer, P.RESIDUAL] == 0:
        times_derivative(plan[layer, P.ACTIVATION], delta, z, a, units, padded)
        return
    times_derivative(plan[layer, P.ACTIVATION], delta, z, z, units, padded)
    if plan[layer, P.DROPOUT] > 0:
        drop(plan, layer, delta, delta, units, counters)


@kernel
def _times_derivative_extended(plan, arenas, layer, vector, places, counts, counters):
    params, work = arenas
    carry_error(plan, work, layer + 1, vector, places[0])
    _times_derivative_and_drop(plan, layer, places, counts, counters)
    normalize_back(plan, params, work, layer, vector, places[0])


delta_of_units = by_plan(_times_derivative, _times_derivative_extended)
"""delta of some units of a hidden layer, in place, from the error of their a.

(plan, arenas, layer, vector, places, counts, counters)

places: (delta, z, a), each (padded, lanes); delta aliases neither z nor a. All else: as
``activate_units``. Twin: ``backward``.
"""
