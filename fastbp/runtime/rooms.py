"""What a call of the kernels that keeps nothing writes in: an inference, or Jacobians."""

import numpy as np

from ..common.types import NO_LOSSES
from ..data.tables import address
from ..kernels.tables import arenas, job_table
from .job import Job


class Room:
    """What one call at a time writes in: an arena, a job, and a status for each worker."""

    def __init__(self, size: int, workers: int) -> None:
        self.work = arenas.allocate(size, np.uint8)
        self.statuses = np.zeros(workers, np.int64)
        self.job = Job(job_table.INFER, 1, 1, NO_LOSSES)
        self.job[job_table.STATUSES] = address(self.statuses)
        self.address = address(self.work)

    def has_space(self, size: int, workers: int) -> bool:
        """Whether it is large enough."""
        return self.work.nbytes >= size and len(self.statuses) >= workers


_SPARE: list[Room] = []
"""The room of the last call, reused by the next: a job takes longer to make than a row to predict,
and the page faults of a fresh arena cost about 25% of a small batch."""

MOST_SPARE_BYTES = 2**26
"""A larger arena is freed: its call takes much longer than its page faults."""


def borrow(size: int, workers: int) -> Room:
    """A room of at least ``size`` bytes with any content: the spare one, or a new one."""
    try:
        spare = _SPARE.pop()
    except IndexError:
        return Room(size, workers)
    return spare if spare.has_space(size, workers) else Room(size, workers)


def give_back(room: Room) -> None:
    """Keep a room for the next call."""
    if room.work.nbytes <= MOST_SPARE_BYTES:
        _SPARE[:] = [room]
