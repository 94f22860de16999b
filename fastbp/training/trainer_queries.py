"""The methods of a trainer that change nothing."""

import copy
from collections.abc import Mapping
from typing import Any

from ..callbacks.history import History
from ..common import checks
from ..common.attributes import Guarded
from ..common.signatures import explained
from ..common.types import Array
from ..components import optimizers
from ..components.metrics import Metric, as_metrics
from ..kernels.tables import arenas
from ..model.network import Network
from . import derivatives, full_gradients, inference, input_scaling, lr_finder
from .collective import collective
from .core import TrainerCore
from .datasets import as_dataset, datasets
from .lbfgs_search import Outcome
from .row_order import RowOrder


class TrainerQueries(Guarded):
    """The base of ``Trainer``: its parts, losses, gradients and outputs. Nothing changes it."""

    _core: TrainerCore

    @property
    def net(self) -> Network:
        """The network."""
        return self._core.net

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The optimizer as it was given; ``lr`` is the learning rate, which can be set."""
        return self._core.optimizer

    @property
    def updates(self) -> int:
        """The number of updates made so far, by which schedules count; ``embed`` counts, too."""
        return self._core.updates

    @property
    def batch_size(self) -> int:
        """Rows of an update."""
        return self._core.batch_size

    @property
    def seed(self) -> int:
        """The seed of the order of the rows."""
        return self._core.seed

    @property
    def rank(self) -> int:
        """The number of this rank in ``comm``; 0 without one."""
        return 0 if self._core.group is None else self._core.group.rank

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self._core.loss.name

    @property
    def scheduled_lr(self) -> float:
        """The learning rate of the next update: ``lr`` times the factor of the schedule."""
        return self._core.scheduled_lr

    @property
    def input_scale(self) -> Array | None:
        """A read-only copy of the learned scale s of the inputs, (n_in,); None without one.

        The network's first weights are diag(s) W. ``net.input_scale`` is another: it standardizes.

        >>> net, adam = fastbp.Network([2, 1], init="zeros"), fastbp.Adam()
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=adam, input_scaling=6)
        >>> print(trainer.input_scale)
        [1. 1.]
        """
        with self._core.exclusive():
            return input_scaling.scale(self._core)

    @property
    def history(self) -> History:
        """The History of the last fit, also of one that an error or Ctrl-C ended.

        It has the epochs that are complete, their validation included.
        """
        return self._core.history

    @property
    def outcome(self) -> Outcome | None:
        """How the last fit by L-BFGS ended; None before, with others, and where it was stopped.

        ``outcome.reason`` is "iterations", "tolerance", "loss", "evaluations" or "line search"
        (which found no lower loss); ``outcome.losses`` has the loss after each iteration, and
        ``outcome.result`` what SciPy says.
        """
        outcome: Outcome | None = self._core.outcome
        return outcome

    @collective
    @explained("trainer.evaluate")
    def evaluate(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        averaged: bool = False,
        metrics: Mapping[str, Metric] | None = None,
        jacobian: Any = None,
        jacobian_weight: Any = 1.0,
        directions: Any = None,
    ) -> dict[str, float]:
        """Mean loss over any number of rows, accuracy for losses that have one, and your metrics.

        accuracy: for cross_entropy the share of rows whose largest output (the first, on ties) is
        the label's; for bce, where y holds 0 and 1 alone, the share of entries with (p >= 0.5) ==
        (y >= 0.5).

        Args:
            X: as for ``fit``.
            y: as for ``fit``.
            sample_weight: of each row in the means of loss and accuracy, sum(w l) / sum(w), (n,),
                >= 0; None for 1. Metrics have no weights.
            averaged: use the moving average of the parameters (ema_decay), not the parameters.
            metrics: by name, functions of (y, p) that return a number, such as scikit-learn's: y is
                a copy of the array that you pass, p the outputs in the shape of y; for labels (n,),
                and for means with variances, p is (n, n_out).
            jacobian: known derivatives of these rows, as for ``fit``: then the result has their
                loss apart, as "jacobian_loss", and X and y are read whole. The loss of training is
                the sum of both.
            jacobian_weight: as for ``fit``.
            directions: as for ``fit``.

        Raises:
            ValueError, TypeError: shapes, dtypes, names of columns or values do not fit, or a
                metric does not return a number, or broadcasts y (n,) against p (n, 1), say, to (n,
                n). An exception of a metric reaches the caller, with the metric's name in a note.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> trainer.evaluate([[1.0]], [[2.0]], metrics={"bias": lambda y, p: np.mean(p - y)})
        {'loss': 4.0, 'bias': -2.0}

        """
        core = self._core
        measured = as_metrics(metrics, core.has_accuracy)
        known = jacobian, jacobian_weight, directions
        if jacobian is None and directions is None:
            derivatives.of_rows(core, 0, *known)
            parts = datasets(core, X, y, sample_weight)
        else:
            data = as_dataset(core, X, y, sample_weight, takes_mean=True)
            data.derivatives = derivatives.of_rows(core, data.rows, *known)
            parts = iter([data])
        with core.exclusive():
            return inference.evaluate(core, parts, measured, averaged)

    def predict(
        self, X: Any, out: Array | None = None, layer: int | None = None, *, averaged: bool = False
    ) -> Array:
        """Outputs (n, n_out) of the rows of X, like ``net.predict``, with this engine and threads.

        layer: k for the activations of layer k, as ``net.predict(X, layer=k)`` computes them,
        whatever the engine. averaged: use the moving average of the parameters (ema_decay), not the
        parameters; it raises RuntimeError while another thread trains.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> print(trainer.predict([[1.0], [2.0]]))
        [[0.]
         [0.]]
        """
        if layer is not None:
            net = self.averaged_network() if checks.flag(averaged, "averaged") else self.net
            return net.predict(X, out, layer)
        core = self._core
        if averaged is not False and checks.flag(averaged, "averaged"):
            with core.exclusive():
                return inference.outputs_of(core, X, inference.engine_of(core, True), out)
        if core.uses_fast_path:
            p = core.net.fast_outputs(X, out)
            if p is not None:
                return p
        return inference.outputs_of(core, X, core.engine, out)

    def loss_and_gradients(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        jacobian: Any = None,
        jacobian_weight: Any = 1.0,
        directions: Any = None,
    ) -> tuple[float, list[arenas.Layer]]:
        """The mean loss over any number of rows, and its gradient; nothing is updated.

        Both include penalties, label smoothing and the dropout of the next update. The gradient is
        not clipped, and frozen layers have one, too. sample_weight: of each row, (n,), >= 0; None
        for 1. The loss is sum(w l) / rows, as in ``step``; where no row has weight, loss and
        gradient are 0.

        jacobian, jacobian_weight, directions: known derivatives of these rows, as for ``fit``: loss
        and gradient include theirs.

        Returns:
            (loss, [(dW, db), ...]): dW (n_in, n_out) and db (n_out,) of each layer; a normalized
            layer has (dW, db, dgain, dshift), the last two (n_out,), too.

        Raises:
            ValueError, TypeError, FloatingPointError: as ``step``.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> loss, [(dW, db)] = trainer.loss_and_gradients([[1.0]], [[2.0]])
        >>> print(loss, dW, db)
        4.0 [[-4.]] [-4.]

        """
        data = as_dataset(self._core, X, y, sample_weight)
        if data.rows == 0:
            raise ValueError("X has no rows, which have no gradient: pass zeros, and rows=0")
        known = jacobian, jacobian_weight, directions
        data.derivatives = derivatives.of_rows(self._core, data.rows, *known)
        self._core.check_balanced()
        return full_gradients.of_rows(self._core, RowOrder(data, shuffle=False))

    def averaged_network(self) -> Network:
        """A new network whose parameters are the moving average of this one's (ema_decay).

        ValueError for a trainer without ema_decay.

        >>> net, adam = fastbp.Network([1, 1], init="zeros"), fastbp.Adam()
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=adam, ema_decay=0.99)
        >>> print(trainer.averaged_network().predict([[1.0]]))
        [[0.]]
        """
        with self._core.exclusive():
            average = inference.average(self._core)
            net = copy.copy(self.net)
            net.arrays.parameters[:] = average
            return net

    @collective
    @explained("trainer.find_lr")
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
        """Try learning rates on mini-batches, and suggest one; this trainer does not change.

        A copy of this trainer and its network makes up to ``updates`` updates, whose lr grows
        exponentially from ``start_lr`` to ``end_lr``, until the loss diverges. ``X``, ``y`` and
        ``sample_weight`` are those of ``fit``. Ranks (``comm``) call it together, and find one.

        Raises:
            ValueError, TypeError: as ``fit``; no row has weight; the optimizer is LBFGS.
            FloatingPointError: the first loss is not finite.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> curve = trainer.find_lr([[1.0]], [[2.0]], start_lr=1e-3, end_lr=10, updates=9)
        >>> curve
        <LRCurve: 9 updates, lr 0.001 to 10, suggestion 0.316>
        >>> trainer.lr = curve.suggestion

        """
        self._core.check_updates("find_lr")
        data = as_dataset(self._core, X, y, sample_weight, takes_mean=True)
        return lr_finder.sweep(
            self._core, data, lr_finder.learning_rates(start_lr, end_lr, updates)
        )
