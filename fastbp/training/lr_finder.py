"""The learning-rate finder: it records the loss while lr grows from update to update.

The range test of Smith (Cyclical learning rates for training neural networks, WACV 2017), with
exponential steps, smoothing and a stop as in fastai.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..common import checks
from ..common.optional import need
from ..common.types import Floats
from ..kernels.base import caution
from ..kernels.tables import job_table, settings
from ..kernels.tables.schedules import N_SCHEDULE
from ..runtime.arrays import Dataset
from ..runtime.job import Job
from . import row_weights
from .core import TrainerCore
from .row_order import RowOrder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOOTHING = 0.98
"""The weight of the old running mean at every batch, as in fastai."""


@dataclass(frozen=True)
class LRCurve:
    """The result of ``Trainer.find_lr``; every array is (updates made,) float64.

    suggestion is a tenth of the learning rate at which ``smoothed`` is lowest (fastai's "minimum"),
    because there the loss has stopped falling; NaN where it never fell. In 32 trainings (four
    networks, four optimizers, batches of 16 and of 128) this rule gave a final loss of 2.8 times
    that of the best rate of a grid, in the geometric mean; fastai's "valley" gave 5.7 times, the
    steepest descent 30 times.

    Attributes:
        lrs: the learning rate of each update.
        losses: the loss of each batch before its update.
        smoothed: running mean of the losses, s_k = m_k / (1 - 0.98^k) with
            m_k = 0.98 m_(k-1) + 0.02 loss_k.
        is_open: whether ``smoothed`` is lowest at the highest rate that was asked for, so that no
            rate was too high: ``suggestion`` then gives a UserWarning.

    """

    lrs: Floats
    losses: Floats
    smoothed: Floats
    is_open: bool = False

    @property
    def suggestion(self) -> float:
        """The suggested learning rate: see the class."""
        if self.is_open:
            caution.warn(
                f"the loss was lowest at the highest rate that find_lr tried, {self.lrs[-1]:g}: it "
                "may fall further. Pass a larger end_lr; this suggestion is a tenth of the edge",
                stacklevel=2,
            )
        return self._suggestion

    @property
    def _suggestion(self) -> float:
        lowest = int(self.smoothed.argmin())
        return float(self.lrs[lowest]) / 10 if lowest else math.nan

    def __repr__(self) -> str:
        first, last = self.lrs[[0, -1]]
        rates = f"lr {first:.3g} to {last:.3g}, suggestion {self._suggestion:.3g}"
        return f"<LRCurve: {len(self.lrs)} updates, {rates}>"

    def plot(self) -> "Figure":
        """Plot the losses over lr, with the suggestion; see ``History.plot``.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> trainer.find_lr([[1.0]], [[2.0]], updates=20).plot().savefig("lr.png")
        """
        need("matplotlib", "plot", "plot")
        from ..callbacks import plots

        return plots.sweep(self.lrs, self.losses, self.smoothed, self._suggestion)


def learning_rates(start_lr: Any, end_lr: Any, updates: Any) -> Floats:
    """The (updates,) rates of a sweep, evenly spaced on a logarithmic scale; checked."""
    start, end = checks.positive(start_lr, "start_lr"), checks.positive(end_lr, "end_lr")
    count = checks.integer(updates, "updates", 2)
    if end <= start:
        raise ValueError(f"end_lr is {end}, expected a number above start_lr = {start}")
    try:
        return np.geomspace(start, end, count)
    except (MemoryError, ValueError) as error:  # too large for memory, or for an array
        raise MemoryError(f"updates is {count}: there is no memory for as many rates") from error


def sweep(core: TrainerCore, data: Dataset, lrs: Floats) -> LRCurve:
    """Train a copy on one batch for each of ``lrs``, until the loss diverges.

    Raises:
        FloatingPointError: the very first loss is not finite.

    """
    core, order = core.copied(), RowOrder(data, shuffle=True)
    if core.is_local:
        from . import local_rows

        order = local_rows.order_of(core, order)
    row_weights.weigh(core, order)
    # No schedule: each update has its own lr.
    core.arrays.hyper[settings.SCHEDULE : settings.SCHEDULE + N_SCHEDULE] = 0
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    for loss in _losses(core, order, lrs):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        losses.append(loss)
        smoothed.append(mean / (1 - SMOOTHING ** len(losses)))
        if smoothed[-1] > divergence(smoothed):
            break
    is_open = 0 < int(np.argmin(smoothed)) == len(lrs) - 1
    return LRCurve(lrs[: len(losses)].copy(), np.array(losses), np.array(smoothed), is_open)


def divergence(smoothed: Any) -> float:
    """The loss above which it counts as diverged.

    fastai stops at 4 times the lowest loss, which is 3 times its size above it. Here the size is
    the larger of the lowest loss's and the fall so far, so that losses near 0 and below work, too.
    """
    lowest = float(min(smoothed))
    return lowest + 3 * max(abs(lowest), float(smoothed[0]) - lowest)


def _losses(core: TrainerCore, order: RowOrder, lrs: Floats) -> Iterator[float]:
    """The loss of each batch before its update, in the order in which fit takes them.

    Ends where one is not finite, unless it is the first.
    """
    job = order.job(core.batch_size, core.seed, 1)
    job[job_table.EPOCH] = core.epoch
    for count, lr in enumerate(lrs):
        core.lr = float(lr)
        try:
            yield _next_loss(core, order.data, job)
        except FloatingPointError:
            if count == 0:
                raise
            return


def _next_loss(core: TrainerCore, data: Dataset, job: Job) -> float:
    """The loss of the next batch that has weight, before its update. Each epoch has one."""
    before, loss, rows = core.updates, 0.0, 1
    while core.updates == before:
        loss, rows = core.next_batch(data, job, "find_lr")
    return loss / rows
