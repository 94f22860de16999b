"""Compilation of all kernels ahead of the first call."""

import numpy.typing as npt

from .kernels.entry import embed_calls, run
from .model.network_checks import as_dtype


def warmup(dtype: npt.DTypeLike = "float32") -> None:
    """Compile all kernels for networks of ``dtype`` now, or load them from the cache.

    Without it the first call that needs a kernel compiles or loads it. After it no call compiles a
    kernel, whatever the network, the loss, the optimizer, the data or the number of threads; a
    function of ``embed`` that is called from Python still compiles its few lines, once. A second
    call does nothing. It may run in a thread while another thread prepares the data.

    Raises:
        ValueError, TypeError: ``dtype`` is not "float32" or "float64".

    >>> fastbp.warmup("float32")

    """
    itemsize = as_dtype(dtype).itemsize
    run.load(itemsize)
    embed_calls.load(itemsize)
