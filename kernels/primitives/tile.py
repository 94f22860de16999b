"""The micro-kernels of matrix products, as LLVM IR; gemm.py has the loops around them.

A tile is ``tile_rows`` rows by 1 to 3 vectors: C[r, v] = sum over k of a[r, k] * b[k, v]. ``a`` is
read as broadcast scalars, ``b`` and ``C`` as vectors. Which memory a tile asks for ahead of time
never changes its bits.
"""

from functools import partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..base.sizes import tile_rows
from ..ir.llvm_ir import (
    I64,
    VOID,
    ir_call,
    ir_count_down,
    ir_load,
    ir_prefetch,
    ir_splat,
    ir_store,
    ir_vector,
)

AHEAD = 16
"""Steps between a prefetch and its use."""

UNROLLED = 4
"""Steps between two branches. Of the 25 instructions of a step of 256 bits, 6 are the loop's own:
where another program's thread shares the core, a tile waits for its instructions."""

WRITE, ADD, ADD_BIAS, CONTINUE = map(np.int64, (0, 1, 2, 4))
TIMES = ADD_BIAS
"""The modes of a tile, by its sum s: C = s, C = C + s, C = s + bias of the row down panels, C = s
times a vector across panels. CONTINUE, which can be added to all but ADD: the chain of the sum
starts from C, and not from 0."""


class Tile:
    """Builds the LLVM function of one micro-kernel: ``vectors`` wide, in one direction."""

    def __init__(self, dtype: types.Float, vectors: int, across: bool, prefetches: bool) -> None:
        """prefetches: whether each step of the sum asks for the operands of a later one."""
        self.kind = ir_vector(dtype)
        self.vectors, self.across, self.prefetches = vectors, across, prefetches
        self.rows = tile_rows(dtype.bitwidth // 8)
        # elements of a between two rows of the tile, and between two steps of the sum
        self.row, self.step = (self.kind.count, 1) if across else (1, self.kind.count)

    def define(self, module: ir.Module, name: str) -> None:
        """Add it to a module, as a function that is never inlined."""
        element, n = self.kind.element.as_pointer(), I64
        operands = element, element, n, element, n
        kind = ir.FunctionType(VOID, [*operands, n, n, n, n, element, element, element, element, n])
        function = ir.Function(module, kind, name)
        function.attributes.add("noinline")
        at = ir.IRBuilder(function.append_basic_block("entry"))
        self.build(at, *function.args)
        at.ret_void()

    def build(
        self, at: Any, a: Any, b: Any, b_stride: Any, c: Any, c_stride: Any,
        steps: Any, chunk: Any, jump: Any, mode: Any, bias: Any, *following: Any,
    ) -> None:  # fmt: skip
        """chunk: steps that read one panel of ``a``. jump: elements of ``a`` between two chunks.

        following: three arenas whose next tile is prefetched, one row with each chunk, and the
        stride between their vectors. In mode TIMES each holds the factors (rows,) of a vector of C.
        """

        def some(left: Any, a: Any, b: Any, line: Any, *sums: Any) -> list[Any]:
            count = at.select(at.icmp_signed("<", left, chunk), left, chunk)
            if self.across:
                for r in range(self.rows):
                    ir_prefetch(at, at.gep(a, [at.add(jump, I64(r * self.row))]))
                self._prefetch_next(at, line, following)
            _, b, *sums = self._multiply_all(at, b_stride, count, a, b, *sums)
            return [at.gep(a, [jump]), b, at.add(line, I64(self.kind.count)), *sums]

        places = [
            at.gep(c, [at.add(at.mul(c_stride, I64(v)), I64(r * self.kind.count))])
            for r, v in self._cells()
        ]
        begun = self._begin(at, places, mode)
        _, _, _, *sums = ir_count_down(at, steps, chunk, (a, b, I64(0), *begun), some)
        self._finish(at, sums, places, mode, following if self.across else bias)

    def _cells(self) -> list[tuple[int, int]]:
        return [(r, v) for r in range(self.rows) for v in range(self.vectors)]

    def _begin(self, at: Any, places: Any, mode: Any) -> list[Any]:
        """What the sums start from: C, or 0."""
        before, zero = at.block, ir.Constant(self.kind, None)
        with at.if_then(at.icmp_signed(">=", mode, I64(CONTINUE))):
            inside, loaded = at.block, [ir_load(at, self.kind, place) for place in places]
        begun = [at.phi(self.kind) for _ in places]
        for phi, value in zip(begun, loaded, strict=True):
            phi.add_incoming(zero, before)
            phi.add_incoming(value, inside)
        return begun

    def _prefetch_next(self, at: Any, line: Any, following: Any) -> None:
        """One row of the next tile of each of three arenas, to be written, until it has no more."""
        *arenas, stride = following
        tile = I64(self.rows * self.kind.count)
        with at.if_then(at.icmp_signed("<", line, tile)):
            for v in range(self.vectors):
                place = at.add(at.mul(stride, I64(v)), at.add(line, tile))
                for arena in arenas:
                    ir_prefetch(at, at.gep(arena, [place]), for_writing=True)

    def _multiply_all(self, at: Any, b_stride: Any, steps: Any, *values: Any) -> list[Any]:
        """(a, b, *sums) after some steps."""

        def some(left: Any, *values: Any) -> Any:
            for _ in range(UNROLLED):
                values = self._multiply(at, b_stride, left, *values)
            return values

        rest = at.srem(steps, I64(UNROLLED))
        values = ir_count_down(at, at.sub(steps, rest), I64(UNROLLED), values, some)
        return ir_count_down(at, rest, I64(1), values, partial(self._multiply, at, b_stride))

    def _multiply(self, at: Any, b_stride: Any, left: Any, a: Any, b: Any, *sums: Any) -> list[Any]:
        places = [at.gep(b, [at.mul(b_stride, I64(v))]) for v in range(self.vectors)]
        if self.prefetches:
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

    def _finish(self, at: Any, sums: Any, places: Any, mode: Any, last: Any) -> None:
        """last: the arenas of factors across panels, the bias down panels."""
        added = at.and_(mode, I64(ADD + ADD_BIAS))
        with at.if_else(at.icmp_signed("==", added, I64(ADD))) as (add, other):
            with add:
                for place, value in zip(places, sums, strict=True):
                    ir_store(at, at.fadd(value, ir_load(at, self.kind, place)), place)
            with other, at.if_else(at.icmp_signed("==", added, I64(ADD_BIAS))) as (more, plain):
                with more:
                    finish = self._times if self.across else self._add_bias
                    for cell, place, value in zip(self._cells(), places, sums, strict=True):
                        ir_store(at, finish(at, value, cell, last), place)
                with plain:
                    for place, value in zip(places, sums, strict=True):
                        ir_store(at, value, place)

    def _add_bias(self, at: Any, value: Any, cell: tuple[int, int], bias: Any) -> Any:
        item = at.load(at.gep(bias, [I64(cell[0])]))
        return at.fadd(value, ir_splat(at, item, self.kind.count))

    def _times(self, at: Any, value: Any, cell: tuple[int, int], factors: Any) -> Any:
        row, vector = cell
        place = at.gep(factors[vector], [I64(row * self.kind.count)])
        return at.fmul(value, ir_load(at, self.kind, place))
