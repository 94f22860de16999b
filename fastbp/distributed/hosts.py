"""The nodes that ranks are on, and the processors that each may use there."""

import os
import socket
from typing import TypeAlias

from .group import Group

Host: TypeAlias = tuple[str, frozenset[int]]
"""The name of a node, and the processors that a rank may use there."""


def of_all(group: Group) -> list[Host]:
    """Those of all ranks."""
    granted = range(os.cpu_count() or 1)
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else granted
    return group.of_all((socket.gethostname(), frozenset(processors)))


def share_of_threads(hosts: list[Host], rank: int, most: int) -> int:
    """The share of a rank in its processors: those that a launcher has bound to it are its own."""
    name, own = hosts[rank]
    peers = [processors for host, processors in hosts if host == name and processors & own]
    return max(1, min(most, len(frozenset().union(*peers)) // len(peers)))
