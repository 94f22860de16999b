"""The code of learned embeddings of numbers: forward, gradient, update (number_embedding.py).

Units of a block lie as (units, lanes): a vector holds one column of X of a vector of rows. The sum
of a gradient is, lane by lane, one chain over the vectors of SUM_ROWS rows, and the chains of these
blocks are added up in order; then the lanes are. A number is one worker's: no sum depends on the
number of workers.

All parameters of an embedding have the weight decay of weights, as in RealMLP, and no penalty: l1
and l2 are of the weights of layers.
"""

import math

import numpy as np
from numba import types

from ..base.jit import kernel
from ..base.sizes import SUM_ROWS
from ..ir.simd import fma, get, lanes, load, offset, put, splat, store
from ..ir.typed_pointers import typed_pointer_at
from ..primitives.periodic import cos_and_sin
from ..tables import layout as P
from ..tables import settings as H
from . import number_embedding as N
from .backward import delta_of
from .forward import padded
from .regularization import NO_WEIGHT, common_coefficients, final_gradient, panels_of_layers
from .update import ACCUMULATE, update_tile, use_gradient
from .update_rules import extended_coefficients_of

_ZERO = np.int64(0)  # a Python constant would compile its callee once more
_TURN, _PER_TURN = 2.0 * math.pi, 0.5 / math.pi


@kernel
def _of_number(plan, arena, number):
    """The parameters of a number in an arena, and the width of a vector of frequencies there."""
    start = plan[0, P.EMBEDDING] + number * plan[0, P.EMBEDDING_STRIDE]
    return offset(arena, start), padded(plan[0, P.FREQUENCIES], lanes(arena))


@kernel
def _column(plan, number):
    """The place of a number among the columns of X."""
    return typed_pointer_at(plan[0, P.NUMBER_COLUMNS], types.int64)[number]


@kernel
def _first_input(plan, number):
    """The first of the inputs of layer 1 that a number adds."""
    return plan[0, P.X_COLUMNS] + number * plan[0, P.EMBEDDED]


@kernel
def _turns(own, wide, h, x):
    """The angle of a frequency h, in turns."""
    return fma(x, get(own, h), get(own, wide + h) * _PER_TURN)


@kernel
def _embed(plan, params, inputs, number):
    """The inputs (E, lanes) that a number adds, for one vector of rows, whose inputs are given."""
    n_lanes, outputs = lanes(inputs), plan[0, P.EMBEDDED]
    own, wide = _of_number(plan, params, number)
    weights = offset(own, 2 * wide)
    biases, x = offset(weights, outputs * wide), load(inputs, _column(plan, number) * n_lanes)
    out = offset(inputs, _first_input(plan, number) * n_lanes)
    for o in range(outputs):
        store(out, o * n_lanes, splat(out, get(biases, o)))
    for h in range(plan[0, P.FREQUENCIES]):
        c, _ = cos_and_sin(_turns(own, wide, h, x))
        for o in range(outputs):
            total = load(out, o * n_lanes)
            store(out, o * n_lanes, fma(c, get(weights, o * wide + h), total))


@kernel
def _forward(plan, params, work, vector):
    """All inputs that numbers add, for one vector of rows; zeros in the padded units.

    Twin: ``embed_numbers``.
    """
    n_lanes = lanes(work)
    inputs = offset(work, vector * plan[0, P.BLOCK] + plan[1, P.IN])
    for number in range(plan[0, P.NUMBERS]):
        _embed(plan, params, inputs, number)
    count = plan[1, P.INPUTS]
    for i in range(count * n_lanes, padded(count, n_lanes) * n_lanes, n_lanes):
        store(inputs, i, splat(inputs, 0.0))


@kernel
def _slope(plan, weights, wide, h, error):
    """dLoss/dcos of a frequency h, from the error (E, lanes) of what a number adds."""
    n_lanes, total = lanes(error), splat(error, 0.0)
    for o in range(plan[0, P.EMBEDDED]):
        total = fma(load(error, o * n_lanes), get(weights, o * wide + h), total)
    return total


@kernel
def _to_inputs(plan, params, work, vector):
    """Add to dLoss/dX of one vector of rows what goes through the embeddings.

    Twin: ``error_through_numbers``.
    """
    n_lanes = lanes(work)
    inputs = offset(work, vector * plan[0, P.BLOCK] + plan[1, P.IN])
    errors = delta_of(plan, work, vector, _ZERO)
    for number in range(plan[0, P.NUMBERS]):
        own, wide = _of_number(plan, params, number)
        at = _column(plan, number) * n_lanes
        x, total = load(inputs, at), load(errors, at)
        error = offset(errors, _first_input(plan, number) * n_lanes)
        for h in range(plan[0, P.FREQUENCIES]):
            _, s = cos_and_sin(_turns(own, wide, h, x))
            slope = s * _slope(plan, offset(own, 2 * wide), wide, h, error)
            total = fma(slope, get(own, h) * -_TURN, total)
        store(errors, at, total)


# The gradient of a number's parameters


@kernel
def _clear(x, count):
    for i in range(0, count, lanes(x)):
        store(x, i, splat(x, 0.0))


@kernel
def _add(totals, sums, count):
    """totals += sums, of ``count`` elements, whole vectors; sums become 0."""
    for i in range(0, count, lanes(totals)):
        store(totals, i, load(totals, i) + load(sums, i))
    _clear(sums, count)


@kernel
def _sum_of_lanes(x):
    total = get(x, 0)
    for lane in range(1, lanes(x)):
        total += get(x, lane)
    return total


@kernel
def _sums_of_frequency(plan, params, work, number, h, span, sums):
    """Add up, lane by lane, over the vectors span = (first, last) of rows: sums (2 + E, lanes).

    First that of dLoss/dw / (2 pi), then dLoss/db, then dLoss/dV of each output.
    """
    n_lanes, outputs = lanes(work), plan[0, P.EMBEDDED]
    own, wide = _of_number(plan, params, number)
    weights, column = offset(own, 2 * wide), _column(plan, number) * n_lanes
    of_weights, first_input = offset(sums, 2 * n_lanes), _first_input(plan, number) * n_lanes
    of_frequency = of_phase = splat(work, 0.0)
    for v in range(span[0], span[1]):
        x = load(work, v * plan[0, P.BLOCK] + plan[1, P.IN] + column)
        error = offset(delta_of(plan, work, v, _ZERO), first_input)
        c, s = cos_and_sin(_turns(own, wide, h, x))
        for o in range(outputs):
            total = load(of_weights, o * n_lanes)
            store(of_weights, o * n_lanes, fma(load(error, o * n_lanes), c, total))
        slope = -s * _slope(plan, weights, wide, h, error)
        of_frequency, of_phase = fma(slope, x, of_frequency), of_phase + slope
    store(sums, 0, of_frequency)
    store(sums, n_lanes, of_phase)


@kernel
def _sums_of_errors(plan, work, number, span, sums):
    """Add up, lane by lane, over the vectors span = (first, last): sums (E, lanes), of dLoss/dc."""
    n_lanes, first_input = lanes(work), _first_input(plan, number) * lanes(work)
    for v in range(span[0], span[1]):
        error = offset(delta_of(plan, work, v, _ZERO), first_input)
        for i in range(0, plan[0, P.EMBEDDED] * n_lanes, n_lanes):
            store(sums, i, load(sums, i) + load(error, i))


@kernel
def _gradient(plan, params, work, number, vectors, scratch):
    """The gradient of a number's parameters over ``vectors`` vectors of rows, at scratch.

    It is laid out as they are, zeros in the padding. Twin: ``embedding_gradients``.
    """
    n_lanes, outputs = lanes(work), plan[0, P.EMBEDDED]
    _, wide = _of_number(plan, params, number)
    size, some = (2 + outputs) * n_lanes, SUM_ROWS // n_lanes
    totals = offset(scratch, plan[0, P.EMBEDDING_STRIDE])
    sums = offset(totals, size)
    _clear(scratch, plan[0, P.EMBEDDING_STRIDE] + 2 * size)
    for h in range(plan[0, P.FREQUENCIES]):
        for first in range(0, vectors, some):
            span = first, min(vectors, first + some)
            _sums_of_frequency(plan, params, work, number, h, span, sums)
            _add(totals, sums, size)
        put(scratch, h, _sum_of_lanes(totals) * _TURN)
        put(scratch, wide + h, _sum_of_lanes(offset(totals, n_lanes)))
        for o in range(outputs):
            place = (2 + o) * wide + h
            put(scratch, place, _sum_of_lanes(offset(totals, (2 + o) * n_lanes)))
        _clear(totals, size)
    for first in range(0, vectors, some):
        _sums_of_errors(plan, work, number, (first, min(vectors, first + some)), sums)
        _add(totals, sums, size)
    for o in range(outputs):
        put(scratch, (2 + outputs) * wide + o, _sum_of_lanes(offset(totals, o * n_lanes)))


# The update


@kernel
def _coefficients(plan, hyper):
    """The scalars of the update of embeddings, as those of a layer."""
    lr = hyper[H.STEP_LR] * hyper[H.EMBEDDING_LR]
    momentum, decay = hyper[H.STEP_MOMENTUM], hyper[H.STEP_DECAY]
    of_rule = extended_coefficients_of(plan[0, P.OPTIMIZER], hyper, lr, momentum, decay)
    return of_rule, common_coefficients(hyper)


@kernel
def _scratch(plan, work, worker):
    return offset(work, plan[0, P.SCRATCH] + worker * plan[0, P.SCRATCH_STRIDE])


@kernel
def _use(plan, arenas, hyper, mode, number, vectors, worker):
    """Use a number's gradient by a mode. arenas: as of ``update_part``."""
    if mode != ACCUMULATE and hyper[H.EMBEDDING_LR] == 0.0:
        return
    params, _, work = arenas
    scratch, stride = _scratch(plan, work, worker), plan[0, P.EMBEDDING_STRIDE]
    _gradient(plan, params, work, number, vectors, scratch)
    at, coef = plan[0, P.EMBEDDING] + number * stride, _coefficients(plan, hyper)
    use_gradient(plan, coef, arenas, mode, at, scratch, stride, NO_WEIGHT)


@kernel
def _measure(plan, arenas, hyper, number, worker):
    """The sum of squares, lane by lane, of a number's final gradient, behind those of panels.

    arenas: (params, gradient, work).
    """
    params, gradient, work = arenas
    n_lanes, stride = lanes(work), plan[0, P.EMBEDDING_STRIDE]
    scratch, squares = _scratch(plan, work, worker), splat(work, 0.0)
    if hyper[H.EMBEDDING_LR] != 0.0:
        at = plan[0, P.EMBEDDING] + number * stride
        for i in range(0, stride, n_lanes):
            store(scratch, i, load(gradient, at + i))
        coef = common_coefficients(hyper)
        final_gradient(coef, offset(params, at), scratch, stride, NO_WEIGHT)
        for i in range(0, stride, n_lanes):
            x = load(scratch, i)
            squares = fma(x, x, squares)
    place = panels_of_layers(plan, n_lanes) + number
    store(work, plan[0, P.PANEL_SUMS] + 2 * n_lanes * place, squares)


@kernel
def _apply(plan, arenas, hyper, number):
    """Update a number by its stored gradient. arenas: (params, moments, gradient)."""
    if hyper[H.EMBEDDING_LR] != 0.0:
        params, moments, gradient = arenas
        stride = plan[0, P.EMBEDDING_STRIDE]
        at, coef = plan[0, P.EMBEDDING] + number * stride, _coefficients(plan, hyper)
        update_tile(plan, coef, params, moments, at, offset(gradient, at), stride, NO_WEIGHT)


@kernel
def serve(plan, arenas, hyper, request, a, b, c):
    """Serve a request of number_embedding.py.

    plan: layout.py. arenas: (params, second, third). For FORWARD and TO_INPUTS the third is work;
    for MEASURE they are (params, gradient, work), for APPLY (params, moments, gradient), and for
    GRADIENT those of ``update_part``. hyper: settings.py.
    """
    params, _, work = arenas
    if request == N.FORWARD:
        for vector in range(a, b):
            _forward(plan, params, work, vector)
    elif request == N.TO_INPUTS:
        for vector in range(a, b):
            _to_inputs(plan, params, work, vector)
    elif request == N.MEASURE:
        _measure(plan, arenas, hyper, a, c)
    elif request == N.APPLY:
        _apply(plan, arenas, hyper, a)
    else:
        _use(plan, arenas, hyper, request - N.GRADIENT, a, b, c)
