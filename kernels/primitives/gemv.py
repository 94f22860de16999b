"""The micro-kernels for small batches: a vector holds units of one row.

In gemm.py a register holds one unit of a whole vector of rows; with less than half a vector of rows
most of it would be padding. Here a register holds one row's units, like the lanes of W's panels,
and the cost of a row is that of its products. Rows of activations lie as *row panels* (panels of
units, rows, lanes): dense, so that one row is one plain vector.

A single row has few sums, and each step of a sum waits for the step before: sums are split into
chains. The last bits of a row may differ from its bits in a large batch.
"""

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base import width
from ..base.jit import kernel
from ..ir.llvm_ir import (
    I32,
    I64,
    ir_call,
    ir_call_built,
    ir_count_down,
    ir_load,
    ir_splat,
    ir_store,
    ir_vector,
)
from ..ir.simd import lanes, offset

WIDE = 4
"""Panels of outputs side by side in the widest tile: with 1, 2 or 4 rows 4 to 16 sums at once."""


STEPS = 1024
"""Steps of a sum between two visits of its C. A row's order of summation depends on it."""

CHAINS = 4 if width.BITS == 512 else 2
"""Chains that the sums of a single row are split into, so that additions need not wait for one
another; 2 rows have half as many. The number of chains does not depend on the panels of a tile:
those depend on the number of threads, and the order of a sum must not."""


class _RowsTile:
    """Builds C[r, p] += sum over k of a[r, k] W[k, p] for some rows and panels of outputs."""

    def __init__(self, dtype: types.Float, rows: int, panels: int) -> None:
        self.kind, self.rows, self.panels = ir_vector(dtype), rows, panels
        self.chains = max(1, CHAINS // rows)

    def build(
        self, at: Any, a: Any, jump: Any, w: Any, w_stride: Any, c: Any, c_stride: Any, steps: Any
    ) -> None:
        """jump: elements between two panels of a; a panel is a vector's lanes of steps."""
        lane_count = I64(self.kind.count)

        def panel(left: Any, a: Any, w: Any, *sums: Any) -> list[Any]:
            is_whole = at.icmp_signed(">", left, lane_count)
            count = at.select(is_whole, lane_count, left)
            rest = at.and_(count, I64(self.chains - 1))
            values = [a, w, *sums]
            for todo, n in ((at.sub(count, rest), self.chains), (rest, 1)):
                step = partial(self._steps, at, n, w_stride)
                values = ir_count_down(at, todo, I64(n), values, step)
            return [at.gep(a, [jump]), *values[1:]]

        zero = ir.Constant(self.kind, None)
        values = (a, w, *[zero] * (self.chains * self.rows * self.panels))
        _, _, *sums = ir_count_down(at, steps, lane_count, values, panel)
        self._add(at, c, c_stride, sums)

    def _cells(self) -> list[tuple[int, int]]:
        return [(r, p) for r in range(self.rows) for p in range(self.panels)]

    def _steps(
        self, at: Any, count: int, stride: Any, left: Any, a: Any, w: Any, *begun: Any
    ) -> list[Any]:
        """``count`` steps, each in the next chain of every cell."""
        n, cells, sums = self.kind.count, self._cells(), list(begun)
        for i in range(count):
            row = at.gep(w, [I64(i * n)])
            places = [at.gep(row, [at.mul(stride, I64(p))]) for p in range(self.panels)]
            vectors = [ir_load(at, self.kind, place) for place in places]
            scalars = [at.load(at.gep(a, [I64(r * n + i)])) for r in range(self.rows)]
            factors = [ir_splat(at, scalar, n) for scalar in scalars]
            for j, (r, p) in enumerate(cells, i * len(cells)):
                sums[j] = ir_call(at, "fmuladd", factors[r], vectors[p], sums[j])
        return [at.gep(a, [I64(count)]), at.gep(w, [I64(count * n)]), *sums]

    def _add(self, at: Any, c: Any, stride: Any, sums: list[Any]) -> None:
        while len(sums) > self.rows * self.panels:
            half = len(sums) // 2
            sums = [at.fadd(x, y) for x, y in zip(sums[:half], sums[half:], strict=True)]
        for (r, p), value in zip(self._cells(), sums, strict=True):
            place = at.gep(c, [at.add(at.mul(stride, I64(p)), I64(r * self.kind.count))])
            ir_store(at, at.fadd(value, ir_load(at, self.kind, place)), place)


def _rows_tile(rows: int, panels: int) -> Any:
    @intrinsic
    def tile(
        typingctx: Any, a: Any, jump: Any, w: Any, w_stride: Any, c: Any, c_stride: Any, steps: Any
    ) -> Any:
        n = types.int64

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            name = f"fastbp_rows_{a.dtype}_{rows}x{panels}"
            ir_call_built(builder, name, _RowsTile(a.dtype, rows, panels).build, args)
            return context.get_dummy_value()

        return types.void(a, n, w, n, c, n, n), codegen

    return tile


_rows1x1, _rows2x1, _rows4x1 = (_rows_tile(r, 1) for r in (1, 2, 4))
_rows1x4, _rows2x4, _rows4x4 = (_rows_tile(r, WIDE) for r in (1, 2, 4))


def _fold(at: Any, kind: Any, vectors: list[Any]) -> Any:
    """The vector whose lane i is the sum of the lanes of vectors[i].

    Adding neighbors halves the vectors; their lanes stay apart in runs of 1, 2, 4, ... lanes.
    """
    n, run = kind.count, 1
    while len(vectors) > 1:
        starts = range(0, n, 2 * run)
        first = [i + j + x for i in starts for x in (0, n) for j in range(run)]
        masks = [ir.Constant(ir.VectorType(I32, n), [i + by for i in first]) for by in (0, run)]
        vectors = [
            at.fadd(*(at.shuffle_vector(x, y, mask) for mask in masks))
            for x, y in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        run *= 2
    return vectors[0]


@intrinsic
def _dot(
    typingctx: Any, w: Any, w_stride: Any, delta: Any, delta_stride: Any, panels: Any, e: Any
) -> Any:
    """e[i] = sum over outputs of W[i, o] delta[o] for one panel of inputs and one row."""
    kind = ir_vector(w.dtype)

    def build(
        at: Any, w: Any, w_stride: Any, delta: Any, delta_stride: Any, panels: Any, e: Any
    ) -> None:
        def panel(left: Any, w: Any, delta: Any, *sums: Any) -> list[Any]:
            factor, grown = ir_load(at, kind, delta), []
            for i, total in enumerate(sums):
                vector = ir_load(at, kind, at.gep(w, [I64(i * kind.count)]))
                grown.append(ir_call(at, "fmuladd", vector, factor, total))
            return [at.gep(w, [w_stride]), at.gep(delta, [delta_stride]), *grown]

        values = (w, delta, *[ir.Constant(kind, None)] * kind.count)
        _, _, *sums = ir_count_down(at, panels, I64(1), values, panel)
        ir_store(at, _fold(at, kind, sums), e)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        ir_call_built(builder, f"fastbp_dot_{w.dtype}", build, args)
        return context.get_dummy_value()

    n = types.int64
    return types.void(w, n, w, n, n, e), codegen


@kernel
def _tile(rows, panels, a, jump, w, w_stride, c, c_stride, steps):
    if panels == WIDE:
        if rows == 4:
            _rows4x4(a, jump, w, w_stride, c, c_stride, steps)
        elif rows == 2:
            _rows2x4(a, jump, w, w_stride, c, c_stride, steps)
        else:
            _rows1x4(a, jump, w, w_stride, c, c_stride, steps)
    elif rows == 4:
        _rows4x1(a, jump, w, w_stride, c, c_stride, steps)
    elif rows == 2:
        _rows2x1(a, jump, w, w_stride, c, c_stride, steps)
    else:
        _rows1x1(a, jump, w, w_stride, c, c_stride, steps)


@kernel
def multiply_rows(rows, a, w, w_stride, c, c_stride, panels, steps):
    """C[r, o] += sum over k < steps of a[r, k] W[k, o], for ``panels`` panels of outputs.

    a: row panels (steps, rows). w: lane panels of W, ``w_stride`` apart. c: panels (rows, lanes),
    ``c_stride`` apart, and not a. Twin: ``forward``.
    """
    n_lanes = lanes(a)
    jump = rows * n_lanes
    for k in range(0, steps, STEPS):
        some = min(STEPS, steps - k)
        panel = 0
        while panel < panels:
            wide = WIDE if panels - panel >= WIDE else 1
            r = 0
            while r < rows:
                high = 4 if rows - r >= 4 else 2 if rows - r >= 2 else 1
                _tile(
                    high,
                    wide,
                    offset(a, k * rows + r * n_lanes),
                    jump,
                    offset(w, panel * w_stride + k * n_lanes),
                    w_stride,
                    offset(c, panel * c_stride + r * n_lanes),
                    c_stride,
                    some,
                )
                r += high
            panel += wide


@kernel
def multiply_rows_back(rows, w, w_stride, delta, delta_stride, panels, e, e_stride, first, last):
    """e[r, i] = sum over outputs of W[i, o] delta[r, o], for the panels of inputs first to last.

    w: lane panels of W, ``w_stride`` apart. delta: ``panels`` panels (rows, lanes) of outputs,
    ``delta_stride`` apart. e: panels (rows, lanes) of inputs, ``e_stride`` apart; not delta.
    Twin: ``backward``.
    """
    n_lanes = lanes(w)
    for panel in range(first, last):
        for r in range(rows):
            _dot(
                offset(w, panel * n_lanes * n_lanes),
                w_stride,
                offset(delta, r * n_lanes),
                delta_stride,
                panels,
                offset(e, panel * e_stride + r * n_lanes),
            )
