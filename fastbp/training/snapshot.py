"""The trainer at the end of an epoch, for fit to go back to where a later batch is refused."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..common.types import Array
from ..kernels.tables import job_table
from .cursor import FitCursor
from .row_order import RowOrder

if TYPE_CHECKING:
    from .core import TrainerCore

WORTH = 20
"""A copy is taken when this many times as long as one takes has passed since the last: where an
epoch is shorter, it is 5% of the time, and the epochs since then can be made again."""


class Snapshot:
    """A copy of what updates change: parameters, moments, hyperparameters.

    Args:
        trainer: the trainer.
        order: of its fit.
        repeats: whether epochs made again are the same: nobody was called that may have changed
            something between them.

    """

    def __init__(self, trainer: "TrainerCore", order: RowOrder, repeats: bool) -> None:
        self._trainer, self._order, self._repeats = trainer, order, repeats
        self._copies: list[Array] = []
        self._epoch, self._next = 0, 0.0

    @property
    def is_empty(self) -> bool:
        """Whether none was taken yet."""
        return not self._copies

    def take(self, position: FitCursor) -> None:
        """Copy it, now that an epoch begins, or fit does, at this place."""
        began = time.perf_counter()
        if self._repeats and began < self._next:
            return
        arrays = self._arrays()
        if self.is_empty:
            self._copies = [np.empty_like(array) for array in arrays]
        for copy, array in zip(self._copies, arrays, strict=True):
            np.copyto(copy, array)
        self._epoch, self._position = self._trainer._epoch, replace(position)
        taken = time.perf_counter()
        self._next = taken + WORTH * (taken - began)

    def go_back(self, epochs: int) -> FitCursor:
        """To the beginning of the trainer's epoch, so many after the fit's first; its place.

        In the epoch in which a fit was resumed, to where it was.
        """
        epoch = self._trainer._epoch
        for copy, array in zip(self._copies, self._arrays(), strict=True):
            np.copyto(array, copy)
        self._trainer._epoch = self._epoch
        if epoch == self._epoch:
            return replace(self._position)
        self._repeat(self._position.row)
        while self._trainer._epoch < epoch:
            self._repeat(0)
        return FitCursor(epochs)

    def _arrays(self) -> tuple[Array, ...]:
        state = self._trainer._state
        return state.parameters, state.moments, state.hyper

    def _repeat(self, row: int) -> None:
        """Make an epoch again from a row on, which has been made without an error."""
        trainer, order = self._trainer, self._order
        job = order.job(trainer._batch_size, trainer._seed, 1)
        job[job_table.FIRST] = job[job_table.EPOCH] = trainer._epoch
        job[job_table.EPOCHS] = trainer._epoch + 1
        job[job_table.START] = row
        order.prepare(job)
        order.resume(job)
        while job[job_table.EPOCH] == trainer._epoch:
            trainer._chunk(order.data, job, "fit")
        trainer._epoch += 1
