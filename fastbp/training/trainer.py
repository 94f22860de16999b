"""The trainer: data comes in here, is checked once, and comes back as numbers."""

import copy
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import numpy as np
from numpy import ndarray

from ..callbacks.base import Callback, CallbackList, FitState, as_callbacks
from ..callbacks.history import History
from ..callbacks.progress import bar_for
from ..common import checks
from ..common.types import Array
from ..components import lbfgs, losses, optimizers, schedules
from ..components.metrics import Metric, apply_metrics, as_metrics
from ..data.tables import as_inputs, as_row_weights, as_targets
from ..kernels.base import codes
from ..kernels.tables import arenas, job_table, settings
from ..model.network import Network
from ..runtime import fast_path
from ..runtime.arrays import Dataset
from ..runtime.compiled_model import Model
from . import checkpoints, lr_finder, streams
from .core import TrainerCore
from .fitting import Fit
from .resume import read as read_fit
from .row_order import RowOrder
from .snapshot import Snapshot
from .validation import Validation, check_fraction, check_metrics_have_data, hold_out

LABELS = np.dtype(np.int64)


class Trainer(TrainerCore):
    """Trains a network with a loss and an optimizer. Owns the optimizer's moments and counters.

    Args:
        net: the network; its parameters are changed in place.
        loss: a name, a ``Huber`` or ``Quantile`` (fastbp/losses.py has the names, the formulas, and
            the output activations each goes with), or a loss of your own: an njit function
            ``loss(p, y, dloss_dp) -> float`` of one row's outputs and targets that fills in the
            derivative.
        optimizer: one of fastbp/optimizers.py, such as ``fastbp.Adam(lr=1e-3)``, or ``LBFGS()``.
        batch_size: rows of an update, >= 1; more than there are rows acts as all rows.
        threads: the most threads to use, or "auto".
        seed: of the order of the rows, an integer in [0, 2**63); None draws one.
        engine: "numba", or "numpy" for the plain NumPy twins.
        l1, l2: penalties on the weights, and on nothing else: the loss of every update is larger by
            l1 sum |w| + l2 / 2 sum w^2. (The optimizers' weight_decay is torch's, and no part of
            the loss.)
        dropout: share of each hidden layer's units that an update drops, in [0, 1), or a sequence
            of one share per hidden layer. What is left is scaled by 1 / (1 - share); ``evaluate``
            and ``predict`` use all units. (Srivastava et al., 2014.)
        label_smoothing: for cross_entropy and bce: y (1 - s) + s / n_classes in place of y.
        clip_value: the largest size of an element of the gradient.
        clip_norm: the largest norm of the whole gradient, that of frozen layers left out, which is
            scaled down to it (Pascanu et al., 2013). Values are clipped first, if both are given.
        ema_decay: keep a moving average of the parameters, a = w after the first update and a =
            ema_decay a + (1 - ema_decay) w after each other, for ``evaluate(averaged=True)`` and
            ``predict(averaged=True)``.
        class_weight: a dict of weights by label, 1 for those it does not name; or "balanced", n /
            (classes * rows of the class) by the labels of each ``fit``. Times ``sample_weight``. It
            is a weight of rows: with label smoothing, too, which torch weighs class by class.
        schedule: of the learning rate and momentum by updates (fastbp/schedules.py), times ``lr``.
        lr_factors: factor on the learning rate of each layer: one number, or one per layer. A layer
            with 0 is frozen, and its gradient not computed.

    The loss of a batch is sum(w l) / sum(w) where rows have weights w; a batch whose weights are
    all 0 makes no update. ``evaluate`` judges the outputs alone: its loss has neither penalties nor
    label smoothing, and class weights play no part.

    Where the network scales (``Network.standardize``), data and predictions stay in units of their
    own, but losses, their gradients and Huber's delta are of scaled targets, without units: so that
    ``evaluate`` and ``fit`` compare. Of a single target, mse times net.target_scale^2 is the mean
    squared error in units of y; for others, compare y with ``predict``.

    One thread at a time trains, evaluates, copies or sets a network, by whichever of its trainers:
    another one gets a RuntimeError. ``predict`` and ``lr`` are for any thread.

    Raises:
        ValueError, TypeError: an argument that is not as above.

    """

    def __init__(
        self,
        net: Network,
        *,
        loss: losses.LossLike,
        optimizer: optimizers.Optimizer | lbfgs.LBFGS,
        batch_size: int = 32,
        threads: int | str = "auto",
        seed: int | None = None,
        engine: str = "numba",
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        label_smoothing: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        ema_decay: float | None = None,
        class_weight: str | Mapping[int, float] | None = None,
        schedule: schedules.Schedule | None = None,
        lr_factors: float | Sequence[float] = 1.0,
    ) -> None:
        asked = {
            "l1": l1,
            "l2": l2,
            "dropout": dropout,
            "label_smoothing": label_smoothing,
            "clip_value": clip_value,
            "clip_norm": clip_norm,
            "ema_decay": ema_decay,
            "class_weight": class_weight,
            "schedule": schedule,
            "lr_factors": lr_factors,
        }
        how = {"batch_size": batch_size, "threads": threads, "seed": seed, "engine": engine}
        super().__init__(net, loss, optimizer, asked, **how)

    @property
    def net(self) -> Network:
        """The network."""
        return self._net

    @property
    def optimizer(self) -> optimizers.Optimizer | lbfgs.LBFGS:
        """The optimizer, as it was given: its learning rate may have been set since."""
        return self._optimizer

    @property
    def batch_size(self) -> int:
        """Rows of an update."""
        return self._batch_size

    @property
    def seed(self) -> int:
        """The seed of the order of the rows."""
        return self._seed

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self._loss.name

    @property
    def lr(self) -> float:
        """The learning rate, which a schedule multiplies; can be set to a finite number above 0."""
        return float(self._state.hyper[codes.LR])

    @lr.setter
    def lr(self, value: float) -> None:
        self._state.hyper[codes.LR] = checks.positive(value, "lr")

    @property
    def scheduled_lr(self) -> float:
        """The learning rate of the next update: ``lr`` times the factor of the schedule."""
        return self._scheduled_lr

    def compiled(self) -> Model:
        """What ``fastbp.embed`` and your own njit code train and predict with: this trainer.

        The arrays are the trainer's, so that training through the model and through the trainer is
        the same training. A model is for one thread at a time (fastbp/embed.py).

        Raises:
            ValueError: this trainer has engine="numpy", which has nothing compiled.
            MemoryError: there is not enough for a step of ``batch_size`` rows.

        """
        if self._engine_name == "numpy":
            raise ValueError(
                "engine is 'numpy', which compiles nothing: make the Trainer with engine='numba'"
            )
        self._check_balanced()
        self._check_updates("compiled")
        with self._exclusive():
            if self._model is None:
                self._model = self._new_model()
            return self._model

    def fit(
        self,
        X: Any,
        y: Any,
        epochs: int = 1,
        *,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        validation_fraction: float | None = None,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Iterable[Callback] = (),
        shuffle: bool = True,
        progress: bool | str = "auto",
        resume: str | os.PathLike[str] | None = None,
        snapshot: bool = True,
    ) -> History:
        """Train for some epochs, going on from the current state.

        Args:
            X: (n, n_in), numbers of any real dtype, order and strides. Not copied.
            y: targets (n, n_out), or (n,) if n_out is 1; for cross_entropy integer labels (n,) or
                rows of probabilities (n, n_out).
            epochs: passes over the rows, >= 1.
            sample_weight: of each row, (n,), >= 0; None for 1.
            validation_data: (X, y) to evaluate after each epoch, without weights.
            validation_fraction: in (0, 1): hold out this share of the rows instead, of each class
                its share (integer labels; one output of 0 and 1 with bce). Which rows depends on
                the trainer's seed, n and the classes alone: the next fit holds out the same. These
                rows are copied, memory-mapped ones into memory; the others are not.
            metrics: functions of (y, p) to evaluate with: see ``evaluate``.
            callbacks: what to call as it goes on: see ``Callback``.
            shuffle: take the rows of each epoch in an order that depends on (seed, epoch) alone.
            progress: show a bar: True, False, or "auto" for on a terminal and in a notebook.
            resume: a file that ``ModelCheckpoint`` wrote in a fit with the same arguments and data:
                finish that fit. The trainer is one that ``Trainer.load`` made of it, or is made as
                it was then, and takes over all that the file has. ``epochs`` counts those before
                the file was written. On the same machine the end is that of a fit which was never
                interrupted, to the bit, but for times. (Data are compared by shape and dtype.)
            snapshot: keep a copy of the parameters and moments, as large as they are, to go back to
                where a batch is refused.

        Returns:
            The History of this call, and of the epochs before where it is resumed.

        Raises:
            ValueError, TypeError: before anything has changed, if shapes, dtypes, arguments or the
                file do not fit; when the row is reached, if it holds a value that does not.
            FloatingPointError: a batch's loss was not finite; that update was not made.
            OSError: the file cannot be read.
            RuntimeError: called by a callback or a metric of another fit of this trainer.

        Where a batch is refused, the trainer goes back to the end of the epoch before (of a resumed
        fit's first epoch to where it was resumed), and ``history`` has the epochs that were made.
        With snapshot=False it keeps the updates before that batch.

        """
        data = self._data(X, y, sample_weight)
        order = RowOrder(data, checks.flag(shuffle, "shuffle"))
        epochs = checks.integer(epochs, "epochs", 1)
        held_out = self._held_out(order, y, validation_data, validation_fraction)
        measured = as_metrics(metrics, self._has_accuracy)
        check_metrics_have_data(held_out, measured)
        state = FitState(self, epochs, order.rows)
        watch = CallbackList(as_callbacks(callbacks), bar_for(progress), state)
        keeps = checks.flag(snapshot, "snapshot") and not self._full_batch
        with self._exclusive():
            fit = Fit(self, order, watch, held_out, measured)
            fit.resumed = None if resume is None else read_fit(resume, fit)
            self._check_schedule(*fit.updates())
            fit.snapshot = Snapshot(self, order, not watch.callbacks) if keeps else None
            return fit.run()

    def _held_out(self, order: RowOrder, y: Any, pair: Any, fraction: Any) -> Validation | None:
        """What fit validates by; where that is a part of the data, the order is of the others."""
        if fraction is None:
            return self._validation(pair)
        fraction = check_fraction(fraction, pair, order.data.rows)
        order.chosen, held_out = hold_out(order.data, y, fraction, self.seed, self._state)
        return held_out

    def fit_batches(
        self,
        batches: Iterable[Any] | Callable[[], Iterable[Any]],
        epochs: int = 1,
        *,
        validation_data: tuple[Any, Any] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | str = "auto",
    ) -> History:
        """Train on batches that come one after the other, one update on each: a stream, say.

        The same as ``step`` on each of them. For data in arrays, memory-mapped ones too, ``fit``
        does it without Python in between.

        Args:
            batches: an iterable of (X, y) or (X, y, sample_weight), as ``step`` takes them, of at
                most ``batch_size`` rows; or a function that returns one, and is called for each
                epoch. A generator is good for one epoch.
            epochs: times to go through the batches, >= 1.
            validation_data: (X, y) to evaluate after each epoch.
            metrics: functions of (y, p) to evaluate with: see ``evaluate``.
            callbacks: what to call as it goes on: see ``Callback``.
            progress: show a bar: True, False, or "auto" for on a terminal and in a notebook.

        Returns:
            The History of this call. samples_per_second counts the time that batches took to come.

        Raises:
            ValueError, TypeError: before anything has changed, if arguments do not fit, or batches
                can be read once and epochs is more; when a batch is reached, if it does not fit.
            FloatingPointError: a batch's loss was not finite; that update was not made.

        """
        epochs = checks.integer(epochs, "epochs", 1)
        begin = streams.source(batches, epochs)
        held_out = self._validation(validation_data)
        measured = as_metrics(metrics, self._has_accuracy)
        check_metrics_have_data(held_out, measured)
        self._check_balanced()
        watch = CallbackList(as_callbacks(callbacks), bar_for(progress), FitState(self, epochs, 0))
        with self._exclusive():
            return streams.Stream(self, begin, watch, held_out, measured).run()

    def step(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """One update on exactly these rows, at most ``batch_size``; the loss before it.

        sample_weight: of each row, (n,), >= 0; None for 1. Where no row has weight, nothing changes
        and the loss is 0.

        Raises:
            ValueError, TypeError: shapes, dtypes or values do not fit; nothing has changed.
            FloatingPointError: the loss was not finite; nothing has changed.

        """
        dtype, (code, header, _model) = self._dtype, self._fast_path or self._make_fast_path()
        if (
            type(X) is type(y) is ndarray
            and sample_weight is None
            and X.dtype is dtype
            and (y.dtype is dtype or y.dtype is LABELS)
            and X.flags.carray
            and y.flags.carray
        ):
            loss = math.nan
            try:  # Ctrl-C may come as soon as acquire returns: it must be inside
                if self._lock.acquire(False):
                    loss = code(header, X, y)
            except TypeError:  # another number of dimensions
                pass
            finally:
                try:  # noqa: SIM105
                    self._lock.release()
                except RuntimeError:  # another thread's
                    pass
            if loss == loss:  # not NaN
                return loss
        return self._step_checked(X, y, sample_weight)

    def _make_fast_path(self) -> fast_path.Step:
        unbalanced = self._options.class_weight == "balanced" and not self._is_balanced
        steps = not (unbalanced or self._full_batch)
        exclusive = self._engine is self._compiled and self._compiled.max_single_thread_rows() > 0
        self._fast_path = fast_path.NO_STEP
        if exclusive and steps:
            with suppress(MemoryError):  # a step takes its own rows only, a model batch_size
                self._fast_path = fast_path.step(self.compiled())
        return self._fast_path

    def _step_checked(self, X: Any, y: Any, sample_weight: Any) -> float:
        data = self._data(X, y, sample_weight)
        self._check_balanced()
        self._check_updates("step")
        if data.rows > self.batch_size:
            raise ValueError(
                f"X has {data.rows} rows, expected at most batch_size = {self.batch_size}: "
                "make the Trainer with a larger batch_size, or call fit"
            )
        with self._exclusive():
            job = self._step_job
            job.begin(job_table.TRAIN, data.rows, data.rows)
            job.losses[0] = job.weights[0] = 0.0
            self._run(data, job, "step")
            return float(job.means(self._extended)[0])

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
        data = self._data(X, y, sample_weight)
        self._check_balanced()
        return self._loss_and_gradients(RowOrder(data, shuffle=False))

    def _loss_and_gradients(self, order: RowOrder) -> tuple[float, list[arenas.Layer]]:
        job, gradients = order.job(self.batch_size, self.seed, 1), self._arena(1)
        job[job_table.TASK] = job_table.GRADIENTS
        with self._exclusive():
            while job[job_table.EPOCH] < job[job_table.EPOCHS]:
                self._chunk(order.data, job, "loss_and_gradients", gradients)
        layers = arenas.read_layers(self.net._plan, gradients[0])
        return float(job.means(self._extended)[0]), list(layers)

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
        measured = as_metrics(metrics, self._has_accuracy)
        x = as_inputs(X, self.net.sizes[0])
        weights = as_row_weights(sample_weight, len(x.array))
        targets = as_targets(y, self._loss, self.net.sizes[-1], len(x.array))
        rows = Validation(Dataset(x, targets, weights=weights), np.asarray(y))
        with self._exclusive():
            return self._evaluate(rows, measured, averaged)

    def _evaluate(
        self, rows: Validation, metrics: Mapping[str, Metric], averaged: bool = False
    ) -> dict[str, float]:
        judged = self._judge(rows.data, averaged)
        if metrics:
            p = self._outputs(rows.data, self._engine_of(averaged))
            judged |= apply_metrics(metrics, rows.y, p)
        return judged

    @property
    def history(self) -> History:
        """The History of the last fit, also of one that an error or Ctrl-C ended.

        Of the epochs that were made and, with validation, judged.
        """
        return self._history

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint: this trainer and its network, with all that training goes on from.

        The file is safetensors: parameters in natural shapes, moments, counters, history, and
        within ``fit`` where that stands and the states of its callbacks. It replaces an older one
        in one go, when it is on the disk.

        Raises:
            RuntimeError: the trainer is training in another thread, or in this one, which a signal
                handler has interrupted.
            ValueError: a parameter is not finite.
            TypeError: a callback's state_dict has what cannot be written.
            OSError: the file cannot be written. What was there is still there.

        """
        with self._exclusive():
            checkpoints.write(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int | str = "auto",
        functions: Mapping[str, Callable[..., Any]] | None = None,
        verify: bool = True,
    ) -> Self:
        """The trainer that ``save`` wrote, with a network of its own (``trainer.net``).

        Args:
            path: the file. Loading runs nothing that is in it.
            threads: the most threads to use, or "auto".
            functions: by name, the functions of your own that the trainer was made with.
            verify: compare the checksum: without, the file may have been changed.

        Raises:
            ValueError: the file is no checkpoint, was cut off or changed, or needs a function.
            OSError: it cannot be read.

        """
        checkpoint = checkpoints.read(path, functions, verify)
        with checkpoints.naming(path):
            arguments = checkpoint.trainer_arguments(functions or {})
            trainer = cls(checkpoint.net, threads=threads, **arguments)
            checkpoint.check(trainer).restore(trainer)
        return trainer

    def averaged_network(self) -> Network:
        """A new network whose parameters are the moving average of this one's (ema_decay)."""
        with self._exclusive():
            self._engine_of(averaged=True)
            net = copy.copy(self.net)
            net._parameters[:] = self._average
            return net

    def predict(self, X: Any, out: Array | None = None, *, averaged: bool = False) -> Array:
        """``net.predict``, by this trainer's engine and threads.

        averaged: by the moving average of the parameters (ema_decay), and not the parameters; this
        is refused while another thread trains, RuntimeError.
        """
        if averaged is not False and checks.flag(averaged, "averaged"):
            with self._exclusive():
                return self._outputs(self._inputs(X), self._engine_of(averaged), out)
        engine = self._engine
        if engine is self._compiled and not self._compiled.forced_workers:
            p = self._net._predict_fast_path(X, out)
            if p is not None:
                return p
        return self._outputs(self._inputs(X), engine, out)

    def _inputs(self, X: Any) -> Dataset:
        return Dataset(as_inputs(X, self.net.sizes[0]))

    def _data(self, X: Any, y: Any, sample_weight: Any = None) -> Dataset:
        x = as_inputs(X, self.net.sizes[0])
        rows = len(x.array)
        targets = as_targets(y, self._loss, self.net.sizes[-1], rows)
        return Dataset(x, targets, weights=as_row_weights(sample_weight, rows))

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
        data = self._data(X, y, sample_weight)
        lrs = lr_finder.learning_rates(start_lr, end_lr, updates)
        with self._exclusive():
            twin = copy.deepcopy(self)
        twin._balance(data)
        twin._state.hyper[settings.SCHEDULE : settings.STEP_LR] = 0  # lr alone is what counts
        return lr_finder.sweep(twin, data, lrs)

    def _validation(self, pair: Any) -> Validation | None:
        if pair is None:
            return None
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"validation_data is a {type(pair).__name__}, expected a pair (X, y) or None"
            )
        names = "validation_data[0]", "validation_data[1]"
        x = as_inputs(pair[0], self.net.sizes[0], names[0])
        y = as_targets(pair[1], self._loss, self.net.sizes[-1], len(x.array), names[1])
        return Validation(Dataset(x, y, names), np.asarray(pair[1]))
