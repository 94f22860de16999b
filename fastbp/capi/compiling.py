"""What compiles programs with the C interface: its files, and arguments of compilers."""

import sys
import sysconfig
from pathlib import Path
from typing import Literal

from ..common import registry

FOLDER = Path(__file__).parent
BEGIN, END = "/* declarations begin */\n", "/* declarations end */\n"


def include_dir() -> str:
    """The folder with fastbp.h, fastbp.c, fastbp.f90 and fastbp_calls.inc.

    >>> from fastbp import capi
    >>> import pathlib
    >>> (pathlib.Path(capi.include_dir()) / "fastbp.h").exists()
    True

    """
    return str(FOLDER)


def declarations() -> str:
    """The enumerations, struct and functions of fastbp.h, without directives, for ``ffi.cdef``.

    >>> from fastbp import capi
    >>> "FASTBP_OK = 0" in capi.declarations()
    True

    """
    text = (FOLDER / "fastbp.h").read_text(encoding="ascii")
    return text.partition(BEGIN)[2].partition(END)[0]


def flags(language: Literal["c", "fortran"] = "c") -> list[str]:
    """Arguments of a compiler for a program that embeds this Python, on Linux and macOS.

    They name fastbp.c (for "fortran" fastbp.f90 before it), the folders of the headers, and
    libpython, as ``python3-config --includes`` and ``--ldflags --embed`` do for another Python.
    In a shell ``python -m fastbp.capi`` and ``python -m fastbp.capi fortran`` print them.

    Raises:
        ValueError: another language.

    >>> from fastbp import capi
    >>> [flag for flag in capi.flags() if flag.startswith("-lpython")]
    ['-lpython3...']

    """
    files = registry.lookup(_FILES, language, "language")
    sources = [str(FOLDER / name) for name in files]
    return [f"-I{FOLDER}", *sources, *_python_flags()]


_FILES = {"c": ("fastbp.c",), "fortran": ("fastbp.f90", "fastbp.c")}


def _python_flags() -> list[str]:
    """Headers are those of a system: what they warn of is not the user's fault."""

    def variable(name: str) -> str:
        return str(sysconfig.get_config_var(name) or "")

    folder, shared = variable("LIBDIR"), bool(sysconfig.get_config_var("Py_ENABLE_SHARED"))
    found = ["-isystem", sysconfig.get_path("include"), f"-L{folder}"]
    if shared:
        found.append(f"-Wl,-rpath,{folder}")
    else:  # all of libpython.a, for the extension modules
        found += [f"-L{variable('LIBPL')}", *variable("LINKFORSHARED").split()]
    found.append(f"-lpython{variable('VERSION')}{sys.abiflags}")
    return [*found, *variable("LIBS").split(), *variable("SYSLIBS").split()]
