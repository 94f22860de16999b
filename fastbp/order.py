"""Which rows fit trains on, and in which order."""

from dataclasses import dataclass

import numpy as np

from .job import Ints, Job
from .kernels import jobs, reference
from .state import Data


@dataclass
class Order:
    """All rows of the data or, without a copy, some; shuffled in each epoch or as they lie."""

    data: Data
    shuffle: bool
    chosen: Ints | None = None
    """The rows, if not all."""

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return self.data.rows if self.chosen is None else len(self.chosen)

    def job(self, batch_size: int, seed: int, epochs: int) -> Job:
        """A job that trains on them, with room for the losses of so many epochs."""
        kind, order = jobs.ALL_ROWS, None
        if self.chosen is not None:
            kind, order = jobs.GIVEN_ROWS, self.chosen.copy()
        elif self.shuffle:
            order = np.empty(self.rows, np.int64)
        job = Job(jobs.TRAIN, self.rows, batch_size, np.zeros(epochs), order)
        job[jobs.SHUFFLED] = kind if self.shuffle else jobs.IN_ORDER
        job[jobs.SEED] = seed
        return job

    def prepare(self, job: Job) -> None:
        """Before a call that may begin an epoch of chosen rows, and no more than one."""
        if self.chosen is not None and job.order is not None and job[jobs.START] == 0:
            job.order[:] = self.chosen

    def resume(self, job: Job) -> None:
        """Where a job goes on inside an epoch, bring its rows into the order of that epoch."""
        if job.order is not None and self.shuffle and job[jobs.START] > 0:
            order = reference.shuffled(job[jobs.SEED], job[jobs.EPOCH], self.rows)
            job.order[:] = order if self.chosen is None else self.chosen[order]
