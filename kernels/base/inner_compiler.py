"""Numba's front end alone: from Python to LLVM modules that are neither linked nor optimized.

Numba would optimize each function, and link into each all that it calls, and so what is at the
bottom into everything above it. Left to the entry, which links and optimizes all code once, the
kernels compile in 1.4 s less of 9.3. The first compilation of a process tries it on three lines; if
an internal of Numba has changed, kernels are compiled by Numba's own pipeline.
"""

import ctypes
from functools import cache
from typing import Any

import numba
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.registry import cpu_target

from . import fallback, late_code
from .flags import FLAGS, INNER_FLAGS


class _NoEnvironment:
    """A code generator that gives no environment to functions that Python never calls."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        pass


class InnerLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is only linked into its callers: the entry links and optimizes all of it, once."""

    @property
    def codegen(self) -> Any:
        """The code generator, without environments."""
        return _NoEnvironment(self._codegen)

    def _optimize_functions(self, _module: Any) -> None:
        pass

    def finalize(self) -> None:
        """Neither link nor optimize."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """Its own code, and that of all that it calls, directly or not."""
        return self.linked(_callees_first(self)[:-1])

    def linked(self, callees: list[Any]) -> Any:
        """A module of its own code and that of its callees."""
        own = JITCodeLibrary._get_module_for_linking
        module = own(self).clone()
        # Callers first: LLVM links a function only if something before it calls it.
        for library in reversed(callees):
            module.link_in(own(library), preserve=True)
        return module

    def get_pointer_to_function(self, _name: str) -> int:
        """0: the library has no machine code."""
        self._ensure_finalized()
        return 0


def _callees_first(library: Any) -> list[Any]:
    """The library and what it calls: a callee is before its callers."""
    order: dict[Any, None] = {}

    def visit(one: Any) -> None:
        for callee in one._linking_libraries if isinstance(one, InnerLibrary) else ():
            if callee not in order:
                visit(callee)
        order[one] = None

    visit(library)
    return list(order)


def without_late_code(library: InnerLibrary) -> Any:
    """The module of a library and what it calls, in which late code is declared alone."""
    late = late_library()
    return library.linked([one for one in _callees_first(library)[:-1] if one is not late])


UNUSED_PASSES = {
    "nopython_rewrites",  # expressions of whole arrays
    "inline_closure_likes",  # comprehensions
    "inline_inlinables",
    "inline_overloads",
    "with_lifting",
}
"""Passes of Numba that look for what no kernel has: a tenth of the time in its passes."""


class InnerCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler with an ``InnerLibrary`` and without ``UNUSED_PASSES``, where that works."""

    def __init__(self, typingctx: Any, targetctx: Any, *rest: Any) -> None:
        super().__init__(typingctx, targetctx, *rest)
        self._special = works()
        if self._special:
            self.state.library = InnerLibrary(targetctx.codegen(), "fastbp")

    def define_pipelines(self) -> list[PassManager]:
        """One pipeline."""
        if not self._special:
            return list(super().define_pipelines())
        manager = PassManager("kernel")
        for one in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if one[0].name() not in UNUSED_PASSES:
                manager.add_pass(*one)
        manager.finalize()
        return [manager]


@cache
def late_library() -> InnerLibrary:
    """See front_end.py."""
    library = InnerLibrary(cpu_target.target_context.codegen(), "fastbp_late_code")
    library.add_llvm_module(late_code.module())
    library.finalize()
    return library


_state: bool | None = None
"""Whether the compiler works; None before the first compilation of the process."""


def works() -> bool:
    """Whether Numba has the internals that the compiler uses. The first call tries it out."""
    global _state
    if _state is None:
        _state = True  # for the trial itself
        try:
            _try_out()
        except Exception as error:  # noqa: BLE001 - whatever an internal that changed raises
            _state = False
            fallback.warn(fallback.SLOWER, error)
    return _state


def _try_out() -> None:
    """Compile a function, its callee and its caller; RuntimeError if they compute wrongly."""
    options = INNER_FLAGS | {"pipeline_class": InnerCompiler}
    callee = numba.njit(**options)(lambda x: x + 1)
    middle = numba.njit(**options)(lambda x: 2 * callee(x))
    compiled = numba.cfunc(types.int64(types.int64), **FLAGS)(lambda x: middle(x) + callee(x))
    found = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(compiled.address)(20)
    if found != 63:
        raise RuntimeError(f"a compiled function gave {found}, expected 63")
