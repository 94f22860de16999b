"""Vectors of directions between two products of a Jacobian.

An *item* is a vector of directions, (units, lanes), of one block: in each lane a direction of the
lane's row. Items of one block follow one another. A *span* of items is (the block of the first, the
number of the first, their count, the items of a block); they lie ``stride`` elements apart.
"""

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import fma, get, lanes, load, offset, put, splat, store
from ..tables import layout as P


@kernel
def block_of(plan, work, span, i):
    """The block of item ``i`` of a span."""
    number = span[0] + (span[1] % span[3] + i) // span[3]
    return offset(work, number * plan[0, P.BLOCK])


@kernel
def direction_of(span, i):
    """Item ``i`` of a span is the vector of its block with this number."""
    return (span[1] + i) % span[3]


@kernel
def times_place(plan, work, span, layer, place, x, y, stride):
    """y = x times the vectors at a place of each item's block, for the units of a layer.

    x, y: (items, units, lanes), may be the same. Twin: ``jacobian``.
    """
    n_lanes = lanes(work)
    for i in range(span[2]):
        d = offset(block_of(plan, work, span, i), place)
        source, target = offset(x, i * stride), offset(y, i * stride)
        for u in range(0, plan[layer, P.OUTPUTS] * n_lanes, n_lanes):
            store(target, u, load(source, u) * load(d, u))


@kernel
def _through_norm(plan, work, span, layer, x, stride):
    if plan[layer, P.PER_UNIT] == 1:
        return
    n_lanes, units = lanes(work), plan[layer, P.OUTPUTS]
    for i in range(span[2]):
        block, d = block_of(plan, work, span, i), offset(x, i * stride)
        n, inverse = offset(block, plan[layer, P.LINEAR]), load(block, plan[layer, P.INVERSE])
        mean = along = splat(d, 0.0)
        for u in range(0, units * n_lanes, n_lanes):
            mean, along = mean + load(d, u), fma(load(d, u), load(n, u), along)
        mean, along = mean * (1.0 / units), along * (1.0 / units)
        for u in range(0, units * n_lanes, n_lanes):
            store(d, u, fma(load(n, u), -along, load(d, u) - mean) * inverse)


through_norm = by_plan(None, _through_norm)
"""x of each item times dn/dz of a normalized layer (norm.py), a symmetric matrix, in place.

(plan, work, span, layer, x, stride). Twin: ``jacobian``.
"""


@kernel
def _add_bypass(plan, span, layer, x, y, stride):
    if plan[layer, P.RESIDUAL] == 0:
        return
    n_lanes = lanes(x)
    for i in range(span[2]):
        source, target = offset(x, i * stride), offset(y, i * stride)
        for u in range(0, plan[layer, P.OUTPUTS] * n_lanes, n_lanes):
            store(target, u, load(source, u) + load(target, u))


add_bypass = by_plan(None, _add_bypass)
"""Add what bypasses a residual layer, x of each item, to y: (plan, span, layer, x, y, stride)."""


@kernel
def lanes_of_units(x, first, units, scratch):
    """The vector of which lane i is that of unit ``first`` + i of x, 0 beyond the last unit.

    x: (units, lanes), of one row in every lane. scratch: (lanes,).
    """
    n_lanes = lanes(x)
    store(scratch, 0, splat(x, 0.0))
    for i in range(min(n_lanes, units - first)):
        put(scratch, i, get(x, (first + i) * n_lanes))
    return load(scratch, 0)
