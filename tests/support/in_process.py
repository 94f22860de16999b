"""A communicator whose ranks are threads of this process, and arrive at random times.

It has the methods of mpi4py's that fastbp calls. Ranks that do not make the same call, or one that
stays away, are an error, where MPI would wait without end.
"""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SECONDS = 120
"""How long a rank waits for the others."""

LONGEST_DELAY = 2e-4


class World:
    """The memory that the ranks share."""

    def __init__(self, size):
        self.items, self.barrier = [None] * size, threading.Barrier(size)


class Communicator:
    """One rank's end."""

    def __init__(self, world, rank):
        self._world, self._rank = world, rank
        self._delays = np.random.default_rng(rank)

    def Get_rank(self):
        return self._rank

    def Get_size(self):
        return len(self._world.items)

    def _trade(self, call, item=None):
        """What every rank gives, in their order."""
        world = self._world
        time.sleep(self._delays.uniform(0, LONGEST_DELAY))
        world.items[self._rank] = call, item
        world.barrier.wait(SECONDS)
        found = list(world.items)
        world.barrier.wait(SECONDS)
        assert {other for other, _ in found} == {call}, found
        return [given for _, given in found]

    def Allgather(self, sendbuf, recvbuf):
        recvbuf[:] = np.array(self._trade("Allgather", sendbuf.copy())).reshape(recvbuf.shape)

    def Allgatherv(self, sendbuf, recvbuf):
        whole, (counts, starts) = recvbuf
        flat = whole.reshape(-1)
        parts = self._trade("Allgatherv", sendbuf.ravel().copy())
        for part, count, start in zip(parts, counts, starts, strict=True):
            assert len(part) == count
            flat[start : start + count] = part

    def Alltoallv(self, sendbuf, recvbuf):
        given, (counts, starts) = sendbuf
        whole, (expected, places) = recvbuf
        cut = [
            given[start : start + count].copy() for start, count in zip(starts, counts, strict=True)
        ]
        for parts, count, place in zip(
            self._trade("Alltoallv", cut), expected, places, strict=True
        ):
            assert len(parts[self._rank]) == count
            whole[place : place + count] = parts[self._rank]

    def Allreduce(self, sendbuf, recvbuf):
        recvbuf[:] = np.sum(self._trade("Allreduce", sendbuf.copy()), axis=0)

    def Barrier(self):
        self._trade("Barrier")

    def Bcast(self, buf, root=0):
        buf[:] = self._trade("Bcast", buf.copy())[root]

    def bcast(self, obj, root=0):
        sent = pickle.dumps(obj) if self._rank == root else None
        return pickle.loads(self._trade("bcast", sent)[root])

    def gather(self, sendobj, root=0):
        found = self._trade("gather", pickle.dumps(sendobj))
        return [pickle.loads(item) for item in found] if self._rank == root else None

    def allgather(self, sendobj):
        return [pickle.loads(item) for item in self._trade("allgather", pickle.dumps(sendobj))]


def on_ranks(count, function):
    """What ``function(comm)`` returns on each rank, or the exception that it raises there."""
    world = World(count)

    def rank(number):
        try:
            return function(Communicator(world, number))
        except BaseException as error:  # noqa: BLE001 - tests look at them
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(rank, range(count)))


def same_on_ranks(count, function):
    """What ``function(comm)`` returns on every rank alike."""
    found = on_ranks(count, function)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    assert all(each == found[0] for each in found)
    return found[0]
