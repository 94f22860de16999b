"""The nodes that ranks are on, and the processors that each may use there."""

import os
import socket
from typing import TypeAlias

from ..runtime import quota, threads
from .group import Group

Host: TypeAlias = tuple[str, frozenset[int]]
"""The name of a node, and the processors that a rank may use there."""


def of_all(group: Group) -> list[Host]:
    """Those of all ranks."""
    granted = range(os.cpu_count() or 1)
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else granted
    return group.of_all((socket.gethostname(), frozenset(processors)))


def share_of_threads(hosts: list[Host], rank: int, most: int) -> int:
    """The threads of a rank, at most so many: its share of the node."""
    return max(1, min(most, _share_of_processors(hosts, rank), _share_of_quota()))


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
