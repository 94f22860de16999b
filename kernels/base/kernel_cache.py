"""Numba's cache of the functions that Python calls, in the folder of the kernels.

A cache is only ever a gain: a damaged file, a full disk, or a folder that cannot be written costs a
compilation. A cache that is not in the stamped folder is never used: its code could be stale.
"""

import hashlib
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

from . import choices, fallback
from .cache_folder import ready
from .code_stamp import cache_folder, source_stamp


class NoFolderError(Exception):
    """There is no folder to cache in."""


class StampedLocator:
    """Says where a function is cached and what its code depends on, as Numba asks for it."""

    def __init__(self, py_func: Callable[..., Any], py_file: str, folder: Path) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._folder = folder

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Self | None:
        """The locator of a function of this file; None if there is no file, or no folder for it."""
        folder = cache_folder()
        if folder is None or not (Path(py_file).exists() or getattr(sys, "frozen", False)):
            return None
        locator = cls(py_func, py_file, folder)
        try:
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator

    def ensure_cache_path(self) -> None:
        """Make the folder. OSError if it is new and cannot be made or written."""
        ready(self._folder)

    def get_cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def get_source_stamp(self) -> tuple[str, str]:
        """What a cached function is compared with before it is used."""
        path = Path(self._py_file)  # of a function that may live outside of this package
        own = path.read_bytes() if path.is_file() else b""
        return source_stamp(), hashlib.sha256(own).hexdigest()

    def get_disambiguator(self) -> str:
        """Tells functions of one name in one file apart."""
        return str(self._lineno)


class _StampedImpl(CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, py_func: Callable[..., Any]) -> None:
        """Numba's own would choose among several locators; a setting of the user's names them."""
        source = inspect.getfile(py_func)
        self._locator = StampedLocator.from_function(py_func, source)
        if self._locator is None:
            raise NoFolderError
        self._lineno = py_func.__code__.co_firstlineno
        # Choices of the tile lie side by side: a setting that changes evicts nothing.
        name = f"{Path(source).stem}.{py_func.__qualname__}.{choices.file_name()}"
        self._filename_base = self.get_filename_base(name, getattr(sys, "abiflags", ""))


class _NumbaCache(FunctionCache):  # type: ignore[misc]
    _impl_class = _StampedImpl


class StampedCache:
    """A cache whose failures cost a compilation and nothing else.

    Numba's cache of the function is made when it is first used: what it is stamped with may have
    to be measured (choices.py), and an import must not wait for that.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @cached_property
    def _made(self) -> Any:
        try:
            cache = _NumbaCache(self._function)
            if cache.cache_path != str(cache_folder()):
                raise AttributeError("the cache lies in another folder")
        except NoFolderError:
            return NullCache()  # compile in every process
        except fallback.MISSING as error:
            fallback.warn(fallback.NO_CACHE, error)
            return NullCache()
        return cache

    @property
    def cache_path(self) -> Any:
        """The folder, or None."""
        return self._made.cache_path

    def load_overload(self, *args: Any) -> Any:
        """The compiled function, or None."""
        try:
            return self._made.load_overload(*args)
        except Exception:  # noqa: BLE001 - whatever a cut-off file makes pickle and LLVM say
            with suppress(OSError):
                self._made.flush()
            return None

    def save_overload(self, *args: Any) -> None:
        """Save the compiled function, if that is possible."""
        try:
            self._made.save_overload(*args)
        except OSError:
            pass
        except Exception as error:  # noqa: BLE001 - whatever an internal that changed raises
            fallback.warn(fallback.NO_CACHE, error)


def attach(compiled: Any, function: Callable[..., Any]) -> None:
    """Let ``compiled``, a dispatcher of ``function``, be cached, if that is possible.

    It must not be compiled yet. Numba looks into its attribute ``_cache``.
    """
    try:
        if not hasattr(compiled._cache, "load_overload"):
            raise AttributeError("the cache is not used")
        compiled._cache = StampedCache(function)
    except fallback.MISSING as error:
        fallback.warn(fallback.NO_CACHE, error)
