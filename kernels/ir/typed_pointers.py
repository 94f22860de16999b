"""The plan, the job and the hyperparameters inside kernels: bare pointers with an index.

A Numba array is nine values. A kernel that passes three arrays on passes its arguments through
memory at every call: for a small network those calls took longer than the products.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from ..base.sizes import COLUMNS
from .llvm_ir import I64, ir_element


class TypedPointer(types.Type):
    """Pointer to int64 or float64 elements: ``p[i]`` reads, ``p[i] = x`` writes."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"TypedPointer({dtype})")


class Plan(types.Type):
    """Pointer to a plan (layout.py): ``plan[layer, COLUMN]`` reads, and can be assigned to.

    extended: which variant of the kernels it is for (variants.py).
    """

    def __init__(self, extended: bool) -> None:
        self.extended = extended
        super().__init__(name=f"Plan({'extended' if extended else 'plain'})")


def _ir_cell(dtype: types.Type) -> ir.Type:
    return I64 if dtype == types.int64 else ir_element(dtype)


@register_model(TypedPointer)
class _TypedPointerModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: TypedPointer) -> None:
        super().__init__(manager, fe_type, _ir_cell(fe_type.dtype).as_pointer())


@register_model(Plan)
class _PlanModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Plan) -> None:
        super().__init__(manager, fe_type, I64.as_pointer())


@intrinsic
def typed_pointer_at(typingctx: Any, address: Any, dtype: Any) -> Any:
    """A typed pointer to elements of a Numba type at an integer address."""
    kind = TypedPointer(dtype.dtype)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return builder.inttoptr(args[0], context.get_value_type(kind))

    return kind(types.int64, dtype), codegen


def _plan_at(extended: bool) -> Any:
    def plan_at(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
            return builder.inttoptr(args[0], I64.as_pointer())

        return Plan(extended)(types.int64), codegen

    plan_at.__doc__ = f"The {'extended' if extended else 'plain'} plan at an integer address."
    return intrinsic(plan_at)


plan_at, extended_plan_at = _plan_at(False), _plan_at(True)


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        owner, index = args
        if isinstance(owner, TypedPointer) and isinstance(index, types.Integer):
            return signature(owner.dtype, owner, types.int64)
        if isinstance(owner, Plan) and isinstance(index, types.BaseTuple):
            return signature(types.int64, owner, types.UniTuple(types.int64, 2))
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):  # type: ignore[misc]
    def generic(self, args: Any, kws: Any) -> Any:
        owner, index, _ = args
        if isinstance(owner, TypedPointer) and isinstance(index, types.Integer):
            return signature(types.void, owner, types.int64, owner.dtype)
        if isinstance(owner, Plan) and isinstance(index, types.BaseTuple):
            return signature(types.void, owner, types.UniTuple(types.int64, 2), types.int64)
        return None


@lower_builtin(operator.getitem, TypedPointer, types.int64)
def _get_cell(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    return builder.load(builder.gep(args[0], [args[1]]))


@lower_builtin(operator.setitem, TypedPointer, types.int64, types.Any)
def _set_cell(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    builder.store(args[2], builder.gep(args[0], [args[1]]))
    return context.get_dummy_value()


def _column(builder: Any, plan: ir.Value, index: ir.Value) -> ir.Value:
    layer, column = (builder.extract_value(index, i) for i in range(2))
    place = builder.add(builder.mul(layer, I64(COLUMNS)), column)
    return builder.gep(plan, [place])


@lower_builtin(operator.getitem, Plan, types.UniTuple)
def _get_column(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    return builder.load(_column(builder, *args))


@lower_builtin(operator.setitem, Plan, types.UniTuple, types.Any)
def _set_column(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    builder.store(args[2], _column(builder, *args[:2]))
    return context.get_dummy_value()
