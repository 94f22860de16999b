"""LLVM IR on vectors, for intrinsics that build it: plain functions that emit one thing each."""

from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..base import width

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
VOID = ir.VoidType()


def lanes_of(dtype: types.Float) -> int:
    """Elements of a Numba float type in one vector."""
    return width.lanes(dtype.bitwidth // 8)


def ir_element(dtype: types.Float) -> ir.Type:
    """The LLVM type of one element."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


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


def ir_store_first(
    builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value, count: ir.Value
) -> None:
    """Store the first ``count`` lanes of a vector, any number, and touch no memory beyond them."""
    kind = value.type
    numbers = ir.Constant(ir.VectorType(I64, kind.count), list(range(kind.count)))
    mask = builder.icmp_signed("<", numbers, ir_splat(builder, count, kind.count))
    single = isinstance(kind.element, ir.FloatType)
    name = f"llvm.masked.store.v{kind.count}f{32 if single else 64}.p0"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VOID, [kind, kind.as_pointer(), I32, mask.type]), name
    )
    place = builder.bitcast(pointer, kind.as_pointer())
    builder.call(function, [value, place, I32(4 if single else 8), mask])


def ir_prefetch(builder: ir.IRBuilder, pointer: ir.Value, for_writing: bool = False) -> None:
    """Ask for the cache line at an address. Never faults, whatever the address."""
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(VOID, [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    where = builder.bitcast(pointer, byte)
    builder.call(function, [where, I32(int(for_writing)), I32(3), I32(1)])


def ir_count_down(
    builder: ir.IRBuilder,
    left: ir.Value,
    step: ir.Value,
    values: Sequence[ir.Value],
    body: Callable[..., Sequence[ir.Value]],
) -> list[ir.Value]:
    """Loop: while left > 0, ``values = body(left, *values)`` and left -= step; the last values.

    body emits its code with the builder. The builder ends behind the loop.
    """
    before = builder.block
    head, inside, after = map(builder.append_basic_block, ("while", "do", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    begun = [left, *values]
    phis = [builder.phi(value.type) for value in begun]
    builder.cbranch(builder.icmp_signed(">", phis[0], I64(0)), inside, after)
    builder.position_at_end(inside)
    later = body(*phis)
    for phi, first, value in zip(phis, begun, [builder.sub(phis[0], step), *later], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return phis[1:]


def ir_call_built(
    builder: ir.IRBuilder, name: str, build: Callable[..., None], args: Sequence[ir.Value]
) -> None:
    """Call a function of this module; ``build(builder, *arguments)`` emits it at the first call."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(VOID, [value.type for value in args])
        function = ir.Function(builder.module, kind, name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        build(inside, *function.args)
        inside.ret_void()
    builder.call(function, args)
