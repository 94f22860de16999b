"""Derivatives from the side of the outputs: adjoints go down, and their errors back up.

The adjoint of an output p_k is g = dp_k/dz of a layer. It is f'(z) in unit k of the last layer and
0 in the others; below, h = W g of the layer above and g = f'(z) h. W g of layer 1 is the row k of
the Jacobian. Its errors q = dLoss/dJ come back as tangents would: u = W^T q, and q = f'(z) u for
the layer above. The gradient of W is the sum of q g, as that of tangents and their deltas, and
dLoss/dz takes u h f''(z) of each output beside e f'(z). So an output takes three products a layer,
as a direction does: this is the way where a network has fewer outputs than inputs.

Adjoints lie in blocks of their own, as tangents do (tangent_forward.py), one for each output.
TARGET of such a block holds what is known of the row, IN of layer 1 the row and then its errors, A
of a hidden layer h and then q, Z u, and Z of a vector's first block at last the sum of u h f''(z).
"""

import numpy as np

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
from ..primitives.elementwise import (
    both_derivatives,
    derivative,
    derivatives,
    second_derivative,
)
from ..tables import layout as P
from ..tables import tangent_table as T
from .backward import delta_of, error_of_inputs, to_panels
from .dropout import counter, drop
from .forward import padded
from .tangent_backward import error_below
from .tangent_forward import activated_places, multiply_tangents
from .tangent_loss import difference_of

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def _drop_units(plan, layer, vector, x):
    """Dropout of a hidden layer's units x (units, lanes) of a vector of rows, in place."""
    if plan[layer, P.DROPOUT] > 0:
        units = plan[layer, P.OUTPUTS]
        counters = (counter(plan, vector * lanes(x), _ZERO, units), _ONE, units)
        drop(plan, layer, x, x, units, counters)


@kernel
def _clear(x, first, last):
    n_lanes = lanes(x)
    for i in range(first * n_lanes, last * n_lanes, n_lanes):
        store(x, i, splat(x, 0.0))


@kernel
def _adjoints_of_outputs(plan, work, vector, first, count):
    """g of the last layer. first: the number of the vector's first block of adjoints."""
    last, n_lanes = plan[0, P.LAST], lanes(work)
    values, units = offset(work, vector * plan[0, P.BLOCK]), plan[last, P.OUTPUTS]
    z, p = offset(values, plan[last, P.Z]), offset(values, plan[last, P.A])
    for k in range(count):
        g, i = delta_of(plan, work, first + k, last), k * n_lanes
        _clear(g, _ZERO, padded(units, n_lanes))
        store(g, i, derivative(plan[last, P.ACTIVATION], load(z, i), load(p, i)))


@kernel
def _adjoints_of_units(plan, work, layer, vector, first, count):
    """h of a hidden layer to A, and g in its place, DELTA."""
    n_lanes, units, apart = lanes(work), plan[layer, P.OUTPUTS], plan[0, P.BLOCK]
    z, a = activated_places(plan, layer, offset(work, vector * apart))
    rates = offset(work, first * apart + plan[layer, P.Z])  # there is no u yet
    derivatives(plan[layer, P.ACTIVATION], z, a, rates, units)
    for k in range(first, first + count):
        g, h = delta_of(plan, work, k, layer), offset(work, k * apart + plan[layer, P.A])
        _drop_units(plan, layer, vector, g)
        for i in range(0, units * n_lanes, n_lanes):
            x = load(g, i)
            store(h, i, x)
            store(g, i, x * load(rates, i))
        _clear(g, units, padded(units, n_lanes))


@kernel
def adjoints(plan, params, work, table, span, vectors):
    """The Jacobians of the vectors of rows ``span``, in IN of layer 1 of their blocks of adjoints.

    plan, params, work: layout.py. table: tangent_table.py. span: (first, last). vectors: of the
    batch. After ``forward``, whose z and a it reads; leaves each layer's adjoints in its panels,
    DELTA_PANELS. Twin: ``jacobian``.
    """
    count, top = table[T.COUNT], plan[0, P.LAST]
    low, high = vectors + span[0] * count, vectors + span[1] * count
    for v in range(span[0], span[1]):
        _adjoints_of_outputs(plan, work, v, vectors + v * count, count)
    to_panels(plan, work, top, low, high, _ZERO, plan[top, P.OUTPUTS])
    for layer in range(top - 1, 0, -1):
        error_below(plan, params, work, layer + 1, low, high)
        for v in range(span[0], span[1]):
            own, units = vectors + v * count, plan[layer, P.OUTPUTS]
            _adjoints_of_units(plan, work, layer, v, own, count)
            to_panels(plan, work, layer, own, own + count, _ZERO, units)
    error_of_inputs(plan, params, work, low, high)


@kernel
def adjoint_loss(plan, work, table, vector, first, valid, rows):
    """Loss of each row (lanes,), and its errors dLoss/dJ in place of the Jacobian.

    As ``tangent_loss_and_delta``; first: the number of the vector's first block of adjoints. Twin:
    ``tangent_losses``.
    """
    n_lanes, apart, inputs = lanes(work), plan[0, P.BLOCK], plan[1, P.INPUTS]
    factors, weights = pointer_to(table[T.FACTORS], work), pointer_to(table[T.WEIGHTS], work)
    mean = 1.0 / (inputs * table[T.COUNT])
    scale = load(offset(work, vector * apart), plan[0, P.ROW_WEIGHT]) * (2.0 * mean / rows)
    exists, loss = lane_index(work) < splat(work, valid), splat(work, 0.0)
    for k in range(table[T.COUNT]):
        block = offset(work, (first + k) * apart)
        slopes, y = offset(block, plan[1, P.IN]), offset(block, plan[0, P.TARGET])
        for unit in range(inputs):
            i, place = unit * n_lanes, k * inputs + unit
            difference = difference_of(load(slopes, i), load(y, i), get(factors, place))
            weighted = difference * get(weights, place)
            loss = fma(weighted, difference, loss)
            store(slopes, i, select(exists, weighted * scale, 0.0))
    return select(exists, loss * mean, 0.0)


@kernel
def _errors_of_units(plan, work, layer, vector, first, count):
    """q of a hidden layer in place of h, from its u; the sum of u h f''(z) in Z of block first."""
    n_lanes, units, apart = lanes(work), plan[layer, P.OUTPUTS], plan[0, P.BLOCK]
    z, a = activated_places(plan, layer, offset(work, vector * apart))
    above = layer + 1  # g is in the panels: its places are free
    rates, bends = delta_of(plan, work, first, layer), delta_of(plan, work, first, above)
    both_derivatives(plan[layer, P.ACTIVATION], z, a, rates, bends, units)
    total = offset(work, first * apart + plan[layer, P.Z])
    for k in range(count):
        block = offset(work, (first + k) * apart)
        u, q = offset(block, plan[layer, P.Z]), offset(block, plan[layer, P.A])
        for i in range(0, units * n_lanes, n_lanes):
            x = load(u, i)
            some = x * load(q, i) * load(bends, i)
            store(total, i, load(total, i) + some if k > 0 else some)
            store(q, i, x * load(rates, i))
        _clear(q, units, padded(units, n_lanes))
        _drop_units(plan, layer, vector, q)


@kernel
def _bend_of_outputs(plan, work, vector, first, count):
    """Add what f'(z) of the outputs takes to their delta."""
    last, n_lanes, apart = plan[0, P.LAST], lanes(work), plan[0, P.BLOCK]
    values, delta = offset(work, vector * apart), delta_of(plan, work, vector, last)
    z, p = offset(values, plan[last, P.Z]), offset(values, plan[last, P.A])
    for k in range(count):
        i, u = k * n_lanes, offset(work, (first + k) * apart + plan[last, P.Z])
        bend = second_derivative(plan[last, P.ACTIVATION], load(z, i), load(p, i))
        store(delta, i, fma(load(u, i), bend, load(delta, i)))


@kernel
def _errors_up(plan, params, work, table, span, vectors):
    """u and q of every layer, from the errors of the Jacobians."""
    (first, last), count, top = span, table[T.COUNT], plan[0, P.LAST]
    base = offset(work, (vectors + first * count) * plan[0, P.BLOCK])
    for layer in range(1, top):
        multiply_tangents(plan, params, table, layer, base, (last - first) * count)
        for v in range(first, last):
            _errors_of_units(plan, work, layer, v, vectors + v * count, count)
    if plan[top, P.ACTIVATION] != codes.IDENTITY:
        multiply_tangents(plan, params, table, top, base, (last - first) * count)
        for v in range(first, last):
            _bend_of_outputs(plan, work, v, vectors + v * count, count)


@kernel
def _delta_of_units(plan, work, layer, vector, first):
    """delta of a hidden layer's values, in place, from the error of its a."""
    n_lanes, units, apart = lanes(work), plan[layer, P.OUTPUTS], plan[0, P.BLOCK]
    z, a = activated_places(plan, layer, offset(work, vector * apart))
    delta, rates = delta_of(plan, work, vector, layer), delta_of(plan, work, first, layer)
    bend = offset(work, first * apart + plan[layer, P.Z])
    _drop_units(plan, layer, vector, delta)
    derivatives(plan[layer, P.ACTIVATION], z, a, rates, units)
    for i in range(0, units * n_lanes, n_lanes):
        store(delta, i, fma(load(delta, i), load(rates, i), load(bend, i)))
    _clear(delta, units, padded(units, n_lanes))


@kernel
def backward_with_adjoints(plan, params, work, table, span, vectors):
    """Deltas of all layers, from those of the outputs and the errors of the Jacobians.

    Arguments as of ``adjoints``, after which it runs. Leaves each layer's deltas in its panels,
    and what adjoints add to the gradient of its W in IN of their blocks and in their panels. Twin:
    ``errors_with_tangents``.
    """
    (first, last), count, top = span, table[T.COUNT], plan[0, P.LAST]
    _errors_up(plan, params, work, table, span, vectors)
    to_panels(plan, work, top, first, last, _ZERO, plan[top, P.OUTPUTS])
    for layer in range(top - 1, 0, -1):
        error_below(plan, params, work, layer + 1, first, last)
        for v in range(first, last):
            _delta_of_units(plan, work, layer, v, vectors + v * count)
            to_panels(plan, work, layer, v, v + 1, _ZERO, plan[layer, P.OUTPUTS])
