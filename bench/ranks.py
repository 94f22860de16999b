"""Trainings on one or several processes, which go on when they are told to: ``Job``.

Each process, ``python -m bench.ranks SIDE CASE SOCKET RANK``, connects to a socket of the program
that started it, and sleeps there until it reads an order: a line of JSON. A rank that waited in MPI
would keep a core busy.
"""

import argparse
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from bench.cases import CASES

OPTIMIZER, BATCHES, TWICE = "adam", 4, 2
SAME_STEPS = 3
SECONDS, PATIENCE = 600, 30
"""The limit of an answer, and of an end. A rank that waits without end fails the bench."""


class Side(NamedTuple):
    """How a case is trained. reduction: of fastbp on ranks; empty for a trainer without comm."""

    library: str
    ranks: int
    threads: int
    reduction: str = ""
    in_memory: bool = True
    """Whether the ranks of a node exchange gradients through memory that they share."""


TWO_THREADS, ONE_THREAD = "1 rank x 2 threads", "1 rank x 1 thread"
ORDERED, FAST, MESSAGES = "ordered", "fast", "ordered, by messages"
DDP = "torch DDP"
SIDES = {
    TWO_THREADS: Side("fastbp", 1, 2),
    ONE_THREAD: Side("fastbp", 1, 1),
    ORDERED: Side("fastbp", 2, 1, "ordered"),
    MESSAGES: Side("fastbp", 2, 1, "ordered", in_memory=False),
    FAST: Side("fastbp", 2, 1, "fast"),
    DDP: Side("torch", 2, 1),
}


def launcher():
    """The path of mpiexec beside this Python, or of the system; None where there is none."""
    beside = Path(sys.executable).parent / "mpiexec"
    return str(beside) if beside.exists() else shutil.which("mpiexec")


class Job:
    """The processes of a side, on one case."""

    def __init__(self, name, case):
        self.name, self.side = name, SIDES[name]
        self.folder = tempfile.TemporaryDirectory()
        path = str(Path(self.folder.name) / "socket")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.listener.settimeout(1)
        self.processes = [self.start(command) for command in self.commands(case, path)]
        self.files = [self.accept() for _ in range(self.side.ranks)]
        self.losses = [answer["losses"] for answer in self.answers()]

    def commands(self, case, path):
        """One for mpiexec, or one for each rank of a library that needs no launcher."""
        program = [sys.executable, "-m", "bench.ranks", self.name, case, path]
        if self.side.reduction:
            return [[launcher(), "-n", str(self.side.ranks), *program]]
        return [[*program, str(rank)] for rank in range(self.side.ranks)]

    def start(self, command):
        threads = str(self.side.threads)
        return subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            env=os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def accept(self):
        for _ in range(SECONDS):
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                self.check_alive()
            else:
                connection.settimeout(SECONDS)
                return connection.makefile("rw")
        raise TimeoutError(f"a process of {self.name} does not begin")

    def check_alive(self):
        if any(process.poll() is not None for process in self.processes):
            raise RuntimeError(f"a process of {self.name} has ended: stderr says why")

    def answers(self):
        lines = [file.readline() for file in self.files]
        if not all(lines):
            raise RuntimeError(f"a process of {self.name} has ended: stderr says why")
        return [json.loads(line) for line in lines]

    def run(self, **order):
        """The answer of each rank to an order."""
        for file in self.files:
            file.write(json.dumps(order) + "\n")
            file.flush()
        return self.answers()

    def window(self, rows, laps):
        """Of ``laps`` steps of so many rows: seconds of a step, and what else the ranks tell.

        Of the exchange it is the rank that waits least for another.
        """
        found = self.run(rows=rows, laps=laps)
        take = {what: min if what == "exchange" else max for what in found[0]}
        return {what: of(each[what] for each in found) for what, of in take.items()}

    def close(self):
        for file in self.files:  # at the end of their input the processes end
            file.close()
        for process in self.processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.listener.close()
        self.folder.cleanup()


# In the processes


class Counted:
    """A communicator that counts what its rank sends. Others are counted as it sends them."""

    def __init__(self, comm):
        self.comm, self.sent = comm, 0

    def __getattr__(self, name):
        return getattr(self.comm, name)

    def Alltoallv(self, sendbuf, recvbuf):
        array, (counts, _) = sendbuf
        self.sent += array.itemsize * sum(counts)
        self.comm.Alltoallv(sendbuf, recvbuf)

    def Allgatherv(self, sendbuf, recvbuf):
        self.sent += sendbuf.nbytes * (self.comm.Get_size() - 1)
        self.comm.Allgatherv(sendbuf, recvbuf)

    def Allreduce(self, sendbuf, recvbuf):
        """No all-reduce sends less."""
        ranks = self.comm.Get_size()
        self.sent += 2 * sendbuf.nbytes * (ranks - 1) // ranks
        self.comm.Allreduce(sendbuf, recvbuf)


class Timed:
    """An exchange, and the seconds that it takes."""

    def __init__(self, exchange):
        self.exchange, self.own, self.seconds = exchange, exchange.own, 0.0

    def sum(self, cut):
        begun = time.perf_counter()
        found = self.exchange.sum(cut)
        self.seconds += time.perf_counter() - begun
        return found


class Ours:
    """A trainer of fastbp."""

    def __init__(self, side, case, _rank, _folder):
        import fastbp

        network = fastbp.Network(list(case.sizes), activation="relu", output=case.output, seed=0)
        network.set_parameters(*case.parameters())
        shared, self.clock = {}, []
        if side.reduction:
            from mpi4py import MPI

            self.comm = Counted(MPI.COMM_WORLD)
            shared = {"comm": self.comm, "reduction": side.reduction}
            self.barrier = MPI.COMM_WORLD.Barrier
            self.clock = clock()
            if not side.in_memory:
                no_memory()
        self.trainer = fastbp.Trainer(
            network,
            loss=case.loss,
            optimizer=fastbp.Adam(lr=case.lr(OPTIMIZER)),
            batch_size=TWICE * case.batch,
            threads=side.threads,
            seed=0,
            **shared,
        )
        self.step = self.trainer.step

    def barrier(self):
        """One process has nobody to wait for."""

    def own(self, X, y):
        return X, y

    def reset(self):
        if self.clock:
            self.clock[0].seconds, self.comm.sent = 0.0, 0

    def told(self, laps):
        """Of one step: seconds of the exchange, and bytes sent with the losses of rows."""
        if not self.clock:
            return {}
        return {"exchange": self.clock[0].seconds / laps, "sent": self.comm.sent / laps}

    def sums(self, count, laps):
        return sums(self.comm.comm, count, laps)


class Ddp:
    """torch's DistributedDataParallel on gloo: each rank has its part of a batch."""

    def __init__(self, side, case, rank, folder):
        from torch import distributed
        from torch.nn.parallel import DistributedDataParallel

        from bench.peers import load

        distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=side.ranks
        )
        self.side = load("torch")(case, OPTIMIZER, side.threads)
        self.side.model = DistributedDataParallel(
            self.side.model, gradient_as_bucket_view=True, static_graph=True
        )
        self.rank, self.ranks, self.barrier = rank, side.ranks, distributed.barrier
        self.step = self.side.step

    def own(self, X, y):
        rows = len(X) // self.ranks
        part = slice(self.rank * rows, (self.rank + 1) * rows)
        return self.side.own(X[part]), self.side.own(y[part])

    def reset(self):
        """Nothing of it is timed but the step."""

    def told(self, _laps):
        return {}


def clock():
    """A list of the exchanges that are made from now on, each with a clock."""
    from fastbp.distributed import engine

    make, made = engine.new_exchange, []

    def timed(*arguments):
        made.append(Timed(make(*arguments)))
        return made[-1]

    engine.new_exchange = timed
    return made


def no_memory():
    """Let the ranks of a node exchange by messages, as those of several nodes do."""
    from fastbp.distributed import node_memory

    node_memory.allocate = lambda *_: None


class Worker:
    """Answers orders."""

    def __init__(self, name, case, rank, folder):
        side = SIDES[name]
        self.case = case
        self.trained = (Ddp if name == DDP else Ours)(side, case, rank, folder)
        self.batches = {}
        self.losses = [float(self.step(case.batch)) for _ in range(SAME_STEPS)]
        self.rest()

    def rest(self):
        self.rested = time.perf_counter(), time.process_time()

    def step(self, rows):
        if rows not in self.batches:
            X, y = self.case.rows(BATCHES * TWICE * self.case.batch)
            places = range(0, len(X) - rows + 1, rows)
            cut = [self.trained.own(X[i : i + rows], y[i : i + rows]) for i in places]
            self.batches[rows] = itertools.cycle(cut)
        return self.trained.step(*next(self.batches[rows]))

    def answer(self, order):
        if "count" in order:
            return self.trained.sums(**order)
        idle = self.idle()
        found = self.window(**order)
        self.rest()
        return found | {"idle": idle}

    def idle(self):
        """The share of a core that this process took since its last answer."""
        since, used = self.rested
        waited = time.perf_counter() - since
        return (time.process_time() - used) / waited

    def window(self, rows, laps):
        """Seconds of a step, and of its exchange."""
        self.trained.barrier()
        self.trained.reset()
        begun = time.perf_counter()
        for _ in range(laps):
            self.step(rows)
        elapsed = time.perf_counter() - begun
        return {"seconds": elapsed / laps} | self.trained.told(laps)


def sums(comm, count, laps):
    """{way: the median seconds} in which the ranks add up ``count`` float32, in turn."""
    ways = ways_of_adding(comm, count)
    seconds = {name: [] for name in ways}
    for _ in range(laps):
        for name, (own, add) in ways.items():
            own.fill(1.0)
            comm.Barrier()
            begun = time.perf_counter()
            add()
            seconds[name].append(time.perf_counter() - begun)
    return {name: median(found) for name, found in seconds.items()}


IN_MEMORY, COPIED, BY_MESSAGES, ROUNDED, LIBRARY = (
    "ordered, in memory",
    "ordered, in memory, copied",
    MESSAGES,
    "bfloat16, by messages",
    "all-reduce of the library",
)


def ways_of_adding(comm, count):
    """{name: (an array to fill, a function that adds those of all ranks)}."""
    from fastbp.distributed import cuts, node_memory
    from fastbp.distributed.exchange import LibraryExchange, MessageExchange, NodeExchange
    from fastbp.distributed.group import Group
    from fastbp.distributed.rounded import RoundedExchange

    rank, ranks = comm.Get_rank(), comm.Get_size()
    cut, spans = cuts.shared(10**6, 8, 8, rank, ranks), [(0, count)]
    like = np.zeros(count, np.float32)
    exchanges = {}
    for name, total in ((IN_MEMORY, None), (COPIED, like.copy())):
        memory = node_memory.allocate(Group(comm), like, 1)
        if memory is not None:
            exchanges[name] = NodeExchange(comm, memory, spans, total)
    exchanges[BY_MESSAGES] = MessageExchange(comm, like, spans, 1)
    exchanges[ROUNDED] = RoundedExchange(comm, count, spans)
    exchanges[LIBRARY] = LibraryExchange(comm, like, spans)
    return {name: (it.own[0], partial(it.sum, cut)) for name, it in exchanges.items()}


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.ranks", description=__doc__)
    parser.add_argument("side")
    parser.add_argument("case")
    parser.add_argument("socket")
    parser.add_argument("rank", type=int, nargs="?", default=0)
    options = parser.parse_args()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(options.socket)
    folder = Path(options.socket).parent
    worker = Worker(options.side, CASES[options.case], options.rank, folder)
    with suppress(BrokenPipeError), connection.makefile("rw") as file:  # nobody is there any more
        for answer in itertools.chain([{"losses": worker.losses}], answers(worker, file)):
            file.write(json.dumps(answer) + "\n")
            file.flush()


def answers(worker, file):
    """Of each order, as it comes."""
    for line in iter(file.readline, ""):
        yield worker.answer(json.loads(line))


if __name__ == "__main__":
    main()
