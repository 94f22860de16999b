"""The loss of known derivatives of the outputs, one vector of rows at a time.

It is the mean over rows, directions and outputs of w (pdot - y)^2. pdot is the tangent of an
output, y its target in the network's units, w the target's weight. A target that is NaN is not
known, and counts for 0. Beside the targets it depends on the outputs' z, through f'(z).
"""

from ..base import codes
from ..base.jit import kernel
from ..ir.simd import (
    fma,
    get,
    lane_index,
    lanes,
    load,
    offset,
    pointer_to,
    select,
    splat,
    store,
)
from ..primitives.elementwise import derivative, second_derivative
from ..tables import layout as P
from ..tables import tangent_table as T
from .backward import delta_of
from .forward import padded


@kernel
def difference_of(pdot, y, factor):
    """pdot - factor y; 0 where y is not known, NaN where pdot is."""
    return select(y == y, fma(y, -factor, pdot), pdot * 0.0)


@kernel
def _by_unit(plan, table, places, scale):
    """Loss of the rows, and dLoss/dzdot, of an activation that treats each output by itself.

    places: (z, p, delta, zdot, y, dots); the first three of the values, the others in the first
    block of tangents. scale: (lanes,) on the derivatives. Adds to delta.
    """
    z, p, delta, zdots, y, dots = places
    last, n_lanes, apart = plan[0, P.LAST], lanes(z), plan[0, P.BLOCK]
    code, units, count = plan[last, P.ACTIVATION], plan[last, P.OUTPUTS], table[T.COUNT]
    factors, weights = pointer_to(table[T.FACTORS], z), pointer_to(table[T.WEIGHTS], z)
    loss = splat(z, 0.0)
    for unit in range(units):
        i = unit * n_lanes
        first = derivative(code, load(z, i), load(p, i))
        second = second_derivative(code, load(z, i), load(p, i))
        error = load(delta, i)
        for d in range(count):
            at, place = d * apart + i, d * units + unit
            zdot = load(zdots, at)
            difference = difference_of(zdot * first, load(y, at), get(factors, place))
            weighted = difference * get(weights, place)
            loss = fma(weighted, difference, loss)
            rate = weighted * scale
            error = fma(rate * zdot, second, error)
            store(dots, at, rate * first)
        store(delta, i, error)
    return loss


@kernel
def _dot(x, y, units):
    n_lanes, total = lanes(x), splat(x, 0.0)
    for i in range(0, units * n_lanes, n_lanes):
        total = fma(load(x, i), load(y, i), total)
    return total


@kernel
def _by_softmax(plan, table, places, scale):
    """Likewise for softmax: pdot_j = p_j (zdot_j - s), where s is the sum of p zdot."""
    _, p, delta, zdots, y, dots = places
    last, n_lanes, apart = plan[0, P.LAST], lanes(p), plan[0, P.BLOCK]
    units, loss = plan[last, P.OUTPUTS], splat(p, 0.0)
    factors, weights = pointer_to(table[T.FACTORS], p), pointer_to(table[T.WEIGHTS], p)
    for d in range(table[T.COUNT]):
        zdot, target, dot = offset(zdots, d * apart), offset(y, d * apart), offset(dots, d * apart)
        s, of_p = _dot(p, zdot, units), splat(p, 0.0)
        for unit in range(units):
            i, place = unit * n_lanes, d * units + unit
            a = load(p, i)
            pdot = a * (load(zdot, i) - s)
            difference = difference_of(pdot, load(target, i), get(factors, place))
            weighted = difference * get(weights, place)
            loss = fma(weighted, difference, loss)
            store(dot, i, weighted * scale)
            of_p = fma(weighted * scale, pdot, of_p)
        mass = _dot(p, dot, units)
        of_p = of_p - mass * s  # the sum of p dLoss/dp
        for i in range(0, units * n_lanes, n_lanes):
            a, x, rate = load(p, i), load(zdot, i), load(dot, i)
            store(delta, i, fma(a, rate * (x - s) - x * mass - of_p, load(delta, i)))
            store(dot, i, a * (rate - mass))
    return loss


@kernel
def tangent_loss_and_delta(plan, work, table, vector, tangents, valid, rows):
    """Loss of each row (lanes,), and dLoss/dz and dLoss/dzdot, where Loss is its sum over ``rows``.

    plan, work: layout.py. table: tangent_table.py. vector: the number of a vector of rows, whose
    rows from ``valid`` on do not exist: 0 for them. tangents: its first block of tangents. Adds
    to the delta of the outputs (output_loss.py), times the weights of the rows, ROW_WEIGHT; the
    loss has no such weights. Twins: ``tangent_losses``, ``through_outputs``.
    """
    last, n_lanes, apart = plan[0, P.LAST], lanes(work), plan[0, P.BLOCK]
    values, units, count = offset(work, vector * apart), plan[last, P.OUTPUTS], table[T.COUNT]
    delta = delta_of(plan, work, vector, last)
    within = plan[0, P.DELTA] + last % 2 * plan[0, P.DELTA_STRIDE]
    places = (
        offset(values, plan[last, P.Z]),
        offset(values, plan[last, P.A]),
        delta,
        offset(tangents, plan[last, P.Z]),
        offset(tangents, plan[0, P.TARGET]),
        offset(tangents, within),
    )
    mean = 1.0 / (units * count)
    scale = load(values, plan[0, P.ROW_WEIGHT]) * (2.0 * mean / rows)
    if plan[last, P.ACTIVATION] == codes.SOFTMAX:
        loss = _by_softmax(plan, table, places, scale)
    else:
        loss = _by_unit(plan, table, places, scale)
    exists = lane_index(delta) < splat(delta, valid)
    for d in range(count):
        dots = offset(places[5], d * apart)
        for i in range(0, units * n_lanes, n_lanes):
            store(dots, i, select(exists, load(dots, i), 0.0))
        for i in range(units * n_lanes, padded(units, n_lanes) * n_lanes, n_lanes):
            store(dots, i, splat(dots, 0.0))
    for i in range(0, units * n_lanes, n_lanes):
        store(delta, i, select(exists, load(delta, i), 0.0))
    return select(exists, loss * mean, 0.0)
