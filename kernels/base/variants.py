"""Two variants of the kernels from one source: plain, and extended by rarely used features.

The type of a plan says which variant it is for. ``by_plan`` makes a kernel that differs between the
variants; its callers are compiled once for each. A plain network pays nothing for the features that
it does not use, neither in a step nor in compile time.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def by_plan(plain: Any, extended: Any) -> Any:
    """A kernel that is ``plain`` or ``extended`` by the type of its first argument, a plan.

    Both are kernels with the same arguments. plain: None if it does nothing.
    """

    @intrinsic
    def kernel_of_plan(typingctx: Any, plan: Any, *rest: Any) -> Any:
        kernel, given = extended if plan.extended else plain, (plan, *rest)
        if kernel is None:
            return _signature(types.none, plan, rest), _nothing
        kind = typingctx.resolve_value_type(kernel)
        sig = typingctx.resolve_function_type(kind, given, {})

        def codegen(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
            call = context.get_function(kind, sig)
            context.add_linking_libs(call.libs)
            values = [args[0], *cgutils.unpack_tuple(builder, args[1])]
            pairs = zip(values, given, sig.args, strict=True)
            return call(builder, [context.cast(builder, *each) for each in pairs])

        return _signature(sig.return_type, plan, rest), codegen

    return kernel_of_plan


def _signature(result: Any, plan: Any, rest: Any) -> Any:
    return result(plan, types.StarArgTuple(rest))


def _nothing(context: Any, _builder: Any, _sig: Any, _args: Any) -> Any:
    return context.get_dummy_value()
