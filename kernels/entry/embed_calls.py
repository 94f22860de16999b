"""What Python and the user's njit code call to predict with, and to train, an embedded model.

Each function checks types while it is compiled, writes an ask (served.py) on the stack, and calls
``served.serve`` by the address in the model's header: a few dozen instructions, so that the user's
own functions compile fast, and no address goes into the user's cache.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from inspect import Parameter, Signature
from typing import Any, TypeVar

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from ..base import code_stamp
from ..base.jit import entry, ready_entry
from ..ir.llvm_ir import I64
from ..tables.job_table import (
    FROM_OUTPUT,
    GRADIENTS,
    INFER,
    INPUT_GRADIENT,
    TRAIN,
)
from . import embed_server
from .embed_server import (
    ASK,
    ASK_HEADER,
    ASK_LABELS,
    ASK_OUT,
    ASK_STATUS,
    ASK_TASK,
    ASK_X,
    ASK_Y,
    BAD_OUT,
    BAD_X,
    BAD_Y,
    ENTRY,
    HERE,
    NO_MODEL,
    OK,
    SHARED_OUT,
    STAMP,
)

FIELDS = ("header", "parameters", "moments", "hyper", "work", "scratch")
"""Of the named tuple that a model is: first the header, second an array of the element type."""

_DOUBLE = ir.DoubleType()

F = TypeVar("F")

# Types


def _refuse_type(name: str, kind: Any, expected: str) -> None:
    raise TypingError(f"{name} is {kind}, expected {expected}")


def _check_model(model: Any) -> None:
    known = isinstance(model, types.BaseNamedTuple) and tuple(model.fields) == FIELDS
    # A header is read before anything in it is known to be true.
    known = known and _is_array(model.types[0], types.int64, 1)
    if not (known and any(_is_array(model.types[1], _element(size), 1) for size in (4, 8))):
        _refuse_type("model", model, "what trainer.compiled() returns")


def _is_array(kind: Any, dtype: Any, most: int) -> bool:
    known = isinstance(kind, types.Array) and kind.layout == "C" and kind.aligned
    return known and kind.dtype == dtype and 1 <= kind.ndim <= most


def _check_array(name: str, kind: Any, dtype: Any, most: int = 2) -> None:
    if not _is_array(kind, dtype, most):
        shapes = "one dimension" if most == 1 else "one or two dimensions"
        remedy = f"{name}[i] is a row of one, but the row of 'for row in {name}' is not known to be"
        _refuse_type(name, kind, f"a C-contiguous array of {dtype} with {shapes}: {remedy}")


def _check_out(kind: Any, dtype: Any, most: int) -> None:
    _check_array("out", kind, dtype, most)
    if not kind.mutable:
        _refuse_type("out", kind, "an array that can be written")


def _is_label(kind: Any) -> bool:
    return isinstance(kind, types.Integer) or _is_array(kind, types.int64, 1)


def _check_targets(kind: Any, dtype: Any) -> None:
    number = kind in (types.float32, types.float64)  # Numba cannot pass a float16
    if not (_is_label(kind) or number or _is_array(kind, dtype, 2)):
        _refuse_type(
            "y",
            kind,
            f"labels (a C-contiguous one-dimensional array of int64, or one integer) or targets "
            f"(a C-contiguous array of {dtype} with one or two dimensions, or one number)",
        )


# Asks


def _facts(context: Any, builder: Any, kind: Any, value: Any, dtype: Any) -> list[Any]:
    """Address, dimensions, rows and columns of an argument, as they stand in an ask."""
    if kind == types.none:
        return [I64(0)] * 4
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        shape = cgutils.unpack_tuple(builder, array.shape)
        columns = shape[1] if kind.ndim == 2 else I64(1)
        return [builder.ptrtoint(array.data, I64), I64(kind.ndim), shape[0], columns]
    wanted = types.int64 if isinstance(kind, types.Integer) else dtype
    place = cgutils.alloca_once_value(builder, context.cast(builder, value, kind, wanted))
    return [builder.ptrtoint(place, I64), I64(0), I64(1), I64(1)]


def _is_for_these_kernels(builder: Any, header: Any) -> Any:
    """Whether the header lies where it was made, and was made for what ``ask`` was compiled for."""
    here, stamp = (builder.load(builder.gep(header, [I64(i)])) for i in (HERE, STAMP))
    place = builder.icmp_unsigned("==", here, builder.ptrtoint(header, I64))
    return builder.and_(place, builder.icmp_unsigned("==", stamp, I64(code_stamp.stamp())))


def _call(builder: Any, header: Any, length: Any, elements: dict[int, Any]) -> tuple[Any, Any]:
    """Serve an ask of these elements; its status, and what ``serve`` returns.

    length: of the header, as far as is known.
    """
    block = cgutils.alloca_once(builder, I64, size=ASK)
    result = cgutils.alloca_once(builder, _DOUBLE)
    for i, element in elements.items():
        builder.store(element, builder.gep(block, [I64(i)]))
    status = builder.gep(block, [I64(ASK_STATUS)])
    builder.store(I64(NO_MODEL), status)
    builder.store(_DOUBLE(math.nan), result)
    long_enough = builder.icmp_signed(">", length, I64(max(ENTRY, STAMP, HERE)))
    with builder.if_then(long_enough), builder.if_then(_is_for_these_kernels(builder, header)):
        kind = ir.FunctionType(_DOUBLE, [block.type]).as_pointer()
        code = builder.inttoptr(builder.load(builder.gep(header, [I64(ENTRY)])), kind)
        builder.store(builder.call(code, [block]), result)
    return builder.load(status), builder.load(result)


_RESULT = types.Tuple((types.int64, types.float64))


def _emit(context: Any, builder: Any, sig: Any, args: Any, task: Any, dtype: Any) -> Any:
    """(status, value) of an ask about a header, or the header at an address, and X, y, out."""
    kinds = sig.args
    if isinstance(kinds[0], types.Integer):
        header, length = builder.inttoptr(args[0], I64.as_pointer()), I64(embed_server.FIRST_SLOT)
    else:
        array = context.make_array(kinds[0])(context, builder, args[0])
        header, (length,) = array.data, cgutils.unpack_tuple(builder, array.shape)
    elements = {
        ASK_HEADER: builder.ptrtoint(header, I64),
        ASK_TASK: task,
        ASK_LABELS: I64(int(_is_label(kinds[2]))),
    }
    for at, kind, value in zip((ASK_X, ASK_Y, ASK_OUT), kinds[1:], args[1:], strict=True):
        facts = _facts(context, builder, kind, value, dtype)
        elements |= {at + i: fact for i, fact in enumerate(facts)}
    return context.make_tuple(builder, _RESULT, _call(builder, header, length, elements))


@intrinsic
def _request(typingctx: Any, task: Any, header: Any, X: Any, y: Any, out: Any) -> Any:
    """(status, value) of an ask (served.py). Types are the caller's to check."""
    if not isinstance(X, types.Array):
        return None
    kinds = [types.unliteral(kind) for kind in (header, X, y, out)]
    dtype = X.dtype

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        inner = sig.return_type(*sig.args[1:])
        return _emit(context, builder, inner, args[1:], args[0], dtype)

    return _RESULT(types.int64, *kinds), codegen


# Operations

_COMMON = {
    BAD_X: "X has the wrong shape or number of rows, expected (rows, inputs) with at most "
    "batch_size rows, or (inputs,) for one row",
    SHARED_OUT: "out lies in the memory of another argument: pass memory of its own",
    NO_MODEL: "model is a copy or older than its network's scaling, or the compiled function was "
    "cached with other kernels of fastbp: call trainer.compiled() in this process, and delete the "
    "function's cache",
}
"""What every operation can refuse."""

_FLAT = "{} has the wrong shape, expected (rows, {}), or flat for one row or {}"


@dataclass(frozen=True, eq=False)
class Operation:
    """What njit code makes of a call: an ask, in place, about a model and its arrays.

    A call of another compiled function would count the references of eight arrays up and down:
    a prediction of 8-64-64-1 took a third longer.
    """

    task: int
    arrays: tuple[str, ...]
    """Names of the arguments after the model, as they stand in ``_emit``: X, then y or out."""
    check: Callable[..., None]
    """Refuses types: check(dtype, y, out)."""
    result: Any
    refusals: dict[int, str]

    def slots(self, values: Any, nothing: Any) -> list[Any]:
        """The arguments after the model as X, y, out."""
        given = dict(zip(self.arrays, values, strict=True))
        y = next((given[name] for name in self.arrays if name not in ("X", "out")), nothing)
        return [given["X"], y, given.get("out", nothing)]

    def type_of(self, args: Any, kws: Any, pysig: Any) -> Any:
        """The signature of a call with these types."""
        bound = pysig.bind(*args, **kws).args
        model, *rest = map(types.unliteral, bound)
        _check_model(model)
        X, y, out = self.slots(rest, types.none)
        dtype = model.types[1].dtype
        _check_array("X", X, dtype)
        self.check(dtype, y, out)
        return signature(self.result, model, *rest).replace(pysig=pysig)

    def lower(self, context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        """Emit a call."""
        model, *kinds = sig.args
        inner = _RESULT(model.types[0], *self.slots(kinds, types.none))
        values = [builder.extract_value(args[0], 0), *self.slots(args[1:], None)]
        outcome = _emit(context, builder, inner, values, I64(self.task), model.types[1].dtype)
        status, value = (builder.extract_value(outcome, i) for i in range(2))
        for refused, message in (_COMMON | self.refusals).items():
            with builder.if_then(builder.icmp_signed("==", status, I64(refused)), likely=False):
                context.call_conv.return_user_exc(builder, ValueError, (message,))
        if self.result == types.float64:
            return value
        if self.result == types.boolean:
            return builder.icmp_signed("==", status, I64(OK))
        return context.get_dummy_value()

    def __post_init__(self) -> None:
        lower_builtin(self, types.VarArg(types.Any))(self.lower)
        self.here(self)

    def here(self, callee: F) -> F:
        """Let njit code that calls ``callee`` run this operation."""
        infer_global(callee, types.Function(self._template()))
        return callee

    def _template(self) -> type:
        operation = self
        names = ("model", *self.arrays)
        pysig = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])

        class Template(AbstractTemplate):  # type: ignore[misc]
            key = operation

            def generic(self, args: Any, kws: Any) -> Any:
                return operation.type_of(args, kws, pysig)

        return Template


def _check_predict(dtype: Any, y: Any, out: Any) -> None:
    _check_out(out, dtype, 2)


def _check_step(dtype: Any, y: Any, out: Any) -> None:
    _check_targets(y, dtype)


def _check_gradients(dtype: Any, y: Any, out: Any) -> None:
    _check_targets(y, dtype)
    _check_out(out, dtype, 1)


def _check_input_gradient(dtype: Any, v: Any, out: Any) -> None:
    _check_array("v", v, dtype)
    _check_out(out, dtype, 2)


def _check_step_from(dtype: Any, dloss_dp: Any, out: Any) -> None:
    _check_array("dloss_dp", dloss_dp, dtype)


_TARGETS = {
    BAD_Y: "y has the wrong shape, expected targets (rows, outputs), or flat for one row or "
    "output; for loss 'cross_entropy', and for no other, also integer labels (rows,)"
}

PREDICT = Operation(
    INFER,
    ("X", "out"),
    _check_predict,
    types.none,
    {BAD_OUT: _FLAT.format("out", "outputs", "output")},
)
STEP = Operation(TRAIN, ("X", "y"), _check_step, types.float64, _TARGETS)
LOSS_AND_GRADIENTS = Operation(
    GRADIENTS,
    ("X", "y", "out"),
    _check_gradients,
    types.float64,
    _TARGETS | {BAD_OUT: "out has the wrong length, expected (n_parameters,)"},
)
VECTOR_JACOBIAN = Operation(
    INPUT_GRADIENT,
    ("X", "v", "out"),
    _check_input_gradient,
    types.none,
    {
        BAD_Y: _FLAT.format("v", "outputs", "output"),
        BAD_OUT: _FLAT.format("out", "inputs", "input"),
    },
)
STEP_FROM = Operation(
    FROM_OUTPUT,
    ("X", "dloss_dp"),
    _check_step_from,
    types.boolean,
    {BAD_Y: _FLAT.format("dloss_dp", "outputs", "output")},
)

# The same from Python


@entry
def predict(model, X, out):
    """Fill out with the outputs of X."""
    PREDICT(model, X, out)


@entry
def step(model, X, y):
    """One update; the loss before it, or NaN if nothing has changed."""
    return STEP(model, X, y)


@entry
def gradients(model, X, y, out):
    """Fill out with the gradient; the loss, or NaN if out is as it was."""
    return LOSS_AND_GRADIENTS(model, X, y, out)


@entry
def input_gradient(model, X, v, out):
    """Fill out with J(x)^T v of each row, or with NaN."""
    VECTOR_JACOBIAN(model, X, v, out)


@entry
def step_from(model, X, dloss_dp):
    """One update by the user's own gradient of the outputs; whether it was made."""
    return STEP_FROM(model, X, dloss_dp)


# For fastbp's own calls from Python, which have checked the types.


def _fast_step(header, X, y):
    _, loss = _request(embed_server.TRAIN_IF_SERIAL, header, X, y, None)
    return loss


def _fast_predict(header, X, out):
    status, _ = _request(INFER, header, X, None, out)
    return status == OK


def _array(dtype: Any, dimensions: int) -> Any:
    return types.Array(dtype, dimensions, "C")


def _element(itemsize: int) -> Any:
    return types.float32 if itemsize == 4 else types.float64


@cache
def fast_step(itemsize: int) -> Any:
    """(header, X, y) -> loss of a step in one thread, NaN if it is refused: nothing has changed.

    header: its address, which costs Python less than the array. X (rows, inputs), y (rows, outputs)
    or flat, of the element type, or int64 labels (rows,).
    """
    dtype = _element(itemsize)
    targets = _array(dtype, 2), _array(dtype, 1), _array(types.int64, 1)
    return ready_entry(_fast_step, [(types.int64, _array(dtype, 2), y) for y in targets])


@cache
def fast_predict(itemsize: int) -> Any:
    """(header, X, out) -> whether out (rows, outputs) holds the outputs of X, which is finite.

    header: its address.
    """
    dtype = _element(itemsize)
    return ready_entry(_fast_predict, [(types.int64, _array(dtype, 2), _array(dtype, 2))])


def load(itemsize: int) -> None:
    """Compile, or load from the cache, what Python calls for elements of 4 or 8 bytes."""
    embed_server.serve()
    fast_step(itemsize)
    fast_predict(itemsize)
