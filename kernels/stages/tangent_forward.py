"""Tangents: the derivatives of all units along directions of the inputs, in forward mode.

They are linear in the tangents of the layer below: zdot = W^T adot and adot = f'(z) zdot. So they
take the products of the values, without bias, as more vectors of rows; zdot of the first layer
along an input is a row of W, and takes none. The tangents of a vector of rows lie in blocks of the
work arena of their own, one for each direction: first come the blocks of the values of the batch,
then those of the tangents of its first vector of rows, then of its second, and so on. IN, LINEAR, Z
and A of such a block hold the tangents of what they hold elsewhere, before dropout and residual
connections in Z; IN of the first layer holds nothing along the inputs. TARGET holds the known
derivatives of the outputs. Where there are fewer outputs, blocks hold adjoints (adjoints.py).
"""

import numpy as np

from ..base.jit import kernel
from ..base.sizes import DESCRIPTOR
from ..ir.simd import (
    any_lane,
    differs,
    get,
    lanes,
    load,
    offset,
    pointer_to,
    splat,
    store,
)
from ..primitives.elementwise import derivatives
from ..primitives.gather import N_COLUMNS, gather
from ..primitives.gemm import multiply_down
from ..tables import job_table as J
from ..tables import layout as P
from ..tables import tangent_table as T
from .dropout import counter, drop
from .forward import padded
from .scaling import to_raw_input_gradient
from .tangent_norm import normalize_tangents

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_ALONG, _ONE, _ZERO = np.int64(T.ALONG), np.int64(1), np.int64(0)


@kernel
def first_tangents(plan, work, table, vectors, vector):
    """The first block of tangents of a vector of rows, in a batch of ``vectors`` of them."""
    return offset(work, (vectors + vector * table[T.COUNT]) * plan[0, P.BLOCK])


@kernel
def _has_infinity(y, count):
    """Whether one of ``count`` vectors has an infinite lane."""
    n_lanes, zero = lanes(y), splat(y, 0.0)
    bad = zero < zero
    for i in range(0, count * n_lanes, n_lanes):
        x = load(y, i)
        bad = bad | (differs(x - x, zero) & (x == x))
    return any_lane(bad)


@kernel
def is_along_inputs(table):
    """Whether the directions are unit vectors, one for each input, and not the user's."""
    return table[T.KIND] == T.INPUTS


@kernel
def gather_tangents(plan, table, tangents, order, first, valid, scratch):
    """The tangents of the inputs of one vector of rows, and their targets; the status.

    table: tangent_table.py. tangents: the first block of the vector's tangents. order, first,
    valid, scratch: of ``gather``. NaN is a target that is not known. Twin: plain indexing.
    """
    count = table[T.COUNT]
    for d in range(count):
        block = offset(tangents, d * plan[0, P.BLOCK])
        x, y = offset(block, plan[1, P.IN]), offset(block, plan[0, P.TARGET])
        if table[T.KIND] == T.GIVEN:
            if gather(table, _ALONG, order, first, valid, x, scratch):
                return J.BAD_TARGET
            to_raw_input_gradient(plan, x)  # a direction scales as the inputs do
        gather(table, T.TARGETS + d * DESCRIPTOR, order, first, valid, y, scratch)
        if _has_infinity(y, table[T.TARGETS + N_COLUMNS]):
            return J.BAD_TARGET
    return J.OK


@kernel
def activated_places(plan, layer, values):
    """(z, a) of the block ``values``, of which the activation's derivatives are computed.

    See hidden.py for what they hold.
    """
    z, a = offset(values, plan[layer, P.Z]), offset(values, plan[layer, P.A])
    return (z, z) if plan[layer, P.DROPOUT] > 0 or plan[layer, P.RESIDUAL] == 1 else (z, a)


@kernel
def _add_inputs(plan, table, layer, block, direction):
    """Add the tangents of a residual layer's inputs to those of its activations."""
    if plan[layer, P.RESIDUAL] == 0:
        return
    n_lanes, a = lanes(block), offset(block, plan[layer, P.A])
    if layer == 1 and is_along_inputs(table):
        store(a, direction * n_lanes, load(a, direction * n_lanes) + 1.0)
        return
    inputs = offset(block, plan[layer, P.IN])
    for i in range(0, plan[layer, P.OUTPUTS] * n_lanes, n_lanes):
        store(a, i, load(a, i) + load(inputs, i))


@kernel
def _tangents_of_units(plan, params, work, table, layer, vector, tangents):
    """adot of a hidden layer from its zdot, for one vector of rows; zeros in the padded units."""
    n_lanes, units, apart, count = (
        lanes(work),
        plan[layer, P.OUTPUTS],
        plan[0, P.BLOCK],
        table[T.COUNT],
    )
    values, whole = offset(work, vector * apart), padded(units, n_lanes) * n_lanes
    normalize_tangents(plan, params, layer, values, tangents, count)
    z, a = activated_places(plan, layer, values)
    rates = offset(tangents, plan[0, P.DELTA])  # there are no deltas yet
    derivatives(plan[layer, P.ACTIVATION], z, a, rates, units)
    counters = (counter(plan, vector * n_lanes, _ZERO, units), _ONE, units)
    for d in range(count):
        block = offset(tangents, d * apart)
        zdot, place = offset(block, plan[layer, P.Z]), offset(block, plan[layer, P.A])
        for i in range(0, units * n_lanes, n_lanes):
            store(place, i, load(zdot, i) * load(rates, i))
        for i in range(units * n_lanes, whole, n_lanes):
            store(place, i, splat(place, 0.0))
        if plan[layer, P.DROPOUT] > 0:
            drop(plan, layer, place, place, units, counters)
        _add_inputs(plan, table, layer, block, d)


@kernel
def _rows_of_weights(plan, params, tangents, vectors, count):
    """zdot of the first layer along the inputs: in each block of tangents a row of W.

    tangents: the first of ``vectors`` times ``count`` blocks.
    """
    n_lanes, units = lanes(tangents), plan[1, P.OUTPUTS]
    for v in range(vectors):
        for d in range(count):
            z = offset(tangents, (v * count + d) * plan[0, P.BLOCK] + plan[1, P.LINEAR])
            for low in range(0, units, n_lanes):
                panel = plan[1, P.WEIGHTS] + low // n_lanes * plan[1, P.WEIGHT_STRIDE]
                w = offset(params, panel + d * n_lanes)
                for u in range(low, min(units, low + n_lanes)):
                    store(z, u * n_lanes, splat(z, get(w, u - low)))


@kernel
def multiply_tangents(plan, params, table, layer, base, blocks):
    """z of a layer without its bias, from IN to LINEAR, of ``blocks`` blocks from ``base`` on."""
    multiply_down(
        offset(params, plan[layer, P.WEIGHTS]),
        plan[layer, P.WEIGHT_STRIDE],
        offset(base, plan[layer, P.IN]),
        plan[0, P.BLOCK],
        offset(base, plan[layer, P.LINEAR]),
        plan[0, P.BLOCK],
        plan[layer, P.OUTPUTS],
        blocks,
        plan[layer, P.INPUTS],
        pointer_to(table[T.ZEROS], base),
    )


@kernel
def forward_tangents(plan, params, work, table, span, vectors):
    """zdot and adot of every layer, zdot alone of the last, for the vectors of rows ``span``.

    plan, params, work: layout.py. table: tangent_table.py. span: (first, last). vectors: of the
    batch. After ``forward``, whose z and a it reads. Twin: same name.
    """
    (first, last), count = span, table[T.COUNT]
    base = first_tangents(plan, work, table, vectors, first)
    for layer in range(1, plan[0, P.LAST] + 1):
        if layer == 1 and is_along_inputs(table):
            _rows_of_weights(plan, params, base, last - first, count)
        else:
            multiply_tangents(plan, params, table, layer, base, (last - first) * count)
        if layer < plan[0, P.LAST]:
            for v in range(first, last):
                tangents = first_tangents(plan, work, table, vectors, v)
                _tangents_of_units(plan, params, work, table, layer, v, tangents)
