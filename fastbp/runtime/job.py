"""The control block of a compiled call: task, addresses of all arrays, progress, status.

Its layout is in kernels/tables/job_table.py.
"""

import math
import struct
from typing import Any

import numpy as np

from ..common.types import Array, Floats, Ints
from ..data.tables import MOST_EXPONENT, Table, address
from ..kernels.tables import job_table

NO_LIMIT = 2**63 - 1

_NOTHING = (0,) * (job_table.Y - job_table.X)
# One call in place of several assignments, because step waits for it.
_HEAD = struct.Struct(f"{job_table.PLAN}q")
_POINTERS = struct.Struct(f"{job_table.ORDER - job_table.PLAN}q")
_RESULTS = struct.Struct("2q")  # OUT and VALUES
_DATA = struct.Struct(f"{job_table.TANGENTS - job_table.ROW_WEIGHTS}q")


class Job:
    """The int64 vector of a job, with the arrays that it points to.

    losses: float64, the sum of the row losses of each epoch from FIRST on. weights: the sum of the
    weights of these rows, which extended kernels write. order: int64 (rows,), the rows of an epoch
    in their order; None for the order of the data. mean_weight: what divides each weight.
    weight_unit: the part of it that divides weights of entries (output_loss.py): a power of two, or
    1 where rounding loses nothing.
    epochs_taken: epochs whose losses Python has. chunk: batches of the next compiled call, where a
    job takes several.
    """

    def __init__(
        self,
        task: int,
        rows: int,
        batch: int,
        losses: Floats,
        order: Ints | None = None,
        mean_weight: float = 1.0,
    ) -> None:
        self.array = np.zeros(job_table.JOB, np.int64)
        self.losses, self.order = losses, order
        self.weights, self.mean_weight = np.zeros(len(losses)), mean_weight
        self.epochs_taken, self.chunk = 0, 1
        self._memory = self.array.data
        self.address = address(self.array)
        self.begin(task, rows, batch)
        self.array[job_table.LOSSES] = address(losses)
        self.array[job_table.WEIGHT_SUMS] = address(self.weights)
        _, exponent = math.frexp(mean_weight)
        self.weight_unit = math.ldexp(1.0, exponent - 1) if abs(exponent) > MOST_EXPONENT else 1.0
        if mean_weight != 1:
            self._divisors = np.array([mean_weight, self.weight_unit])
            self.array[job_table.MEAN_WEIGHT] = address(self._divisors)
        self.array[job_table.ORDER] = 0 if order is None else address(order)

    def begin(self, task: int, rows: int, batch: int) -> None:
        """Ask for one epoch of rows in the order of the data, from its start, in one call."""
        self.batch = min(batch, rows)
        _HEAD.pack_into(
            self._memory, 0, task, rows, self.batch, 0, 0, 0, 1, NO_LIMIT, 0, 0, job_table.OK
        )

    def point(
        self,
        pointers: tuple[int, ...],
        x: Table | None = None,
        y: Table | None = None,
        row_weights: Floats | None = None,
        nonzeros_code: int = 0,
    ) -> None:
        """Set the addresses: PLAN to HYPER, X, y, the weights of rows, NONZEROS_CODE."""
        inputs = _NOTHING if x is None else x.descriptor
        targets = _NOTHING if y is None else y.descriptor
        weights = 0 if row_weights is None else address(row_weights)
        _POINTERS.pack_into(self._memory, 8 * job_table.PLAN, *pointers)
        _DATA.pack_into(
            self._memory, 8 * job_table.ROW_WEIGHTS, weights, nonzeros_code, *inputs, *targets
        )

    def write_to(self, row: int, out: Array | None, values: Array | None) -> None:
        """Let an inference write its results from this row of the arrays on; None for none."""
        places = _row_address(out, row), _row_address(values, row)
        _RESULTS.pack_into(self._memory, 8 * job_table.OUT, *places)

    def rows_of_batch(self) -> int:
        """Rows of the next batch."""
        return min(self.batch, self[job_table.ROWS] - self[job_table.START])

    def take_losses(self) -> Floats:
        """The losses of the epochs that have ended since the last call; makes room for more."""
        ended = self[job_table.EPOCH] - self[job_table.FIRST]
        taken = self.means()[:ended]
        for sums in (self.losses, self.weights):
            begun = sums[ended:].copy()
            sums.fill(0.0)
            sums[: len(begun)] = begun
        self[job_table.FIRST] += ended
        self.epochs_taken += ended
        return taken

    def means(self) -> Floats:
        """The mean loss of the rows of each epoch."""
        return self.losses / self[job_table.ROWS]

    def __getitem__(self, element: int) -> int:
        return int(self.array[element])

    def __setitem__(self, element: int, value: Any) -> None:
        self.array[element] = value


def _row_address(array: Array | None, row: int) -> int:
    return 0 if array is None else address(array) + row * array.strides[0]
