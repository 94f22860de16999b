"""A network between threads: messages take a latency and a time for each byte.

A rank sends one message at a time, and receives one at a time, so that messages queue as on a
cable. Waiting is sleeping: the cores are free, as they are while a network card works. The
collective calls are those of MPICH for such sizes: gathering by doubling for short messages
and round a ring for long ones, all-to-all by direct messages, all-reduce by halving and doubling.
"""

import pickle
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

SECONDS = 120
"""How long a rank waits for another, before it is an error."""

SHORT = 80 * 1024
"""Bytes in all, up to which a gathering goes by doubling."""


class Link(NamedTuple):
    """Seconds that a message needs: latency, then byte by byte. gap: of a rank for each message."""

    latency: float
    byte: float
    gap: float = 0.0


class Wires:
    """What ranks have sent, and until when each is busy."""

    def __init__(self, ranks, link):
        self.ranks, self.link = ranks, link
        self.boxes = defaultdict(SimpleQueue)
        self.sending, self.receiving = [0.0] * ranks, [0.0] * ranks

    def send(self, source, target, item, size):
        link = self.link
        lasts = link.gap + link.byte * size
        begins = max(time.perf_counter(), self.sending[source])
        self.sending[source] = begins + lasts
        self.boxes[source, target].put((begins + lasts + link.latency, lasts, item))

    def receive(self, target, source):
        arrives, lasts, item = self.boxes[source, target].get(timeout=SECONDS)
        self.receiving[target] = max(arrives, self.receiving[target] + lasts)
        wait(self.receiving[target])
        return item


def wait(until):
    left = until - time.perf_counter()
    if left > 0:
        time.sleep(left)


class Communicator:
    """One rank's end: the methods of mpi4py's that fastbp calls."""

    def __init__(self, wires, rank):
        self.wires, self.rank, self.ranks = wires, rank, wires.ranks

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.ranks

    def send(self, target, item, size):
        self.wires.send(self.rank, target, item, size)

    def receive(self, source):
        return self.wires.receive(self.rank, source)

    def swap(self, other, item, size):
        self.send(other, item, size)
        return self.receive(other)

    def gathered(self, item, size):
        """What every rank gives, in their order, by doubling (Bruck et al., 1997)."""
        found, step = [item], 1
        while step < self.ranks:
            some = found[: self.ranks - step]
            self.send((self.rank - step) % self.ranks, some, size * len(some))
            found += self.receive((self.rank + step) % self.ranks)
            step *= 2
        turn = self.ranks - self.rank
        return found[turn:] + found[:turn]

    def round_a_ring(self, item):
        """The same of arrays."""
        found = {self.rank: item}
        ahead, behind = (self.rank + 1) % self.ranks, (self.rank - 1) % self.ranks
        for step in range(self.ranks - 1):
            given = found[(self.rank - step) % self.ranks]
            self.send(ahead, given, given.nbytes)
            found[(behind - step) % self.ranks] = self.receive(behind)
        return [found[rank] for rank in range(self.ranks)]

    def Allgather(self, sendbuf, recvbuf):
        parts = self.gathered(sendbuf.copy(), sendbuf.nbytes)
        recvbuf[:] = np.array(parts).reshape(recvbuf.shape)

    def Allgatherv(self, sendbuf, recvbuf):
        whole, (counts, starts) = recvbuf
        flat, mine = whole.reshape(-1), sendbuf.ravel().copy()
        size = whole.itemsize * sum(counts)
        if size <= SHORT:
            parts = self.gathered(mine, size // self.ranks)
        else:
            parts = self.round_a_ring(mine)
        for part, count, start in zip(parts, counts, starts, strict=True):
            flat[start : start + count] = part

    def Alltoallv(self, sendbuf, recvbuf):
        given, (counts, starts) = sendbuf
        whole, (expected, places) = recvbuf
        for step in range(1, self.ranks):
            other = (self.rank + step) % self.ranks
            if counts[other]:
                part = given[starts[other] : starts[other] + counts[other]].copy()
                self.send(other, part, part.nbytes)
        for step in range(self.ranks):
            other = (self.rank - step) % self.ranks
            if expected[other]:
                own = given[starts[other] : starts[other] + counts[other]]
                part = self.receive(other) if step else own
                whole[places[other] : places[other] + expected[other]] = part

    def Allreduce(self, sendbuf, recvbuf):
        """By halving and doubling (Rabenseifner, 2004); the ranks are a power of two."""
        recvbuf[:] = sendbuf
        first, last, steps = 0, len(recvbuf), []
        distance = self.ranks // 2
        while distance:
            other, middle = self.rank ^ distance, (first + last) // 2
            steps.append((other, first, last))
            low = self.rank & distance == 0
            kept, given = ((first, middle), (middle, last))[:: 1 if low else -1]
            sent = recvbuf[slice(*given)].copy()
            recvbuf[slice(*kept)] += self.swap(other, sent, sent.nbytes)
            (first, last), distance = kept, distance // 2
        for other, low, high in reversed(steps):
            mine = recvbuf[first:last].copy()
            theirs = self.swap(other, mine, mine.nbytes)
            place = slice(low, first) if low < first else slice(last, high)
            recvbuf[place] = theirs
            first, last = low, high

    def Barrier(self):
        self.gathered(None, 0)

    def Bcast(self, buf, root=0):
        buf[:] = self.gathered(buf.copy(), buf.nbytes)[root]

    def bcast(self, obj, root=0):
        return self.allgather(obj if self.rank == root else None)[root]

    def gather(self, sendobj, root=0):
        found = self.allgather(sendobj)
        return found if self.rank == root else None

    def allgather(self, sendobj):
        packed = pickle.dumps(sendobj)
        return [pickle.loads(item) for item in self.gathered(packed, len(packed))]


def run(ranks, link, program):
    """What ``program(comm)`` returns on each rank; its exception is raised."""
    wires = Wires(ranks, link)
    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(lambda rank: program(Communicator(wires, rank)), range(ranks)))
