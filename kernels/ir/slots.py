"""Slots of scratch memory, each for one thread at a time, acquired and released without a lock.

They work for threads of any origin: Numba's, under any threading layer, nested or not, and
Python's. ``get_thread_id`` does not: it is 0 in every Python thread, and the user's cached code
could not link to its symbol in a new process.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base.jit import kernel
from .llvm_ir import I64
from .simd import offset


@intrinsic
def try_acquire(typingctx: Any, flag: Any) -> Any:
    """Make the int64 flag 1; whether it was 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        result = builder.cmpxchg(args[0], I64(0), I64(1), "acquire", "monotonic")
        return builder.extract_value(result, 1)

    return types.boolean(flag), codegen


@intrinsic
def release(typingctx: Any, flag: Any) -> Any:
    """Make the int64 flag 0 again."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        builder.store_atomic(I64(0), args[0], "release", 8)
        return context.get_dummy_value()

    return types.void(flag), codegen


@kernel
def acquire(flags, stride, count, wish):
    """The number of a free slot among ``count``, now busy; waits while there is none.

    flags: pointer to the first slot's int64 flag, 0 while it is free; the others lie ``stride``
    elements apart. wish: any number >= 0, different in most threads; the search starts at slot
    ``wish % count``, so that threads seldom write the same cache line.
    """
    slot = wish % count
    while not try_acquire(offset(flags, slot * stride)):
        slot = (slot + 1) % count
    return slot
