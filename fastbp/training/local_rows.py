"""Rows that each rank has of its own: none, the order of some, and their weights over all ranks."""

from dataclasses import dataclass

import numpy as np

from ..data.tables import as_inputs, as_targets
from ..distributed.local_job import LocalJob, begins, seed_of_rank
from ..kernels.tables import job_table
from ..runtime.arrays import Dataset
from ..runtime.job import Job
from .core import TrainerCore
from .row_order import RowOrder


def no_rows(core: TrainerCore, names: tuple[str, str]) -> Dataset:
    """Data without a row."""
    inputs, outputs, loss = core.net.sizes[0], core.net.sizes[-1], core.loss
    labels = np.zeros(1, np.int64) if loss.takes_labels else np.zeros((1, loss.n_targets(outputs)))
    x, y = as_inputs(np.zeros((1, inputs)), inputs), as_targets(labels, loss, outputs, 1)
    return Dataset(x.part(0, 0), y.part(0, 0), names)


@dataclass
class LocalOrder(RowOrder):
    """``RowOrder`` of this rank's rows, in jobs that count those of all ranks.

    counts: the rows of each rank. rank: the number of this one.
    """

    counts: tuple[int, ...] = ()
    rank: int = 0

    @property
    def rows(self) -> int:
        """The number of rows of an epoch, of all ranks."""
        return sum(self.counts)

    def job(self, batch_size: int, seed: int, epochs: int) -> Job:
        """See ``RowOrder``."""
        own = np.arange(self.data.rows) if self.chosen is None else self.chosen
        seed_here = seed_of_rank(seed, self.rank) if self.shuffle else None
        return LocalJob(self.counts, batch_size, np.zeros(epochs), own, seed_here, self.mean_weight)

    def prepare(self, job: Job) -> None:
        """The engine brings the rows into the order of each epoch."""

    def taken(self, row: int, batch: int) -> int:
        """See ``RowOrder``."""
        return sum(begins(self.counts, row // batch, -(-self.rows // batch)))

    def resume(self, job: Job) -> None:
        """See ``RowOrder``."""
        if isinstance(job, LocalJob) and job[job_table.START] > 0:
            job.begin_epoch()


def order_of(core: TrainerCore, order: RowOrder) -> RowOrder:
    """The order of a fit on these rows of this rank; ``order`` itself where all have the same."""
    group = core.group
    if group is None or not core.sharing.is_local:
        return order
    counts = core.rows_of_ranks(order.rows, order.data.weights is not None)
    return LocalOrder(order.data, order.shuffle, order.chosen, counts=counts, rank=group.rank)
