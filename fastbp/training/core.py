"""What a trainer is made of: its arrays, its engine, its lock, and how it runs a batch."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ref

import numpy as np

from ..callbacks.history import History
from ..common import checks, registry
from ..common.types import Array, Floats, Ints
from ..components import (
    losses,
    optimizers,
    options,
    schedules,
    user_functions,
)
from ..data.scaling import Units
from ..data.scaling import check_loss as check_scaling
from ..data.tables import check_targets
from ..kernels import reference
from ..kernels.base import codes
from ..kernels.entry import embed_server
from ..kernels.tables import arenas, job_table, layout, settings
from ..model.network import Network
from ..runtime import chunking, fast_path
from ..runtime.arrays import Dataset, Engine, TrainingArrays, raise_invalid, raise_status
from ..runtime.compiled_engine import CompiledEngine
from ..runtime.compiled_model import Model
from ..runtime.job import Job
from ..runtime.locking import exclusive
from ..runtime.numpy_engine import NumpyEngine
from ..runtime.threads import maximum

if TYPE_CHECKING:
    from .fitting import Fit

ENGINES = {"numba": "compiled kernels", "numpy": "their NumPy twins, nothing compiled"}


class TrainerCore:
    """What ``Trainer`` (trainer.py) makes its calls of. Its arguments are the trainer's."""

    _fit: "Fit | None" = None
    """The call of fit that is running."""

    def __init__(
        self,
        net: Network,
        loss: losses.LossLike,
        optimizer: optimizers.Optimizer,
        asked: Mapping[str, Any],
        **how: Any,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net is a {type(net).__name__}, expected a fastbp.Network")
        self._net = net
        self._dtype = net.dtype
        self._loss = _loss_of(net, loss)
        self._optimizer = optimizers.check(optimizer)
        self._options = options.check(len(net.sizes) - 1, net.sizes[-1], self._loss, **asked)
        if self._full_batch:
            options.check_full_batch(self._options)
        elif self._options.schedule is not None:
            schedules.check_momentum(self._options.schedule, self._optimizer)
        self._batch_size = checks.integer(how["batch_size"], "batch_size", 1)
        self._seed = checks.seed(how["seed"])
        self._threads = maximum(how["threads"])
        registry.lookup(ENGINES, how["engine"], "engine")
        self._engine_name = how["engine"]
        self._weighs_rows = self._is_balanced = False
        self._epoch = 0
        self._history = History()
        self._state = self._new_state()
        self._headers: list[ref[Ints]] = []
        self._make_engine()

    def _make_engine(self) -> None:
        """What belongs to this process: compiled code and addresses."""
        self._lock = self._net._lock
        self._net._trainers.add(self)
        self._compiled = CompiledEngine(self._state, self._threads)
        twin = self._engine_name == "numpy"
        self._engine: Engine = NumpyEngine(self._state) if twin else self._compiled
        self._step_job = Job(job_table.TRAIN, 1, 1, np.zeros(1))
        self._model: Model | None = None
        self._fast_path: fast_path.Step | None = None

    def __getstate__(self) -> dict[str, Any]:
        """With moments in natural shapes: their layout is this machine's."""
        made_anew = ("_state", "_compiled", "_engine", "_step_job", "_lock", "_model", "_fast_path")
        left = (*made_anew, "_fit", "_headers")
        with self._exclusive():
            state = {key: value for key, value in vars(self).items() if key not in left}
            moments = [list(arenas.read_layers(self._net._plan, m)) for m in self._state.moments]
            return state | {"moments": moments, "hyper": self._state.hyper.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        of_state = ("moments", "hyper")
        vars(self).update((key, value) for key, value in state.items() if key not in of_state)
        self._state = self._new_state()
        self._state.hyper[:] = state["hyper"]
        for arena, layers in zip(self._state.moments, state["moments"], strict=True):
            arenas.write_layers(self._net._plan, arena, layers)
        self._headers = []
        self._make_engine()

    def _exclusive(self) -> AbstractContextManager[None]:
        """Refuse a second thread while one trains or evaluates."""
        return exclusive(self._lock)

    def _new_state(self) -> TrainingArrays:
        net, optimizer, loss, asked = self._net, self._optimizer, self._loss, self._options
        custom_loss = 0
        if loss.function is not None:
            custom_loss = user_functions.loss_address(loss.function, net.dtype.itemsize)
        shape = replace(
            net._shape,
            loss=loss.code,
            optimizer=optimizer.code,
            moments=optimizer.n_moments,
            extended=net._shape.extended
            or self._weighs_rows
            or loss.extended
            or optimizer.extended
            or asked.any,
            dropout=asked.dropout,
            averages=asked.averaging > 0,
            clips_norm=asked.clip_norm > 0,
            weighs_classes=asked.class_weight is not None,
            custom_loss=custom_loss,
            seed=self._seed,
        )
        classes = loss.n_classes(net.sizes[-1])
        hyper = asked.hyper(optimizer, loss, classes)
        arena = self._arena(shape.arenas)
        own_ones = net.custom_activations
        return TrainingArrays(shape, net._parameters, arena, hyper, loss, net._scales, own_ones)

    @property
    def _average(self) -> Array:
        """The arena of the moving average."""
        average: Array = self._state.moments[self._state.shape.moments]
        return average

    def _complete_average(self) -> None:
        """Where updates leave the average alone: before the first one, and in frozen layers."""
        net, started = self._net, self._state.hyper[settings.UPDATES] > 0
        starts = [*net._plan[1:, layout.WEIGHTS], len(net._parameters)]
        for factor, start, stop in zip(
            self._options.lr_factors, starts[:-1], starts[1:], strict=True
        ):
            if factor == 0 or not started:
                self._average[start:stop] = net._parameters[start:stop]

    def _weigh_rows(self) -> None:
        """Go over to the extended kernels: from now on rows have weights."""
        if not self._state.shape.extended:
            self._weighs_rows = True
            self._extend(self._state.shape.scaling)

    def check_scaling(self, targets: Units | None) -> None:
        """ValueError if the loss goes with no targets that are scaled so."""
        check_scaling(self._loss, targets, self._net.sizes[-1])

    def follow_scaling(self) -> None:
        """Go over to the extended kernels: from now on the network scales."""
        if self._state.shape.scaling:
            return
        with self._exclusive():
            for held in self._headers:
                header = held()
                if header is not None:
                    header[embed_server.HERE] = 0  # plain kernels would go on as before
            self._headers.clear()
            self._extend(self._net._shape.scaling)

    def _extend(self, scales: int) -> None:
        self._state.shape = replace(self._state.shape, extended=True, scaling=scales)
        workers = self._workers
        self._make_engine()
        self._workers = workers

    def _arena(self, count: int) -> Array:
        size = len(self._net._parameters)
        return arenas.allocate(count * size, self._net.dtype).reshape(count, size)

    @property
    def _workers(self) -> int:
        return self._compiled.forced_workers

    @_workers.setter
    def _workers(self, count: int) -> None:
        """Force every region into so many shares, for tests: 0 leaves it to the work."""
        self._compiled.forced_workers = count
        self._model = self._fast_path = None

    def _new_model(self) -> Model:
        header, state = self._compiled.header(self._batch_size), self._state
        self._headers.append(ref(header.array))
        return Model(
            header.array,
            state.parameters,
            state.moments,
            state.hyper,
            self._compiled.work,
            header.scratch,
        )

    def _chunk(self, data: Dataset, job: Job, caller: str, into: Array | None = None) -> float:
        """Take a job some batches further, in one compiled call. Returns the seconds it took."""
        job[job_table.BUDGET] = job.chunk
        started = time.perf_counter()
        waited = self._run(data, job, caller, into)
        taken = time.perf_counter() - started
        made = job.chunk - job[job_table.BUDGET]  # fewer where the epochs asked for ended before
        job.chunk = chunking.next_count(made, taken - waited)
        return taken

    def _run(self, data: Dataset, job: Job, caller: str, into: Array | None = None) -> float:
        if data.weights is not None:
            self._weigh_rows()
        waited = self._engine.train(data, job, self._state.moments if into is None else into)
        if job.array[job_table.STATUS] != job_table.OK:
            self._refuse(data, job, caller)
        return waited

    def _refuse(self, data: Dataset, job: Job, caller: str) -> NoReturn:
        """Raise what explains why a batch was not applied."""
        start, batch = job[job_table.START], job[job_table.BATCH]
        rows = np.arange(start, min(start + batch, job[job_table.ROWS]))
        rows = rows if job.order is None else job.order[rows]
        raise_invalid(job[job_table.STATUS], rows, data, self._state)
        if job[job_table.TASK] == job_table.GRADIENTS:
            raise FloatingPointError(
                "the loss is not finite on these rows: there is no gradient. Scale the inputs, or "
                "look for very large weights"
            )
        what = "loss" if not self._state.shape.clips_norm else "loss, or the norm of its gradient,"
        place = "these rows"
        if caller == "fit":
            epoch = job.epochs_taken + job[job_table.EPOCH] - job[job_table.FIRST] + 1
            place = f"epoch {epoch}, step {start // batch + 1}"
        lr = self._scheduled_lr
        raise FloatingPointError(
            f"the {what} is not finite in {caller} at {place}, with lr = {lr:g}: the update was "
            "not made. Lower lr, scale the inputs, or look for very large weights"
        )

    @property
    def _scheduled_lr(self) -> float:
        """Of the next update."""
        hyper = self._state.hyper
        encoded = hyper[settings.SCHEDULE : settings.STEP_LR]
        factor, _ = reference.scheduled(encoded, hyper[settings.UPDATES])
        return float(hyper[codes.LR] * factor)

    def _judge(self, data: Dataset, averaged: bool = False) -> dict[str, float]:
        values = np.zeros((data.rows, 2))
        statuses = self._engine_of(averaged).evaluate_rows(data, values)
        raise_status(statuses, data, self._state)
        if data.weights is not None and not data.weights.any():
            raise ValueError("sample_weight is 0 for every row: there is no mean over none")
        loss, n_correct = np.average(values, axis=0, weights=data.weights)
        if self._has_accuracy:
            return {"loss": float(loss), "accuracy": float(n_correct)}
        return {"loss": float(loss)}

    @property
    def _has_accuracy(self) -> bool:
        return self._loss.has_classes

    def _engine_of(self, averaged: bool) -> Engine:
        """The engine, or one over the moving average of the parameters."""
        if averaged is False or not checks.flag(averaged, "averaged"):
            return self._engine
        if not self._state.shape.averages:
            raise ValueError(
                "averaged is True, but this trainer keeps no moving average: make it with "
                "ema_decay=0.999, say"
            )
        self._complete_average()
        state = replace(self._state, parameters=self._average)
        twin = self._engine_name == "numpy"
        return NumpyEngine(state) if twin else CompiledEngine(state, self._threads)

    def _outputs(self, data: Dataset, engine: Engine, out: Array | None = None) -> Array:
        out = self._net._out(out, data)
        raise_status(engine.outputs(data, np.asarray(out)), data, self._state)
        return out

    @property
    def _extended(self) -> bool:
        return self._state.shape.extended

    def _balance(self, data: Dataset, rows: Ints | None = None) -> None:
        """Where class weights are "balanced", take them from the labels of these rows, or all."""
        if self._options.class_weight != "balanced" or data.y is None:
            return
        labels, classes = data.y.array[:, 0], self._loss.n_classes(self._net.sizes[-1])
        rows = np.arange(data.rows) if rows is None else rows
        check_targets(data.y, rows, self._loss, self._net.sizes[-1], self._dtype)
        labels = labels[rows]
        if data.y.array.shape[1] != 1 or (labels.dtype.kind == "f" and (labels % 1).any()):
            raise ValueError(
                "class_weight is 'balanced', but y holds no labels: pass integer labels (n,), or "
                "a dict of weights"
            )
        self._set_class_weights(options.balanced(labels.astype(np.int64), classes))

    def _set_class_weights(self, weights: Floats) -> None:
        """Those that "balanced" stands for."""
        first = settings.class_weights(len(self._net.sizes) - 1)
        self._state.hyper[first:] = weights
        self._is_balanced, self._fast_path = True, None

    def _check_schedule(self, made: int, more: int) -> None:
        """ValueError if the schedule is for fewer updates than will have been made."""
        if self._options.schedule is not None:
            schedules.check_length(self._options.schedule, made, more)

    def _functions(self) -> dict[str, Callable[..., Any]]:
        """The user's own that it is made with, by name."""
        return {function.__name__: function for function in self._custom_functions()}

    def _custom_functions(self) -> list[Callable[..., Any]]:
        functions = (self._loss.function, *self._net.custom_activations)
        return [function for function in functions if function is not None]

    @property
    def _full_batch(self) -> bool:
        return not self._optimizer.makes_updates

    def _check_updates(self, call: str) -> None:
        """ValueError where the optimizer makes no updates by batches."""
        if self._full_batch:
            raise ValueError(
                f"{call} makes updates by batches, and optimizer {self._optimizer!r} none: call "
                "fit, or make the Trainer with another optimizer"
            )

    def _check_balanced(self) -> None:
        if self._options.class_weight == "balanced" and not self._is_balanced:
            raise ValueError(
                "class_weight is 'balanced', which takes the weights from the labels of fit, and "
                "fit has not been called: pass a dict of weights"
            )


def _loss_of(net: Network, loss: losses.LossLike) -> losses.Loss:
    """The loss that is meant; ValueError unless it goes with the network."""
    meant = losses.lookup(loss)
    output = net._activations[-1]
    losses.check_pair(meant, output, net.sizes[-1])
    check_scaling(meant, net._scaling.targets, net.sizes[-1])
    if meant.function is not None:
        user_functions.check_loss(meant.function, net.sizes[-1], output.code == codes.SOFTMAX)
    return meant
