"""Versions and hardware that fastbp runs on."""

import platform

import llvmlite
import numba
import numpy as np

from .kernels.base import choices, code_stamp, no_jit, width
from .runtime import threads


def show_config() -> None:
    """Print versions, processor, vector width, threads, threading layer and the kernel cache.

    >>> fastbp.show_config()
    fastbp: ...
    vector width: ...
    threads: ...
    """
    for key, value in describe().items():
        print(f"{key + ':':17}{value}")


def describe() -> dict[str, str]:
    """What ``show_config`` prints, by what it is."""
    from . import __version__

    _, cpu, _ = numba.core.registry.cpu_target.target_context.codegen().magic_tuple()
    return {
        "fastbp": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "processor": f"{cpu} ({platform.machine()})",
        "vector width": f"{width.BITS} bits: {width.lanes(4)} float32, {width.lanes(8)} float64",
        "threads": f"{threads.maximum('auto')} of {numba.config.NUMBA_NUM_THREADS}",
        "threading layer": _threading_layer(),
        "tile": _tile(),
        "kernel cache": str(code_stamp.cache_folder() or "none: set NUMBA_CACHE_DIR"),
    }


def _tile() -> str:
    if no_jit.IS_SET:  # a choice may have to be measured
        return "none: NUMBA_DISABLE_JIT is set, and nothing is compiled"
    return f"{choices.current()} ({choices.reason()})"


def _threading_layer() -> str:
    try:
        return str(numba.threading_layer())
    except ValueError:
        return f"not started ({numba.config.THREADING_LAYER})"
