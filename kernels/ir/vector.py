"""The Numba type of a vector in a register, of the mask that comparing two gives, and operators."""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model

from .llvm_ir import I1, ir_element, ir_splat, lanes_of


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


_register(Vector, lambda t: ir_element(t.dtype))
_register(Mask, lambda _: I1)


def as_vector(context: Any, builder: Any, value: Any, source: Any, target: Vector) -> ir.Value:
    """``value`` of the Numba type ``source``: a vector itself, a scalar cast and broadcast."""
    if isinstance(source, Vector):
        return value
    scalar = context.cast(builder, value, source, target.dtype)
    return ir_splat(builder, scalar, target.lanes)


def vector_of(args: Any) -> Vector | None:
    """The one vector type among ``args``; None if there are several, or what is no number."""
    found = {a for a in args if isinstance(a, Vector)}
    rest = [a for a in args if not isinstance(a, (Vector, types.Number))]
    return found.pop() if len(found) == 1 and not rest else None


# ---- operators


def _define_operator(op: Any, inplace: Any, emit: Callable[..., ir.Value], result: type) -> None:
    class VectorOperator(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            vector = vector_of(args)
            return vector and signature(result(vector.dtype), *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        vector = vector_of(sig.args)
        operands = [
            as_vector(context, builder, value, source, vector)
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
