"""The progress of a fit between two compiled calls, as a checkpoint keeps it."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import NO_LOSSES, Floats
from ..kernels.tables import job_table
from ..runtime.job import Job
from ..storage import tree_codec


@dataclass
class FitCursor:
    """The progress of a fit.

    epochs: the number that have ended. row: rows taken of the next epoch. loss: the sum of their
    losses. seconds: the time they took. ended: mean losses of epochs that have ended and are not in
    History yet. ended_seconds: the time that each of those took.
    """

    epochs: int = 0
    row: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    ended: Floats = field(default_factory=NO_LOSSES.copy)
    ended_seconds: float = 0.0

    def follow(self, job: Job) -> None:
        """Take the progress of a job, after the losses of its complete epochs have been taken."""
        self.epochs, self.row = job.epochs_taken, job[job_table.START]
        self.loss = float(job.losses[0])

    def place(self, job: Job, epoch: int) -> None:
        """Give a new job this progress. epoch: the trainer's."""
        job.epochs_taken = self.epochs
        job[job_table.FIRST] = job[job_table.EPOCH] = epoch
        job[job_table.START] = self.row
        job.losses[0] = self.loss


def from_tree(tree: Any, rows: int, batch: int, epochs: int) -> FitCursor:
    """The cursor that a checkpoint has; ValueError where no fit could have it.

    rows: of an epoch, in batches of ``batch``. epochs: those that the fit is to make in all.
    """
    cursor = FitCursor(
        epochs=tree_codec.get(tree, "epochs", int),
        row=tree_codec.get(tree, "row", int),
        loss=tree_codec.get(tree, "loss", _is_finite),
        seconds=checks.not_negative(tree_codec.get(tree, "seconds", float), "seconds"),
        ended=tree_codec.get(tree, "ended", _are_losses),
        ended_seconds=checks.not_negative(
            tree_codec.get(tree, "ended_seconds", float), "ended_seconds"
        ),
    )
    weight = tree.get("weight")
    if weight and weight != cursor.row:
        # Older versions summed weights as given, and divided by their sum.
        cursor.loss *= cursor.row / checks.positive(weight, "weight")
    if len(cursor.ended) and cursor.ended_seconds == 0:
        raise ValueError("epochs have ended that took no time")
    if not 0 <= cursor.row < rows or cursor.row % batch:
        raise ValueError(f"row {cursor.row} is no place between batches of {batch} of {rows} rows")
    if not len(cursor.ended) <= cursor.epochs <= epochs:
        raise ValueError(
            f"{cursor.epochs} epochs have been made, and epochs is {epochs}: it counts those of "
            "the whole run, those before the checkpoint included"
        )
    return cursor


def _is_finite(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _are_losses(value: Any) -> bool:
    is_vector = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == np.float64
    return is_vector and bool(np.isfinite(value).all())
