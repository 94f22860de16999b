"""Memory that the ranks of one node share: a file in memory that all map, and none keeps."""

import mmap
import os
import secrets
import socket
import tempfile
from pathlib import Path

import numpy as np

from ..common.types import Array
from .group import OBJECT, Group

FOLDER = Path("/dev/shm")  # Linux's file system in memory
TOKEN = 64
"""Bytes at the beginning by which a rank knows the file of another: a cache line."""


def on_one_node(group: Group) -> bool:
    """Whether all ranks are on the same node."""
    return len(set(group.of_all(socket.gethostname()))) == 1


def allocate(group: Group, like: Array, count: int) -> list[list[Array]] | None:
    """``count`` arrays as ``like`` (size,) of each rank, all 0, that every rank can write to.

    None where the ranks are on several nodes, or the file cannot be made or mapped.
    """
    if not on_one_node(group):
        return None
    length = TOKEN + group.size * count * like.nbytes
    made = group.of_first(lambda: _make(length))
    memory = None if made is None else _map(*made, length)
    mapped = group.meet(OBJECT, own=(memory is not None,))[:, 0].all()
    if made is not None and group.rank == 0:
        made[0].unlink()  # it lives on in the memory of those who have mapped it
    if memory is None or not mapped:
        return None
    flat = np.frombuffer(memory, like.dtype, offset=TOKEN).reshape(group.size, count, like.size)
    return [list(of_rank) for of_rank in flat]


def _make(length: int) -> tuple[Path, bytes] | None:
    """A file of so many bytes, and the token in it."""
    token = secrets.token_bytes(TOKEN)
    try:
        descriptor, name = tempfile.mkstemp(prefix="fastbp-", dir=FOLDER)
    except OSError:  # other systems have no such folder
        return None
    path = Path(name)
    try:
        with os.fdopen(descriptor, "r+b") as file:
            os.posix_fallocate(descriptor, 0, length)  # or a write fails later, by SIGBUS
            file.write(token)
    except OSError:
        path.unlink()
        return None
    return path, token


def _map(path: Path, token: bytes, length: int) -> mmap.mmap | None:
    try:
        with path.open("r+b") as file:
            memory = mmap.mmap(file.fileno(), length)
    except OSError:
        return None
    return memory if memory[:TOKEN] == token else None
