"""Two variants of the kernels from one source: plain, and extended by what few trainers ask for.

A plan's type says which it is for. ``by_plan`` gives a kernel that differs between them; all that
call it are compiled once for each. So what a plain network does not use costs it nothing, neither
at a step nor when it is compiled.
"""

from collections.abc import Callable
from typing import Any

from numba.extending import overload

from .jit import INNER_OPTIONS


def by_plan(plain: Any, extended: Any) -> Callable[..., Any]:
    """A kernel that is ``plain`` or ``extended`` by the type of its first argument, a plan.

    Both are kernels with the same arguments.
    """

    def kernel_of_plan(plan: Any, *rest: Any) -> Any:
        raise NotImplementedError("only inside kernels")

    @overload(kernel_of_plan, jit_options=INNER_OPTIONS, strict=False)
    def choose(plan, *rest):
        return (extended if plan.extended else plain).py_func

    return kernel_of_plan
