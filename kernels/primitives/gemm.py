"""The micro-kernels, and the panel loops around them.

All three products of backpropagation run on one kind of micro-kernel. It computes a tile of
``ROWS`` rows by 1 to 3 vectors, C[r, v] = sum over k of a[r, k] * b[k, v], with ``a`` read as
broadcast scalars and ``b`` and ``C`` as vectors of lane panels (layout.py). ``a`` is read in either
direction, so that no operand is packed or stored twice:

=========  ==================  ==================  =====================  ===================
stage      tile C              a (broadcast)       b (vectors)            steps of a
=========  ==================  ==================  =====================  ===================
forward    Z^T, units x rows   W, along its rows   A^T panels             ``DOWN``: one panel
backward   E^T, units x rows   W, along its lanes  delta^T panels         ``ACROSS`` panels
gradient   dW, inputs x units  A^T, along lanes    delta panels           ``ACROSS`` panels
=========  ==================  ==================  =====================  ===================
"""

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base.jit import kernel
from ..base.sizes import ROWS, WIDEST, tile_rows
from ..ir.llvm_ir import (
    I64,
    ir_call,
    ir_call_built,
    ir_count_down,
    ir_load,
    ir_prefetch,
    ir_splat,
    ir_store,
    ir_vector,
)
from ..ir.simd import lanes, offset

STEPS_DOWN, STEPS_ACROSS = 1024, 512
"""Steps of a sum between two visits of its C tile. Across, at most 32 panels are open at a time.
Measured on 256 x 1024 x 1024: down with 256, 512, 1024 steps 89, 95, 99% of the peak in L1; across
93, 95, 91%."""

ROWS_BLOCK = 256
"""Rows of C in a block. All vectors use the block's weights (1 MiB) before the next block is
read."""

AHEAD = 16
"""Steps between a prefetch and its use. Without prefetch: down 87%, across 84% of the peak."""

WRITE, ADD, ADD_BIAS = map(np.int64, range(3))
"""The modes of a tile, by its sum s: C = s, C = C + s, C = s + bias of the row."""


class _Tile:
    """Builds the LLVM function of one micro-kernel: ``vectors`` wide, in one direction."""

    def __init__(self, dtype: types.Float, vectors: int, across: bool) -> None:
        self.kind = ir_vector(dtype)
        self.vectors, self.across = vectors, across
        self.rows = tile_rows(dtype.bitwidth // 8)
        # elements of a between two rows of the tile, and between two steps of the sum
        self.row, self.step = (self.kind.count, 1) if across else (1, self.kind.count)

    def build(
        self, at: Any, a: Any, b: Any, b_stride: Any, c: Any, c_stride: Any,
        steps: Any, chunk: Any, jump: Any, mode: Any, bias: Any, *following: Any,
    ) -> None:  # fmt: skip
        """chunk: steps that read one panel of ``a``. jump: elements of ``a`` between two chunks.

        following: three arenas whose next tile is prefetched, one row with each chunk, and the
        stride between their vectors.
        """

        def some(left: Any, a: Any, b: Any, line: Any, *sums: Any) -> list[Any]:
            count = at.select(at.icmp_signed("<", left, chunk), left, chunk)
            if self.across:
                for r in range(self.rows):
                    ir_prefetch(at, at.gep(a, [at.add(jump, I64(r * self.row))]))
                self._prefetch_next(at, line, following)
            step = partial(self._multiply, at, b_stride)
            _, b, *sums = ir_count_down(at, count, I64(1), (a, b, *sums), step)
            return [at.gep(a, [jump]), b, at.add(line, I64(self.kind.count)), *sums]

        zeros = [ir.Constant(self.kind, None)] * (self.rows * self.vectors)
        _, _, _, *sums = ir_count_down(at, steps, chunk, (a, b, I64(0), *zeros), some)
        self._finish(at, sums, c, c_stride, mode, bias)

    def _cells(self) -> list[tuple[int, int]]:
        return [(r, v) for r in range(self.rows) for v in range(self.vectors)]

    def _prefetch_next(self, at: Any, line: Any, following: Any) -> None:
        """One row of the next tile of each of three arenas, to be written."""
        *arenas, stride = following
        for v in range(self.vectors):
            place = at.add(at.mul(stride, I64(v)), at.add(line, I64(self.rows * self.kind.count)))
            for arena in arenas:
                ir_prefetch(at, at.gep(arena, [place]), for_writing=True)

    def _multiply(self, at: Any, b_stride: Any, left: Any, a: Any, b: Any, *sums: Any) -> list[Any]:
        places = [at.gep(b, [at.mul(b_stride, I64(v))]) for v in range(self.vectors)]
        for place in places if self.across else [*places, a]:
            ir_prefetch(at, at.gep(place, [I64(AHEAD * self.kind.count)]))
        vectors = [ir_load(at, self.kind, place) for place in places]
        grown = []
        for r in range(self.rows):
            scalar = at.load(at.gep(a, [I64(r * self.row)]))
            factor = ir_splat(at, scalar, self.kind.count)
            for v in range(self.vectors):
                grown.append(ir_call(at, "fmuladd", factor, vectors[v], sums[len(grown)]))
        return [at.gep(a, [I64(self.step)]), at.gep(b, [I64(self.kind.count)]), *grown]

    def _finish(self, at: Any, sums: Any, c: Any, c_stride: Any, mode: Any, bias: Any) -> None:
        places = [
            at.gep(c, [at.add(at.mul(c_stride, I64(v)), I64(r * self.kind.count))])
            for r, v in self._cells()
        ]
        with at.if_else(at.icmp_signed("==", mode, I64(ADD))) as (add, other):
            with add:
                for place, value in zip(places, sums, strict=True):
                    ir_store(at, at.fadd(value, ir_load(at, self.kind, place)), place)
            with other, at.if_else(at.icmp_signed("==", mode, I64(ADD_BIAS))) as (biased, plain):
                with biased:
                    for (r, _), place, value in zip(self._cells(), places, sums, strict=True):
                        item = ir_splat(at, at.load(at.gep(bias, [I64(r)])), self.kind.count)
                        ir_store(at, at.fadd(value, item), place)
                with plain:
                    for place, value in zip(places, sums, strict=True):
                        ir_store(at, value, place)


def _micro_kernel(vectors: int, across: bool) -> Any:
    @intrinsic
    def tile(
        typingctx: Any, a: Any, b: Any, b_stride: Any, c: Any, c_stride: Any,
        steps: Any, chunk: Any, jump: Any, mode: Any, bias: Any,
        next1: Any, next2: Any, next3: Any, next_stride: Any,
    ) -> Any:  # fmt: skip
        n = types.int64

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            name = f"fastbp_tile_{a.dtype}_{vectors}_{'across' if across else 'down'}"
            ir_call_built(builder, name, _Tile(a.dtype, vectors, across).build, args)
            return context.get_dummy_value()

        return types.void(a, b, n, c, n, n, n, n, n, bias, a, a, a, n), codegen

    return tile


_down1, _down2, _down3 = (_micro_kernel(v, across=False) for v in (1, 2, 3))
_across1, _across2, _across3 = (_micro_kernel(v, across=True) for v in (1, 2, 3))


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
    vectors: one row for each panel of ``a``, so that the loads of the product are not held up.
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
    tile = min(ROWS, n_lanes)
    for block in range(0, rows, ROWS_BLOCK):
        for k in range(0, steps, STEPS_DOWN):
            mode = ADD if k > 0 else ADD_BIAS
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
                        min(STEPS_DOWN, steps - k),
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
    tile = min(ROWS, n_lanes)
    for block in range(0, rows, ROWS_BLOCK):
        for k in range(0, steps, STEPS_ACROSS):
            mode = ADD if k > 0 else WRITE
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
                        min(STEPS_ACROSS, steps - k),
                        mode,
                        target,
                        target,
                        target,
                        c_stride,
                    )
                v += n
