"""Flush denormal numbers to zero in the current thread, and let no floating-point operation trap.

Adam's moments decay into them, and one operation on a denormal costs as much as a hundred others.
x86: bits FTZ and DAZ of MXCSR. arm64: bit FZ of FPCR. Elsewhere nothing happens.

A program of Fortran that was compiled with -ffpe-trap would end where a loss overflows, which is a
status here.
"""

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686", "x86")
_ARM = platform.machine().lower() in ("arm64", "aarch64")
_FTZ_DAZ, _MASKS = 0x8040, 0x1F80
"""Of MXCSR: flushing, and one mask for each exception."""
_FZ, _TRAPS = 1 << 24, 0x9F00
"""Of FPCR: flushing, and one bit for each exception that traps."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _mxcsr(builder: ir.IRBuilder, name: str, slot: ir.Value) -> None:
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [byte])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(slot, byte)])


def _read(builder: ir.IRBuilder) -> ir.Value:
    if _X86:
        slot = cgutils.alloca_once(builder, _I32)
        _mxcsr(builder, "stmxcsr", slot)
        return builder.zext(builder.load(slot), _I64)
    if _ARM:
        return builder.asm(ir.FunctionType(_I64, []), "mrs $0, fpcr", "=r", [], True)
    return _I64(0)


def _write(builder: ir.IRBuilder, value: ir.Value) -> None:
    if _X86:
        slot = cgutils.alloca_once(builder, _I32)
        builder.store(builder.trunc(value, _I32), slot)
        _mxcsr(builder, "ldmxcsr", slot)
    elif _ARM:
        kind = ir.FunctionType(ir.VoidType(), [_I64])
        builder.asm(kind, "msr fpcr, $0", "r", [value], True)


@intrinsic
def flush_denormals(typingctx: Any) -> Any:
    """Switch flushing on and traps off in this thread; returns the state to restore."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        before = _read(builder)
        quiet = builder.and_(before, _I64(-1 if _X86 else ~_TRAPS))
        _write(builder, builder.or_(quiet, _I64(_FTZ_DAZ | _MASKS if _X86 else _FZ)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx: Any, before: Any) -> Any:
    """Undo ``flush_denormals``."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        _write(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
