"""The most bytes this machine can move: a = b + factor c over arrays beyond every cache.

``python -m bench.stream`` prints it for one thread and for all of them. As STREAM does, it counts
the bytes that the program names, and not those of lines fetched in order to be overwritten.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from bench import peak
from bench.environment import available_cpus

COUNT = 1 << 25
"""Elements of each of the three arrays: 128 MiB."""

BYTES_AN_ELEMENT = 12
BURSTS = 7


@njit(nogil=True)
def triad(a, b, c, factor):
    for i in range(len(a)):
        a[i] = b[i] + factor * c[i]


def best_rate(arrays, start):
    """The best bytes/s of a few bursts in this thread, each begun together with the others."""
    shortest = float("inf")
    for _ in range(BURSTS):
        start.wait()
        begun = time.perf_counter()
        triad(*arrays, np.float32(0.5))
        shortest = min(shortest, time.perf_counter() - begun)
    return BYTES_AN_ELEMENT * len(arrays[0]) / shortest


def measure(threads=1):
    """GB/s of ``threads`` threads at once, each on its own part."""
    arrays = [np.ones(COUNT, np.float32) for _ in range(3)]
    triad(*(array[:1] for array in arrays), np.float32(0.5))
    parts = list(zip(*(np.array_split(array, threads) for array in arrays), strict=True))
    start = threading.Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(best_rate, parts, [start] * threads)) / 1e9


def ceilings(threads):
    """{threads: {"gb": GB/s, "gflops": FMA peak}} for one thread and for ``threads``."""
    counts = sorted({1, threads})
    return {str(n): {"gb": measure(n), "gflops": peak.measure(n)} for n in counts}


if __name__ == "__main__":
    for count in sorted({1, available_cpus()}):
        print(f"{count} thread{'s' * (count > 1)}: {measure(count):.1f} GB/s")
