"""Environment variables that give all sides equal terms, set before NumPy is imported."""

import os
import subprocess
import sys

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
