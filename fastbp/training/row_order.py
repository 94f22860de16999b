"""The rows that fit trains on, and their order."""

from dataclasses import dataclass

import numpy as np

from ..common.types import Ints
from ..kernels import reference
from ..kernels.tables import job_table
from ..runtime.arrays import Dataset
from ..runtime.job import Job


@dataclass
class RowOrder:
    """All rows of the data, or some without a copy; shuffled in each epoch, or in their order.

    mean_weight: what divides each row's weight.
    """

    data: Dataset
    shuffle: bool
    chosen: Ints | None = None
    """The numbers of the rows; None for all."""
    mean_weight: float = 1.0

    @property
    def rows(self) -> int:
        """The number of rows of an epoch."""
        return self.data.rows if self.chosen is None else len(self.chosen)

    def job(self, batch_size: int, seed: int, epochs: int) -> Job:
        """A job that trains on these rows, with room for the losses of ``epochs`` epochs."""
        kind, order = job_table.ALL_ROWS, None
        if self.chosen is not None:
            kind, order = job_table.GIVEN_ROWS, self.chosen.copy()
        elif self.shuffle:
            order = np.empty(self.rows, np.int64)
        losses = np.zeros(epochs)
        job = Job(job_table.TRAIN, self.rows, batch_size, losses, order, self.mean_weight)
        job[job_table.SHUFFLED] = kind if self.shuffle else job_table.IN_ORDER
        job[job_table.SEED] = seed
        return job

    def prepare(self, job: Job) -> None:
        """Prepare a call that may begin an epoch. With chosen rows it begins one at most."""
        if self.chosen is not None and job.order is not None and job[job_table.START] == 0:
            job.order[:] = self.chosen

    def taken(self, row: int, batch: int) -> int:
        """How many rows the batches of an epoch have before the one at ``row``.

        batch: rows of a batch. Of ranks with rows of their own some batches have fewer, or more.
        """
        del batch
        return row

    def resume(self, job: Job) -> None:
        """Bring the rows into the order of the epoch, for a job that begins inside one."""
        if job.order is not None and self.shuffle and job[job_table.START] > 0:
            order = reference.shuffled(job[job_table.SEED], job[job_table.EPOCH], self.rows)
            job.order[:] = order if self.chosen is None else self.chosen[order]
