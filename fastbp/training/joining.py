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
from ..kernels.entry import parts_run, run
from ..model import model_io
from ..runtime import quota, threads
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
    if core.is_local and not core.optimizer.makes_updates:
        raise ValueError(
            f"data is 'local' and optimizer is {core.optimizer!r}, which takes the gradient of all "
            "rows on each rank: pass data='shared'"
        )
    group.check_same({"seed": given.seed})
    core.seed = int(group.of_first(lambda: core.seed))
    hosts = _hosts(group)
    if given.threads == "auto":
        processors = min(_share_of_processors(hosts, group.rank), _share_of_quota())
        core.threads = max(1, min(core.threads, processors))
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


RANKS_HERE = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE")
"""Where a launcher says how many ranks it has started on this node: MPICH's and Open MPI's."""


def _ranks_here() -> int:
    """That number, also of ranks that are not in the communicator; 1 where nothing says it."""
    told = (os.environ.get(name, "") for name in RANKS_HERE)
    return next((int(number) for number in told if number.isdecimal()), 1)


def _share_of_processors(hosts: list[Host], rank: int) -> int:
    """The share of a rank in its processors: those that a launcher has bound to it are its own.

    Other ranks that the launcher has started here may be in no communicator that this one knows.
    Together they may use each processor of the node once, unless they are not bound.
    """
    name, own = hosts[rank]
    peers = [processors for host, processors in hosts if host == name and processors & own]
    others = -(-_ranks_here() * len(own) // (os.cpu_count() or 1))
    return len(frozenset().union(*peers)) // max(len(peers), others)


def _share_of_quota() -> int:
    """The share of a rank in what a control group grants all ranks here together."""
    told = "NUMBA_NUM_THREADS" in os.environ  # it counts and not the quota, as without ranks
    granted = None if told else quota.granted()
    return threads.NO_LIMIT if granted is None else granted // _ranks_here()


def _load_code(core: TrainerCore, group: Group, hosts: list[Host]) -> None:
    """Compile the kernels on one rank of each node; the others take them from the cache."""
    names = [name for name, _ in hosts]
    with group.call("the compilation of the kernels"):
        if names.index(names[group.rank]) == group.rank:
            run.serial(core.net.dtype.itemsize, True)
            parts_run.serial(core.net.dtype.itemsize)
