"""The operations of an embedded model, for Python and for the user's njit code.

Each operation checks types while it is compiled, writes a request (embed_request.py) on the stack,
and calls ``embed_server.serve`` by the address in the model handle. It is a few dozen instructions:
the user's functions compile fast, and the user's cache holds no address.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from inspect import Parameter, Signature
from typing import Any, ClassVar, TypeVar

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin

from ..base.jit import entry, ready_entry
from ..base.sizes import DESCRIPTOR
from ..ir.llvm_ir import I64
from ..tables import job_table as J
from . import embed_server
from .embed_request import RESULT, emit, request
from .embed_server import BAD_OUT, BAD_X, BAD_Y, NO_MODEL, OK, SHARED_OUT
from .embed_types import (
    check_array,
    check_model,
    check_out,
    check_targets,
    element,
    is_ensemble,
    refuse_type,
)

F = TypeVar("F")

_COMMON = {
    BAD_X: "X has the wrong shape or number of rows, expected (rows, inputs) with at most "
    "batch_size rows, or (inputs,) for one row",
    SHARED_OUT: "out lies in the memory of another argument: pass memory of its own",
    NO_MODEL: "model is a copy or older than its network's scaling, or the compiled function was "
    "cached with other kernels of fastbp: call trainer.compiled(), or ensemble.compiled(), in this "
    "process, and delete the function's cache",
}
"""Messages of the statuses that every operation can have."""

_FLAT = "{} has the wrong shape, expected (rows, {}), or flat for one row or {}"


@dataclass(frozen=True, eq=False)
class Operation:
    """A call in njit code: a request, emitted in place, about a model and its arrays.

    A call of another compiled function would count the references of eight arrays up and down:
    a prediction of 8-64-64-1 took a third longer.
    """

    task: int
    arrays: tuple[str, ...]
    """Names of the arguments after the model, as they stand in ``emit``: X, then y or out."""
    check: Callable[..., None]
    """Refuses types: check(dtype, y, out)."""
    result: Any
    refusals: dict[int, str]
    derivatives: ClassVar[bool] = False
    """Whether jacobian_server serves it, and not embed_server."""

    def slots(self, values: Any, nothing: Any) -> list[Any]:
        """The arguments after the model as X, y, out."""
        given = dict(zip(self.arrays, values, strict=True))
        y = next((given[name] for name in self.arrays if name not in ("X", "out")), nothing)
        return [given["X"], y, given.get("out", nothing)]

    def parameters(self) -> list[Parameter]:
        """Those of the call, for Python's rules of arguments."""
        names = ("model", *self.arrays)
        return [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]

    def type_of(self, args: Any, kws: Any, pysig: Any) -> Any:
        """The signature of a call with these types."""
        bound = pysig.bind(*args, **kws).args
        model, *rest = map(types.unliteral, bound)
        check_model(model)
        X, y, out = self.slots(rest, types.none)
        dtype = model.types[1].dtype
        check_array("X", X, dtype)
        self.check(dtype, y, out)
        return signature(self.result, model, *rest).replace(pysig=pysig)

    def lower(self, context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        """Emit a call."""
        kinds, values, dtype = self.words(builder, sig.args, args)
        task, sig = I64(self.task), RESULT(*kinds)
        outcome = emit(context, builder, sig, values, task, dtype, self.derivatives)
        status, value = (builder.extract_value(outcome, i) for i in range(2))
        for refused, message in (_COMMON | self.refusals).items():
            with builder.if_then(builder.icmp_signed("==", status, I64(refused)), likely=False):
                context.call_conv.return_user_exc(builder, ValueError, (message,))
        if self.result == types.float64:
            return value
        if self.result == types.boolean:
            return builder.icmp_signed("==", status, I64(OK))
        return context.get_dummy_value()

    def words(self, builder: Any, kinds: Any, args: Any) -> tuple[list[Any], list[Any], Any]:
        """Types and values of handle, X, y and out, and the type of a number among them."""
        model, *rest = kinds
        types_ = [model.types[0], *self.slots(rest, types.none)]
        values = [builder.extract_value(args[0], 0), *self.slots(args[1:], None)]
        return types_, values, model.types[1].dtype

    def __post_init__(self) -> None:
        lower_builtin(self, types.VarArg(types.Any))(self.lower)
        self.here(self)

    def here(self, callee: F) -> F:
        """Let njit code that calls ``callee`` run this operation."""
        infer_global(callee, types.Function(self._template()))
        return callee

    def _template(self) -> type:
        operation = self
        pysig = Signature(self.parameters())

        class Template(AbstractTemplate):  # type: ignore[misc]
            key = operation

            def generic(self, args: Any, kws: Any) -> Any:
                return operation.type_of(args, kws, pysig)

        return Template


class _Predict(Operation):
    """``embed.predict(model, X, out, std=None)``: std, of an ensemble alone, in the place of y."""

    def parameters(self) -> list[Parameter]:
        std = Parameter("std", Parameter.POSITIONAL_OR_KEYWORD, default=None)
        return [*super().parameters(), std]

    def slots(self, values: Any, nothing: Any) -> list[Any]:
        X, out, std = (*values, nothing)[:3]
        return [X, std, out]

    def type_of(self, args: Any, kws: Any, pysig: Any) -> Any:
        model, X, out, *given = map(types.unliteral, pysig.bind(*args, **kws).args)
        std = given[0] if given else types.none
        if isinstance(std, types.Omitted):
            std = types.none
        if not is_ensemble(model):
            check_model(model)
            if std != types.none:
                refuse_type("std", std, "none: what ensemble.compiled() returns has deviations")
        dtype = model.types[1].dtype
        check_array("X", X, dtype)
        check_out(out, dtype, 2)
        if std != types.none:
            check_out(std, dtype, 2, "std")
        return signature(self.result, model, X, out, std).replace(pysig=pysig)


class _Copy(Operation):
    """``embed.copy(a, b, tau)``: the handle of a stands in the place of X, tau in that of y."""

    def parameters(self) -> list[Parameter]:
        a, b, tau = (Parameter(n, Parameter.POSITIONAL_OR_KEYWORD) for n in ("a", "b", "tau"))
        return [a, b, tau.replace(default=1.0)]

    def type_of(self, args: Any, kws: Any, pysig: Any) -> Any:
        a, b, *share = map(types.unliteral, pysig.bind(*args, **kws).args)
        check_model(a, "a")
        check_model(b, "b")
        if a.types[1].dtype != b.types[1].dtype:
            refuse_type("b", f"of {b.types[1].dtype}", f"a model of {a.types[1].dtype}, as a is")
        if share and not isinstance(share[0], types.Integer | types.Float):
            refuse_type("tau", share[0], "a number in [0, 1]")
        return signature(self.result, a, b, types.float64).replace(pysig=pysig)

    def words(self, builder: Any, kinds: Any, args: Any) -> tuple[list[Any], list[Any], Any]:
        source, target = (builder.extract_value(model, 0) for model in args[:2])
        handles = [kinds[1].types[0], kinds[0].types[0]]
        return [*handles, kinds[2], types.none], [target, source, args[2], None], types.float64


def _check_predict(dtype: Any, y: Any, out: Any) -> None:
    check_out(out, dtype, 2)


def _check_step(dtype: Any, y: Any, out: Any) -> None:
    check_targets(y, dtype)


def _check_gradients(dtype: Any, y: Any, out: Any) -> None:
    check_targets(y, dtype)
    check_out(out, dtype, 1)


def _check_input_gradient(dtype: Any, v: Any, out: Any) -> None:
    check_array("v", v, dtype)
    check_out(out, dtype, 2)


def _check_step_from(dtype: Any, dloss_dp: Any, out: Any) -> None:
    check_array("dloss_dp", dloss_dp, dtype)


_TARGETS = {
    BAD_Y: "y has the wrong shape, expected targets (rows, outputs), or flat for one row or "
    "output; for loss 'cross_entropy', and for no other, also integer labels (rows,)"
}

PREDICT = _Predict(
    J.INFER,
    ("X", "out"),
    _check_predict,
    types.none,
    {
        BAD_OUT: _FLAT.format("out", "outputs", "output"),
        BAD_Y: _FLAT.format("std", "targets", "target"),
    },
)
STEP = Operation(J.TRAIN, ("X", "y"), _check_step, types.float64, _TARGETS)
LOSS_AND_GRADIENTS = Operation(
    J.GRADIENTS,
    ("X", "y", "out"),
    _check_gradients,
    types.float64,
    _TARGETS | {BAD_OUT: "out has the wrong length, expected (n_parameters,)"},
)
VECTOR_JACOBIAN = Operation(
    J.INPUT_GRADIENT,
    ("X", "v", "out"),
    _check_input_gradient,
    types.none,
    {
        BAD_Y: _FLAT.format("v", "outputs", "output"),
        BAD_OUT: _FLAT.format("out", "inputs", "input"),
    },
)
STEP_FROM = Operation(
    J.FROM_OUTPUT,
    ("X", "dloss_dp"),
    _check_step_from,
    types.boolean,
    {BAD_Y: _FLAT.format("dloss_dp", "outputs", "output")},
)
COPY = _Copy(
    embed_server.COPY,
    (),
    _check_predict,
    types.none,
    {
        BAD_X: "the networks of a and b have other sizes or another layer_norm, expected the same",
        BAD_Y: "tau is not in [0, 1]",
        BAD_OUT: "the networks of a and b scale differently, and only parameters would be copied: "
        "give b's network the scaling of a's by set_scaling first",
    },
)

# The same from Python


@entry
def predict(model, X, out, std):
    """Fill out with the outputs of X, or the means of an ensemble; then std may be an array."""
    PREDICT(model, X, out, std)


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
    """One update by the gradient of a custom loss by the outputs; whether it was made."""
    return STEP_FROM(model, X, dloss_dp)


@entry
def copy(a, b, tau):
    """The parameters of b become (1 - tau) b + tau a."""
    COPY(a, b, tau)


# For ``Trainer.step`` and ``Network.predict``, which have checked the types.


def _fast_step(handle, X, y):
    _, loss = request(embed_server.TRAIN_IF_SERIAL, handle, X, y, None)
    return loss


def _fast_predict(handle, X, out):
    status, _ = request(J.INFER, handle, X, None, out)
    return status == OK


def _array(dtype: Any, dimensions: int) -> Any:
    return types.Array(dtype, dimensions, "C")


_TABLE = types.UniTuple(types.int64, DESCRIPTOR)
_WEIGHTED = types.UniTuple(types.int64, DESCRIPTOR + 1)
"""The descriptor of y, and the address of the weights of the rows, float64; 0 for none."""


@cache
def fast_step(itemsize: int) -> Any:
    """(handle, X, y) -> loss of a step in one thread; NaN if the step is refused.

    handle: its address, which costs Python less than the array. X (rows, inputs), y (rows, outputs)
    or flat, of the element type, or int64 labels (rows,).
    """
    dtype = element(itemsize)
    targets = _array(dtype, 2), _array(dtype, 1), _array(types.int64, 1)
    return ready_entry(_fast_step, [(types.int64, _array(dtype, 2), y) for y in targets])


@cache
def table_step() -> Any:
    """``fast_step`` of tables whose shapes Python has checked: (handle, _TABLE, _WEIGHTED).

    It is a function of its own because each signature more slows down the calls of all. Rows have
    weights where the plan is extended.
    """
    return ready_entry(_fast_step, [(types.int64, _TABLE, _WEIGHTED)])


@cache
def fast_predict(itemsize: int) -> Any:
    """(handle, X, out) -> whether out (rows, outputs) holds the outputs of X, which is finite.

    handle: its address.
    """
    dtype = element(itemsize)
    return ready_entry(_fast_predict, [(types.int64, _array(dtype, 2), _array(dtype, 2))])


@cache
def table_predict(itemsize: int) -> Any:
    """``fast_predict`` of a table whose shape Python has checked: (handle, _TABLE, out)."""
    return ready_entry(_fast_predict, [(types.int64, _TABLE, _array(element(itemsize), 2))])


def load(itemsize: int) -> None:
    """Compile, or load from the cache, what Python calls for elements of 4 or 8 bytes."""
    embed_server.serve()
    fast_step(itemsize)
    table_step()
    fast_predict(itemsize)
    table_predict(itemsize)
