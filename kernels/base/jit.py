"""How every kernel is compiled and cached: the decorators of kernels.

Flags: flags.py. Numba's front end: front_end.py. C functions: machine_code.py, cached_code.py,
shipped.py. Functions that Python calls: kernel_cache.py.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock

from . import cached_code, fallback, late_code, machine_code, no_jit, notice, shipped
from .flags import FLAGS
from .front_end import INNER_OPTIONS, module_of

try:
    from .kernel_cache import attach
except fallback.MISSING as error:
    fallback.warn(fallback.NO_CACHE, error)

    def attach(compiled: Any, function: Callable[..., Any]) -> None:
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
    """Compile a kernel, or load it from the cache, as a C function; its address."""
    no_jit.refuse()
    symbol = symbol_of(function)
    with global_compiler_lock, _no_collection():
        object_file = cached_code.load(symbol)
        if object_file is None:
            module = shipped.load(symbol)
            notice.compiling()
            module = module or module_of(symbol, function, signature)
            late_code.link_into(module)
            object_file = machine_code.compiled(module)
            cached_code.save(symbol, object_file)
        return machine_code.address(symbol, object_file)


def ship(folder: Path, function: Callable[..., Any], signature: Any) -> None:
    """Write the module of a ``c_function`` into a folder, for the vector width of this process."""
    symbol = symbol_of(function)
    with global_compiler_lock, _no_collection():
        shipped.save(folder, symbol, module_of(symbol, function, signature))


def symbol_of(function: Callable[..., Any]) -> str:
    """The name of a C function, in its library and in the cache."""
    return f"fastbp{function.__qualname__}"


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
