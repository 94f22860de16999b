"""Weight gradients, and the update, of a batch with tangents.

The gradient of a weight is a sum over the values and all tangents: the blocks of tangents are more
vectors of rows behind those of the values. The gradient of a bias or shift is one over the values.
"""

from ..base.jit import kernel
from ..ir.simd import lanes, offset
from ..tables import layout as P
from .forward import padded
from .input_scaling import begin_update, end_update
from .norm import norm_gradients
from .regularization import NO_WEIGHT, part
from .tangent_norm import add_gains_of_tangents
from .update import (
    ACCUMULATE,
    UPDATE,
    bias_coefficients,
    biases_of_layer,
    coefficients_of_layer,
    is_frozen,
    norm_coefficients,
    tiles_of_worker,
    use_gradient,
    weights_of_layer,
)


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
def update_part_with_tangents(plan, arenas, hyper, mode, worker, workers, rows, count):
    """One worker's part of the gradient of every W and b, and of the update by it.

    Arguments as of ``update_part``; count: tangents of each row. Twins:
    ``gradients_with_tangents``, ``update``.
    """
    work = arenas[2]
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
        weights_of_layer(plan, layer, arenas, scratch, coef, mode, span, whole)
        if mode == UPDATE:
            end_update(plan, layer, arenas[0], arenas[1], hyper, worker, workers)
        span = part(-(-plan[layer, P.OUTPUTS] // n_lanes), worker, workers)
        of_biases = bias_coefficients(plan, layer, hyper, coef)
        biases_of_layer(plan, layer, arenas, scratch, of_biases, mode, span, vectors * n_lanes)
        if plan[layer, P.PER_UNIT] > 1:
            of_norms, blocks = norm_coefficients(plan, layer, hyper, coef), (vectors, whole)
            _norms_of_layer(plan, layer, arenas, scratch, of_norms, mode, span, blocks)
