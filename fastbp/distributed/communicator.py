"""What a communicator must have: the methods of mpi4py's that are called."""

from typing import Any, Protocol

METHODS = (
    *("Get_rank", "Get_size", "Allgather", "Allgatherv", "Alltoallv", "Allreduce", "Bcast"),
    *("Barrier", "bcast", "gather", "allgather"),
)


class Communicator(Protocol):
    """Methods of mpi4py's ``Comm``; those with a capital letter take buffers, such as arrays."""

    def Get_rank(self) -> int:
        """The number of this rank."""

    def Get_size(self) -> int:
        """The number of ranks."""

    def Allgather(self, sendbuf: Any, recvbuf: Any) -> None:
        """Gather equal counts from every rank on every rank, in their order."""

    def Allgatherv(self, sendbuf: Any, recvbuf: Any) -> None:
        """The same with recvbuf = [array, (counts, displacements)]."""

    def Alltoallv(self, sendbuf: Any, recvbuf: Any) -> None:
        """A part to every rank, and one from each: [array, (counts, displacements)]."""

    def Allreduce(self, sendbuf: Any, recvbuf: Any) -> None:
        """The sum over the ranks, on every rank."""

    def Barrier(self) -> None:
        """Wait until every rank is here."""

    def Bcast(self, buf: Any, root: int = 0) -> None:
        """The content of the root's buffer to the others'."""

    def bcast(self, obj: Any, root: int = 0) -> Any:
        """A pickled object from the root."""

    def gather(self, sendobj: Any, root: int = 0) -> list[Any] | None:
        """A pickled object from every rank, on the root."""

    def allgather(self, sendobj: Any) -> list[Any]:
        """A pickled object from every rank."""


def check(comm: Any) -> Communicator:
    """``comm`` itself; TypeError for what is none.

    ValueError for an intercommunicator, and on ranks that a communicator has left out.
    """
    missing = [name for name in METHODS if not callable(getattr(comm, name, None))]
    if missing:
        raise TypeError(
            f"comm is {comm!r}, of type {type(comm).__name__}, expected an intracommunicator of "
            f"mpi4py, such as MPI.COMM_WORLD: it has no {missing[0]}"
        )
    if not comm:
        raise ValueError(
            "comm is MPI.COMM_NULL, expected a communicator that this rank is in: make the Trainer "
            "on the ranks of it alone, if comm != MPI.COMM_NULL"
        )
    if hasattr(comm, "Is_inter") and comm.Is_inter():
        raise ValueError(
            f"comm is {comm!r}, an intercommunicator, expected an intracommunicator: comm.Merge() "
            "makes one of it"
        )
    found: Communicator = comm
    return found
