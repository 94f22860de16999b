"""Layer normalization of hidden layers (Ba, Kiros and Hinton, 2016), one vector of rows at a time.

Over the units of each row n = (z - mean) / sqrt(variance + EPS), and the activation takes u = gain
n + shift in place of z. Rows lie in the lanes: each sum over units is one chain of vectors, and its
order depends on the number of units alone. In a block LINEAR holds z and then n, INVERSE holds 1 /
sqrt(variance + EPS) of each row, Z holds u and, after the backward pass, dLoss/du.
"""

from ..base.jit import kernel
from ..base.sizes import SUM_ROWS
from ..base.variants import by_plan
from ..ir.simd import (
    fma,
    get,
    lanes,
    load,
    offset,
    select,
    splat,
    sqrt,
    store,
    transpose,
)
from ..primitives.elementwise import sum_of_vectors
from ..tables import layout as P

EPS = 1e-5
"""Added to the variance (torch's default)."""


@kernel
def _z(plan, layer):
    return plan[layer, P.Z]


@kernel
def _linear(plan, layer):
    return plan[layer, P.LINEAR]


linear_place = by_plan(_z, _linear)
"""Where in a block W x + b goes: (plan, layer)."""


@kernel
def _clear(x, first, last):
    for i in range(first, last):
        store(x, i * lanes(x), splat(x, 0.0))


@kernel
def _padded(units, n_lanes):
    return -(-units // n_lanes) * n_lanes


@kernel
def _inverse_deviation(z, mean, units):
    """(mean of z - mean, which rounding leaves; 1 / sqrt(variance + EPS)).

    NaN where the variance is infinite: its square root would make every unit 0.
    """
    n_lanes = lanes(z)
    rest = squares = splat(z, 0.0)
    for i in range(0, units * n_lanes, n_lanes):
        d = load(z, i) - mean
        rest, squares = rest + d, fma(d, d, squares)
    rest = rest * (1.0 / units)
    variance = squares * (1.0 / units) - rest * rest
    inverse = 1.0 / sqrt(select(variance < 0.0, 0.0, variance) + EPS)
    return rest, inverse + (variance - variance)


@kernel
def normalize(plan, params, work, layer, vector):
    """n and u of a layer from its z, if it is normalized.

    plan, params, work: layout.py. vector: the number of a vector of rows. Twin: ``layer_norm``.
    """
    if plan[layer, P.PER_UNIT] == 1:
        return
    n_lanes, units, block = (
        lanes(work),
        plan[layer, P.OUTPUTS],
        offset(work, vector * plan[0, P.BLOCK]),
    )
    z, u = offset(block, plan[layer, P.LINEAR]), offset(block, plan[layer, P.Z])
    gain = offset(params, plan[layer, P.BIAS] + plan[layer, P.PER_UNIT_STRIDE])
    shift = offset(gain, plan[layer, P.PER_UNIT_STRIDE])
    mean = sum_of_vectors(z, units) * (1.0 / units)
    rest, inverse = _inverse_deviation(z, mean, units)
    store(block, plan[layer, P.INVERSE], inverse)
    for i in range(units):
        n = (load(z, i * n_lanes) - mean - rest) * inverse
        store(z, i * n_lanes, n)
        store(u, i * n_lanes, fma(n, get(gain, i), get(shift, i)))
    _clear(z, units, _padded(units, n_lanes))


@kernel
def normalize_back(plan, params, work, layer, vector, delta):
    """Turn delta from dLoss/du into dLoss/dz, if the layer is normalized; store dLoss/du in Z.

    plan, params, work: layout.py. vector: the number of a vector of rows. delta: its (units,
    lanes). Twin: ``layer_norm_gradients``.
    """
    if plan[layer, P.PER_UNIT] == 1:
        return
    n_lanes, units, block = (
        lanes(work),
        plan[layer, P.OUTPUTS],
        offset(work, vector * plan[0, P.BLOCK]),
    )
    n, du = offset(block, plan[layer, P.LINEAR]), offset(block, plan[layer, P.Z])
    gain = offset(params, plan[layer, P.BIAS] + plan[layer, P.PER_UNIT_STRIDE])
    mean = along = splat(delta, 0.0)
    for i in range(units):
        d = load(delta, i * n_lanes)
        store(du, i * n_lanes, d)
        d = d * get(gain, i)
        mean, along = mean + d, fma(d, load(n, i * n_lanes), along)
    mean, along = mean * (1.0 / units), along * (1.0 / units)
    inverse = load(block, plan[layer, P.INVERSE])
    for i in range(units):
        d = load(delta, i * n_lanes) * get(gain, i) - mean
        store(delta, i * n_lanes, fma(load(n, i * n_lanes), -along, d) * inverse)
    _clear(du, units, _padded(units, n_lanes))


@kernel
def norm_gradients(plan, work, layer, panel, vectors, scratch):
    """Gradients of one panel of gains, to scratch (lanes,), and of shifts, to the vector after it.

    vectors: of rows, over which is summed, SUM_ROWS rows at a time. scratch: two panels (lanes,
    lanes). Twin: ``layer_norm_gradients``.
    """
    n_lanes = lanes(work)
    for unit in range(n_lanes):
        at = (panel * n_lanes + unit) * n_lanes
        gain = shift = splat(work, 0.0)
        for first in range(0, vectors, SUM_ROWS // n_lanes):
            some_gain = some_shift = splat(work, 0.0)
            for v in range(first, min(vectors, first + SUM_ROWS // n_lanes)):
                block = offset(work, v * plan[0, P.BLOCK])
                du = load(block, plan[layer, P.Z] + at)
                some_gain = fma(du, load(block, plan[layer, P.LINEAR] + at), some_gain)
                some_shift = some_shift + du
            gain, shift = gain + some_gain, shift + some_shift
        store(scratch, unit * n_lanes, gain)
        store(scratch, (n_lanes + unit) * n_lanes, shift)
    for kind in range(2):
        sums = offset(scratch, kind * n_lanes * n_lanes)
        transpose(sums, n_lanes, sums, n_lanes)
        store(scratch, kind * n_lanes, sum_of_vectors(sums, n_lanes))
