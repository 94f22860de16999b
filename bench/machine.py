"""The machine and the kernels that are measured: facts that every figure depends on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
LIBRARIES = ("numpy", "numba", "torch", "jax", "scikit-learn", "onnxruntime")


def processor():
    """LLVM's name of the processor, by which its files are named.

    Where an environment variable gives the kernels another processor or vector width, the name
    says so.
    """
    import llvmlite.binding as llvm

    name = llvm.get_host_cpu_name()
    given = os.environ.get("NUMBA_CPU_NAME", "host")
    if given not in ("", "host", name):
        name += f"-as-{given}"
    bits = os.environ.get("FASTBP_VECTOR_BITS")
    return f"{name}-{bits}-bits" if bits else name


def model():
    """The processor's name as the system gives it."""
    lines = CPUINFO.read_text(encoding="utf-8").splitlines() if CPUINFO.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def kernels():
    """Version of fastbp, stamp of the kernels' code, and tile: equal for equal machine code."""
    import fastbp
    from fastbp.kernels.base import choices, code_stamp

    stamp = code_stamp.source_stamp()
    return f"fastbp {fastbp.__version__}, code {stamp}, tile {choices.current()}"


def facts(threads):
    """Processor, tile, system, threads and versions."""
    from fastbp.kernels.base import choices, width

    about = {
        "cpu": processor(),
        "model": model(),
        "vector bits": width.BITS,
        "tile": str(choices.current()),
        "tile from": choices.reason(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in LIBRARIES:
        try:
            about[name] = version(name)
        except PackageNotFoundError:
            about[name] = "not installed"
    return about
