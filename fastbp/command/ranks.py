"""The ranks that a launcher of MPI has started the command on."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from ..common.optional import need
from .errors import UsageError

if TYPE_CHECKING:
    from ..distributed.group import Group

LAUNCHERS = {"OMPI_COMM_WORLD_RANK": "OMPI_COMM_WORLD_SIZE", "PMI_RANK": "PMI_SIZE"}
"""Variables in which launchers tell a process its number and how many there are: Open MPI; MPICH
and those that descend from it."""


def started() -> tuple[int, int]:
    """(the number of this rank, how many there are); (0, 1) without a launcher."""
    for rank, size in LAUNCHERS.items():
        if os.environ.get(rank, "").isdecimal() and os.environ.get(size, "").isdecimal():
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


@contextmanager
def silenced() -> Iterator[None]:
    """The context of ranks but the first, which print nothing."""
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
        stack.enter_context(redirect_stdout(nowhere))
        stack.enter_context(redirect_stderr(nowhere))
        yield


def joined() -> "Group | None":
    """The ranks that train together; None for one alone, for which nothing is imported.

    UsageError where MPI sees others than the launcher has started.
    """
    _, size = started()
    if size == 1:
        return None
    comm = need("mpi4py.MPI", "mpi", f"fastbp train on {size} ranks").COMM_WORLD
    if comm.Get_size() != size:
        raise UsageError(
            f"the launcher has started {size} ranks, and mpi4py sees {comm.Get_size()}: start the "
            "command by mpiexec of the MPI that mpi4py uses"
        )
    from ..distributed.group import group_of

    return group_of(comm)
