"""A job of which each rank has some rows of its own."""

from collections.abc import Sequence

from ..common.types import Floats, Ints
from ..kernels import reference
from ..kernels.tables import job_table
from ..runtime.job import Job
from . import cuts

GOLDEN = 0x9E3779B97F4A7C15
"""Ranks have seeds that lie so far apart, so that they do not shuffle alike."""


class LocalJob(Job):
    """A training job whose ROWS, BATCH and START count the rows of all ranks.

    Its order (own rows,) has the numbers of this rank's rows. Batch k of K takes part k of K of
    each rank's rows, in the order of the epoch.

    Args:
        counts: the rows of each rank.
        batch: rows of an update.
        losses: see ``Job``.
        own: the numbers of this rank's rows.
        seed: of their order; None to leave them in it.
        mean_weight: see ``Job``.

    """

    def __init__(
        self,
        counts: Sequence[int],
        batch: int,
        losses: Floats,
        own: Ints,
        seed: int | None,
        mean_weight: float,
    ) -> None:
        super().__init__(job_table.TRAIN, sum(counts), batch, losses, own.copy(), mean_weight)
        self.counts, self._own, self._seed = list(counts), own, seed

    def begin_epoch(self) -> None:
        """Bring the rows into the order of the epoch."""
        if self._seed is not None and self.order is not None:
            order = reference.shuffled(self._seed, self[job_table.EPOCH], len(self._own))
            self.order[:] = self._own[order]

    def rows_of_batch(self) -> int:
        """See ``Job``; 1 where no rank has any, because losses are divided by it."""
        spans = [batch_of(self, here) for here in self.counts]
        return max(1, sum(last - first for first, last in spans))


def seed_of_rank(seed: int, rank: int) -> int:
    """The seed of a rank's order, in [0, 2**63)."""
    return (seed + rank * GOLDEN) % 2**63


def batch_of(job: Job, here: int) -> cuts.Span:
    """Which of ``here`` rows a rank has in the batch at the START of a job."""
    batch = job[job_table.BATCH]
    number, count = job[job_table.START] // batch, -(-job[job_table.ROWS] // batch)
    return cuts.part(here, number, count)
