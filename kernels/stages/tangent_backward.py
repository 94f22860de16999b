"""Backward through values and tangents together: reverse mode over forward mode.

For z = W^T a, zdot = W^T adot, a = f(z), adot = f'(z) zdot the errors e of a and edot of adot give
dLoss/dz = e f'(z) + sum over the directions of edot f''(z) zdot, and dLoss/dzdot = edot f'(z). The
tangents' blocks take the products of the values as more vectors of rows (tangent_forward.py).
"""

import numpy as np

from ..base.jit import kernel
from ..ir.simd import fma, lanes, load, offset, splat, store
from ..primitives.elementwise import both_derivatives
from ..primitives.gemm import multiply_across
from ..tables import layout as P
from ..tables import tangent_table as T
from .backward import delta_of, to_panels
from .dropout import counter, drop
from .forward import padded
from .residual import carry_error
from .tangent_forward import activated_places
from .tangent_norm import normalize_tangents_back

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def error_below(plan, params, work, layer, first, last):
    """The error of the activations below a layer, from its delta, for the blocks first to last."""
    apart, below = plan[0, P.BLOCK], layer - 1
    multiply_across(
        offset(params, plan[layer, P.WEIGHTS]),
        plan[layer, P.WEIGHT_STRIDE],
        delta_of(plan, work, first, layer),
        apart,
        delta_of(plan, work, first, below),
        apart,
        plan[layer, P.INPUTS],
        last - first,
        plan[layer, P.OUTPUTS],
    )


@kernel
def _before_activation(plan, work, layer, vector, block):
    """The error of f(z) in place of that of a, in a block: the way around, and dropout."""
    carry_error(plan, work, layer + 1, block, delta_of(plan, work, block, layer))
    if plan[layer, P.DROPOUT] > 0:
        delta, units = delta_of(plan, work, block, layer), plan[layer, P.OUTPUTS]
        counters = (counter(plan, vector * lanes(work), _ZERO, units), _ONE, units)
        drop(plan, layer, delta, delta, units, counters)


@kernel
def _through_activation(plan, layer, blocks, deltas, derivatives, count):
    """Turn the errors of a hidden layer's f(z) and its tangents into dLoss/dz and dLoss/dzdot.

    For one vector of rows. blocks, deltas: of ``normalize_tangents_back``. derivatives: (f', f''),
    which are computed. One tangent after the other: each of its arrays is read in order.
    """
    (values, tangents), (delta, dots), (rates, bends) = blocks, deltas, derivatives
    n_lanes, units, apart = lanes(values), plan[layer, P.OUTPUTS], plan[0, P.BLOCK]
    z, a = activated_places(plan, layer, values)
    both_derivatives(plan[layer, P.ACTIVATION], z, a, rates, bends, units)
    for i in range(0, units * n_lanes, n_lanes):
        store(delta, i, load(delta, i) * load(rates, i))
    for d in range(count):
        zdot, own = offset(tangents, d * apart + plan[layer, P.Z]), offset(dots, d * apart)
        for i in range(0, units * n_lanes, n_lanes):
            dot, bend, error = load(own, i), load(bends, i), load(delta, i)
            error = fma(dot * load(zdot, i), bend, error)
            store(delta, i, error)
            store(own, i, dot * load(rates, i))
    for i in range(units * n_lanes, padded(units, n_lanes) * n_lanes, n_lanes):
        store(delta, i, splat(delta, 0.0))
        for d in range(count):
            store(dots, d * apart + i, splat(dots, 0.0))


@kernel
def _deltas_of_units(plan, params, work, table, layer, vector, first):
    """Both deltas of a hidden layer, in place, from the errors of its a and adot.

    For one vector of rows. first: the number of its first block of tangents.
    """
    count, apart = table[T.COUNT], plan[0, P.BLOCK]
    values, tangents = offset(work, vector * apart), offset(work, first * apart)
    delta, dots = delta_of(plan, work, vector, layer), delta_of(plan, work, first, layer)
    above = layer + 1  # whose deltas nobody reads any more
    rates, bends = delta_of(plan, work, vector, above), delta_of(plan, work, first, above)
    _before_activation(plan, work, layer, vector, vector)
    for d in range(count):
        _before_activation(plan, work, layer, vector, first + d)
    _through_activation(plan, layer, (values, tangents), (delta, dots), (rates, bends), count)
    normalize_tangents_back(plan, params, layer, (values, tangents), (delta, dots), count)


@kernel
def _both_to_panels(plan, work, table, layer, span, vectors):
    (first, last), count, units = span, table[T.COUNT], plan[layer, P.OUTPUTS]
    to_panels(plan, work, layer, first, last, _ZERO, units)
    to_panels(plan, work, layer, vectors + first * count, vectors + last * count, _ZERO, units)


@kernel
def backward_with_tangents(plan, params, work, table, span, vectors):
    """Deltas of all layers, of values and of tangents, for the vectors of rows ``span``.

    plan, params, work: layout.py. table: tangent_table.py. span: (first, last). vectors: of the
    batch. Reads both deltas of the last layer, and every z, a and tangent; leaves each layer's
    deltas in its panels, DELTA_PANELS. Twin: ``errors_with_tangents``.
    """
    (first, last), count, top = span, table[T.COUNT], plan[0, P.LAST]
    _both_to_panels(plan, work, table, top, span, vectors)
    for layer in range(top, 1, -1):
        error_below(plan, params, work, layer, first, last)
        error_below(plan, params, work, layer, vectors + first * count, vectors + last * count)
        for v in range(first, last):
            _deltas_of_units(plan, params, work, table, layer - 1, v, vectors + v * count)
            _both_to_panels(plan, work, table, layer - 1, (v, v + 1), vectors)
