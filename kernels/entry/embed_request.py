"""Emits a request about an embedded model: int64 words on the caller's stack (embed_server.py)."""

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..base import code_stamp
from ..ir.llvm_ir import I64
from ..primitives.gather import (
    ADDRESS,
    COLUMN_BYTES,
    DTYPE,
    N_COLUMNS,
    N_ROWS,
    ROW_BYTES,
)
from . import embed_server, jacobian_server
from .embed_server import (
    DERIVATIVES,
    ENTRY,
    HERE,
    NO_CODE,
    NO_MODEL,
    REQUEST,
    REQUEST_HANDLE,
    REQUEST_LABELS,
    REQUEST_OUT,
    REQUEST_STATUS,
    REQUEST_TASK,
    REQUEST_WEIGHTS,
    REQUEST_X,
    REQUEST_Y,
    STAMP,
    TABLE,
)
from .embed_types import is_label

_DOUBLE = ir.DoubleType()


def _facts(context: Any, builder: Any, kind: Any, value: Any, dtype: Any) -> list[Any]:
    """The words of an argument in a request: address, dimensions, rows, columns.

    A tuple is the descriptor of a table (gather.py). The others of its words follow, and for y the
    address of the weights of the rows, as they stand there.
    """
    if kind == types.none:
        return [I64(0)] * 4
    if isinstance(kind, types.UniTuple):
        words = cgutils.unpack_tuple(builder, value)
        shape, others = [words[N_ROWS], words[N_COLUMNS]], words[N_COLUMNS + 1 :]
        strides_and_type = [words[ROW_BYTES], words[COLUMN_BYTES], words[DTYPE]]
        return [words[ADDRESS], I64(TABLE), *shape, *strides_and_type, *others]
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        shape = cgutils.unpack_tuple(builder, array.shape)
        columns, more = shape[1] if kind.ndim > 1 else I64(1), shape[2:]
        return [builder.ptrtoint(array.data, I64), I64(kind.ndim), shape[0], columns, *more]
    wanted = types.int64 if isinstance(kind, types.Integer) else dtype
    place = cgutils.alloca_once_value(builder, context.cast(builder, value, kind, wanted))
    return [builder.ptrtoint(place, I64), I64(0), I64(1), I64(1)]


def _is_for_these_kernels(builder: Any, handle: Any) -> Any:
    """Whether the handle is no copy, and is for the kernels that this code was compiled with."""
    here, stamp = (builder.load(builder.gep(handle, [I64(i)])) for i in (HERE, STAMP))
    place = builder.icmp_unsigned("==", here, builder.ptrtoint(handle, I64))
    return builder.and_(place, builder.icmp_unsigned("==", stamp, I64(code_stamp.stamp())))


def emit_call(
    builder: Any, handle: Any, elements: dict[int, Any], code: Any = None
) -> tuple[Any, Any]:
    """Serve a request of these elements; its status, and what the server returns.

    code: the address of the server, or None for that of ``embed_server``.
    """
    block = cgutils.alloca_once(builder, I64, size=REQUEST)
    for i, element in elements.items():
        builder.store(element, builder.gep(block, [I64(i)]))
    kind = ir.FunctionType(_DOUBLE, [block.type]).as_pointer()
    if code is None:
        code = builder.load(builder.gep(handle, [I64(ENTRY)]))
    value = builder.call(builder.inttoptr(code, kind), [block])
    return builder.load(builder.gep(block, [I64(REQUEST_STATUS)])), value


def _keep(builder: Any, values: tuple[Any, Any], *slots: Any) -> None:
    for slot, value in zip(slots, values, strict=True):
        builder.store(value, slot)


def _checked(
    builder: Any, handle: Any, length: Any, elements: dict[int, Any], derivatives: bool
) -> tuple[Any, Any]:
    """``emit_call``, or NO_MODEL or NO_CODE and NaN where the handle is not for it.

    length: elements of the handle. derivatives: by jacobian_server, and not by embed_server.
    """
    status = cgutils.alloca_once_value(builder, I64(NO_MODEL))
    result = cgutils.alloca_once_value(builder, _DOUBLE(math.nan))
    long_enough = builder.icmp_signed(">", length, I64(max(ENTRY, STAMP, HERE)))
    with builder.if_then(long_enough), builder.if_then(_is_for_these_kernels(builder, handle)):
        if not derivatives:
            _keep(builder, emit_call(builder, handle, elements), status, result)
        else:
            builder.store(I64(NO_CODE), status)
            record = builder.load(builder.gep(handle, [I64(DERIVATIVES)]))
            with builder.if_then(builder.icmp_unsigned("!=", record, I64(0))):
                first = builder.gep(
                    builder.inttoptr(record, handle.type), [I64(jacobian_server.SERVE)]
                )
                served = emit_call(builder, handle, elements, builder.load(first))
                _keep(builder, served, status, result)
    return builder.load(status), builder.load(result)


RESULT = types.Tuple((types.int64, types.float64))


def emit(
    context: Any,
    builder: Any,
    sig: Any,
    args: Any,
    task: Any,
    dtype: Any,
    derivatives: bool = False,
) -> Any:
    """(status, value) of a request: a handle or its address, X, y, out."""
    kinds = sig.args
    if isinstance(kinds[0], types.Integer):
        handle, length = builder.inttoptr(args[0], I64.as_pointer()), I64(embed_server.FIRST_SLOT)
    else:
        array = context.make_array(kinds[0])(context, builder, args[0])
        handle, (length,) = array.data, cgutils.unpack_tuple(builder, array.shape)
    elements = {
        REQUEST_HANDLE: builder.ptrtoint(handle, I64),
        REQUEST_TASK: task,
        REQUEST_LABELS: I64(int(is_label(kinds[2]))),
        REQUEST_WEIGHTS: I64(0),
    }
    for at, kind, value in zip(
        (REQUEST_X, REQUEST_Y, REQUEST_OUT), kinds[1:], args[1:], strict=True
    ):
        facts = _facts(context, builder, kind, value, dtype)
        elements |= {at + i: fact for i, fact in enumerate(facts)}
    return context.make_tuple(
        builder, RESULT, _checked(builder, handle, length, elements, derivatives)
    )


def _request(derivatives: bool) -> Any:
    @intrinsic
    def request(typingctx: Any, task: Any, handle: Any, X: Any, y: Any, out: Any) -> Any:
        if not isinstance(X, types.Array | types.UniTuple):
            return None
        kinds = [types.unliteral(kind) for kind in (handle, X, y, out)]
        dtype = X.dtype

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            inner = sig.return_type(*sig.args[1:])
            return emit(context, builder, inner, args[1:], args[0], dtype, derivatives)

        return RESULT(types.int64, *kinds), codegen

    return request


request, derivatives_request = _request(False), _request(True)
"""(status, value) of a request (embed_server.py, jacobian_server.py): (task, handle, X, y, out).

X and y: arrays, or descriptors of tables as ``_facts`` takes them. The caller has checked types.
"""
