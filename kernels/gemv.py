"""The micro-kernels for few rows: a vector holds one row's units.

gemm.py holds one unit of a whole vector of rows in a register; with less than half a vector of rows
most of that would be padding. Here vectors lie along the units of a layer, as the lanes of W's
panels do, and a row costs no more than its own products. Rows of activations lie as *row panels*
(panels of units, rows, lanes): dense, so that one row is one plain vector.

Sums over inputs run in the same order as in gemm.py: a row's outputs have the same bits there.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm import STEPS_DOWN
from .jit import kernel
from .llvm_ir import I32, I64, ir_call, ir_load, ir_prefetch, ir_splat, ir_store, ir_vector
from .simd import lanes, offset

WIDE = 4
"""Panels of outputs side by side in the widest tile: with 1, 2 or 4 rows 4 to 16 sums at once."""

AHEAD = 16
"""Steps between a prefetch of W and its use."""


class _RowsTile:
    """Builds C[r, p] += sum over k of a[r, k] W[k, p] for some rows and panels of outputs."""

    def __init__(self, module: ir.Module, dtype: types.Float, rows: int, panels: int) -> None:
        self.kind, self.rows, self.panels = ir_vector(dtype), rows, panels
        pointer = self.kind.element.as_pointer()
        arguments = [pointer, I64, pointer, I64, pointer, I64, I64]
        name = f"fastbp_rows_{dtype}_{rows}x{panels}"
        self.function = module.globals.get(name)
        if self.function is None:
            self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
            self.function.linkage = "internal"
            self.function.attributes.add("noinline")
            self._build()

    def _cells(self) -> list[tuple[int, int]]:
        return [(r, p) for r in range(self.rows) for p in range(self.panels)]

    def _build(self) -> None:
        a, jump, w, w_stride, c, c_stride, steps = self.function.args
        names = ("entry", "outer", "inner", "next", "done")
        entry, outer, inner, following, done = map(self.function.append_basic_block, names)
        ir.IRBuilder(entry).branch(outer)
        cells, lane_count = self._cells(), I64(self.kind.count)

        at = ir.IRBuilder(outer)
        panel, weights, left = at.phi(a.type), at.phi(w.type), at.phi(I64)
        begun = [at.phi(self.kind) for _ in cells]
        count = at.select(at.icmp_signed("<", left, lane_count), left, lane_count)
        at.branch(inner)

        at = ir.IRBuilder(inner)
        k, row = at.phi(I64), at.phi(w.type)
        sums = [at.phi(self.kind) for _ in cells]
        grown = self._multiply(at, at.gep(panel, [k]), row, w_stride, sums)
        row_next, k_next = at.gep(row, [lane_count]), at.add(k, I64(1))
        at.cbranch(at.icmp_signed("<", k_next, count), inner, following)
        for phi, first, later in (
            (k, I64(0), k_next),
            (row, weights, row_next),
            *zip(sums, begun, grown, strict=True),
        ):
            phi.add_incoming(first, outer)
            phi.add_incoming(later, inner)

        at = ir.IRBuilder(following)
        panel_next, remaining = at.gep(panel, [jump]), at.sub(left, count)
        at.cbranch(at.icmp_signed(">", remaining, I64(0)), outer, done)
        zero = ir.Constant(self.kind, None)
        for phi, first, later in (
            (panel, a, panel_next),
            (weights, w, row_next),
            (left, steps, remaining),
            *zip(begun, [zero] * len(cells), grown, strict=True),
        ):
            phi.add_incoming(first, entry)
            phi.add_incoming(later, following)
        self._add(ir.IRBuilder(done), c, c_stride, grown)

    def _multiply(self, at: Any, a: Any, w: Any, stride: Any, sums: list[Any]) -> list[Any]:
        places = [at.gep(w, [at.mul(stride, I64(p))]) for p in range(self.panels)]
        for place in places:
            ir_prefetch(at, at.gep(place, [I64(AHEAD * self.kind.count)]))
        vectors = [ir_load(at, self.kind, place) for place in places]
        grown = []
        for r in range(self.rows):
            scalar = at.load(at.gep(a, [I64(r * self.kind.count)]))
            factor = ir_splat(at, scalar, self.kind.count)
            for p in range(self.panels):
                grown.append(ir_call(at, "fmuladd", factor, vectors[p], sums[len(grown)]))
        return grown

    def _add(self, at: Any, c: Any, stride: Any, sums: list[Any]) -> None:
        for (r, p), value in zip(self._cells(), sums, strict=True):
            place = at.gep(c, [at.add(at.mul(stride, I64(p)), I64(r * self.kind.count))])
            ir_store(at, at.fadd(value, ir_load(at, self.kind, place)), place)
        at.ret_void()


def _rows_tile(rows: int, panels: int) -> Any:
    @intrinsic
    def tile(
        typingctx: Any, a: Any, jump: Any, w: Any, w_stride: Any, c: Any, c_stride: Any, steps: Any
    ) -> Any:
        n = types.int64

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            built = _RowsTile(builder.module, a.dtype, rows, panels)
            builder.call(built.function, args)
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


class _DotTile:
    """Builds e[i] = sum over outputs of W[i, o] delta[o] for one panel of inputs and one row."""

    def __init__(self, module: ir.Module, dtype: types.Float) -> None:
        self.kind = ir_vector(dtype)
        pointer = self.kind.element.as_pointer()
        arguments = [pointer, I64, pointer, I64, I64, pointer]
        name = f"fastbp_dot_{dtype}"
        self.function = module.globals.get(name)
        if self.function is None:
            self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
            self.function.linkage = "internal"
            self.function.attributes.add("noinline")
            self._build()

    def _build(self) -> None:
        w, w_stride, delta, delta_stride, panels, e = self.function.args
        entry, loop, done = map(self.function.append_basic_block, ("entry", "loop", "done"))
        ir.IRBuilder(entry).branch(loop)
        n = self.kind.count

        at = ir.IRBuilder(loop)
        left, weights, place = at.phi(I64), at.phi(w.type), at.phi(w.type)
        sums = [at.phi(self.kind) for _ in range(n)]
        factor = ir_load(at, self.kind, place)
        grown = []
        for i, total in enumerate(sums):
            vector = ir_load(at, self.kind, at.gep(weights, [I64(i * n)]))
            grown.append(ir_call(at, "fmuladd", vector, factor, total))
        less = at.sub(left, I64(1))
        weights_next, place_next = at.gep(weights, [w_stride]), at.gep(place, [delta_stride])
        at.cbranch(at.icmp_signed(">", less, I64(0)), loop, done)
        zero = ir.Constant(self.kind, None)
        for phi, first, later in (
            (left, panels, less),
            (weights, w, weights_next),
            (place, delta, place_next),
            *zip(sums, [zero] * n, grown, strict=True),
        ):
            phi.add_incoming(first, entry)
            phi.add_incoming(later, loop)

        at = ir.IRBuilder(done)
        ir_store(at, _fold(at, self.kind, grown), e)
        at.ret_void()


@intrinsic
def _dot(
    typingctx: Any, w: Any, w_stride: Any, delta: Any, delta_stride: Any, panels: Any, e: Any
) -> Any:
    n = types.int64

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        built = _DotTile(builder.module, w.dtype)
        builder.call(built.function, args)
        return context.get_dummy_value()

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
    n = lanes(a)
    jump = rows * n
    for k in range(0, steps, STEPS_DOWN):
        some = min(STEPS_DOWN, steps - k)
        p = 0
        while p < panels:
            wide = WIDE if panels - p >= WIDE else 1
            r = 0
            while r < rows:
                high = 4 if rows - r >= 4 else 2 if rows - r >= 2 else 1
                _tile(
                    high,
                    wide,
                    offset(a, k * rows + r * n),
                    jump,
                    offset(w, p * w_stride + k * n),
                    w_stride,
                    offset(c, p * c_stride + r * n),
                    c_stride,
                    some,
                )
                r += high
            p += wide


@kernel
def multiply_rows_back(rows, w, w_stride, delta, delta_stride, panels, e, e_stride, first, last):
    """e[r, i] = sum over outputs of W[i, o] delta[r, o], for the panels of inputs first to last.

    w: lane panels of W, ``w_stride`` apart. delta: ``panels`` panels (rows, lanes) of outputs,
    ``delta_stride`` apart. e: panels (rows, lanes) of inputs, ``e_stride`` apart; not delta.
    Twin: ``backward``.
    """
    n = lanes(w)
    for p in range(first, last):
        for r in range(rows):
            _dot(
                offset(w, p * n * n),
                w_stride,
                offset(delta, r * n),
                delta_stride,
                panels,
                offset(e, p * e_stride + r * n),
            )
