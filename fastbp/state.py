"""What the engines share: the arrays of a trainer, and the data of one call."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .data import Table
from .kernels import layout, step
from .losses import Loss

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass
class Data:
    """X, and y where a call has targets."""

    x: Table
    y: Table | None = None
    names: tuple[str, str] = ("X", "y")
    """What the user calls them, for messages."""

    @property
    def rows(self) -> int:
        """Rows of X."""
        return len(self.x.array)


@dataclass
class State:
    """A trainer's arrays over a network's parameters (layouts: kernels/layout.py)."""

    shape: layout.Shape
    parameters: Array
    """The network's own arena."""
    moments: Array
    hyper: Floats
    loss: Loss


class Engine(Protocol):
    """Where a trainer's numbers are computed: compiled kernels, or their NumPy twins."""

    def train(self, data: Data, order: Ints, job: Ints, losses: Floats, into: Array) -> None:
        """Run the job (kernels/step.py); ``into`` holds the moments, or takes the gradients."""

    def outputs(self, data: Data, out: Array) -> Ints:
        """Fill out (n, outputs); the statuses of kernels/step.py's ``infer``."""

    def judge(self, data: Data, values: Floats) -> Ints:
        """Fill values (n, 2) with loss and hits of each row; statuses likewise."""


_NO_LIMIT = 2**63 - 1


def new_job(task: int, rows: int, batch: int) -> Ints:
    """A job (kernels/step.py) for one epoch of rows as they lie, with no limit."""
    job = np.zeros(step.JOB, np.int64)
    job[step.TASK], job[step.ROWS], job[step.BATCH] = task, rows, batch
    job[step.EPOCHS], job[step.BUDGET] = 1, _NO_LIMIT
    return job
