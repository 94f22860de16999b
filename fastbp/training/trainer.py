"""The trainer: data comes in here, is checked once, and comes back as numbers."""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from ..callbacks.base import Callback, CallbackList, FitState, as_callbacks
from ..callbacks.history import History
from ..callbacks.progress import bar_for
from ..common import checks
from ..common.literals import EngineName
from ..common.signatures import explained
from ..components import losses, optimizers
from ..components.lbfgs import LBFGS
from ..components.metrics import Metric, as_metrics
from ..components.schedule_base import Schedule
from ..model.network import Network
from ..runtime.arrays import Dataset
from ..runtime.compiled_model import Model
from . import derivatives, learned_names, setup, streams
from . import resume as resuming
from .array_loop import ArrayLoop
from .collective import collective
from .core import TrainerCore
from .datasets import as_dataset, as_held_out, as_validation
from .fitting import Fit
from .lbfgs_loop import LbfgsLoop
from .row_order import RowOrder
from .setup import Arguments
from .trainer_state import TrainerState
from .trainer_steps import TrainerSteps
from .undo import undone_without_updates
from .validation import check_metrics_have_data


class Trainer(TrainerState, TrainerSteps):
    """Trains a network with a loss and an optimizer; it owns the moments and counters.

    Its repr is the call that makes it.

    Args:
        net: the network; its parameters are changed in place.
        loss: a name, a ``Huber``, ``Quantile`` or ``BetaNLL`` (the guide, fastbp/README.md, has the
            names, the formulas, and the output activations of each in "Losses"), or your own: an
            njit function ``loss(p, y, dloss_dp) -> float`` of one row's outputs and targets that
            fills in the derivative.
        optimizer: a specification such as ``fastbp.Adam(lr=1e-3)`` or ``fastbp.LBFGS()``.
        batch_size: rows of an update, >= 1; a larger number than there are rows means all rows.
        threads: the most threads to use, or "auto".
        seed: of the order of the rows, an integer in [0, 2**63); None draws one.
        engine: "numba", or "numpy" for the plain NumPy twins.
        l1, l2: penalties on the weights only: they add l1 sum |w| + l2 / 2 sum w^2 to the loss of
            every update. (The optimizers' weight_decay is torch's and not part of the loss.)
        dropout: share of each hidden layer's units that an update drops, in [0, 1), or a sequence
            of one share per hidden layer. The other units are scaled by 1 / (1 - share);
            ``evaluate`` and ``predict`` use all units. (Srivastava et al., 2014.)
        label_smoothing: for cross_entropy and bce: y (1 - s) + s / n_classes in place of y.
        clip_value: the largest size of an element of the gradient.
        clip_norm: the largest norm of the whole gradient, without frozen layers; a larger gradient
            is scaled down to it (Pascanu et al., 2013). clip_value is applied before clip_norm.
        ema_decay: keep a moving average of the parameters, a = w after the first update and a =
            ema_decay a + (1 - ema_decay) w after each later one, for ``evaluate(averaged=True)``
            and ``predict(averaged=True)``.
        class_weight: a dict of weights by label, 1 for labels that are not in it; or "balanced", n
            / (classes * rows of the class) by the labels of each ``fit``. It multiplies
            ``sample_weight``. It is a weight of rows, also with label smoothing, where torch weighs
            each class of a row. A row of probabilities has the mean weight by them. For bce with
            several outputs it weighs the entries of y: a dict for all outputs, one for each in a
            list, or "balanced" for each.
        schedule: of the learning rate and momentum by updates (fastbp.schedules), times ``lr``.
        lr_factors: factor on the learning rate of each layer: one number, or one per layer. A layer
            with 0 is frozen, and its gradient not computed.
        bias_lr_factor: factor on the learning rate of biases, above 0, beside that of their layer:
            one number, or one per layer. Gains and shifts keep the rate of their layer.
        weight_decay_on: "all", as torch's weight_decay is where all parameters are one group; or
            "weights": biases, gains and shifts do not decay.
        weight_decay_factors: factor on the optimizer's weight_decay in each layer: one number, or
            one per layer, 0 or more. AdamW decays by the learning rate times weight_decay, and
            lr_factors are part of that rate: with 1 / lr_factors layers decay alike.
        weight_decay_schedule: a schedule whose factor multiplies the optimizer's weight_decay.
        dropout_schedule: a schedule whose factor multiplies the shares of dropout.
        input_scaling: learn the first layer's weights as diag(s) W, with a scale s (n_in,) of the
            inputs that begins as 1; the number is the factor on its learning rate, 6 in RealMLP
            (Holzmueller et al., 2024). ``net.weights`` has the product. Penalties, clipping and
            the moving average see the product and its gradient; the optimizer updates s and W,
            each with moments and weight decay. Where the weights of inputs are changed otherwise,
            by ``net.set_parameters`` say, their scale starts anew from 1.
        embedding_lr_factor: factor on the learning rate of the parameters of the network's
            ``number_embedding``, 0.1 in RealMLP; 0 freezes them. They have the optimizer's weight
            decay, whatever ``weight_decay_on`` is, and no penalty.
        ignore_nan: for bce, gaussian_nll and beta_nll: NaN in y is a target that is not known, an
            entry of weight 0.
            ``evaluate`` takes the mean over the others, and metrics see y as it is.
        comm: a communicator of mpi4py, such as MPI.COMM_WORLD: its ranks train one network together
            (fastbp/distributed/README.md). Every rank makes the same calls.
        data: "shared": every rank passes the same rows, and computes its part of them. "local":
            each rank passes rows of its own.
        reduction: "ordered": the same bits on 1 to ``parts`` ranks; "fast": between nodes the sums
            of the MPI library, with other bits on other ranks; "bfloat16": gradients are sent in
            bfloat16, and what rounding loses is made up for in later updates (float32 networks).
        parts: of an update, at least as many as ranks; their sums are combined by a binary tree.

    The loss of a batch is sum(w l) / rows + penalties, where rows have weights w: that of the row
    times that of its class. ``fit`` divides each weight by the mean weight of all rows that it
    trains on, so that its minimum is that of the weighted mean, whatever the batch size. Other
    calls take weights as they are given. A batch whose weights are all 0 makes no update, and its
    loss is 0. The loss of ``evaluate`` is the weighted mean, sum(w l) / sum(w), and has no
    penalties, no label smoothing and no class weights.

    Where the network scales (``Network.standardize``), data and predictions keep their units.
    Losses, their gradients and Huber's delta are of scaled targets, without units, in ``fit`` and
    ``evaluate`` alike. With one target, mse times net.target_scale^2 is the mean squared error in
    units of y.

    One thread at a time trains, evaluates, copies or sets a network, through any of its trainers;
    another thread gets a RuntimeError. Every thread may call ``predict`` and read or set ``lr``.

    Raises:
        ValueError, TypeError: an argument is not as above.

    >>> net = fastbp.Network([1, 1], init="zeros", seed=0)
    >>> fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(lr=0.01), seed=1)
    fastbp.Trainer(fastbp.Network([1, 1], init='zeros', seed=0), loss='mse',
                   optimizer=fastbp.Adam(lr=0.01), seed=1)

    """

    _remedies = setup.REMEDIES

    @explained("fastbp.Trainer")
    def __init__(
        self,
        net: Network,
        *,
        loss: losses.LossLike,
        optimizer: optimizers.Optimizer,
        batch_size: int = 32,
        threads: int | Literal["auto"] = "auto",
        seed: int | None = None,
        engine: EngineName = "numba",
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        label_smoothing: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        ema_decay: float | None = None,
        class_weight: str | Mapping[int, float] | Sequence[Mapping[int, float]] | None = None,
        schedule: Schedule | None = None,
        lr_factors: float | Sequence[float] = 1.0,
        bias_lr_factor: float | Sequence[float] = 1.0,
        weight_decay_on: Literal["all", "weights"] = "all",
        weight_decay_factors: float | Sequence[float] = 1.0,
        weight_decay_schedule: Schedule | None = None,
        dropout_schedule: Schedule | None = None,
        input_scaling: float | None = None,
        embedding_lr_factor: float = 1.0,
        ignore_nan: bool = False,
        comm: Any = None,
        data: Literal["shared", "local"] = "shared",
        reduction: Literal["ordered", "fast", "bfloat16"] = "ordered",
        parts: int = 8,
    ) -> None:
        self._attach(TrainerCore(net, Arguments.among(locals())))

    def __repr__(self) -> str:
        from . import description

        return description.as_text(self, self._core)

    @property
    def lr(self) -> float:
        """The learning rate, which a schedule multiplies; can be set to a finite number above 0.

        One that is set before ``fit(resume=path)`` counts, and not the one in the file.
        """
        return self._core.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._core.lr = checks.positive(value, "lr")
        self._core.settled_lr = math.nan  # it is set, also where it is the same as before

    def compiled(self) -> Model:
        """The model with which ``fastbp.embed`` trains and predicts in your own njit code.

        The model has the trainer's arrays: training through either of them trains both. One thread
        at a time uses a model (see fastbp.embed).

        Raises:
            ValueError: this trainer has engine="numpy", which has nothing compiled.
            MemoryError: there is not enough memory for a step of ``batch_size`` rows.

        >>> net = fastbp.Network([1, 1])
        >>> fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.25)).compiled()
        <fastbp model: float32, at most 32 rows, lr 0.25>

        """
        return self._core.model()

    @collective
    @explained("trainer.fit")
    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 1,
        *,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
        validation_fraction: float | None = None,
        validation_rows: Any = None,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Iterable[Callback] = (),
        shuffle: bool = True,
        progress: bool | Literal["auto"] = "auto",
        resume: str | os.PathLike[str] | None = None,
        lr: float | None = None,
        snapshot: bool = True,
        jacobian: Any = None,
        jacobian_weight: Any = 1.0,
        directions: Any = None,
    ) -> History:
        """Train for some epochs from the current state on.

        Args:
            X: (n, n_in), numbers of any real dtype, order and strides. Arrays and SciPy's matrices
                in CSR format are not copied, tables may be; array-likes of files are read into
                memory, once.
            y: targets (n, n_out), or (n,) if n_out is 1; for cross_entropy integer labels (n,) or
                rows of probabilities (n, n_out).
            epochs: passes over the rows, >= 1.
            sample_weight: of each row, (n,), >= 0; None for 1. The weights, times those of classes,
                are divided by their mean over the rows to train on: only their ratios count.
            validation_data: (X, y) or (X, y, sample_weight) to evaluate after each epoch; if in
                memory, its values are checked before the first.
                jacobian and directions may follow.
            validation_fraction: in (0, 1): evaluate on this share of the rows instead, which are
                held out, the same share of each class (integer labels; one output of 0 and 1 with
                bce). The choice of rows depends only on the trainer's seed, n and the classes: the
                next fit holds out the same rows. Held-out rows are copied into memory, with their
                weights.
            validation_rows: the numbers of the rows to hold out instead, as of a fold; each counts
                once.
            metrics: functions of (y, p) to evaluate with: see ``evaluate``.
            callbacks: the callbacks: see ``Callback``.
            shuffle: take the rows of each epoch in an order that depends only on (seed, epoch).
            progress: show a bar: True, False, or "auto" for on a terminal and in a notebook.
            resume: a file that ``ModelCheckpoint`` wrote in a fit with the same arguments and data:
                finish that fit. The trainer comes from ``Trainer.load``, or is made with the same
                arguments, and takes over the state in the file. ``epochs`` includes those before
                the file was written. A fit that a callback has ended stays ended, with a
                UserWarning. On the same machine the result equals that of a fit without
                interruption bit for bit, except times. (Data are compared by shape and dtype, and
                weights by their mean; callbacks may be added.)
            lr: the learning rate from here on, also in place of the one in the file; None for
                ``trainer.lr`` where that was set since, else for the one in the file.
            snapshot: keep a copy of the parameters and moments, of their size, to restore where a
                batch is refused.
            jacobian: known derivatives of y by X, (n, n_out, n_in), in their units, real numbers of
                any dtype and strides, NaN where not known; (n, n_in) if n_out is 1. Where the
                network scales, derivatives do, too: times the inputs' scale, divided by the
                targets'. The mean over rows, outputs and inputs of w (dp/dx - J)^2 is added to the
                loss; an unknown one counts for 0. It takes smooth activations: identity, sigmoid,
                tanh, softplus, silu, gelu, mish, and softmax. (Czarnecki et al., 2017.)
            jacobian_weight: w, >= 0: one number, or (n_out, n_in), (n_out, 1) or (1, n_in).
            directions: (n, n_in), a direction v of each row: then ``jacobian`` has the derivatives
                along them, J v, (n, n_out), and its loss is the mean over rows and outputs of
                w (J v - known)^2, with w one number or (n_out,). Where inputs scale, v does, too.

        Returns:
            The History of this call, and of the epochs before where it is resumed.

        Raises:
            ValueError, TypeError: before anything has changed, if shapes, dtypes, arguments or the
                file do not fit, or no row has weight; when a row is reached, if it has an invalid
                value.
            FloatingPointError: a batch's loss was not finite; that update was not made.
            OSError: the file cannot be read.
            RuntimeError: called by a callback or a metric of another fit of this trainer.

        Where a batch is refused, the trainer returns to the end of the epoch before (in the first
        epoch of a resumed fit, to where it was resumed), and ``history`` has the complete epochs.
        With snapshot=False it keeps the updates before that batch. A fit that ends by an error
        before its first update leaves lr, class weights and names of columns, too, as they were.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> trainer.fit([[1.0]], [[2.0]], epochs=2, validation_data=([[1.0]], [[2.0]]))["val_loss"]
        [0.0, 0.0]

        """
        core = self._core
        setup.check_no_weights(epochs)
        if resume is not None:
            checks.path(resume, "resume")
        data = as_dataset(core, X, y, sample_weight, takes_mean=True)
        known = jacobian, jacobian_weight, directions
        data.derivatives = derivatives.of_rows(core, data.rows, *known)
        order = RowOrder(data, checks.flag(shuffle, "shuffle"))
        epochs = checks.integer(epochs, "epochs", 1)
        wanted = validation_data, validation_fraction, validation_rows
        held_out = as_held_out(core, order, *wanted, jacobian_weight)
        if core.is_local:
            from . import local_rows

            order = local_rows.order_of(core, order)
        fit = self._fit_of(
            held_out, metrics, callbacks, progress, FitState(self, epochs, order.rows)
        )
        keeps, fit.lr = checks.flag(snapshot, "snapshot"), setup.as_lr(core.optimizer, lr)
        with core.exclusive(), undone_without_updates(fit):
            learned_names.learn(core.net, data)
            point = None if resume is None else resuming.read(resume, fit, order)
            if isinstance(core.optimizer, LBFGS):
                return fit.run(LbfgsLoop(fit, order, core.optimizer))
            return fit.run(ArrayLoop(fit, order, keeps, point))

    def _fit_of(
        self,
        held_out: Dataset | None,
        metrics: Mapping[str, Metric] | None,
        callbacks: Iterable[Callback],
        progress: bool | str,
        state: FitState,
    ) -> Fit:
        """A call of fit, or of fit_batches, with what both take."""
        measured = as_metrics(metrics, self._core.has_accuracy)
        check_metrics_have_data(held_out, measured)
        bar = bar_for(progress)
        watch = CallbackList(as_callbacks(callbacks), bar if self._core.is_first else None, state)
        return Fit(self._core, watch, held_out, measured)

    @collective
    @explained("trainer.fit_batches")
    def fit_batches(
        self,
        batches: Iterable[Any] | Callable[[], Iterable[Any]],
        epochs: int = 1,
        *,
        validation_data: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | Literal["auto"] = "auto",
        jacobian_weight: Any = 1.0,
    ) -> History:
        """Train on an iterable of batches, such as a stream, with one update on each batch.

        The result equals that of ``step`` on each batch. For arrays, also memory-mapped ones,
        ``fit`` is faster, because it runs no Python between updates.

        Args:
            batches: an iterable of (X, y) or (X, y, sample_weight), or also (X, y, sample_weight,
                jacobian) and (X, y, sample_weight, jacobian, directions), where sample_weight may
                be None, as ``step`` takes them, of at
                most ``batch_size`` rows; or a function that returns one, and is called for each
                epoch. A generator is good for one epoch. Weights are taken as they are: the loss
                of a batch is divided by its rows, and that of an epoch by all rows.
            epochs: times to go through the batches, >= 1.
            validation_data: (X, y) or (X, y, sample_weight) to evaluate after each epoch.
            metrics: functions of (y, p) to evaluate with: see ``evaluate``.
            callbacks: the callbacks: see ``Callback``.
            progress: show a bar: True, False, or "auto" for on a terminal and in a notebook.
            jacobian_weight: of the derivatives that batches have: see ``fit``.

        Returns:
            The History of this call. samples_per_second counts the time that batches took to come.

        Raises:
            ValueError, TypeError: before anything has changed, if arguments do not fit, or batches
                can be read once and epochs is more; when a batch is reached, if it does not fit or
                the schedule has ended.
            FloatingPointError: a batch's loss was not finite; that update was not made.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> batches = [([[1.0]], [[2.0]]), ([[2.0]], [[2.0]])]
        >>> trainer.fit_batches(batches, epochs=1)["loss"]
        [2.5]

        """
        epochs = checks.integer(epochs, "epochs", 1)
        begin = streams.source(batches, epochs)
        count = len(batches) if isinstance(batches, list | tuple) else None
        held_out = as_validation(self._core, validation_data, jacobian_weight)
        fit = self._fit_of(held_out, metrics, callbacks, progress, FitState(self, epochs, 0))
        self._core.check_balanced()
        with self._core.exclusive(), undone_without_updates(fit):
            return fit.run(streams.StreamLoop(fit, begin, count, jacobian_weight))
