"""The names of columns that a network keeps from the first data that it is trained on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..model.network import Network
from ..runtime.arrays import Dataset

if TYPE_CHECKING:
    from .core import TrainerCore


def learn(net: Network, data: Dataset) -> None:
    """Let the network keep the names of the columns of X, unless it has some."""
    if data.x.columns is not None and net.feature_names_in is None:
        net.keep_names(data.x.columns)


@contextmanager
def learning(core: "TrainerCore", data: Dataset) -> Iterator[None]:
    """``learn`` for a call that trains; undone where it fails before its first update."""
    known, made = core.net.feature_names_in, core.updates
    learn(core.net, data)
    try:
        yield
    except BaseException:
        if core.updates == made and core.optimizer.makes_updates:
            core.net.keep_names(known)
        raise
