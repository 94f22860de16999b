"""Weight gradients, and the optimizer's update of each tile while it is in the nearest cache."""

import numpy as np

from ..base import codes
from ..base.jit import kernel
from ..base.sizes import ROWS, SUM_ROWS
from ..base.variants import by_plan
from ..ir.simd import (
    fma,
    get,
    lanes,
    load,
    offset,
    store,
)
from ..primitives.elementwise import sum_of_vectors
from ..primitives.gemm import next_vectors, tile_across
from ..primitives.tile import ADD, WRITE
from ..tables import layout as P
from ..tables import settings as H
from .forward import padded
from .input_scaling import (
    begin_update,
    end_update,
    inputs_of_worker,
    scales_inputs,
    to_factors,
)
from .norm import norm_gradients
from .number_updates import update_numbers
from .regularization import (
    DECAY_OF_AVERAGE,
    NO_WEIGHT,
    WEIGHT,
    common_coefficients,
    final_gradient,
    move_average,
    part,
)
from .small_batch import is_small_batch
from .update_rules import (
    coefficients,
    extended_coefficients_of,
    momentum_of,
    update,
    update_extended,
)

_ZERO, _FIRST = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more

UPDATE, STORE, ACCUMULATE = range(3)
"""Modes: how a gradient is used. UPDATE: the optimizer takes it, tile by tile. STORE: it is
written to an arena. ACCUMULATE: it is added to an arena."""

# (plan, coef, params, moments, at, g, count, is_weight)


@kernel
def _update_tile(plan, coef, params, moments, at, g, count, is_weight):
    w = offset(params, at)
    m = offset(moments, at) if plan[0, P.MOMENTS] > 0 else w
    v = offset(m, plan[0, P.PARAMETERS]) if plan[0, P.MOMENTS] > 1 else m
    update(plan[0, P.OPTIMIZER], coef, w, g, m, v, count)


@kernel
def _extended_update_tile(plan, coef, params, moments, at, g, count, is_weight):
    w = offset(params, at)
    m = offset(moments, at) if plan[0, P.MOMENTS] > 0 else w
    v = offset(m, plan[0, P.PARAMETERS]) if plan[0, P.MOMENTS] > 1 else m
    of_layer, common = coef
    final_gradient(common, w, g, count, is_weight)
    scaled = is_weight and at < plan[1, P.BIAS] and scales_inputs(plan, _FIRST)
    if scaled:
        w = to_factors(plan, moments, at, g, count)
    update_extended(plan[0, P.OPTIMIZER], of_layer, w, g, m, v, count)
    if plan[0, P.AVERAGE] >= 0 and not scaled:
        place = plan[0, P.AVERAGE] * plan[0, P.PARAMETERS] + at
        move_average(common[DECAY_OF_AVERAGE], w, offset(moments, place), count)


update_tile = by_plan(_update_tile, _extended_update_tile)
"""One update of ``count`` elements from ``at`` on, by the gradient g.

plan, params, moments: layout.py. coef: of ``_layer_coefficients``. g: may be changed. is_weight:
whether the elements are weights and not biases. Where the layer's inputs have a learned scaling, W
is updated, and the parameters are written by ``end_update``. Twin: ``update``.
"""


@kernel
def _coefficients(plan, hyper):
    lr, decay = hyper[codes.LR], hyper[codes.WEIGHT_DECAY]
    return coefficients(plan[0, P.OPTIMIZER], hyper, lr, momentum_of(hyper), decay)


@kernel
def _extended_coefficients(plan, hyper):
    return common_coefficients(hyper)


_common_coefficients = by_plan(_coefficients, _extended_coefficients)
"""The scalars that all layers share: (plan, hyper)."""


@kernel
def _same(plan, layer, hyper, common):
    return common


@kernel
def _with_rates(plan, layer, hyper, lr_factor, decay_factor):
    lr = hyper[H.STEP_LR] * hyper[H.of_layer(layer, H.LR_FACTOR)] * lr_factor
    decay = hyper[H.STEP_DECAY] * hyper[H.of_layer(layer, H.DECAY_FACTOR)] * decay_factor
    momentum = hyper[H.STEP_MOMENTUM]
    return extended_coefficients_of(plan[0, P.OPTIMIZER], hyper, lr, momentum, decay)


@kernel
def _with_layer_rates(plan, layer, hyper, common):
    return _with_rates(plan, layer, hyper, 1.0, 1.0), common


_layer_coefficients = by_plan(_same, _with_layer_rates)
"""The scalars of the update of a layer's W, from the common ones: (plan, layer, hyper, common)."""


@kernel
def _per_unit_coefficients(plan, layer, hyper, coef, lr_factor):
    decay_factor = hyper[H.PER_UNIT_DECAY]
    if lr_factor == 1.0 and decay_factor == 1.0:
        return coef
    return _with_rates(plan, layer, hyper, lr_factor, decay_factor), coef[1]


@kernel
def _with_bias_rates(plan, layer, hyper, coef):
    factor = hyper[H.of_layer(layer, H.BIAS_LR_FACTOR)]
    return _per_unit_coefficients(plan, layer, hyper, coef, factor)


@kernel
def _with_norm_rates(plan, layer, hyper, coef):
    return _per_unit_coefficients(plan, layer, hyper, coef, 1.0)


bias_coefficients = by_plan(_same, _with_bias_rates)
"""The scalars of the update of a layer's b, from those of its W: (plan, layer, hyper, coef)."""

norm_coefficients = by_plan(_same, _with_norm_rates)
"""Likewise, of its gains and shifts."""


@kernel
def coefficients_of_layer(plan, layer, hyper):
    """The scalars of the update of a layer's W."""
    return _layer_coefficients(plan, layer, hyper, _common_coefficients(plan, hyper))


@kernel
def _never(plan, layer, hyper):
    return False


@kernel
def _is_frozen(plan, layer, hyper):
    return hyper[H.of_layer(layer, H.LR_FACTOR)] == 0.0


is_frozen = by_plan(_never, _is_frozen)
"""Whether a layer is not updated: (plan, layer, hyper)."""


@kernel
def delta_panel(plan, work, layer, panel):
    """One panel (rows, lanes) of a layer's delta."""
    return offset(work, plan[layer, P.DELTA_PANELS] + panel * plan[layer, P.DELTA_PANEL_STRIDE])


@kernel
def _outer(a, deltas, g, rows, count):
    """g (count, lanes), sum over the rows of a[r, i] delta[r], for ``count`` units i.

    a: row panels of units (gemv.py). deltas: one panel (rows, lanes). Four units at a
    time share its loads: they lie in one panel, or there is one row. g has room for whole fours and
    aliases neither.
    Twin: ``gradients``.
    """
    n_lanes = lanes(a)
    for i in range(0, count, 4):
        units = offset(a, i // n_lanes * rows * n_lanes + i % n_lanes)
        delta = load(deltas, 0)
        g0, g1 = delta * get(units, 0), delta * get(units, 1)
        g2, g3 = delta * get(units, 2), delta * get(units, 3)
        for at in range(n_lanes, rows * n_lanes, n_lanes):
            delta = load(deltas, at)
            g0, g1 = fma(delta, get(units, at), g0), fma(delta, get(units, at + 1), g1)
            g2, g3 = fma(delta, get(units, at + 2), g2), fma(delta, get(units, at + 3), g3)
        target = offset(g, i * n_lanes)
        store(target, 0, g0)
        store(target, n_lanes, g1)
        store(target, 2 * n_lanes, g2)
        store(target, 3 * n_lanes, g3)


@kernel
def use_gradient(plan, coef, arenas, mode, at, g, count, is_weight):
    """Update ``count`` elements from ``at`` on by the gradient g, or store it, by the mode."""
    params, moments, _ = arenas
    if mode == UPDATE:
        update_tile(plan, coef, params, moments, at, g, count, is_weight)
        return
    total = offset(moments, at)
    for i in range(0, count, lanes(g)):
        store(total, i, load(total, i) + load(g, i) if mode == ACCUMULATE else load(g, i))


# The parts of a layer. Arguments as in ``update_part``; scratch: the worker's; coef: the scalars.


@kernel
def _weights_of_small_batch(plan, layer, arenas, scratch, coef, mode, rows, worker, workers):
    """One worker's part of W, for a small batch.

    A part is some panels of outputs, which are contiguous. With fewer panels than workers, or a
    learned scaling of the inputs, it is some inputs of every panel.
    """
    work = arenas[2]
    n_lanes = lanes(work)
    units, panels = plan[layer, P.INPUTS], -(-plan[layer, P.OUTPUTS] // n_lanes)
    first, last, low, high = 0, panels, 0, units
    if panels >= workers and not scales_inputs(plan, layer):
        first, last = part(panels, worker, workers)
    else:
        low, high = inputs_of_worker(plan, layer, n_lanes, worker, workers)
    for panel in range(first, last):
        deltas = delta_panel(plan, work, layer, panel)
        for i in range(low, high, P.SMALL_BATCH_VECTORS):
            count = min(P.SMALL_BATCH_VECTORS, high - i)
            at = plan[layer, P.WEIGHTS] + panel * plan[layer, P.WEIGHT_STRIDE] + i * n_lanes
            _outer(offset(work, plan[layer, P.IN] + i * rows), deltas, scratch, rows, count)
            use_gradient(plan, coef, arenas, mode, at, scratch, count * n_lanes, WEIGHT)


@kernel
def tiles_of_worker(plan, layer, n_lanes, worker, workers):
    """(first, last) of a worker's tiles of input units."""
    rows = min(ROWS, n_lanes)
    if not scales_inputs(plan, layer):
        return part(-(-plan[layer, P.INPUTS] // rows), worker, workers)
    first, last = inputs_of_worker(plan, layer, n_lanes, worker, workers)
    return first // rows, -(-last // rows)


# A tile is (number of input units' tile, first panel of outputs, panels).


@kernel
def place_of_tile(plan, layer, n_lanes, tile):
    """(elements of one panel of a tile, where it begins in the parameters)."""
    size = min(ROWS, n_lanes) * n_lanes
    start = plan[layer, P.WEIGHTS] + tile[1] * plan[layer, P.WEIGHT_STRIDE]
    return size, start + tile[0] * size


@kernel
def gradient_of_tile(plan, layer, arenas, scratch, mode, tile, vectors):
    """A tile's gradient: to scratch for UPDATE, its panels one after another, else to its arena.

    vectors: of rows, over which it is summed, SUM_ROWS rows at a time.
    """
    params, moments, work = arenas
    n_lanes, updates, (number, panel, n) = lanes(work), mode == UPDATE, tile
    size, at = place_of_tile(plan, layer, n_lanes, tile)
    n_moments, stride, block = plan[0, P.MOMENTS], plan[layer, P.WEIGHT_STRIDE], plan[0, P.BLOCK]
    deltas, w = delta_panel(plan, work, layer, panel), offset(params, at)
    m = offset(moments, at) if not updates or n_moments > 0 else w
    v = offset(m, plan[0, P.PARAMETERS]) if n_moments > 1 and updates else m
    for row in range(0, vectors * n_lanes, SUM_ROWS):
        tile_across(
            n,
            offset(work, plan[layer, P.IN] + number * size + row // n_lanes * block),
            block,
            offset(deltas, row * n_lanes),
            plan[layer, P.DELTA_PANEL_STRIDE],
            scratch if updates else m,
            size if updates else stride,
            min(SUM_ROWS, vectors * n_lanes - row),
            ADD if mode == ACCUMULATE or row > 0 else WRITE,
            w,
            m,
            v,
            stride,
        )


@kernel
def update_by_tile(plan, layer, arenas, scratch, coef, tile):
    """One update of a tile, by its gradient in scratch."""
    size, at = place_of_tile(plan, layer, lanes(scratch), tile)
    for j in range(tile[2]):
        g, place = offset(scratch, j * size), at + j * plan[layer, P.WEIGHT_STRIDE]
        update_tile(plan, coef, arenas[0], arenas[1], place, g, size, WEIGHT)


@kernel
def _weights_of_tiles(plan, layer, arenas, scratch, coef, mode, span, vectors):
    """The tiles span = (first, last) of input units, for all outputs. vectors: of rows."""
    panels, panel = -(-plan[layer, P.OUTPUTS] // lanes(scratch)), _ZERO
    while panel < panels:
        n = next_vectors(panels - panel)
        for number in range(span[0], span[1]):
            tile = number, panel, n
            gradient_of_tile(plan, layer, arenas, scratch, mode, tile, vectors)
            if mode == UPDATE:
                update_by_tile(plan, layer, arenas, scratch, coef, tile)
        panel += n


INPUTS_AT_A_TIME = 2**15
"""Activations that a worker's tiles read before they go to the next outputs: 128 KiB in float32
stay in the second cache, a half of which another thread of the core may take."""


@kernel
def weights_of_layer(plan, layer, arenas, scratch, coef, mode, span, vectors):
    """``_weights_of_tiles`` for all tiles span = (first, last), some at a time."""
    n_lanes = lanes(arenas[2])
    some = max(1, INPUTS_AT_A_TIME // (vectors * n_lanes * min(ROWS, n_lanes)))
    for first in range(span[0], span[1], some):
        part_of_span = first, min(first + some, span[1])
        _weights_of_tiles(plan, layer, arenas, scratch, coef, mode, part_of_span, vectors)


@kernel
def biases_of_layer(plan, layer, arenas, scratch, coef, mode, span, rows):
    """The vectors span = (first, last) of biases."""
    n_lanes = lanes(scratch)
    for panel in range(span[0], span[1]):
        at = plan[layer, P.BIAS] + panel * n_lanes
        store(scratch, 0, sum_of_vectors(delta_panel(plan, arenas[2], layer, panel), rows))
        use_gradient(plan, coef, arenas, mode, at, scratch, n_lanes, NO_WEIGHT)


@kernel
def _norms(plan, layer, arenas, scratch, coef, mode, span, vectors, hyper):
    if plan[layer, P.PER_UNIT] == 1:
        return
    n_lanes, coef = lanes(scratch), norm_coefficients(plan, layer, hyper, coef)
    for panel in range(span[0], span[1]):
        norm_gradients(plan, arenas[2], layer, panel, vectors, scratch)
        for kind in range(2):
            start = plan[layer, P.BIAS] + (kind + 1) * plan[layer, P.PER_UNIT_STRIDE]
            g = offset(scratch, kind * n_lanes)
            use_gradient(plan, coef, arenas, mode, start + panel * n_lanes, g, n_lanes, NO_WEIGHT)


_norms_of_layer = by_plan(None, _norms)
"""The vectors span = (first, last) of gains and of shifts.

(plan, layer, arenas, scratch, coef, mode, span, vectors, hyper); coef: those of W.
"""


@kernel
def update_part(plan, arenas, hyper, mode, worker, workers, rows, first_layer):
    """One worker's part of the gradient of every W and b, and of the update by it.

    plan: layout.py. arenas: (params, moments, work); for STORE and ACCUMULATE the second is the
    arena of the gradient, laid out as the parameters, and not the moments. No two alias. hyper:
    settings.py. mode: UPDATE, STORE or ACCUMULATE. rows: of the batch. first_layer: the first whose
    W this is for; of those before only biases, gains and shifts. Twins: ``gradients``, ``update``.
    """
    work = arenas[2]
    n_lanes = lanes(work)
    scratch = offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])
    small, whole = is_small_batch(plan, rows, n_lanes), padded(rows, n_lanes)
    common, vectors = _common_coefficients(plan, hyper), whole // n_lanes
    for layer in range(plan[0, P.LAST], 0, -1):
        if mode != ACCUMULATE and is_frozen(plan, layer, hyper):
            continue
        coef = _layer_coefficients(plan, layer, hyper, common)
        updates = mode == UPDATE and layer >= first_layer
        if updates:
            begin_update(plan, layer, arenas[0], arenas[1], worker, workers)
        if layer < first_layer:
            pass
        elif small:
            _weights_of_small_batch(plan, layer, arenas, scratch, coef, mode, rows, worker, workers)
        else:
            span = tiles_of_worker(plan, layer, n_lanes, worker, workers)
            weights_of_layer(plan, layer, arenas, scratch, coef, mode, span, vectors)
        if updates:
            end_update(plan, layer, arenas[0], arenas[1], hyper, worker, workers)
        span = part(-(-plan[layer, P.OUTPUTS] // n_lanes), worker, workers)
        summed = rows if small else whole
        of_biases = bias_coefficients(plan, layer, hyper, coef)
        biases_of_layer(plan, layer, arenas, scratch, of_biases, mode, span, summed)
        _norms_of_layer(plan, layer, arenas, scratch, coef, mode, span, vectors, hyper)
    update_numbers(plan, arenas, hyper, mode, worker, workers, vectors)


APPLIED_AT_A_TIME = 1024
"""Elements of a stored gradient updated at a time: they fit the nearest cache with their
moments."""


@kernel
def _apply_weights(plan, layer, coef, arenas, gradient, span, inputs):
    """Update the inputs (first, last) of the panels span = (first, last) of W."""
    n_lanes = lanes(gradient)
    for panel in range(span[0], span[1]):
        start = plan[layer, P.WEIGHTS] + panel * plan[layer, P.WEIGHT_STRIDE]
        end = start + inputs[1] * n_lanes
        for at in range(start + inputs[0] * n_lanes, end, APPLIED_AT_A_TIME):
            count = min(APPLIED_AT_A_TIME, end - at)
            g = offset(gradient, at)
            update_tile(plan, coef, arenas[0], arenas[1], at, g, count, WEIGHT)


@kernel
def apply_part(plan, params, moments, gradient, hyper, worker, workers):
    """Update one worker's panels, and their biases, by a stored gradient.

    Of a layer whose inputs have a learned scaling, some inputs of all panels.

    plan, params, moments, gradient: layout.py; hyper: settings.py. Twin: ``update``.
    """
    n_lanes, common = lanes(params), _common_coefficients(plan, hyper)
    for layer in range(1, plan[0, P.LAST] + 1):
        if is_frozen(plan, layer, hyper):
            continue
        coef = _layer_coefficients(plan, layer, hyper, common)
        of_biases = bias_coefficients(plan, layer, hyper, coef)
        of_norms = norm_coefficients(plan, layer, hyper, coef)
        panels = padded(plan[layer, P.OUTPUTS], n_lanes) // n_lanes
        first, last = part(panels, worker, workers)
        span, inputs = (first, last), (_ZERO, plan[layer, P.INPUTS])
        if scales_inputs(plan, layer):
            span, inputs = (_ZERO, panels), inputs_of_worker(plan, layer, n_lanes, worker, workers)
        begin_update(plan, layer, params, moments, worker, workers)
        _apply_weights(plan, layer, coef, (params, moments), gradient, span, inputs)
        end_update(plan, layer, params, moments, hyper, worker, workers)
        for panel in range(first, last):
            for kind in range(plan[layer, P.PER_UNIT]):
                at = plan[layer, P.BIAS] + kind * plan[layer, P.PER_UNIT_STRIDE] + panel * n_lanes
                g, of_kind = offset(gradient, at), of_biases if kind == 0 else of_norms
                update_tile(plan, of_kind, params, moments, at, g, n_lanes, NO_WEIGHT)
