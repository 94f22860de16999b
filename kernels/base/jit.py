"""How every kernel is compiled and cached, and why. No other file sets a jit flag.

Flags. ``error_model="numpy"``: a division by zero gives inf, as hardware does, and needs no
branch. ``nogil``: other Python threads run meanwhile. No ``fastmath``: a NaN must reach the loss,
and the bits must not depend on what a compiler chose to reassociate; where a fused multiply-add is
wanted, the code says ``fma``. ``boundscheck`` stays off: kernels work on addresses.

Cache. Numba keys a cached function by its own file alone: it would go on using a stale caller
after a callee in another file changed, and it does not know the vector width. So fastbp keeps its
own folder, named by a hash of every kernel source, the versions and settings that make the code,
and the width: equal installations share it, others never meet.
"""

import gc
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserWideCacheLocator
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager
from numba.core.registry import cpu_target
from numba.misc.appdirs import AppDirs

from . import width

FLAGS = {"error_model": "numpy", "nogil": True}
INNER_FLAGS = FLAGS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


KERNELS = Path(__file__).parents[1]
"""The folder of all kernels, with its rooms."""

SETTINGS = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "USING_SVML",
)
"""What else of numba.config changes the machine code, and is not part of Numba's own key."""


@cache
def source_stamp() -> str:
    """Hash of everything that decides what machine code a kernel becomes."""
    digest = hashlib.sha256()
    # A frozen application has no sources: its executable holds them.
    for path in sorted(KERNELS.rglob("*.py")) or [Path(sys.executable)]:
        name = path.relative_to(KERNELS).as_posix() if path.is_relative_to(KERNELS) else path.name
        digest.update(name.encode() + b"\0" + path.read_bytes())
    digest.update(repr((*_toolchain(), width.BITS)).encode())
    return digest.hexdigest()[:20]


def _toolchain() -> tuple[object, ...]:
    """Python, Numba, LLVM, the processor that they compile for, and how."""
    target = cpu_target.target_context.codegen().magic_tuple()
    settings = [str(getattr(numba.config, name, None)) for name in SETTINGS]
    versions = sys.implementation.cache_tag, numba.__version__, llvmlite.__version__
    return *versions, target, settings


@cache
def stamp() -> int:
    """``source_stamp`` as a number: what was compiled into the user's own cache is known by it."""
    return int(source_stamp()[:15], 16)


@cache
def cache_folder() -> Path:
    """Folder of the compiled kernels: NUMBA_CACHE_DIR if set, else the user's cache folder."""
    base = os.environ.get("NUMBA_CACHE_DIR") or AppDirs("fastbp", appauthor=False).user_cache_dir
    return Path(base) / f"fastbp-{source_stamp()}"


UNUSED_SECONDS = 30 * 24 * 3600.0
"""How long a folder of another stamp is kept after a process last looked into it."""


def _remove_unused(base: Path) -> None:
    """Remove what other installations left in ``base`` and no longer use, as far as can be.

    Only kernels in folders named by a stamp: a folder with anything else in it stays.
    """
    oldest = time.time() - UNUSED_SECONDS
    for folder in base.iterdir():
        if not re.fullmatch("fastbp-[0-9a-f]{20}", folder.name) or folder.is_symlink():
            continue
        with suppress(OSError):
            if folder.stat().st_mtime < oldest:
                for path in folder.glob("*.nb[ci]*"):
                    path.unlink()
                folder.rmdir()


class _StampedLocator(UserWideCacheLocator):  # type: ignore[misc]
    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        super().__init__(py_func, py_file)
        self._cache_path = str(cache_folder())

    def ensure_cache_path(self) -> None:
        folder = cache_folder()
        new = not folder.is_dir()
        if new:  # what is there is read from, even where it cannot be written to
            super().ensure_cache_path()
        with suppress(OSError):
            os.utime(folder)  # it is in use
            if new:
                _remove_unused(folder.parent)

    def get_source_stamp(self) -> tuple[str, str]:
        path = Path(self._py_file)  # of a function that may live outside of this package
        own = path.read_bytes() if path.is_file() else b""
        return source_stamp(), hashlib.sha256(own).hexdigest()


class _StampedImpl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_StampedLocator,)


class _StampedCache(FunctionCache):  # type: ignore[misc]
    """A cache that is only ever a gain: a damaged file or a full disk costs a compilation."""

    _impl_class = _StampedImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 - whatever a cut-off file makes pickle and LLVM say
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


class _NoEnvironment:
    """A code generator that gives no environment to functions that Python never calls."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        pass


class _InnerLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is only linked into its callers: the entry links and optimizes all of it, once.

    Numba would optimize each function, and link into each all that it calls, and so what is at the
    bottom into everything above it. Left to the entry, the kernels compile in 1.4 s less of 9.3.
    """

    @property
    def codegen(self) -> Any:
        return _NoEnvironment(self._codegen)

    def _optimize_functions(self, _module: Any) -> None:
        pass

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        """Its own code, and that of all that it calls, directly or not."""
        own = JITCodeLibrary._get_module_for_linking
        module = own(self).clone()
        # Callers first: LLVM links a function only if something before it calls it.
        for library in reversed(_callees_first(self)[:-1]):
            module.link_in(own(library), preserve=True)
        return module

    def get_pointer_to_function(self, _name: str) -> int:
        self._ensure_finalized()
        return 0


def _callees_first(library: Any) -> list[Any]:
    """The library and what it calls: a callee is before its callers."""
    order: dict[Any, None] = {}

    def visit(one: Any) -> None:
        for callee in one._linking_libraries if isinstance(one, _InnerLibrary) else ():
            if callee not in order:
                visit(callee)
        order[one] = None

    visit(library)
    return list(order)


UNUSED_PASSES = {
    "nopython_rewrites",  # expressions of whole arrays
    "inline_closure_likes",  # comprehensions
    "inline_inlinables",
    "inline_overloads",
    "with_lifting",
}
"""Passes of Numba that look for what no kernel has: a tenth of the time in its passes."""


class _InnerCompiler(Compiler):  # type: ignore[misc]
    def define_pipelines(self) -> list[PassManager]:
        manager = PassManager("kernel")
        for one in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if one[0].name() not in UNUSED_PASSES:
                manager.add_pass(*one)
        manager.finalize()
        return [manager]

    def __init__(self, typingctx: Any, targetctx: Any, *rest: Any) -> None:
        super().__init__(typingctx, targetctx, *rest)
        self.state.library = _InnerLibrary(targetctx.codegen(), "fastbp")


def _cached(function: Any) -> Any:
    try:
        function._cache = _StampedCache(getattr(function, "py_func", None) or function._pyfunc)
    except RuntimeError:  # no writable folder: compile in every process
        pass
    return function


INNER_OPTIONS = INNER_FLAGS | {"pipeline_class": _InnerCompiler}


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
    compiled = CFunc(
        function, (signature.args, signature.return_type), locals={}, options=dict(FLAGS)
    )
    _cached(compiled)
    with _no_collection():
        compiled.compile()
    _KEPT.append(compiled)
    return int(compiled.address)


def custom_c_function(function: Callable[..., Any], signature: Any) -> int:
    """``c_function`` for what calls a user's function: its source is no key to it, so no cache."""
    compiled = CFunc(
        function, (signature.args, signature.return_type), locals={}, options=dict(FLAGS)
    )
    compiled.compile()
    _KEPT.append(compiled)
    return int(compiled.address)


_KEPT: list[CFunc] = []
"""C functions must not be collected while someone may call them."""


def entry(function: Callable[..., Any]) -> Any:
    """A function that Python calls; cached."""
    return _cached(numba.njit(**FLAGS)(function))


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
