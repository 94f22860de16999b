"""Elements of the user's arrays: of any type, at any address."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base import codes
from ..ir.llvm_ir import I64

_DOUBLE = ir.DoubleType()

_KINDS = {
    codes.F32: (ir.FloatType(), "fpext"),
    codes.F64: (_DOUBLE, ""),
    codes.F16: (ir.IntType(16), "half"),
    **{
        code: (ir.IntType(bits), conversion)
        for conversion, sizes in (
            ("sitofp", {8: codes.I8, 16: codes.I16, 32: codes.I32, 64: codes.I64}),
            ("uitofp", {8: codes.U8, 16: codes.U16, 32: codes.U32, 64: codes.U64}),
        )
        for bits, code in sizes.items()
    },
}
"""How an element of each code is loaded, and made a double."""


def _ir_half(at: Any, half: Any) -> ir.Value:
    """An IEEE half, as int16, as a double, from its bits: not every processor converts one."""
    wide = at.zext(half, I64)
    fraction, power = at.and_(wide, I64(1023)), at.and_(at.lshr(wide, I64(10)), I64(31))
    infinite = at.icmp_signed("==", power, I64(31))
    exponent = at.select(infinite, I64(2047), at.add(power, I64(1023 - 15)))
    bits = at.or_(at.shl(exponent, I64(52)), at.shl(fraction, I64(42)))
    small = at.fmul(at.uitofp(fraction, _DOUBLE), _DOUBLE(2.0**-24))
    denormal = at.icmp_signed("==", power, I64(0))
    size = at.select(denormal, small, at.bitcast(bits, _DOUBLE))
    sign = at.shl(at.lshr(wide, I64(15)), I64(63))
    return at.bitcast(at.or_(at.bitcast(size, I64), sign), _DOUBLE)


def _ir_element(at: Any, address: Any, code: int) -> ir.Value:
    kind, conversion = _KINDS[code]
    value = at.load(at.inttoptr(address, kind.as_pointer()))
    value.align = 1  # a user's array may lie anywhere
    if conversion == "half":
        return _ir_half(at, value)
    return getattr(at, conversion)(value, _DOUBLE) if conversion else value


@intrinsic
def element(typingctx: Any, address: Any, code: Any) -> Any:
    """The element at an integer address, of any of codes.py's types, as float64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        done = builder.append_basic_block("element")
        other = builder.append_basic_block("other")
        choice = builder.switch(args[1], other)
        found = []
        for code in _KINDS:
            block = builder.append_basic_block(f"element_{code}")
            choice.add_case(I64(code), block)
            builder.position_at_end(block)
            found.append((_ir_element(builder, args[0], code), block))
            builder.branch(done)
        builder.position_at_end(other)
        builder.unreachable()
        builder.position_at_end(done)
        result = builder.phi(_DOUBLE)
        for value, block in found:
            result.add_incoming(value, block)
        return result

    return types.float64(types.int64, types.int64), codegen
