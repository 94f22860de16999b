"""Layer normalization of tangents (norm.py), one vector of rows at a time.

With n = (z - mean) r and r = 1 / sqrt(variance + EPS) the tangent of n is ndot = r (zdot -
mean(zdot) - n k), k = mean(n zdot). In a block of tangents LINEAR holds zdot and then ndot, INVERSE
holds k, Z holds udot and, after the backward pass, dLoss/dudot.
"""

from ..base.jit import kernel
from ..base.sizes import SUM_ROWS
from ..ir.simd import (
    fma,
    get,
    lanes,
    load,
    offset,
    splat,
    store,
    transpose,
)
from ..primitives.elementwise import sum_of_vectors
from ..tables import layout as P


@kernel
def _gains(plan, params, layer):
    return offset(params, plan[layer, P.BIAS] + plan[layer, P.PER_UNIT_STRIDE])


@kernel
def _clear_padding(plan, layer, x):
    """Zeros in the padded units of x (units, lanes)."""
    n_lanes, units = lanes(x), plan[layer, P.OUTPUTS]
    for i in range(units * n_lanes, -(-units // n_lanes) * n_lanes * n_lanes, n_lanes):
        store(x, i, splat(x, 0.0))


@kernel
def normalize_tangents(plan, params, layer, values, tangents, count):
    """ndot and udot of a layer from its zdot, if it is normalized.

    plan, params: layout.py. values: a block of one vector of rows. tangents: the first of its
    ``count`` blocks. Twin: ``layer_norm_tangents``.
    """
    if plan[layer, P.PER_UNIT] == 1:
        return
    n_lanes, units, gains = lanes(values), plan[layer, P.OUTPUTS], _gains(plan, params, layer)
    n, inverse = offset(values, plan[layer, P.LINEAR]), load(values, plan[layer, P.INVERSE])
    for d in range(count):
        block = offset(tangents, d * plan[0, P.BLOCK])
        z, u = offset(block, plan[layer, P.LINEAR]), offset(block, plan[layer, P.Z])
        mean = along = splat(values, 0.0)
        for i in range(0, units * n_lanes, n_lanes):
            x = load(z, i)
            mean, along = mean + x, fma(x, load(n, i), along)
        mean, along = mean * (1.0 / units), along * (1.0 / units)
        store(block, plan[layer, P.INVERSE], along)
        for unit in range(units):
            i = unit * n_lanes
            x = fma(load(n, i), -along, load(z, i) - mean) * inverse
            store(z, i, x)
            store(u, i, x * get(gains, unit))
        _clear_padding(plan, layer, z)


@kernel
def _tangent_back(plan, layer, places, gains, inverse):
    """Back through the norm of one tangent: dLoss/dzdot in place of dLoss/dudot.

    places: (n, block of the tangent, its delta, delta of the values), the last dLoss/dn so far,
    to which its part is added. Returns its part of mean(q ndot).
    """
    n, block, delta, of_values = places
    n_lanes, units = lanes(n), plan[layer, P.OUTPUTS]
    du, ndot = offset(block, plan[layer, P.Z]), offset(block, plan[layer, P.LINEAR])
    mean = along = radial = splat(n, 0.0)
    for unit in range(units):
        i = unit * n_lanes
        x = load(delta, i)
        store(du, i, x)
        q = x * get(gains, unit)
        mean, along = mean + q, fma(q, load(n, i), along)
        radial = fma(q, load(ndot, i), radial)
    mean, along, k = (
        mean * (1.0 / units),
        along * (1.0 / units),
        load(block, plan[layer, P.INVERSE]),
    )
    k = k * inverse
    for unit in range(units):
        i = unit * n_lanes
        q, x = load(delta, i) * get(gains, unit), load(n, i)
        of_n = q * k + along * fma(x, k, load(ndot, i))
        store(of_values, i, load(of_values, i) - of_n)
        store(delta, i, fma(x, -along, q - mean) * inverse)
    _clear_padding(plan, layer, du)
    return radial * (1.0 / units)


@kernel
def normalize_tangents_back(plan, params, layer, blocks, deltas, count):
    """Turn dLoss/du and dLoss/dudot of a layer, if it is normalized, into dLoss/dz and dLoss/dzdot.

    plan, params: layout.py. blocks: (that of the values of a vector of rows, the first of its
    ``count`` blocks of tangents). deltas: the layer's delta in each of them. dLoss/du and
    dLoss/dudot are left in Z, for ``norm_gradients``. Twin: ``layer_norm_back``.
    """
    if plan[layer, P.PER_UNIT] == 1:
        return
    values, tangents = blocks
    delta, dots = deltas
    n_lanes, units, gains = lanes(values), plan[layer, P.OUTPUTS], _gains(plan, params, layer)
    n, inverse = offset(values, plan[layer, P.LINEAR]), load(values, plan[layer, P.INVERSE])
    du = offset(values, plan[layer, P.Z])
    for unit in range(units):
        i = unit * n_lanes
        x = load(delta, i)
        store(du, i, x)
        store(delta, i, x * get(gains, unit))
    _clear_padding(plan, layer, du)
    radial = splat(values, 0.0)
    for d in range(count):
        at = d * plan[0, P.BLOCK]
        places = (n, offset(tangents, at), offset(dots, at), delta)
        radial = radial + _tangent_back(plan, layer, places, gains, inverse)
    mean = along = splat(values, 0.0)
    for i in range(0, units * n_lanes, n_lanes):
        x = load(delta, i)
        mean, along = mean + x, fma(x, load(n, i), along)
    mean, along = mean * (1.0 / units), fma(along, 1.0 / units, radial)
    for i in range(0, units * n_lanes, n_lanes):
        store(delta, i, fma(load(n, i), -along, load(delta, i) - mean) * inverse)


@kernel
def add_gains_of_tangents(plan, work, layer, panel, span, scratch):
    """Add the part of tangents to the gradient of one panel of gains, scratch (lanes,).

    span: (first, last) of their blocks, over which is summed, SUM_ROWS rows at a time. scratch: a
    panel (lanes, lanes) behind two vectors. Twin: ``layer_norm_back``.
    """
    n_lanes = lanes(work)
    sums = offset(scratch, 2 * n_lanes)
    for unit in range(n_lanes):
        at = (panel * n_lanes + unit) * n_lanes
        gain = splat(work, 0.0)
        for first in range(span[0], span[1], SUM_ROWS // n_lanes):
            some = splat(work, 0.0)
            for v in range(first, min(span[1], first + SUM_ROWS // n_lanes)):
                block = offset(work, v * plan[0, P.BLOCK])
                some = fma(
                    load(block, plan[layer, P.Z] + at),
                    load(block, plan[layer, P.LINEAR] + at),
                    some,
                )
            gain = gain + some
        store(sums, unit * n_lanes, gain)
    transpose(sums, n_lanes, sums, n_lanes)
    store(scratch, 0, load(scratch, 0) + sum_of_vectors(sums, n_lanes))
