"""Compilation of all kernels ahead of the first call."""

import numpy.typing as npt

from .common import checks
from .common.literals import DtypeName
from .kernels.entry import embed_calls, run
from .model.network_checks import as_dtype
from .runtime import places


def warmup(dtype: DtypeName | npt.DTypeLike = "float32", *, extended: bool = True) -> None:
    """Compile the kernels for networks of ``dtype`` now, or load them from the cache.

    Without it the first call that needs a kernel compiles or loads it. After it no call compiles a
    kernel but those of derivatives, whatever the network, the loss, the optimizer, the data or the
    number of threads; a function of ``embed`` that is called from Python still compiles its few
    lines, once. A second call does nothing. It may run in a thread while another thread prepares
    the data.

    Args:
        dtype: "float32" or "float64".
        extended: False leaves out the extended kernels, which take half of the time. These are
            for options of a Trainer, weights, layer norm, residual connections, scaling, losses
            other than mse, squared_error, bce and cross_entropy, and optimizers other than SGD,
            Adam, AdamW and RMSprop.

    Raises:
        ValueError, TypeError: an argument is not as above.

    >>> fastbp.warmup("float32")

    """
    itemsize = as_dtype(dtype).itemsize
    run.load(itemsize, checks.flag(extended, "extended"))
    embed_calls.load(itemsize)
    places.known()
