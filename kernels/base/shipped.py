"""Modules of C functions that were made when the package was built, for each vector width.

From Python to an LLVM module takes three quarters of the time of a compilation, and the module is
the same on all machines of a width. A wheel holds them (scripts/wheel); each is found by a stamp of
all that went into it, so one that does not fit what is installed is never used.
"""

import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from . import code_stamp

FOLDER = code_stamp.KERNELS / "shipped"


def _path(folder: Path, symbol: str) -> Path:
    return folder / f"{symbol}.{code_stamp.module_stamp()}.bc.z"


def load(symbol: str) -> Any:
    """The LLVM module of a C function, as ``front_end.module_of`` makes it; None without one."""
    with suppress(OSError, zlib.error, RuntimeError):  # it is not there, or damaged
        return llvm.parse_bitcode(zlib.decompress(_path(FOLDER, symbol).read_bytes()))
    return None


def save(folder: Path, symbol: str, module: Any) -> None:
    """Keep a module for the vector width of this process."""
    _path(folder, symbol).write_bytes(zlib.compress(module.as_bitcode(), 9))
