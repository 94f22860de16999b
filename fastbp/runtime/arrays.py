"""What the engines share: the arrays of a trainer, and the data of one call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..common.types import Array, Floats, Ints
from ..components.losses import Loss
from ..data.tables import Table, raise_bad_inputs, raise_bad_targets
from ..kernels.primitives import gather
from ..kernels.tables import arenas, job_table, layout
from .job import Job


@dataclass
class Dataset:
    """X, and y where a call has targets."""

    x: Table
    y: Table | None = None
    names: tuple[str, str] = ("X", "y")
    """What the user calls them, for messages."""
    weights: Floats | None = None
    """Of the rows, (rows,)."""

    @property
    def rows(self) -> int:
        """Rows of X."""
        return self.x.descriptor[gather.N_ROWS]

    def part(self, start: int, stop: int) -> "Dataset":
        """Rows ``start`` to ``stop`` of it."""
        if stop - start == self.rows:
            return self
        y = self.y and self.y.part(start, stop)
        return Dataset(self.x.part(start, stop), y, self.names)


@dataclass
class TrainingArrays:
    """A trainer's arrays over a network's parameters (layouts: kernels/layout.py)."""

    spec: layout.PlanSpec
    parameters: Array
    """The network's own arena."""
    moments: Array
    hyper: Floats
    loss: Loss
    scales: arenas.Scales
    """The network's; only a spec with ``scaling`` uses them."""
    custom_activations: tuple[Callable[..., Any] | None, ...]
    """The network's functions, one a layer."""


class Engine(Protocol):
    """Where a trainer's numbers are computed: compiled kernels, or their NumPy twins."""

    def train(self, data: Dataset, job: Job, into: Array) -> float:
        """Run the job from where it stands; ``into`` holds the moments, or takes the gradients.

        Returns the seconds that it waited for other threads.
        """

    def outputs(self, data: Dataset, out: Array) -> Ints:
        """Fill out (n, outputs). Returns a status (kernels/jobs.py) for each share."""

    def evaluate_rows(self, data: Dataset, values: Floats) -> Ints:
        """Fill values (n, 2) with loss and hits of each row. Returns statuses likewise."""


def raise_status(statuses: Ints, data: Dataset, arrays: TrainingArrays) -> None:
    """ValueError for the first invalid value that an inference met."""
    met = statuses[statuses != job_table.OK]
    if not len(met):
        return
    status, start = int(met[0]) % job_table.KINDS, int(met[0]) // job_table.KINDS
    raise_invalid(status, np.arange(start, min(data.rows, start + 1024)), data, arrays)


def raise_invalid(status: int, rows: Ints, data: Dataset, arrays: TrainingArrays) -> None:
    """ValueError for the invalid value that a kernel met among these rows."""
    dtype, (x_name, y_name) = arrays.parameters.dtype, data.names
    if status == job_table.BAD_INPUT:
        raise_bad_inputs(data.x, rows, dtype, x_name)
    if status == job_table.BAD_TARGET and data.y is not None:
        raise_bad_targets(data.y, rows, arrays.loss, arrays.spec.sizes[-1], dtype, y_name)
