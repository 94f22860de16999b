"""Vectors of float32 as bfloat16, the upper half of their digits, and back."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .llvm_ir import I32, ir_vector, lanes_of
from .vector import Vector

I16 = ir.IntType(16)
HALF, NOT_A_NUMBER, UPPER = 0x7FFF, 0x7FC00000, 0xFFFF0000
"""What rounds half to even, together with the last digit that is kept; a NaN; the digits kept."""


def _digits(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    return builder.bitcast(x, ir.VectorType(I32, x.type.count))


def _all(value: int, lanes: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, lanes), [value] * lanes)


@intrinsic
def nearest_bfloat16(typingctx: Any, x: Any) -> Any:
    """The nearest bfloat16 of each float32 lane, as float32; half to even, NaN stays NaN."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        n, digits = x.lanes, _digits(builder, args[0])
        odd = builder.and_(builder.lshr(digits, _all(16, n)), _all(1, n))
        moved = builder.add(builder.add(digits, _all(HALF, n)), odd)
        near = builder.and_(moved, _all(UPPER, n))
        is_nan = builder.fcmp_unordered("uno", args[0], args[0])
        return builder.bitcast(
            builder.select(is_nan, _all(NOT_A_NUMBER, n), near), ir_vector(x.dtype)
        )

    return (x(x), codegen) if x.dtype == types.float32 else None


@intrinsic
def finite_or_zero(typingctx: Any, x: Any) -> Any:
    """Each lane, or 0 where it is infinite or NaN."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        zero = ir.Constant(args[0].type, [0.0] * x.lanes)
        is_finite = builder.fcmp_ordered("ord", builder.fsub(args[0], args[0]), zero)
        return builder.select(is_finite, args[0], zero)

    return x(x), codegen


@intrinsic
def store_bfloat16(typingctx: Any, pointer: Any, index: Any, x: Any) -> Any:
    """Write the upper half of each float32 lane from element ``index`` of uint16 on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.VectorType(I16, x.lanes)
        upper = builder.lshr(_digits(builder, args[2]), _all(16, x.lanes))
        place = builder.bitcast(builder.gep(args[0], [args[1]]), kind.as_pointer())
        builder.store(builder.trunc(upper, kind), place).align = 2
        return context.get_dummy_value()

    return types.void(pointer, types.int64, x), codegen


@intrinsic
def load_bfloat16(typingctx: Any, pointer: Any, index: Any) -> Any:
    """A vector of float32 from elements of uint16."""
    lanes = lanes_of(types.float32)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.VectorType(I16, lanes)
        place = builder.bitcast(builder.gep(args[0], [args[1]]), kind.as_pointer())
        half = builder.load(place)
        half.align = 2
        digits = builder.shl(builder.zext(half, ir.VectorType(I32, lanes)), _all(16, lanes))
        return builder.bitcast(digits, ir_vector(types.float32))

    return Vector(types.float32)(pointer, types.int64), codegen
