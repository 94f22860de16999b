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

    Its order (own rows,) has the numbers of this rank's rows. Batch k of K takes about part k of K
    of each rank's rows (``begins``), in the order of the epoch.

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
        return max(1, sum(last - first for first, last in batch_of(self, self.counts)))


def seed_of_rank(seed: int, rank: int) -> int:
    """The seed of a rank's order, in [0, 2**63)."""
    return (seed + rank * GOLDEN) % 2**63


def begins(counts: Sequence[int], number: int, batches: int) -> list[int]:
    """How many of its rows each rank has before batch ``number``: the same share, rounded.

    counts: the rows of each rank. Each rank rounds at another place: with as many rows on every
    rank a batch has as many rows as another, but for one. Would all round alike, ranks with fewer
    rows than batches would all have a row in the same batch, and none in the next.

    >>> [begins([1, 1, 1, 1], number, 2) for number in range(3)]
    [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]]
    """
    ranks = len(counts)
    return [
        (here * number * ranks + rank * batches) // (batches * ranks)
        for rank, here in enumerate(counts)
    ]


def batch_of(job: Job, counts: Sequence[int]) -> list[cuts.Span]:
    """Which of its rows each rank has in the batch at the START of a job. counts: all of them."""
    batch = job[job_table.BATCH]
    number, batches = job[job_table.START] // batch, -(-job[job_table.ROWS] // batch)
    ends = (begins(counts, each, batches) for each in (number, number + 1))
    return list(zip(*ends, strict=True))
