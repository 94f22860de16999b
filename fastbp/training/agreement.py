"""What the ranks of a fit agree on: what it begins with; after each event errors, its end, lr."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from ..callbacks.base import CallbackList
from .core import TrainerCore


def check_alike(core: TrainerCore, asked: Mapping[str, Any]) -> None:
    """ValueError where the ranks begin with other arguments, counters or parameters.

    asked: the arguments, in words for messages.
    """
    if core.group is None:
        return
    parameters = core.net.arrays.parameters
    bits = np.bitwise_xor.reduce(parameters.view(f"u{parameters.itemsize}"))
    state = {"the number of updates": core.updates, "the number of epochs made": core.epoch}
    core.group.check_same({**asked, **state, "the checksum of the parameters": int(bits)})


def event(core: TrainerCore, watch: CallbackList) -> AbstractContextManager[None]:
    """The context in which callbacks hear of an event.

    An exception of one rank is raised on all, StopTraining of one stops all, and the learning rate
    is that of rank 0.
    """
    return nullcontext() if core.group is None else _agreed(core, watch)


@contextmanager
def _agreed(core: TrainerCore, watch: CallbackList) -> Iterator[None]:
    from ..distributed.group import EVENT

    group = core.group
    if group is None:
        return
    with group.call("an event of fit"):
        yield
        lr = np.float64(core.lr).view(np.int64)
        told = group.meet(EVENT, own=(watch.stopped, watch.stopped_permanently, int(lr)))
        watch.stopped = bool(told[:, 0].any())
        watch.stopped_permanently = bool(told[:, 1].any())
        core.lr = float(told[0, 2].view(np.float64))
