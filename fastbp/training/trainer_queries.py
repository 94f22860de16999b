"""What a trainer answers without being changed."""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..callbacks.history import History
from ..common import checks
from ..common.types import Array
from ..components import optimizers
from ..components.metrics import Metric, as_metrics
from ..data.tables import as_inputs
from ..kernels.tables import arenas
from ..model.network import Network
from ..runtime.arrays import Dataset
from . import inference, lr_finder
from .core import TrainerCore
from .datasets import as_dataset
from .row_order import RowOrder
from .validation import Validation


class TrainerQueries:
    """The methods of ``Trainer`` that change nothing: its parts, losses, gradients, outputs."""

    _core: TrainerCore

    @property
    def net(self) -> Network:
        """The network."""
        return self._core.net

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimizer, as it was given: its learning rate may have been set since."""
        return self._core.optimizer

    @property
    def batch_size(self) -> int:
        """Rows of an update."""
        return self._core.batch_size

    @property
    def seed(self) -> int:
        """The seed of the order of the rows."""
        return self._core.seed

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self._core.loss.name

    @property
    def scheduled_lr(self) -> float:
        """The learning rate of the next update: ``lr`` times the factor of the schedule."""
        return self._core.scheduled_lr

    @property
    def history(self) -> History:
        """The History of the last fit, also of one that an error or Ctrl-C ended.

        Of the epochs that were made and, with validation, judged.
        """
        return self._core.history

    def evaluate(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        averaged: bool = False,
        metrics: Mapping[str, Metric] | None = None,
    ) -> dict[str, float]:
        """Mean loss over any number of rows, accuracy for losses that have one, and your metrics.

        accuracy: for cross_entropy the share of rows whose largest output (the first, on ties) is
        the label's; for bce the share of entries with (p >= 0.5) == (y >= 0.5).

        Args:
            X: as for ``fit``.
            y: as for ``fit``.
            sample_weight: of each row in the means of loss and accuracy, (n,), >= 0; None for 1.
            averaged: judge the moving average of the parameters (ema_decay), not the parameters.
            metrics: by name, functions of (y, p) that return a number, such as scikit-learn's: y is
                the array that you pass, p (n, n_out) the outputs.

        Raises:
            ValueError, TypeError: shapes, dtypes or values do not fit, or a metric does not return
                a number. What a metric raises, with its name in a note.

        """
        core = self._core
        measured = as_metrics(metrics, core.has_accuracy)
        rows = Validation(as_dataset(core, X, y, sample_weight), np.asarray(y))
        with core.exclusive():
            return inference.evaluate(core, rows, measured, averaged)

    def predict(self, X: Any, out: Array | None = None, *, averaged: bool = False) -> Array:
        """``net.predict``, by this trainer's engine and threads.

        averaged: by the moving average of the parameters (ema_decay), and not the parameters; this
        is refused while another thread trains, RuntimeError.
        """
        core = self._core
        if averaged is not False and checks.flag(averaged, "averaged"):
            with core.exclusive():
                return inference.outputs(
                    core, self._inputs(X), inference.engine_of(core, True), out
                )
        if core.engine is core.compiled and not core.workers:
            p = core.net.fast_outputs(X, out)
            if p is not None:
                return p
        return inference.outputs(core, self._inputs(X), core.engine, out)

    def _inputs(self, X: Any) -> Dataset:
        return Dataset(as_inputs(X, self.net.sizes[0]))

    def loss_and_gradients(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> tuple[float, list[arenas.Layer]]:
        """The mean loss over any number of rows, and its gradient; nothing is updated.

        With penalties, label smoothing and the dropout of the next update, but not clipped. Frozen
        layers have their gradient, too. sample_weight: of each row, (n,), >= 0; None for 1.

        Returns:
            (loss, [(dW, db), ...]): dW (n_in, n_out) and db (n_out,) of each layer; of one that is
            normalized (dW, db, dgain, dshift), the last two (n_out,), too.

        Raises:
            ValueError, TypeError, FloatingPointError: as ``step``.

        """
        data = as_dataset(self._core, X, y, sample_weight)
        self._core.check_balanced()
        return self._core.gradients(RowOrder(data, shuffle=False))

    def averaged_network(self) -> Network:
        """A new network whose parameters are the moving average of this one's (ema_decay)."""
        with self._core.exclusive():
            average = inference.average(self._core)
            net = copy.copy(self.net)
            net.arrays.parameters[:] = average
            return net

    def find_lr(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        updates: int = 100,
    ) -> lr_finder.LRCurve:
        """Try learning rates on mini-batches, and suggest one; this trainer stays as it is.

        A copy of this trainer and its network makes up to ``updates`` updates, whose lr grows
        exponentially from ``start_lr`` to ``end_lr``, until the loss diverges. ``X``, ``y`` and
        ``sample_weight`` are those of ``fit``. ``trainer.lr = trainer.find_lr(X, y).suggestion``
        takes the advice.

        Raises:
            ValueError, TypeError: as ``fit``; no row has weight.
            FloatingPointError: the loss is not finite to begin with.

        """
        data = as_dataset(self._core, X, y, sample_weight)
        return lr_finder.sweep(
            self._core, data, lr_finder.learning_rates(start_lr, end_lr, updates)
        )
