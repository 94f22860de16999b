"""Gradients of parts of a batch, added by a binary tree: for training on several ranks.

The vectors of rows of each part give a gradient as ``update_part`` sums it. A program says in which
order these are added, each tile while it is in the nearest cache. Only the C functions of
entry/parts_run.py have this code: it is compiled for those who train on several ranks.

A program is int64: the number of its operations, then KIND, SLOT, FIRST, LAST of each. Slot 0 is
the arena of the sum, the others are tiles in scratch memory.
"""

import numpy as np

from ..base.jit import kernel
from ..base.sizes import ROWS, SUM_ROWS, WIDEST
from ..ir.simd import lanes, load, offset, store
from ..primitives.elementwise import sum_of_vectors
from ..primitives.gemm import next_vectors, tile_across
from ..primitives.tile import ADD, WRITE
from ..tables import layout as P
from .norm import norm_gradients
from .regularization import part
from .update import INPUTS_AT_A_TIME, delta_panel, is_frozen

_ZERO = np.int64(0)  # a Python constant would compile its callee once more

KIND, SLOT, FIRST, LAST, OPERATION = range(5)
"""Elements of an operation, and their number. FIRST, LAST: vectors of rows."""

LEAF, ADD_LEAF, ADD_SLOTS = range(3)
"""Kinds. LEAF: the gradient of a part to a slot. ADD_LEAF: it is added to a slot; for parts of at
most SUM_ROWS rows. ADD_SLOTS: the slot after it is added to a slot."""


def scratch_elements(n_lanes: int, slots: int) -> int:
    """Elements of scratch that a worker needs for a program of so many slots.

    First come gains and shifts of one part, then the slots.
    """
    of_slots = (slots - 1) * WIDEST * min(ROWS, n_lanes) * n_lanes
    return of_slots + 2 * n_lanes * n_lanes


@kernel
def _add(target, other, count):
    for i in range(0, count, lanes(target)):
        store(target, i, load(target, i) + load(other, i))


@kernel
def _tile(plan, layer, work, program, places, n):
    """The tiles of ``n`` panels, for one tile of input units.

    places: (a of the tile, delta of the first panel, the tiles in the sum, scratch).
    """
    a, deltas, whole, scratch = places
    n_lanes, block, stride = lanes(work), plan[0, P.BLOCK], plan[layer, P.WEIGHT_STRIDE]
    tile = min(ROWS, n_lanes) * n_lanes
    room = WIDEST * tile
    for k in range(1, 1 + program[0] * OPERATION, OPERATION):
        kind, slot = program[k + KIND], program[k + SLOT]
        c, c_stride = (whole, stride) if slot == 0 else (offset(scratch, (slot - 1) * room), tile)
        if kind == ADD_SLOTS:
            for j in range(n):
                _add(offset(c, j * c_stride), offset(scratch, slot * room + j * tile), tile)
            continue
        first, last = program[k + FIRST] * n_lanes, program[k + LAST] * n_lanes
        for row in range(first, last, SUM_ROWS):
            tile_across(
                n,
                offset(a, row // n_lanes * block),
                block,
                offset(deltas, row * n_lanes),
                plan[layer, P.DELTA_PANEL_STRIDE],
                c,
                c_stride,
                min(SUM_ROWS, last - row),
                ADD if kind == ADD_LEAF or row > first else WRITE,
                whole,
                whole,
                whole,
                stride,
            )


@kernel
def _weights(plan, layer, target, work, program, scratch, span):
    """The tiles span = (first, last) of input units, for all outputs."""
    n_lanes = lanes(work)
    tile, stride = min(ROWS, n_lanes) * n_lanes, plan[layer, P.WEIGHT_STRIDE]
    panels, panel = -(-plan[layer, P.OUTPUTS] // n_lanes), _ZERO
    while panel < panels:
        n, deltas = next_vectors(panels - panel), delta_panel(plan, work, layer, panel)
        for t in range(span[0], span[1]):
            a = offset(work, plan[layer, P.IN] + t * tile)
            whole = offset(target, plan[layer, P.WEIGHTS] + panel * stride + t * tile)
            _tile(plan, layer, work, program, (a, deltas, whole, scratch), n)
        panel += n


@kernel
def _biases(plan, layer, target, work, program, scratch, span):
    """The vectors span = (first, last) of biases."""
    n_lanes = lanes(work)
    for panel in range(span[0], span[1]):
        deltas = delta_panel(plan, work, layer, panel)
        whole = offset(target, plan[layer, P.BIAS] + panel * n_lanes)
        for k in range(1, 1 + program[0] * OPERATION, OPERATION):
            kind, slot = program[k + KIND], program[k + SLOT]
            c = whole if slot == 0 else offset(scratch, (slot - 1) * n_lanes)
            if kind == ADD_SLOTS:
                _add(c, offset(scratch, slot * n_lanes), n_lanes)
                continue
            first, last = program[k + FIRST], program[k + LAST]
            rows = offset(deltas, first * n_lanes * n_lanes)
            total = sum_of_vectors(rows, (last - first) * n_lanes)
            store(c, 0, load(c, 0) + total if kind == ADD_LEAF else total)


@kernel
def _norms(plan, layer, target, work, program, fresh, scratch, span):
    """The vectors span = (first, last) of gains and of shifts. fresh: room for one of each."""
    if plan[layer, P.PER_UNIT] == 1:
        return
    n_lanes, stride = lanes(work), plan[layer, P.PER_UNIT_STRIDE]
    for panel in range(span[0], span[1]):
        whole = offset(target, plan[layer, P.BIAS] + stride + panel * n_lanes)
        for k in range(1, 1 + program[0] * OPERATION, OPERATION):
            kind, slot = program[k + KIND], program[k + SLOT]
            first, last = program[k + FIRST], program[k + LAST]
            if kind != ADD_SLOTS:
                rows = offset(work, first * plan[0, P.BLOCK])
                norm_gradients(plan, rows, layer, panel, last - first, fresh)
            for of in range(2):  # gains and shifts
                c = offset(whole, of * stride)
                if slot > 0:
                    c = offset(scratch, (2 * (slot - 1) + of) * n_lanes)
                if kind == ADD_SLOTS:
                    _add(c, offset(scratch, (2 * slot + of) * n_lanes), n_lanes)
                elif kind == ADD_LEAF:
                    _add(c, offset(fresh, of * n_lanes), n_lanes)
                else:
                    store(c, 0, load(fresh, of * n_lanes))


@kernel
def gradient_of_parts(plan, target, work, hyper, program, scratch, layers, worker, workers):
    """One worker's part of the sum of the parts' gradients, for some layers.

    plan: layout.py. target: an arena laid out as the parameters. work: the blocks and deltas of the
    rows. hyper: settings.py. program: see the file. scratch: the worker's, of ``scratch_elements``.
    layers: the number of the first, and of the one after the last; frozen ones are left out. No two
    arrays alias. Twin: ``gradients``, of each part.
    """
    n_lanes = lanes(work)
    tile_rows, vectors = min(ROWS, n_lanes), _vectors(program)
    slots = offset(scratch, 2 * n_lanes * n_lanes)
    for layer in range(layers[1] - 1, layers[0] - 1, -1):
        if is_frozen(plan, layer, hyper):
            continue
        first, last = part(-(-plan[layer, P.INPUTS] // tile_rows), worker, workers)
        some = max(1, INPUTS_AT_A_TIME // (vectors * n_lanes * tile_rows))
        for t in range(first, last, some):
            span = t, min(t + some, last)
            _weights(plan, layer, target, work, program, slots, span)
        span = part(-(-plan[layer, P.OUTPUTS] // n_lanes), worker, workers)
        _biases(plan, layer, target, work, program, slots, span)
        _norms(plan, layer, target, work, program, scratch, slots, span)


@kernel
def _vectors(program):
    """Vectors of rows of all parts."""
    count = _ZERO
    for k in range(1, 1 + program[0] * OPERATION, OPERATION):
        count += program[k + LAST] - program[k + FIRST]
    return max(1, count)


@kernel
def add_arrays(target, other, count, worker, workers):
    """target = target + other, one worker's part of ``count`` elements, in whole vectors.

    Denormals are flushed, as they are in a tile: so NumPy's sum has other bits. Twin: np.add.
    """
    n_lanes = lanes(target)
    first, last = part(count // n_lanes, worker, workers)
    _add(offset(target, first * n_lanes), offset(other, first * n_lanes), (last - first) * n_lanes)
