"""A copy of the trainer at the end of an epoch: fit goes back to it where a batch is refused."""

import time
from dataclasses import replace

import numpy as np

from ..common.types import Array
from ..kernels.tables import job_table
from .core import TrainerCore
from .cursor import FitCursor
from .row_order import RowOrder

WORTH = 20
"""A copy is taken when this many times the duration of a copy has passed since the last one. Where
epochs are shorter, copies take 5% of the time, and the epochs since the last one are made again."""


class Snapshot:
    """A copy of the arrays that updates change: parameters, moments, scaling, hyperparameters.

    Args:
        core: of the trainer.
        order: the rows of the fit.
        repeats: whether an epoch that is made again ends as before, and a copy may be left out: no
            callback can have changed anything between epochs, and no other rank takes one.

    """

    def __init__(self, core: TrainerCore, order: RowOrder, repeats: bool) -> None:
        self._core, self._order, self._repeats = core, order, repeats
        self._copies: list[Array] = []
        self._epoch, self._next = 0, 0.0
        self.cursor = FitCursor()

    @property
    def is_empty(self) -> bool:
        """Whether no copy has been taken yet."""
        return not self._copies

    def take(self, cursor: FitCursor) -> None:
        """Copy the arrays as a fit or an epoch begins, unless the last copy is recent enough."""
        began = time.perf_counter()
        if self._repeats and began < self._next:
            return
        arrays = self.arrays()
        if self.is_empty:
            self._copies = [np.empty_like(array) for array in arrays]
        for copy, array in zip(self._copies, arrays, strict=True):
            np.copyto(copy, array)
        self._epoch, self.cursor = self._core.epoch, replace(cursor)
        taken = time.perf_counter()
        self._next = taken + WORTH * (taken - began)

    def go_back(self, epochs: int) -> FitCursor:
        """Go back to the beginning of the trainer's epoch. Returns the cursor there.

        In the epoch in which the fit was resumed, go back to where it was resumed. epochs: the
        number that the fit has made.
        """
        core, epoch = self._core, self._core.epoch
        for copy, array in zip(self._copies, self.arrays(), strict=True):
            np.copyto(array, copy)
        core.epoch = self._epoch
        if epoch == self._epoch:
            return replace(self.cursor)
        self._repeat(self.cursor.row)
        while core.epoch < epoch:
            self._repeat(0)
        return FitCursor(epochs)

    def arrays(self) -> tuple[Array, ...]:
        """The arrays themselves."""
        arrays = self._core.arrays
        return arrays.parameters, arrays.moments, arrays.input_scaling, arrays.hyper

    def _repeat(self, row: int) -> None:
        """Make an epoch again from ``row`` on. None of its batches was refused the first time."""
        core, order = self._core, self._order
        job = order.job(core.batch_size, core.seed, 1)
        FitCursor(row=row).place(job, core.epoch)
        job[job_table.EPOCHS] = core.epoch + 1
        order.prepare(job)
        order.resume(job)
        core.run_to_end(order.data, job, "fit")
        core.epoch += 1
