"""Units: inputs, targets and outputs in raw units (the user's) and in the network's.

A network with a scaling has its *scales* behind its parameters: six vectors of the element type,
each padded with zeros to whole vectors (``arenas.read_scales``): mean and 1 / scale of the inputs,
mean and 1 / scale of the targets, factor and shift of the outputs. Where only inputs are scaled,
the others are 0 and 1: x - 0, x * 1 and x + 0 have the bits of x.

Matrices are (units, lanes) in a large batch, (panels of units, rows, lanes) in a small one. Padded
units stay 0.
"""

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import (
    fma,
    get,
    lanes,
    load,
    offset,
    pointer_to,
    store,
)
from ..tables import layout as P
from .forward import padded


@kernel
def _of_inputs(plan, x):
    return pointer_to(plan[0, P.SCALING], x)


@kernel
def _of_targets(plan, x):
    return offset(_of_inputs(plan, x), 2 * padded(plan[0, P.X_COLUMNS], lanes(x)))


@kernel
def _of_outputs(plan, x):
    return offset(_of_targets(plan, x), 2 * _outputs(plan, x))


@kernel
def _outputs(plan, x):
    return padded(plan[plan[0, P.LAST], P.OUTPUTS], lanes(x))


@kernel
def _standardize(x, scales, apart, units):
    """x (units, lanes) = (x - mean) / scale. scales: means, ``apart`` later 1 / scale."""
    n_lanes = lanes(x)
    for u in range(units):
        centered = load(x, u * n_lanes) - get(scales, u)
        store(x, u * n_lanes, centered * get(scales, apart + u))


@kernel
def _times(x, factors, units):
    """x (units, lanes) times a factor for each unit."""
    n_lanes = lanes(x)
    for u in range(units):
        store(x, u * n_lanes, load(x, u * n_lanes) * get(factors, u))


@kernel
def _standardize_inputs(plan, x):
    if plan[0, P.SCALING] != 0:
        inputs = plan[0, P.X_COLUMNS]
        _standardize(x, _of_inputs(plan, x), padded(inputs, lanes(x)), inputs)


standardize_inputs = by_plan(None, _standardize_inputs)
"""X of one vector of rows, in place: (plan, x). Twin: ``standardized``."""


@kernel
def _standardize_input_rows(plan, x, rows):
    if plan[0, P.SCALING] == 0:
        return
    n_lanes, inputs, means = lanes(x), plan[0, P.X_COLUMNS], _of_inputs(plan, x)
    factors = offset(means, padded(inputs, n_lanes))
    for u in range(0, inputs, n_lanes):
        mean, factor = load(means, u), load(factors, u)
        for i in range(u * rows, (u + n_lanes) * rows, n_lanes):
            store(x, i, (load(x, i) - mean) * factor)


standardize_input_rows = by_plan(None, _standardize_input_rows)
"""X of a small batch, in place: (plan, x, rows). Twin: ``standardized``."""


@kernel
def _standardize_targets(plan, y):
    if plan[0, P.SCALING] != 0:
        _standardize(y, _of_targets(plan, y), _outputs(plan, y), plan[0, P.TARGETS])


standardize_targets = by_plan(None, _standardize_targets)
"""y of one vector of rows, in place: (plan, y). Twin: ``standardized``.

Labels are never scaled.
"""


@kernel
def _scale_output_gradient(plan, v):
    if plan[0, P.SCALING] != 0:
        _times(v, _of_outputs(plan, v), plan[plan[0, P.LAST], P.OUTPUTS])


scale_output_gradient = by_plan(None, _scale_output_gradient)
"""dLoss/dp by outputs in raw units to that by the network's outputs, in place: (plan, v)."""


@kernel
def _no_factor(plan, like, unit):
    return 1.0


@kernel
def _output_factor(plan, like, unit):
    return 0.0 + get(_of_outputs(plan, like), unit) if plan[0, P.SCALING] != 0 else 1.0


output_factor = by_plan(_no_factor, _output_factor)
"""What an output is multiplied by in raw units, float64: (plan, like, unit)."""


@kernel
def _input_factor(plan, like, unit):
    if plan[0, P.SCALING] == 0:
        return 1.0
    return 0.0 + get(_of_inputs(plan, like), padded(plan[0, P.X_COLUMNS], lanes(like)) + unit)


input_factor = by_plan(_no_factor, _input_factor)
"""What the derivative by an input is multiplied by for X in raw units: (plan, like, unit)."""


@kernel
def _to_raw_outputs(plan, p):
    if plan[0, P.SCALING] == 0:
        return
    n_lanes, factors = lanes(p), _of_outputs(plan, p)
    shifts = offset(factors, _outputs(plan, p))
    for u in range(plan[plan[0, P.LAST], P.OUTPUTS]):
        store(p, u * n_lanes, fma(load(p, u * n_lanes), get(factors, u), get(shifts, u)))


to_raw_outputs = by_plan(None, _to_raw_outputs)
"""The outputs of one vector of rows in raw units, in place: (plan, p).

Twin: ``in_raw_units``.
"""


@kernel
def _to_raw_output_panel(plan, p, rows, unit):
    if plan[0, P.SCALING] == 0:
        return
    factors = offset(_of_outputs(plan, p), unit)
    factor, shift = load(factors, 0), load(factors, _outputs(plan, p))
    for i in range(0, rows * lanes(p), lanes(p)):
        store(p, i, fma(load(p, i), factor, shift))


to_raw_output_panel = by_plan(None, _to_raw_output_panel)
"""The same for a small batch: the panel (rows, lanes) of outputs from ``unit`` on.

(plan, p, rows, unit)
"""


@kernel
def _to_raw_input_gradient(plan, error):
    if plan[0, P.SCALING] != 0:
        inputs = plan[0, P.X_COLUMNS]
        factors = offset(_of_inputs(plan, error), padded(inputs, lanes(error)))
        _times(error, factors, inputs)


to_raw_input_gradient = by_plan(None, _to_raw_input_gradient)
"""dLoss/dX of one vector of rows by X in raw units, in place: (plan, error)."""


@kernel
def _to_raw_input_gradient_panel(plan, error, rows, unit):
    if plan[0, P.SCALING] == 0:
        return
    factors = offset(_of_inputs(plan, error), padded(plan[0, P.X_COLUMNS], lanes(error)))
    factor = load(factors, unit)
    for i in range(0, rows * lanes(error), lanes(error)):
        store(error, i, load(error, i) * factor)


to_raw_input_gradient_panel = by_plan(None, _to_raw_input_gradient_panel)
"""The same for a small batch: the panel (rows, lanes) of inputs from ``unit`` on.

(plan, error, rows, unit)
"""
