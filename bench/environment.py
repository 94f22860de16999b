"""Environment variables that give all sides equal terms, set before NumPy is imported."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Hand tuning of one side; the baseline runs as NumPy comes."""

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def available_cpus():
    """Number of CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fair(environ, threads):
    """A copy of ``environ`` without TUNING, and with every BLAS on ``threads`` threads."""
    kept = {name: value for name, value in environ.items() if name not in TUNING}
    return kept | dict.fromkeys(BLAS_THREADS, str(threads))


def run_in(environ, module):
    """Start this command again in ``environ``, unless it runs in it already."""
    if environ == dict(os.environ):
        return
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    if os.name == "nt":  # there exec returns to the shell before the new process is done
        sys.exit(subprocess.call(command, env=environ))
    os.execve(sys.executable, command, environ)


def machine(threads):
    """Processor, system, threads and versions: the figures depend on them."""
    import llvmlite.binding as llvm

    about = {
        "cpu": llvm.get_host_cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "python": platform.python_version(),
    }
    for name in ("numpy", "numba", "torch", "jax", "scikit-learn", "onnxruntime"):
        try:
            about[name] = version(name)
        except PackageNotFoundError:
            about[name] = "not installed"
    return about
