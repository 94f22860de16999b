"""Workers that share a processor part: a C function that each calls before its part of a stage.

Linux may wake a thread on the processor of the thread that wakes it, though another one is idle,
and leave both there for tens of milliseconds. On two virtual processors of a Zen 4 a prediction in
``python -m bench --measures predict --cases medium --peers numpy --print`` took 596 us, and takes
372 where the workers part. So a worker that finds itself on the processor of a worker before it
moves to a processor where none of them is. From there the operating system may move it as before.
"""

from functools import cache
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base import jit
from ..base.jit import c_function, kernel
from ..ir.llvm_ir import I64
from ..ir.typed_pointers import typed_pointer_at
from ..tables.place_table import (
    ALLOW,
    ALLOWED,
    ALLOWED_SET,
    FIRST,
    FREE_SET,
    HERE,
    LINE,
    MASK,
    PAUSE,
    PROCESSOR,
    SELF,
    THREAD,
    WORKERS,
)

_SIGNATURE = types.int64(types.int64, types.int64, types.int64, types.int64)
I32 = ir.IntType(32)

GROUP = 8
"""Processors whose numbers lie in one group often share a cache."""

WHERE_NONE_IS_FREE, WHERE_NONE_IS_KNOWN = 2**14, 2**62
"""Stages after which a worker that could not move looks again. A stage takes 50 us and more."""


@intrinsic
def _processor(typingctx: Any, code: Any) -> Any:
    """sched_getcpu() at an address."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(I32, [])
        number = builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])
        return builder.sext(number, I64)

    return types.int64(types.int64), codegen


@intrinsic
def _thread(typingctx: Any, code: Any) -> Any:
    """pthread_self() at an address."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(I64, [])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])

    return types.int64(types.int64), codegen


@intrinsic
def _affinity(typingctx: Any, code: Any, processors: Any) -> Any:
    """sched_getaffinity or sched_setaffinity at an address, of this thread; the set's address."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(I32, [I32, I64, I64])
        call = builder.inttoptr(args[0], kind.as_pointer())
        return builder.sext(builder.call(call, [I32(0), I64(8 * MASK), args[1]]), I64)

    return types.int64(types.int64, types.int64), codegen


@kernel
def _find_free(table, line, workers):
    """Fill in the processors that are allowed and on which no worker is; whether there are any."""
    for i in range(MASK):
        table[line + FREE_SET + i] = table[line + ALLOWED_SET + i]
    for worker in range(workers):
        taken = table[FIRST + worker * LINE + PROCESSOR]
        if 0 <= taken < 64 * MASK:
            table[line + FREE_SET + taken // 64] &= ~(1 << (taken % 64))
    some = 0
    for i in range(MASK):
        some |= table[line + FREE_SET + i]
    return some != 0


@kernel
def _keep_near(table, line):
    """Leave those of the same group alone, if there are any."""
    here = table[line + PROCESSOR]
    word = here // 64
    near = table[line + FREE_SET + word] & (((1 << GROUP) - 1) << (here % 64 // GROUP * GROUP))
    if near != 0:
        for i in range(MASK):
            table[line + FREE_SET + i] = 0
        table[line + FREE_SET + word] = near


@kernel
def _leave(address, table, line, workers):
    """Move to a processor on which no worker is; returns for how many stages to stay then."""
    allowed, free = address + 8 * (line + ALLOWED_SET), address + 8 * (line + FREE_SET)
    if _affinity(table[ALLOWED], allowed) != 0:
        return WHERE_NONE_IS_KNOWN
    if not _find_free(table, line, workers):
        return WHERE_NONE_IS_FREE
    _keep_near(table, line)
    _affinity(table[ALLOW], free)
    _affinity(table[ALLOW], allowed)
    return 0


def _place(address, worker, workers, _unused):
    table = typed_pointer_at(address, types.int64)
    if workers > table[WORKERS]:
        return 0
    line = FIRST + worker * LINE
    here, thread = _processor(table[HERE]), _thread(table[SELF])
    table[line + PROCESSOR], table[line + THREAD] = here, thread
    if table[line + PAUSE] > 0:
        table[line + PAUSE] = table[line + PAUSE] - 1
        return 0
    for other in range(worker):
        before = FIRST + other * LINE
        if table[before + PROCESSOR] == here and table[before + THREAD] != thread:
            table[line + PAUSE] = _leave(address, table, line, workers)
            table[line + PROCESSOR] = _processor(table[HERE])
            return 0
    return 0


@cache
def code() -> int:
    """Address of ``(address of a table of places, worker, workers, 0)``; compiles it, or loads it.

    Its twin does nothing: no number depends on it.
    """
    return c_function(_place, _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``code`` compiles into a folder (jit.py)."""
    jit.ship(folder, _place, _SIGNATURE)
