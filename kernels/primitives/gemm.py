"""The loops over panels around the micro-kernels (tile.py).

All three products of backpropagation run on one kind of micro-kernel, which computes a tile C[r, v]
= sum over k of a[r, k] * b[k, v]. Operands are lane panels (layout.py). ``a`` is read in either
direction, so that no operand is packed or stored twice:

=========  ==================  ==================  =====================  ===================
stage      tile C              a (broadcast)       b (vectors)            steps of a
=========  ==================  ==================  =====================  ===================
forward    Z^T, units x rows   W, along its rows   A^T panels             ``DOWN``: one panel
backward   E^T, units x rows   W, along its lanes  delta^T panels         ``ACROSS`` panels
gradient   dW, inputs x units  A^T, along lanes    delta panels           ``ACROSS`` panels
=========  ==================  ==================  =====================  ===================

The sum of each element is one chain of multiply-adds over its terms, in order: a block of steps
starts from what the block before it has left in C, and the bias is added once, after the last. So
neither the length of a block nor any other choice (base/choices.py) changes a bit.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..base import choices, late_code
from ..base.choices import Choice
from ..base.front_end import late_library
from ..base.jit import kernel
from ..base.sizes import ROWS, WIDEST
from ..ir.llvm_ir import I64, VOID
from ..ir.simd import lanes, offset
from .tile import ADD_BIAS, CONTINUE, TIMES, WRITE, Tile


def _measured() -> Any:
    from . import trial

    return trial.measured()


choices.measure_by(_measured)

_ZERO = np.int64(0)  # a Python constant would compile its callee once more

ROWS_BLOCK = 256
"""Rows of C in a block. All vectors use the block's weights (1 MiB) before the next block is
read."""


# What a choice decides is late code: the micro-kernels, and the lengths of blocks.


def _name_of_tile(dtype: types.Float, vectors: int, across: bool) -> str:
    return f"fastbp_tile_{dtype}_{vectors}_{'across' if across else 'down'}"


def _name_of_steps(across: bool) -> str:
    return f"fastbp_steps_{'across' if across else 'down'}"


_STEPS = ir.FunctionType(I64, [])


@late_code.build_by
def _build(module: ir.Module, choice: Choice) -> None:
    for across, walk in ((False, choice.down), (True, choice.across)):
        steps = ir.Function(module, _STEPS, _name_of_steps(across))
        steps.attributes.add("alwaysinline")
        ir.IRBuilder(steps.append_basic_block("entry")).ret(I64(walk.steps))
        for dtype in (types.float32, types.float64):
            for vectors in range(1, WIDEST + 1):
                Tile(dtype, vectors, across, walk.prefetches).define(
                    module, _name_of_tile(dtype, vectors, across)
                )


def _micro_kernel(vectors: int, across: bool) -> Any:
    @intrinsic
    def tile(
        typingctx: Any, a: Any, b: Any, b_stride: Any, c: Any, c_stride: Any,
        steps: Any, chunk: Any, jump: Any, mode: Any, bias: Any,
        next1: Any, next2: Any, next3: Any, next_stride: Any,
    ) -> Any:  # fmt: skip
        n = types.int64

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            kind = ir.FunctionType(VOID, [value.type for value in args])
            name = _name_of_tile(a.dtype, vectors, across)
            _call_late(context, builder, kind, name, args)
            return context.get_dummy_value()

        return types.void(a, b, n, c, n, n, n, n, n, bias, a, a, a, n), codegen

    return tile


_down1, _down2, _down3 = (_micro_kernel(v, across=False) for v in (1, 2, 3))
_across1, _across2, _across3 = (_micro_kernel(v, across=True) for v in (1, 2, 3))


def _call_late(context: Any, builder: Any, kind: ir.FunctionType, name: str, args: Any) -> ir.Value:
    context.add_linking_libs([late_library()])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


@intrinsic
def _steps_down(typingctx: Any) -> Any:
    """Steps of a sum between two visits of its C tile, in a product down panels."""
    return types.int64(), lambda context, builder, *_: _call_late(
        context, builder, _STEPS, _name_of_steps(False), []
    )


@intrinsic
def _steps_across(typingctx: Any) -> Any:
    """The same in a product across panels. Steps / lanes panels are open at a time."""
    return types.int64(), lambda context, builder, *_: _call_late(
        context, builder, _STEPS, _name_of_steps(True), []
    )


@kernel
def tile_down(vectors, a, b, b_stride, c, c_stride, steps, mode, bias):
    """One tile whose ``a`` walks down one panel: rows are its lanes, steps its rows."""
    if vectors == 3:
        _down3(a, b, b_stride, c, c_stride, steps, steps, 0, mode, bias, c, c, c, 0)
    elif vectors == 2:
        _down2(a, b, b_stride, c, c_stride, steps, steps, 0, mode, bias, c, c, c, 0)
    else:
        _down1(a, b, b_stride, c, c_stride, steps, steps, 0, mode, bias, c, c, c, 0)


@kernel
def tile_across(vectors, a, a_stride, b, b_stride, c, c_stride, steps, mode, p, q, r, stride):
    """One tile whose ``a`` walks across panels ``a_stride`` apart: rows are rows, steps lanes.

    p, q, r: where this tile lies in arenas whose next tile is prefetched, ``stride`` between
    vectors: one row for each panel of ``a``, so that the loads of the product are not held up. In
    mode TIMES the factors of each vector, and stride 0.
    """
    n_lanes = lanes(a)
    if vectors == 3:
        _across3(a, b, b_stride, c, c_stride, steps, n_lanes, a_stride, mode, a, p, q, r, stride)
    elif vectors == 2:
        _across2(a, b, b_stride, c, c_stride, steps, n_lanes, a_stride, mode, a, p, q, r, stride)
    else:
        _across1(a, b, b_stride, c, c_stride, steps, n_lanes, a_stride, mode, a, p, q, r, stride)


@kernel
def next_vectors(left):
    """Vectors of the next tile when ``left`` are left: 3, but 4 are split into 2 and 2."""
    return 2 if left == 4 else min(left, WIDEST)


@kernel
def multiply_down(a, a_stride, b, b_stride, c, c_stride, rows, vectors, steps, bias):
    """C[r, v] = sum over k < steps of a[k, r] b[k, v], plus bias[r].

    a: lane panels (steps, rows), ``a_stride`` apart. b: ``vectors`` panels of (steps,),
    ``b_stride`` apart. c: ``vectors`` panels of (rows,), ``c_stride`` apart; rows up to the next
    multiple of the tile are written. bias: (rows,). Nothing may alias c. Twin: ``forward``.
    """
    n_lanes = lanes(a)
    tile, some = min(ROWS, n_lanes), _steps_down()
    for block in range(0, rows, ROWS_BLOCK):
        for k in range(0, steps, some):
            mode = (CONTINUE if k > 0 else WRITE) + (ADD_BIAS if k + some >= steps else WRITE)
            v = 0
            while v < vectors:
                n = next_vectors(vectors - v)
                for r in range(block, min(rows, block + ROWS_BLOCK), tile):
                    tile_down(
                        n,
                        offset(a, r // n_lanes * a_stride + k * n_lanes + r % n_lanes),
                        offset(b, v * b_stride + k * n_lanes),
                        b_stride,
                        offset(c, v * c_stride + r * n_lanes),
                        c_stride,
                        min(some, steps - k),
                        mode,
                        offset(bias, r),
                    )
                v += n


@kernel
def multiply_across(a, a_stride, b, b_stride, c, c_stride, rows, vectors, steps):
    """C[r, v] = sum over k < steps of a[r, k] b[k, v].

    a: lane panels (rows, steps), ``a_stride`` apart. b, c: as in ``multiply_down``.
    Twin: ``backward``.
    """
    n_lanes = lanes(a)
    tile, some = min(ROWS, n_lanes), _steps_across()
    for block in range(0, rows, ROWS_BLOCK):
        for k in range(0, steps, some):
            mode = CONTINUE if k > 0 else WRITE
            v = 0
            while v < vectors:
                n = next_vectors(vectors - v)
                for r in range(block, min(rows, block + ROWS_BLOCK), tile):
                    target = offset(c, v * c_stride + r * n_lanes)
                    tile_across(
                        n,
                        offset(a, k // n_lanes * a_stride + r * n_lanes),
                        a_stride,
                        offset(b, v * b_stride + k * n_lanes),
                        b_stride,
                        target,
                        c_stride,
                        min(some, steps - k),
                        mode,
                        target,
                        target,
                        target,
                        c_stride,
                    )
                v += n


@kernel
def multiply_across_times(a, a_stride, b, b_stride, c, c_stride, rows, vectors, steps, factors):
    """C[r, v] = d[r, (first + v) // per] times the sum over k < steps of a[r, k] b[k, v].

    factors: (d, the stride between its panels of (rows,), first, per). All else: as in
    ``multiply_across``. Twin: ``backward``.
    """
    n_lanes, (d, d_stride, first, per) = lanes(a), factors
    tile, some = min(ROWS, n_lanes), _steps_across()
    for block in range(0, rows, ROWS_BLOCK):
        for k in range(0, steps, some):
            mode = (CONTINUE if k > 0 else WRITE) + (TIMES if k + some >= steps else WRITE)
            v = 0
            while v < vectors:
                n = next_vectors(vectors - v)
                p = offset(d, (first + v) // per * d_stride)
                q = offset(d, (first + v + 1) // per * d_stride)
                s = offset(d, (first + v + 2) // per * d_stride)
                for r in range(block, min(rows, block + ROWS_BLOCK), tile):
                    tile_across(
                        n,
                        offset(a, k // n_lanes * a_stride + r * n_lanes),
                        a_stride,
                        offset(b, v * b_stride + k * n_lanes),
                        b_stride,
                        offset(c, v * c_stride + r * n_lanes),
                        c_stride,
                        min(some, steps - k),
                        mode,
                        offset(p, r * n_lanes),
                        offset(q, r * n_lanes),
                        offset(s, r * n_lanes),
                        _ZERO,
                    )
                v += n
