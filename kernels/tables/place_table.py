"""The table of places: on which processor each worker was last, and how a worker moves.

int64, of a process. It begins with addresses; then each worker has a line.
"""

import numpy as np
import numpy.typing as npt

HERE, SELF, ALLOWED, ALLOW, WORKERS = range(5)
"""Addresses of the C library's sched_getcpu, pthread_self, sched_getaffinity and sched_setaffinity,
and the number of lines."""

FIRST = 8
"""Where the lines begin."""

MASK = 16
"""Elements of a set of processors, one bit each: as many as glibc's ``cpu_set_t`` has."""

PROCESSOR, THREAD, PAUSE = range(3)
"""In a line: the processor, the thread, and for how many stages the worker stays where it is."""

ALLOWED_SET = 8
FREE_SET = ALLOWED_SET + MASK
"""In a line: where a worker that moves writes sets of processors."""

LINE = FREE_SET + MASK
"""Length of a line, of whole cache lines: workers write in their own."""


def make(functions: list[int], workers: int) -> npt.NDArray[np.int64]:
    """A table of so many workers that have been nowhere yet. functions: the addresses."""
    table = np.zeros(FIRST + workers * LINE, np.int64)
    table[:WORKERS] = functions
    table[WORKERS] = workers
    table[FIRST + PROCESSOR :: LINE] = -1
    return table
