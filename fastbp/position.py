"""Where a fit stands between two compiled calls: what it takes to go on from there."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import trees
from .job import Floats, Job
from .kernels import jobs

NO_LOSSES = np.empty(0)


@dataclass
class Position:
    """How far a fit has come.

    epochs: those that have ended. row: rows taken of the next. loss, weight: sums over these rows,
    of their losses times weights, and of their weights. seconds: what they took. ended: mean losses
    of epochs that have ended and are not in History yet; ended_seconds: what each of those took.
    """

    epochs: int = 0
    row: int = 0
    loss: float = 0.0
    weight: float = 0.0
    seconds: float = 0.0
    ended: Floats = field(default_factory=NO_LOSSES.copy)
    ended_seconds: float = 0.0

    def follow(self, job: Job) -> None:
        """Take what the job says, whose losses of ended epochs have been taken."""
        self.epochs, self.row = job.epochs_taken, job[jobs.START]
        self.loss, self.weight = float(job.losses[0]), float(job.weights[0])

    def place(self, job: Job, epoch: int) -> None:
        """Let a new job go on from here; epoch: the trainer's."""
        job.epochs_taken = self.epochs
        job[jobs.FIRST] = job[jobs.EPOCH] = epoch
        job[jobs.START] = self.row
        job.losses[0], job.weights[0] = self.loss, self.weight


def from_tree(tree: Any, rows: int, batch: int, epochs: int) -> Position:
    """A position among so many rows in such batches. ValueError for what can be none."""
    position = Position(
        epochs=trees.get(tree, "epochs", int),
        row=trees.get(tree, "row", int),
        loss=trees.get(tree, "loss", float),
        weight=trees.get(tree, "weight", float),
        seconds=trees.get(tree, "seconds", float),
        ended=trees.get(tree, "ended", lambda a: isinstance(a, np.ndarray) and a.ndim == 1),
        ended_seconds=trees.get(tree, "ended_seconds", float),
    )
    if not 0 <= position.row < rows or position.row % batch or position.ended.dtype != np.float64:
        raise ValueError(
            f"row {position.row} is no place between batches of {batch} of {rows} rows"
        )
    if not len(position.ended) <= position.epochs <= epochs:
        raise ValueError(
            f"{position.epochs} epochs have been made, and epochs is {epochs}: it counts those of "
            "the whole run, those before the checkpoint included"
        )
    return position
