"""What both engines work on: the arrays of a trainer, and the data of one call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..common.types import Array, Floats, Ints
from ..components.losses import Loss
from ..data.derivatives import Derivatives
from ..data.tables import Table, raise_bad_inputs, raise_bad_targets
from ..kernels.primitives import gather
from ..kernels.tables import arenas, job_table, layout, settings
from ..kernels.tables.learned_scaling import LearnedScaling
from .job import Job


@dataclass
class Dataset:
    """The rows of a call: X, and y where it has targets."""

    x: Table
    y: Table | None = None
    names: tuple[str, str] = ("X", "y")
    """The names of X and y in messages."""
    weights: Floats | None = None
    """The weight of each row, (rows,); None for 1."""
    derivatives: Derivatives | None = None
    """What is known of the derivatives of y by X; None for nothing."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.x.descriptor[gather.N_ROWS]

    def part(self, start: int, stop: int) -> "Dataset":
        """Rows ``start`` to ``stop``, without weights."""
        if stop - start == self.rows:
            return self
        y = self.y and self.y.part(start, stop)
        known = self.derivatives and self.derivatives.part(start, stop)
        return Dataset(self.x.part(start, stop), y, self.names, derivatives=known)


@dataclass
class TrainingArrays:
    """A trainer's arrays over a network's parameters (layouts: kernels/tables/layout.py)."""

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
    input_scaling: Array = field(default_factory=lambda: np.empty(0))
    """The memory behind the moments of a learned scaling of the inputs; empty for none."""
    number_columns: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """The network's: the columns of X that are embedded."""

    @property
    def class_weights(self) -> Floats:
        """The part of ``hyper`` with the weight of each class."""
        first = settings.class_weights(len(self.spec.sizes) - 1)
        count = self.loss.n_weights(self.spec.sizes[-1], self.spec.weighs_classes)
        return self.hyper[first : first + count]


def learned_scaling(arrays: TrainingArrays, plan: Ints) -> LearnedScaling | None:
    """The learned scaling of the inputs in place. plan: of the parameters."""
    if not arrays.spec.input_scaling:
        return None
    return LearnedScaling(plan, arrays.input_scaling, arrays.spec.moments)


def derivative_factors(arrays: TrainingArrays, known: Derivatives) -> Array:
    """What turns derivatives in raw units into those of the network, (n_out, D) or (n_out, 1)."""
    n_out, dtype = arrays.spec.sizes[-1], arrays.parameters.dtype
    if not arrays.spec.scaling:
        return np.ones((n_out, known.count), dtype)
    factors = arrays.scales.target_factor.astype(np.float64)[:, None]
    if known.directions is None:
        factors = factors / arrays.scales.input_factor
    return factors.astype(dtype)


class Engine(Protocol):
    """What computes a trainer's numbers: compiled kernels, or their NumPy twins."""

    def train(self, data: Dataset, job: Job, into: Array) -> float:
        """Run the job from where it stands. into: the moments, or an arena for gradients.

        Returns the seconds that it waited for other threads.
        """

    def apply(self, gradient: Array) -> int:
        """Make one update by the gradient of the whole loss, an arena. Returns OK or NOT_FINITE."""

    def outputs(self, data: Dataset, out: Array) -> int:
        """Fill out (n, outputs). Returns OK, or the status of the first worker with another one.

        Statuses are those of kernels/tables/job_table.py.
        """

    def evaluate_rows(self, data: Dataset, values: Floats) -> int:
        """Fill values (n, 2) with the loss of each row and whether it is correct, 0 or 1.

        Returns a status as ``outputs``.
        """

    def derivative_losses(self, data: Dataset, values: Floats) -> int:
        """Fill values (n,) with the loss of each row's derivatives; a status as ``outputs``."""


def raise_status(status: int, data: Dataset, arrays: TrainingArrays) -> None:
    """ValueError for the invalid value that an inference has found; nothing for OK."""
    if status == job_table.OK:
        return
    start, kind = divmod(status, job_table.KINDS)
    raise_invalid(kind, np.arange(start, min(data.rows, start + 1024)), data, arrays)


def raise_invalid(status: int, rows: Ints, data: Dataset, arrays: TrainingArrays) -> None:
    """ValueError for the invalid value that a kernel has found in these rows."""
    dtype, (x_name, y_name) = arrays.parameters.dtype, data.names
    if status == job_table.BAD_INPUT:
        raise_bad_inputs(data.x, rows, dtype, x_name)
    if status == job_table.BAD_TARGET and data.derivatives is not None:
        data.derivatives.check(rows, dtype)
    if status == job_table.BAD_TARGET and data.y is not None:
        raise_bad_targets(data.y, rows, arrays.loss, arrays.spec.sizes[-1], dtype, y_name)
