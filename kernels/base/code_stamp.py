"""The stamp of the kernels' machine code, and the cache folder that is named by it.

Numba keys a cached function by its own file alone: it would go on using a stale caller after a
callee in another file changed, and it does not know the vector width. So fastbp has its own folder,
named by a hash of every kernel source, the versions and settings that make the code, and the width:
equal installations share it, others never meet.
"""

import hashlib
import os
import sys
from functools import cache
from pathlib import Path

import llvmlite
import numba
from numba.core.registry import cpu_target

from . import width

KERNELS = Path(__file__).parents[1]
"""The folder of all kernels, with its rooms."""

try:
    STARTED_IN = Path.cwd()
except OSError:  # the folder has been removed
    STARTED_IN = Path()
"""What a relative path in the environment is relative to, wherever the program goes later."""

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
    return _stamp(_target(), sys.implementation.cache_tag)


@cache
def module_stamp() -> str:
    """Hash of everything that decides what LLVM module a kernel becomes: not the processor."""
    triple, *_ = _target()
    return _stamp(triple)


def _target() -> tuple[str, str, str]:
    """The triple, name and features of the processor that Numba compiles for."""
    target: tuple[str, str, str] = cpu_target.target_context.codegen().magic_tuple()
    return target


def _stamp(*more: object) -> str:
    """Hash of the sources, Numba, LLVM, how they compile, the vector width, and ``more``."""
    settings = [str(getattr(numba.config, name, None)) for name in SETTINGS]
    parts = _sources(), numba.__version__, llvmlite.__version__, settings, width.BITS, *more
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


@cache
def _sources() -> str:
    digest = hashlib.sha256()
    # A frozen application has no sources: bytecode, an archive, or its executable holds them.
    sources = sorted(KERNELS.rglob("*.py")) or sorted(KERNELS.rglob("*.pyc"))
    for path in sources or [Path(getattr(__loader__, "archive", sys.executable))]:
        name = path.relative_to(KERNELS).as_posix() if path.is_relative_to(KERNELS) else path.name
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def stamp() -> int:
    """``source_stamp`` as a number: what was compiled into the user's own cache is known by it."""
    return int(source_stamp()[:15], 16)


@cache
def cache_folder() -> Path | None:
    """Folder of the compiled kernels: in NUMBA_CACHE_DIR if set, else in the user's cache folder.

    None for a user without a home folder: nothing is cached.
    """
    setting = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(setting) if setting else user_cache_folder()
    return base and STARTED_IN / base / f"fastbp-{source_stamp()}"


def user_cache_folder() -> Path | None:
    """Where the system keeps what a program can make anew; None without a home folder."""
    try:
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA") or Path("~/AppData/Local").expanduser()
            return Path(local, "fastbp", "Cache")
        if sys.platform == "darwin":
            return Path("~/Library/Caches/fastbp").expanduser()
        given = os.environ.get("XDG_CACHE_HOME", "")
        named = given if Path(given).is_absolute() else "~/.cache"  # its standard says so
        return Path(named, "fastbp").expanduser()
    except RuntimeError:
        return None
