"""Vectors inside kernels: loads, stores, arithmetic and shuffles, as Numba intrinsics.

Loops that LLVM vectorizes by itself reach a fraction of what explicit vectors reach, so kernels
say what they want: ``x = load(p, i); store(p, i, fma(x, x, 1.0))``. A pointer is a Numba
``CPointer`` to float32 or float64 and carries the element type; one vector holds ``lanes`` of them.
Scalars that meet a vector are cast to its element type and broadcast.
"""

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .llvm_ir import (
    I32,
    I64,
    ir_call,
    ir_load,
    ir_prefetch,
    ir_store,
    ir_store_first,
    ir_vector,
    lanes_of,
)
from .vector import Mask, Vector, as_vector, vector_of


def _is_pointer(kind: Any) -> bool:
    return isinstance(kind, types.CPointer) and kind.dtype in (types.float32, types.float64)


# ---- memory


@intrinsic
def lanes(typingctx: Any, pointer: Any) -> Any:
    """How many elements of the pointer's type one vector holds."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return I64(lanes_of(pointer.dtype))

    return (types.int64(pointer), codegen) if _is_pointer(pointer) else None


@intrinsic
def item_bytes(typingctx: Any, pointer: Any) -> Any:
    """Size of one element of the pointer's type."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return I64(pointer.dtype.bitwidth // 8)

    return types.int64(pointer), codegen


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Pointer to the first element of a one-dimensional array."""
    sig = types.CPointer(array.dtype)(array)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return sig, codegen


@intrinsic
def pointer_to(typingctx: Any, place: Any, like: Any) -> Any:
    """The integer address, or the pointer, as one to elements of the Numba type ``like``."""
    sig = types.CPointer(like.dtype)(place, like)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = context.get_value_type(sig.return_type)
        if isinstance(place, types.CPointer):
            return builder.bitcast(args[0], kind)
        return builder.inttoptr(args[0], kind)

    return sig, codegen


@intrinsic
def call_code(typingctx: Any, code: Any, job: Any, request: Any, worker: Any, workers: Any) -> Any:
    """Call the C function at the integer address ``code`` (run.py)."""
    n = types.int64

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(I64, [args[1].type, I64, I64, I64])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return n(n, job, n, n, n), codegen


@intrinsic
def offset(typingctx: Any, pointer: Any, count: Any) -> Any:
    """The pointer moved on by ``count`` elements."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.int64), codegen


@intrinsic
def load(typingctx: Any, pointer: Any, index: Any) -> Any:
    """The vector that starts at element ``index``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        place = builder.gep(args[0], [args[1]])
        return ir_load(builder, ir_vector(pointer.dtype), place)

    return Vector(pointer.dtype)(pointer, types.int64), codegen


@intrinsic
def load_anywhere(typingctx: Any, pointer: Any) -> Any:
    """The vector at a pointer that need not be aligned, as in a user's array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        value = ir_load(builder, ir_vector(pointer.dtype), args[0])
        value.align = 1
        return value

    return Vector(pointer.dtype)(pointer), codegen


@intrinsic
def prefetch(typingctx: Any, address: Any) -> Any:
    """Ask for the cache line at an integer address. Never faults, whatever the address."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        ir_prefetch(builder, builder.inttoptr(args[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def prefetch_at(typingctx: Any, pointer: Any, index: Any) -> Any:
    """Ask for the cache line of element ``index``, as ``prefetch``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        ir_prefetch(builder, builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64), codegen


@intrinsic
def store(typingctx: Any, pointer: Any, index: Any, vector: Any) -> Any:
    """Write a vector (or a broadcast scalar) from element ``index`` on."""
    kind = Vector(pointer.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        value = as_vector(context, builder, args[2], sig.args[2], kind)
        ir_store(builder, value, builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64, vector), codegen


@intrinsic
def store_first(typingctx: Any, pointer: Any, index: Any, vector: Any, count: Any) -> Any:
    """Write the first ``count`` lanes of a vector, or all, from element ``index`` on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        ir_store_first(builder, args[2], builder.gep(args[0], [args[1]]), args[3])
        return context.get_dummy_value()

    kind = types.void(pointer, types.int64, Vector(pointer.dtype), types.int64)
    return kind, codegen


@intrinsic
def get(typingctx: Any, pointer: Any, index: Any) -> Any:
    """Element ``index``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        value = builder.load(builder.gep(args[0], [args[1]]))
        value.align = 1  # a user's array may lie anywhere
        return value

    return pointer.dtype(pointer, types.int64), codegen


@intrinsic
def put(typingctx: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Write element ``index``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        item = context.cast(builder, args[2], sig.args[2], pointer.dtype)
        builder.store(item, builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64, value), codegen


# ---- arithmetic


@intrinsic
def splat(typingctx: Any, pointer: Any, value: Any) -> Any:
    """A vector of the pointer's element type whose lanes all hold ``value``."""
    kind = Vector(pointer.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return as_vector(context, builder, args[1], sig.args[1], kind)

    return kind(pointer, value), codegen


@intrinsic
def fma(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z with one rounding where the processor has it. Scalars are broadcast."""
    kind = vector_of((x, y, z))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        operands = [
            as_vector(context, builder, value, source, kind)
            for value, source in zip(args, sig.args, strict=True)
        ]
        return ir_call(builder, "fmuladd", *operands)

    return kind and (kind(x, y, z), codegen)


def _define_unary(name: str, doc: str) -> Any:
    def function(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            return ir_call(builder, name, args[0])

        return (x(x), codegen) if isinstance(x, Vector) else None

    function.__name__ = function.__qualname__ = f"v{name}"
    function.__doc__ = doc
    return intrinsic(function)


sqrt = _define_unary("sqrt", "Square root, lane by lane.")
fabs = _define_unary("fabs", "Absolute value, lane by lane.")


@intrinsic
def select(typingctx: Any, mask: Any, x: Any, y: Any) -> Any:
    """x where the mask is set, else y. Scalars are broadcast."""
    kind = Vector(mask.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        yes = as_vector(context, builder, args[1], sig.args[1], kind)
        no = as_vector(context, builder, args[2], sig.args[2], kind)
        return builder.select(args[0], yes, no)

    return kind(mask, x, y), codegen


@intrinsic
def differs(typingctx: Any, x: Any, y: Any) -> Any:
    """Mask of the lanes where x is not equal to y or either is NaN."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return builder.fcmp_unordered("!=", *args)

    return Mask(x.dtype)(x, y), codegen


@intrinsic
def any_lane(typingctx: Any, mask: Any) -> Any:
    """Whether any lane of the mask is set."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        bits = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), codegen


@intrinsic
def lane_index(typingctx: Any, pointer: Any) -> Any:
    """The vector 0, 1, 2, ... of the pointer's element type."""
    kind = Vector(pointer.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return ir.Constant(ir_vector(pointer.dtype), [float(i) for i in range(kind.lanes)])

    return kind(pointer), codegen


_ROUND32 = 1.5 * 2.0**23  # adding it leaves the nearest integer in the low bits of the mantissa


@intrinsic
def power_of_two(typingctx: Any, n: Any) -> Any:
    """2**n for a float32 vector of integers in [-126, 127]. Any bits for NaN, never a trap."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.VectorType(I32, n.lanes)
        shifted = builder.fadd(args[0], ir.Constant(ir_vector(n.dtype), [_ROUND32 + 127] * n.lanes))
        bits = builder.bitcast(shifted, kind)
        return builder.bitcast(builder.shl(bits, ir.Constant(kind, [23] * n.lanes)), sig_type)

    sig_type = ir_vector(n.dtype)
    return (n(n), codegen) if n.dtype == types.float32 else None


@intrinsic
def mantissa(typingctx: Any, x: Any) -> Any:
    """The m in [1, 2) of x = m * 2**e, for positive normal float32 lanes."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.VectorType(I32, x.lanes)
        bits = builder.bitcast(args[0], kind)
        low = builder.and_(bits, ir.Constant(kind, [0x007FFFFF] * x.lanes))
        one = builder.or_(low, ir.Constant(kind, [0x3F800000] * x.lanes))
        return builder.bitcast(one, ir_vector(x.dtype))

    return (x(x), codegen) if x.dtype == types.float32 else None


@intrinsic
def exponent(typingctx: Any, x: Any) -> Any:
    """The e of x = m * 2**e as a float, for positive normal float32 lanes."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.VectorType(I32, x.lanes)
        bits = builder.lshr(builder.bitcast(args[0], kind), ir.Constant(kind, [23] * x.lanes))
        shifted = builder.sub(bits, ir.Constant(kind, [127] * x.lanes))
        return builder.sitofp(shifted, ir_vector(x.dtype))

    return (x(x), codegen) if x.dtype == types.float32 else None


def lanewise(function: Any) -> Any:
    """A vector function that calls libm's ``function`` (of Python's math) for every lane."""

    @intrinsic
    def by_lane(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            call = context.get_function(function, x.dtype(x.dtype))
            result = args[0]
            for i in range(x.lanes):
                item = call(builder, [builder.extract_element(args[0], I32(i))])
                result = builder.insert_element(result, item, I32(i))
            return result

        return (x(x), codegen) if isinstance(x, Vector) else None

    return by_lane


# ---- transposition


def _interleave(count: int, high: bool) -> ir.Constant:
    start = count // 2 if high else 0
    mask = [start + i // 2 + (count if i % 2 else 0) for i in range(count)]
    return ir.Constant(ir.VectorType(I32, count), mask)


def _transposed(builder: ir.IRBuilder, rows: list[ir.Value]) -> list[ir.Value]:
    """Interleaving row i with row i + n/2, log2(n) times, is a transposition."""
    n = len(rows)
    low, high = _interleave(n, False), _interleave(n, True)
    for _ in range(int(math.log2(n))):
        pairs = zip(rows[: n // 2], rows[n // 2 :], strict=True)
        rows = [builder.shuffle_vector(a, b, half) for a, b in pairs for half in (low, high)]
    return rows


@intrinsic
def transpose(typingctx: Any, source: Any, source_step: Any, target: Any, target_step: Any) -> Any:
    """target[c * target_step + r] = source[r * source_step + c] for r, c < lanes."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir_vector(source.dtype)
        from_step, to_step = args[1], args[3]
        places = [builder.gep(args[0], [builder.mul(from_step, I64(i))]) for i in range(kind.count)]
        rows = [ir_load(builder, kind, place) for place in places]
        for i, vector in enumerate(_transposed(builder, rows)):
            ir_store(builder, vector, builder.gep(args[2], [builder.mul(to_step, I64(i))]))
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), codegen


@intrinsic
def transpose_rows(typingctx: Any, addresses: Any, bytes_on: Any, target: Any) -> Any:
    """target (lanes, lanes)[c, r] = element c, ``bytes_on`` behind address r, aligned or not."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind, rows = ir_vector(target.dtype), []
        for i in range(kind.count):
            address = builder.add(builder.load(builder.gep(args[0], [I64(i)])), args[1])
            place = builder.inttoptr(address, kind.element.as_pointer())
            rows.append(ir_load(builder, kind, place))
            rows[-1].align = 1
        for i, vector in enumerate(_transposed(builder, rows)):
            ir_store(builder, vector, builder.gep(args[2], [I64(i * kind.count)]))
        return context.get_dummy_value()

    return types.void(types.CPointer(types.int64), types.int64, target), codegen
