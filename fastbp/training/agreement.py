"""What the ranks agree on after each event of a fit: errors, the end of it, the learning rate."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np

from ..callbacks.base import CallbackList
from .core import TrainerCore


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
