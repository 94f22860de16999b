"""Dropout: a mask of units and rows from a counter-based hash, lane by lane.

A unit's 32 random bits are a hash of (seed, update, layer, row, unit), row being the place in the
batch: the same for every path, number of threads and vector width, and nothing is stored. The hash
is lowbias32 (C. Wellons, "Prospecting for hash functions"), 32 bits of the key before its first
multiplication and 32 before its second.
"""

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base.jit import kernel
from ..ir.llvm_ir import I32, I64, ir_splat
from ..ir.simd import (
    lanes,
    load,
    select,
    splat,
    store,
)
from ..ir.vector import Mask
from ..primitives.shuffle import GOLDEN, mix
from ..tables import layout as P

FIRST_MULTIPLIER, SECOND_MULTIPLIER = 0x7FEB352D, 0x846CA68B

MOST = 2**32 - 1
"""The largest threshold of 32 bits: one of 2**32 numbers is kept."""


@intrinsic
def _kept(typingctx: Any, like: Any, counter: Any, lane_step: Any, key: Any, threshold: Any) -> Any:
    """Mask of the lanes whose bits are not below the threshold; lane j has counter + j lane_step.

    like: pointer to elements whose lanes these are.
    """
    mask = Mask(like.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        count, kind = mask.lanes, ir.VectorType(I32, mask.lanes)

        def low(value: ir.Value) -> ir.Value:
            return ir_splat(builder, builder.trunc(value, I32), count)

        def constant(value: int) -> ir.Constant:
            signed = value - (value >> 31 << 32)
            return ir.Constant(kind, [signed] * count)

        def mixed(x: ir.Value, shift: int) -> ir.Value:
            return builder.xor(x, builder.lshr(x, constant(shift)))

        _, first, step, key, threshold = args
        lane = ir.Constant(kind, list(range(count)))
        x = builder.add(low(first), builder.mul(lane, low(step)))
        x = mixed(builder.xor(x, low(key)), 16)
        x = builder.mul(x, constant(FIRST_MULTIPLIER))
        x = builder.add(mixed(x, 15), low(builder.lshr(key, I64(32))))
        x = mixed(builder.mul(x, constant(SECOND_MULTIPLIER)), 16)
        return builder.icmp_unsigned(">=", x, low(threshold))

    n = types.int64
    return mask(like, n, n, n, n), codegen


@kernel
def update_key(seed, update):
    """The key of one update's dropout, int64. Twin: ``dropout_factors``."""
    start = mix(types.uint64(seed) ^ types.uint64(GOLDEN))
    return types.int64(mix(start + types.uint64(update)))


@kernel
def set_thresholds(plan, factor):
    """The thresholds of the current batch, whose rates of dropout are ``factor`` times the layers'.

    factor: float64, 0 for none dropped. Twin: ``dropout_factors``.
    """
    for layer in range(1, plan[0, P.LAST] + 1):
        threshold = math.floor(plan[layer, P.DROPOUT] * factor + 0.5)
        plan[layer, P.THRESHOLD] = min(int(threshold), MOST)


@kernel
def _layer_key(plan, layer):
    return types.int64(
        mix(types.uint64(plan[0, P.KEY]) + types.uint64(layer) * types.uint64(GOLDEN))
    )


@kernel
def counter(plan, row, unit, units):
    """The number that dropout hashes for a unit of a row of the current batch."""
    return (plan[0, P.FIRST_ROW] + row) * units + unit


@kernel
def drop(plan, layer, x, target, vectors, counters):
    """target = x with some units 0 and the others larger by 1 / (1 - rate); x may be target.

    x, target: ``vectors`` vectors. counters: (first, vector_step, lane_step): unit and row of lane
    j of vector i have the counter first + i vector_step + j lane_step. NaN and infinity survive as
    NaN. Twin: ``dropout_factors``.
    """
    n_lanes, key = lanes(x), _layer_key(plan, layer)
    first, vector_step, lane_step = counters
    threshold = plan[layer, P.THRESHOLD]
    scale = splat(x, 4294967296.0 / (4294967296.0 - threshold))
    for i in range(vectors):
        kept = _kept(x, first + i * vector_step, lane_step, key, threshold)
        store(target, i * n_lanes, load(x, i * n_lanes) * select(kept, scale, 0.0))
