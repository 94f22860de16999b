"""How every kernel is compiled and cached: the decorators of kernels.

Flags: flags.py. Cache: kernel_cache.py. The compiler of inner functions: inner_compiler.py.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numba

from . import fallback, no_jit
from .flags import FLAGS, INNER_FLAGS

INNER_OPTIONS: dict[str, Any] = dict(INNER_FLAGS)
try:
    from .inner_compiler import InnerCompiler

    INNER_OPTIONS["pipeline_class"] = InnerCompiler
except fallback.MISSING as error:
    fallback.warn(fallback.SLOWER, error)

try:
    from .kernel_cache import attach, cached_c_function
except fallback.MISSING as error:
    fallback.warn(fallback.NO_CACHE, error)

    def attach(compiled: Any, function: Callable[..., Any]) -> None:
        """Do without a cache."""

    def cached_c_function(
        function: Callable[..., Any], signature: Any, flags: dict[str, Any]
    ) -> None:
        """Do without a cache."""


def kernel(function: Callable[..., Any]) -> Any:
    """A function that other kernels call; compiled with them and not cached on its own."""
    return numba.njit(**INNER_OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A small function on vectors: LLVM must inline it, or its arguments travel through memory."""
    return numba.njit(forceinline=True, **INNER_OPTIONS)(function)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A compilation makes millions of objects and few cycles: looking for these takes 4% of it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def c_function(function: Callable[..., Any], signature: Any) -> int:
    """Compile ``function``, or load it from the cache, as a C function; its address."""
    no_jit.refuse()
    compiled = cached_c_function(function, signature, FLAGS)
    if compiled is None:
        return custom_c_function(function, signature)
    with _no_collection():
        compiled.compile()
    _KEPT.append(compiled)
    return int(compiled.address)


def custom_c_function(function: Callable[..., Any], signature: Any) -> int:
    """``c_function`` for what calls a user's function: its source is no key to it, so no cache."""
    no_jit.refuse()
    compiled = numba.cfunc(signature, **FLAGS)(function)
    _KEPT.append(compiled)
    return int(compiled.address)


_KEPT: list[Any] = []
"""C functions must not be collected while someone may call them."""


def entry(function: Callable[..., Any]) -> Any:
    """A function that Python calls; cached."""
    return _cached(numba.njit(**FLAGS)(function))


def _cached(dispatcher: Any) -> Any:
    if no_jit.IS_SET:
        return no_jit.refusing(dispatcher)
    attach(dispatcher, dispatcher.py_func)
    return dispatcher


def ready_entry(function: Callable[..., Any], signatures: Sequence[Any]) -> Any:
    """An ``entry`` of these signatures only, compiled or loaded now and never again."""
    dispatcher = entry(function)
    for signature in signatures:
        dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


def parallel_entry(function: Callable[..., Any]) -> Any:
    """A cached function with parallel regions.

    Keep it tiny: compiling a region costs seconds when the function around it is long.
    """
    return _cached(numba.njit(parallel=True, **FLAGS)(function))
