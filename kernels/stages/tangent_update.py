"""Weight gradients, and the update, of a batch with tangents.

The gradient of a weight is a sum over the values and all tangents: the blocks of tangents are more
vectors of rows behind those of the values. The gradient of a bias or shift is one over the values.
Below the first layer the tangents along the inputs are unit vectors: what they add to the gradient
of an input's weights is the sum of the deltas of its own tangent.
"""

import numpy as np

from ..base.jit import kernel
from ..ir.simd import lanes, load, offset, splat, store
from ..primitives.gemm import next_vectors
from ..tables import layout as P
from ..tables import tangent_table as T
from .forward import padded
from .input_scaling import begin_update, end_update
from .norm import norm_gradients
from .regularization import NO_WEIGHT, part
from .tangent_forward import is_along_inputs
from .tangent_norm import add_gains_of_tangents
from .update import (
    ACCUMULATE,
    UPDATE,
    bias_coefficients,
    biases_of_layer,
    coefficients_of_layer,
    delta_panel,
    gradient_of_tile,
    is_frozen,
    norm_coefficients,
    place_of_tile,
    tiles_of_worker,
    update_by_tile,
    use_gradient,
    weights_of_layer,
)

_ZERO, _FIRST = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more


@kernel
def _sum_of_deltas(deltas, blocks, apart):
    """The sum over the rows of ``blocks`` blocks, ``apart`` apart, of one panel of deltas."""
    n_lanes = lanes(deltas)
    total, size = splat(deltas, 0.0), n_lanes * n_lanes
    for start in range(0, blocks * apart * size, apart * size):
        some = load(deltas, start)
        for i in range(start + n_lanes, start + size, n_lanes):
            some = some + load(deltas, i)
        total = total + some
    return total


@kernel
def _add_tangents(plan, work, tile, counts, g, apart):
    """Add the tangents' part to a tile's gradient g, whose panels are ``apart`` elements apart."""
    n_lanes, (vectors, count), (number, panel, n) = lanes(work), counts, tile
    rows = place_of_tile(plan, _FIRST, n_lanes, tile)[0] // n_lanes
    for j in range(n):
        deltas = delta_panel(plan, work, _FIRST, panel + j)
        for r in range(min(rows, count - number * rows)):
            own = offset(deltas, (vectors + number * rows + r) * n_lanes * n_lanes)
            at = j * apart + r * n_lanes
            store(g, at, load(g, at) + _sum_of_deltas(own, vectors, count))


@kernel
def _weights_along_inputs(plan, arenas, scratch, coef, mode, span, counts):
    """The tiles span = (first, last) of W of the first layer.

    counts: (vectors of rows, tangents of each).
    """
    n_lanes = lanes(scratch)
    panels, panel = -(-plan[1, P.OUTPUTS] // n_lanes), _ZERO
    while panel < panels:
        n = next_vectors(panels - panel)
        for number in range(span[0], span[1]):
            tile = number, panel, n
            size, at = place_of_tile(plan, _FIRST, n_lanes, tile)
            gradient_of_tile(plan, _FIRST, arenas, scratch, mode, tile, counts[0])
            if mode == UPDATE:
                _add_tangents(plan, arenas[2], tile, counts, scratch, size)
                update_by_tile(plan, _FIRST, arenas, scratch, coef, tile)
            else:
                g, apart = offset(arenas[1], at), plan[1, P.WEIGHT_STRIDE]
                _add_tangents(plan, arenas[2], tile, counts, g, apart)
        panel += n


@kernel
def _norms_of_layer(plan, layer, arenas, scratch, coef, mode, span, blocks):
    """The vectors span = (first, last) of gains and of shifts. blocks: of values, of all."""
    n_lanes, (vectors, whole) = lanes(scratch), blocks
    for panel in range(span[0], span[1]):
        norm_gradients(plan, arenas[2], layer, panel, vectors, scratch)
        add_gains_of_tangents(plan, arenas[2], layer, panel, (vectors, whole), scratch)
        for kind in range(2):
            start = plan[layer, P.BIAS] + (kind + 1) * plan[layer, P.PER_UNIT_STRIDE]
            g = offset(scratch, kind * n_lanes)
            use_gradient(plan, coef, arenas, mode, start + panel * n_lanes, g, n_lanes, NO_WEIGHT)


@kernel
def update_part_with_tangents(plan, arenas, hyper, mode, worker, workers, rows, table):
    """One worker's part of the gradient of every W and b, and of the update by it.

    Arguments as of ``update_part``; table: tangent_table.py. Twins: ``gradients_with_tangents``,
    ``update``.
    """
    work, count = arenas[2], table[T.COUNT]
    n_lanes, vectors = lanes(work), padded(rows, lanes(work)) // lanes(work)
    whole = vectors * (1 + count)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    for layer in range(plan[0, P.LAST], 0, -1):
        if mode != ACCUMULATE and is_frozen(plan, layer, hyper):
            continue
        coef = coefficients_of_layer(plan, layer, hyper)
        if mode == UPDATE:
            begin_update(plan, layer, arenas[0], arenas[1], worker, workers)
        span = tiles_of_worker(plan, layer, n_lanes, worker, workers)
        if layer == 1 and is_along_inputs(table):
            _weights_along_inputs(plan, arenas, scratch, coef, mode, span, (vectors, count))
        else:
            weights_of_layer(plan, layer, arenas, scratch, coef, mode, span, whole)
        if mode == UPDATE:
            end_update(plan, layer, arenas[0], arenas[1], hyper, worker, workers)
        span = part(-(-plan[layer, P.OUTPUTS] // n_lanes), worker, workers)
        of_biases = bias_coefficients(plan, layer, hyper, coef)
        biases_of_layer(plan, layer, arenas, scratch, of_biases, mode, span, vectors * n_lanes)
        if plan[layer, P.PER_UNIT] > 1:
            of_norms, blocks = norm_coefficients(plan, layer, hyper, coef), (vectors, whole)
            _norms_of_layer(plan, layer, arenas, scratch, of_norms, mode, span, blocks)
