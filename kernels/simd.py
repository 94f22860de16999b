"""Vectors inside kernels: a Numba type, its operators, and loads, stores, shuffles as LLVM IR.

Loops that LLVM vectorizes by itself reach a fraction of what explicit vectors reach, so kernels
say what they want: ``x = load(p, i); store(p, i, fma(x, x, 1.0))``. A pointer is a Numba
``CPointer`` to float32 or float64 and carries the element type; one vector holds ``lanes`` of them.
Scalars that meet a vector are cast to its element type and broadcast.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from . import width

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


def lanes_of(dtype: types.Float) -> int:
    """Elements of a Numba float type in one vector."""
    return width.lanes(dtype.bitwidth // 8)


class Vector(types.Type):
    """``lanes`` elements of ``dtype`` (float32 or float64) in one register."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(dtype)
        super().__init__(name=f"Vector({dtype}x{self.lanes})")


class Mask(types.Type):
    """One bit a lane: the result of comparing two vectors."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(dtype)
        super().__init__(name=f"Mask({dtype}x{self.lanes})")


def _register(kind: type, element: Callable[[Any], ir.Type]) -> None:
    @register_model(kind)
    class VectorModel(models.PrimitiveModel):
        def __init__(self, manager: Any, fe_type: Any) -> None:
            super().__init__(manager, fe_type, ir.VectorType(element(fe_type), fe_type.lanes))


def ir_element(dtype: types.Float) -> ir.Type:
    """The LLVM type of one element."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


_register(Vector, lambda t: ir_element(t.dtype))
_register(Mask, lambda _: I1)


def ir_vector(dtype: types.Float) -> ir.VectorType:
    """The LLVM type of one vector."""
    return ir.VectorType(ir_element(dtype), lanes_of(dtype))


def ir_splat(builder: ir.IRBuilder, scalar: ir.Value, lanes: int) -> ir.Value:
    """A vector whose lanes all hold ``scalar``."""
    undef = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    one = builder.insert_element(undef, scalar, I32(0))
    return builder.shuffle_vector(one, undef, ir.Constant(ir.VectorType(I32, lanes), None))


def ir_call(builder: ir.IRBuilder, name: str, *args: ir.Value) -> ir.Value:
    """Call the LLVM intrinsic ``name``, whose result has the type of its first argument."""
    kind = args[0].type
    suffix = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    element = kind.element if suffix else kind
    suffix += "f32" if isinstance(element, ir.FloatType) else "f64"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [a.type for a in args]), f"llvm.{name}.{suffix}"
    )
    return builder.call(function, args)


def ir_load(builder: ir.IRBuilder, kind: ir.VectorType, pointer: ir.Value) -> ir.Value:
    """Load a vector from an address aligned to its element."""
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()))
    value.align = 4 if isinstance(kind.element, ir.FloatType) else 8
    return value


def ir_store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    """Store a vector to an address aligned to its element."""
    done = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    done.align = 4 if isinstance(value.type.element, ir.FloatType) else 8


def ir_prefetch(builder: ir.IRBuilder, pointer: ir.Value, for_writing: bool = False) -> None:
    """Ask for the cache line at an address. Never faults, whatever the address."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    where = builder.bitcast(pointer, byte)
    builder.call(function, [where, I32(int(for_writing)), I32(3), I32(1)])


def _is_pointer(kind: Any) -> bool:
    return isinstance(kind, types.CPointer) and kind.dtype in (types.float32, types.float64)


def _as_vector(context: Any, builder: Any, value: Any, source: Any, target: Vector) -> ir.Value:
    if isinstance(source, Vector):
        return value
    scalar = context.cast(builder, value, source, target.dtype)
    return ir_splat(builder, scalar, target.lanes)


def _vector_of(args: Any) -> Vector | None:
    found = {a for a in args if isinstance(a, Vector)}
    rest = [a for a in args if not isinstance(a, (Vector, types.Number))]
    return found.pop() if len(found) == 1 and not rest else None


# ---- operators


def _define_operator(op: Any, inplace: Any, emit: Callable[..., ir.Value], result: type) -> None:
    class VectorOperator(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            vector = _vector_of(args)
            return vector and signature(result(vector.dtype), *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        vector = _vector_of(sig.args)
        operands = [
            _as_vector(context, builder, value, source, vector)
            for value, source in zip(args, sig.args, strict=True)
        ]
        return emit(builder, *operands)

    for function in filter(None, (op, inplace)):
        infer_global(function)(VectorOperator)
        for kinds in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
            lower_builtin(function, *kinds)(lower)


for _op, _inplace, _name in (
    (operator.add, operator.iadd, "fadd"),
    (operator.sub, operator.isub, "fsub"),
    (operator.mul, operator.imul, "fmul"),
    (operator.truediv, operator.itruediv, "fdiv"),
):
    _define_operator(_op, _inplace, lambda b, x, y, n=_name: getattr(b, n)(x, y), Vector)

for _op, _sign in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _define_operator(_op, None, lambda b, x, y, s=_sign: b.fcmp_ordered(s, x, y), Mask)


@infer_global(operator.neg)
class _Negate(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(args[0], args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _lower_negate(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    return builder.fneg(args[0])


def _define_mask_operator(op: Any, name: str) -> None:
    class MaskOperator(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            same = isinstance(args[0], Mask) and args[0] == args[1]
            return signature(args[0], *args) if same else None

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return getattr(builder, name)(*args)

    infer_global(op)(MaskOperator)
    lower_builtin(op, Mask, Mask)(lower)


_define_mask_operator(operator.and_, "and_")
_define_mask_operator(operator.or_, "or_")


# ---- memory


@intrinsic
def lanes(typingctx: Any, pointer: Any) -> Any:
    """How many elements of the pointer's type one vector holds."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return I64(lanes_of(pointer.dtype))

    return (types.int64(pointer), codegen) if _is_pointer(pointer) else None


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Pointer to the first element of a one-dimensional array."""
    sig = types.CPointer(array.dtype)(array)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return sig, codegen


@intrinsic
def pointer_to(typingctx: Any, integer: Any, like: Any) -> Any:
    """The integer address as a pointer to elements of the Numba type ``like``."""
    sig = types.CPointer(like.dtype)(integer, like)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

    return sig, codegen


@intrinsic
def call_code(typingctx: Any, code: Any, job: Any, request: Any, share: Any, shares: Any) -> Any:
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
def store(typingctx: Any, pointer: Any, index: Any, vector: Any) -> Any:
    """Write a vector (or a broadcast scalar) from element ``index`` on."""
    kind = Vector(pointer.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        value = _as_vector(context, builder, args[2], sig.args[2], kind)
        ir_store(builder, value, builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64, vector), codegen


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
        return _as_vector(context, builder, args[1], sig.args[1], kind)

    return kind(pointer, value), codegen


@intrinsic
def fma(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z with one rounding where the processor has it. Scalars are broadcast."""
    kind = _vector_of((x, y, z))

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        operands = [
            _as_vector(context, builder, value, source, kind)
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
        yes = _as_vector(context, builder, args[1], sig.args[1], kind)
        no = _as_vector(context, builder, args[2], sig.args[2], kind)
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


@intrinsic
def transpose(typingctx: Any, source: Any, source_step: Any, target: Any, target_step: Any) -> Any:
    """target[c * target_step + r] = source[r * source_step + c] for r, c < lanes.

    Interleaving row i with row i + n/2, log2(n) times, is a transposition.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir_vector(source.dtype)
        n = kind.count

        def row(base: ir.Value, step: ir.Value, i: int) -> ir.Value:
            return builder.gep(base, [builder.mul(step, I64(i))])

        rows = [ir_load(builder, kind, row(args[0], args[1], i)) for i in range(n)]
        low, high = _interleave(n, False), _interleave(n, True)
        for _ in range(int(math.log2(n))):
            pairs = zip(rows[: n // 2], rows[n // 2 :], strict=True)
            rows = [builder.shuffle_vector(a, b, half) for a, b in pairs for half in (low, high)]
        for i, vector in enumerate(rows):
            ir_store(builder, vector, row(args[2], args[3], i))
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), codegen
