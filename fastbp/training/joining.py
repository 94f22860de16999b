"""How a trainer becomes one of several ranks: all have the same arguments, seed and parameters."""

import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numba
import numpy as np

from ..distributed.group import OBJECT, Group
from ..kernels.base import fused, width
from ..kernels.entry import run
from ..model import model_io
from . import checkpoints
from .core import TrainerCore
from .setup import Arguments


def join(core: TrainerCore, given: Arguments, make_arrays: Callable[[], None]) -> None:
    """Make the arrays of a core that is one of several ranks.

    ValueError where the ranks are too many, or have not the same.
    """
    group = core.group
    if group is None:
        return
    core.sharing.check_ranks(group.size)
    core.sharing.check_dtype(core.net.dtype.name)
    if core.is_local and not core.optimizer.makes_updates:
        raise ValueError(
            f"data is 'local' and optimizer is {core.optimizer!r}, which takes the gradient of all "
            "rows on each rank: pass data='shared'"
        )
    group.check_same({"seed": given.seed})
    core.seed = int(group.of_first(lambda: core.seed))
    hosts = _hosts(group)
    if given.threads == "auto":
        core.threads = _share_of_threads(hosts, group.rank, core.threads)
    group.check_same(_described(core))
    make_arrays()
    group.meet(OBJECT)
    group.comm.Bcast(core.net.arrays.parameters, 0)
    _load_code(core, group, hosts)


def _described(core: TrainerCore) -> dict[str, Any]:
    """What must be the same on all ranks; the same bits need the last five."""
    from .. import __version__

    network = {key: value for key, value in model_io.to_dict(core.net).items() if key != "seed"}
    net = core.net
    scales = (net.input_mean, net.input_scale, net.target_mean, net.target_scale)
    return {
        **{f"the network's {key}": value for key, value in network.items()},
        "the network's scaling": [None if each is None else each.tolist() for each in scales],
        **checkpoints.arguments(core),
        **asdict(core.sharing),
        "the version of fastbp": __version__,
        "the version of numpy": np.__version__,
        "the version of numba": numba.__version__,
        "the vector width": width.BITS,
        "fused multiply-add": fused.is_fused(),
    }


Host = tuple[str, frozenset[int]]
"""The name of a node, and the processors that a rank may use there."""


def _hosts(group: Group) -> list[Host]:
    """Those of all ranks."""
    granted = range(os.cpu_count() or 1)
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else granted
    return group.of_all((socket.gethostname(), frozenset(processors)))


def _share_of_threads(hosts: list[Host], rank: int, most: int) -> int:
    """The share of a rank in its processors: those that a launcher has bound to it are its own."""
    name, own = hosts[rank]
    peers = [processors for host, processors in hosts if host == name and processors & own]
    return max(1, min(most, len(frozenset().union(*peers)) // len(peers)))


def _load_code(core: TrainerCore, group: Group, hosts: list[Host]) -> None:
    """Compile the kernels on one rank of each node; the others take them from the cache."""
    names = [name for name, _ in hosts]
    with group.call("the compilation of the kernels"):
        if names.index(names[group.rank]) == group.rank:
            run.serial(core.net.dtype.itemsize, True)
