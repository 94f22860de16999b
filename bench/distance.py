"""How far apart two cores are: the time in which a cache line goes to another core and back.

Cores of one cluster share a cache, and a round trip takes some 50 ns there; between clusters or
sockets it takes several times as long. A hypervisor may move virtual processors from one cluster to
another at any time. What threads write for one another, as the weights of a network are, takes
longer then, and neither steal nor the FMA peak shows it.

``python -m bench.distance`` prints the round trips of some seconds.
"""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from bench.environment import available_cpus

TRIPS, BURSTS = 20_000, 3
"""Of one measurement, which takes some 10 ms."""

ATTEMPTS = 100
"""Measurements, before it is given up: both threads may be on one processor at first."""

MOST_TURNS = 1_000_000
"""Turns of a wait, about a millisecond, after which it is given up."""

FAR = 2.0
"""Cores are far apart where a round trip takes more than so many times the shortest one."""

PAUSE_SECONDS = 0.2
"""Between two measurements of a wait."""

I64 = ir.IntType(64)


@intrinsic
def seen(_typingctx, array, _index):
    """The int64 that another thread has stored in an array."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

    return types.int64(array, types.int64), codegen


@intrinsic
def tell(_typingctx, array, _index, _value):
    """Store an int64 for another thread."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store_atomic(args[2], builder.gep(data, [args[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), codegen


@njit(nogil=True)
def play(line, side, trips):
    """Answer each number in ``line`` (1,) by the next one. False if the other side took too long.

    side: 0 for the one that begins, 1 for the other.
    """
    for trip in range(trips):
        wanted = 2 * trip + side
        turns = 0
        while seen(line, 0) != wanted:
            turns += 1
            if turns > MOST_TURNS:
                return False
        tell(line, 0, wanted + 1)
    return True


def seconds(line, side, start):
    """Seconds of a round trip as one side sees it; infinity if a side waited too long."""
    best = math.inf
    for _ in range(BURSTS):
        if side == 0:
            line[0] = 0
        start.wait()
        began = time.perf_counter()
        if play(line, side, TRIPS):
            best = min(best, (time.perf_counter() - began) / TRIPS)
    return best


def measure():
    """Nanoseconds of a round trip between two threads; None where they have one processor."""
    if available_cpus() == 1:
        return None
    line, start = np.zeros(1, np.int64), threading.Barrier(2)
    play(line, 0, 0)  # compiles it
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ATTEMPTS):
            found = max(pool.map(partial(seconds, line, start=start), (0, 1)))
            if found < math.inf:
                return 1e9 * found
    return None


class Watch:
    """Tells whether cores are near one another.

    patience: the seconds that may be lost by waiting for it, in all.
    """

    shortest = math.inf
    """The shortest round trip in this process, nanoseconds."""

    def __init__(self, patience):
        self._end_of_patience = time.perf_counter() + patience

    def wait(self):
        """Wait while the cores are farther apart than they ever were; the last ``measure()``."""
        trip = measure()
        while not self._is_good(trip):
            time.sleep(PAUSE_SECONDS)
            trip = measure()
        return trip

    def stayed(self):
        """Whether they still are as near as ever, or nobody waits any longer."""
        return self._is_good(measure())

    def _is_good(self, trip):
        if trip is None or time.perf_counter() > self._end_of_patience:
            return True
        Watch.shortest = min(Watch.shortest, trip)
        return trip <= FAR * Watch.shortest


if __name__ == "__main__":
    for _ in range(6):
        print(f"{measure():.0f} ns", flush=True)
        time.sleep(1)
