"""The core of a trainer: its arrays, its engine, its lock, and how it runs batches."""

import copy
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any, Protocol, Self
from weakref import WeakMethod, ref

import numpy as np

from ..callbacks.history import History
from ..common import checks
from ..common.types import Array, Floats, Ints
from ..components import optimizers, schedules
from ..data.scaling import Units, check_loss
from ..kernels import reference
from ..kernels.base import codes
from ..kernels.entry import embed_server
from ..kernels.tables import arenas, job_table, settings
from ..model.network import Network
from ..model.network_arrays import Fold
from ..runtime import chunking, fast_path
from ..runtime.arrays import Dataset, Engine, TrainingArrays
from ..runtime.compiled_engine import CompiledEngine
from ..runtime.compiled_model import Model
from ..runtime.job import Job
from ..runtime.locking import exclusive
from ..runtime.numpy_engine import NumpyEngine
from ..runtime.threads import maximum
from . import input_scaling, learned_names, learned_state, refused_batches, setup
from .membership import Member
from .setup import Arguments

PICKLED = (
    *("net", "loss", "optimizer", "options", "batch_size", "seed", "threads", "engine_name"),
    *("weighs_rows", "is_balanced", "epoch", "history"),
)
"""The attributes of a core in a pickle, under their names after an underscore, as in 0.1.0."""


class RunningFit(Protocol):
    """A call of fit that is running, as far as a checkpoint needs it."""

    def to_dict(self) -> dict[str, Any] | None:
        """What a checkpoint needs to resume the fit; None where it cannot be resumed."""


class TrainerCore(Member):
    """The parts of a trainer that fastbp itself uses; users have the methods of ``Trainer``.

    net, loss, optimizer, options, batch_size, seed, threads, engine_name: what the trainer was
    made with, checked. arrays: the parameters, moments and hyperparameters. lock: the network's.
    compiled: the engine of compiled code. engine: the same, or the NumPy twins. epoch: epochs of
    fit made so far; with the seed it decides the order of rows. history: of the last fit. fit: the
    call of fit that is running. weighs_rows: whether a call has had weights of rows. is_balanced:
    whether the weights of "balanced" classes are known. settled_lr: the learning rate as the
    trainer was made, loaded or left by a fit: another one has been set since, by whatever means;
    NaN where ``Trainer.lr`` was set.
    """

    fit: RunningFit | None = None
    outcome: Any = None  # the Outcome of the last fit by L-BFGS
    engine: Engine
    _on_change: Callable[[], Callable[[], None] | None] | None = None

    def __init__(self, net: Network, given: Arguments) -> None:
        self.enter(given.comm)
        with self.together("fastbp.Trainer"):
            self._begin(net, given)

    def _begin(self, net: Network, given: Arguments) -> None:
        self.net = setup.as_network(net)
        self.loss = setup.as_loss(net, given.loss, given.ignore_nan)
        self.optimizer = optimizers.check(given.optimizer)
        self.options = setup.as_options(net, self.loss, self.optimizer, given)
        self.batch_size = checks.integer(given.batch_size, "batch_size", 1)
        self.seed = checks.seed(given.seed)
        self.threads = maximum(given.threads)
        self.engine_name = setup.as_engine(given.engine)
        self.sharing = setup.as_sharing(given)
        self.weighs_rows = self.is_balanced = False
        self.epoch = 0
        self.history = History()
        self.join(given, self._make_arrays)
        self.settled_lr = self.lr

    def _make_arrays(self) -> None:
        extended = self.weighs_rows or self.group is not None  # these apply gradients
        self.arrays = setup.new_arrays(
            self.net, self.loss, self.optimizer, self.options, self.seed, extended
        )
        self._handles: list[ref[Ints]] = []
        self._make_engine()

    def _make_engine(self) -> None:
        """Make the engine and what else holds addresses of this process."""
        self.lock = self.net.arrays.lock
        self.net.arrays.followers.add(self)
        self.compiled = CompiledEngine(self.arrays, self.threads)
        self.engine = self._engine_of(self.compiled)
        self._step_job = Job(job_table.TRAIN, 1, 1, np.zeros(1))
        self._renew()

    def new_engine(self, arrays: TrainingArrays) -> Engine:
        """An engine of the same kind over other arrays."""
        return self._engine_of(CompiledEngine(arrays, self.threads))

    def _engine_of(self, compiled: CompiledEngine) -> Engine:
        if self.engine_name == "numpy":
            return NumpyEngine(compiled.arrays)
        return self.among_ranks(compiled, self.net.arrays.plan)

    def call_on_change(self, method: Callable[[], None]) -> None:
        """Call a bound method whenever ``fast_step`` would return something else than before."""
        self._on_change = WeakMethod(method)

    def _renew(self) -> None:
        self._model: Model | None = None
        self._tell_change()

    def _tell_change(self) -> None:
        method = self._on_change and self._on_change()
        if method is not None:
            method()

    # Copies and pickles

    def state(self) -> dict[str, Any]:
        """The state of a pickle, with moments in natural shapes. Keys are those of 0.1.0."""
        with self.exclusive():
            plan, arrays = self.net.arrays.plan, self.arrays
            state = {f"_{name}": getattr(self, name) for name in PICKLED}
            moments = [list(arenas.read_layers(plan, arena)) for arena in arrays.moments]
            learned = {"moments": moments, "hyper": learned_state.of(arrays)}
            kept = {"_settled_lr": self.settled_lr, "_input_scaling": input_scaling.state(self)}
            return state | learned | kept

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """The core that ``state`` describes, with arrays of its own, and what is not the core's."""
        core, rest = cls.__new__(cls), dict(state)
        core.group, core.sharing = rest.pop("ranks", (None, core.sharing))  # pickles have none
        for name in PICKLED:
            setattr(core, name, rest.pop(f"_{name}"))
        core.restore_arrays(rest.pop("moments"), rest.pop("hyper"))
        input_scaling.restore(core, rest.pop("_input_scaling", None))  # 0.1.0 had none
        core.settled_lr = rest.pop("_settled_lr", core.lr)  # 0.1.0 kept none
        return core, rest

    def restore_arrays(self, moments: list[list[arenas.Layer]], hyper: learned_state.Kept) -> None:
        """Make new arrays that have these moments and hyperparameters."""
        self._make_arrays()
        learned_state.restore(self.arrays, hyper)
        for arena, layers in zip(self.arrays.moments, moments, strict=True):
            arenas.write_layers(self.net.arrays.plan, arena, layers)

    def copied(self) -> "TrainerCore":
        """A core that goes on from here, with a network of its own, on the same ranks."""
        with self.exclusive():  # no other thread trains meanwhile
            state = copy.deepcopy(self.state())
        return TrainerCore.of_state(state | {"ranks": (self.group, self.sharing)})[0]

    @property
    def extended(self) -> bool:
        """Whether the kernels are the extended ones."""
        return self.arrays.spec.extended

    def weigh_rows(self) -> None:
        """Switch to the extended kernels, because rows have weights from now on."""
        if not self.arrays.spec.extended:
            self.weighs_rows = True
            self._extend(self.arrays.spec.scaling)

    def check_scaling(self, targets: Units | None) -> None:
        """ValueError if the loss cannot have targets that are scaled like this."""
        check_loss(self.loss, targets, self.net.sizes[-1])

    def follow_scaling(self) -> None:
        """Switch to the extended kernels, because the network scales from now on."""
        if self.arrays.spec.scaling:
            return
        with self.exclusive():
            for held in self._handles:
                header = held()
                if header is not None:
                    header[embed_server.HERE] = 0  # plain kernels would go on without scaling
            self._handles.clear()
            self._extend(self.net.arrays.spec.scaling)

    def fold_average(self, fold: Fold) -> None:
        """Keep the function of the moving average, if there is one, under another scaling."""
        spec, plan = self.arrays.spec, self.net.arrays.plan
        if spec.averages and self.updates:
            arena = self.arrays.moments[spec.moments]
            arenas.write_layers(plan, arena, fold(list(arenas.read_layers(plan, arena))))

    def _extend(self, scales: int) -> None:
        self.arrays.spec = replace(self.arrays.spec, extended=True, scaling=scales)
        workers = self.workers
        self._make_engine()
        self.workers = workers

    @property
    def workers(self) -> int:
        """The number of workers of every region; 0 to choose it by the work."""
        return self.compiled.forced_workers

    @workers.setter
    def workers(self, count: int) -> None:
        self.compiled.forced_workers = count
        self._renew()

    @property
    def uses_fast_path(self) -> bool:
        """Whether the fast path of the network has the bits and the workers of this engine."""
        return self.engine is self.compiled and not self.compiled.forced_workers

    # Batches

    def exclusive(self) -> AbstractContextManager[None]:
        """A context that one thread at a time can enter; RuntimeError for another thread."""
        return exclusive(self.lock)

    def run(self, data: Dataset, job: Job, caller: str, into: Array | None = None) -> float:
        """Run a job; raise what explains why a batch was refused.

        caller: the public method, for messages. into: takes the gradients, where the job is for
        them. Returns the seconds that it waited for other threads.
        """
        if data.weights is not None:
            self.weigh_rows()
        waited = self.engine.train(data, job, self.arrays.moments if into is None else into)
        if job.array[job_table.STATUS] != job_table.OK:
            refused_batches.refuse(self, data, job, caller)
        return waited

    def chunk(self, data: Dataset, job: Job, caller: str, into: Array | None = None) -> None:
        """Run ``job.chunk`` batches of a job, and set its next chunk by the time they took."""
        job[job_table.BUDGET] = job.chunk
        started = time.perf_counter()
        waited = self.run(data, job, caller, into)
        taken = time.perf_counter() - started
        made = job.chunk - job[job_table.BUDGET]  # fewer than the chunk where the epochs ended
        job.chunk = chunking.next_count(made, taken - waited)

    def run_to_end(self, data: Dataset, job: Job, caller: str, into: Array | None = None) -> None:
        """Run all epochs that a job has left, chunk by chunk."""
        while job[job_table.EPOCH] < job[job_table.EPOCHS]:
            self.chunk(data, job, caller, into)

    def step(self, data: Dataset) -> float:
        """``Trainer.step`` of checked data by the engine."""
        self.check_balanced()
        self.check_updates("step")
        rows = self.all_rows(data.rows)
        if rows > self.batch_size:
            raise ValueError(
                f"X has {rows} rows, expected at most batch_size = {self.batch_size}: "
                "make the Trainer with a larger batch_size, or call fit"
            )
        with self.exclusive():
            loss = self.update(data, rows, "step")
        learned_names.learn(self.net, data)
        return loss / rows

    def update(self, data: Dataset, rows: int, caller: str) -> float:
        """One update on all rows of ``data``; returns the loss before it times ``rows``."""
        self.check_schedule(self.updates, 1)
        job = self._step_job
        job.begin(job_table.TRAIN, rows, rows)
        return self._run_one(data, job, caller)

    def next_batch(self, data: Dataset, job: Job, caller: str) -> tuple[float, int]:
        """One update on the next batch of a job.

        Returns the loss of its rows before the update, times their number, and the number.
        """
        rows = job.rows_of_batch()
        job[job_table.FIRST], job[job_table.EPOCHS] = job[job_table.EPOCH], job[job_table.EPOCH] + 1
        job[job_table.BUDGET] = 1
        return self._run_one(data, job, caller), rows

    def _run_one(self, data: Dataset, job: Job, caller: str) -> float:
        job.losses[0] = 0.0
        self.run(data, job, caller)
        return float(job.losses[0])

    def apply_gradients(self, layers: list[arenas.Layer], rows: int | None = None) -> None:
        """``Trainer.apply_gradients`` of checked gradients."""
        self.check_updates("apply_gradients")
        (arena,) = setup.new_arenas(self.net, 1)
        arenas.write_layers(self.net.arrays.plan, arena, layers)
        with self.exclusive():
            self.check_schedule(self.updates, 1)
            applied = self.engine.apply(self.mean_gradient(arena, rows)) == job_table.OK
        if not applied:
            raise FloatingPointError(
                "the norm of the gradients is not finite: the update was not made. Scale the loss"
            )

    def reset_optimizer(self) -> None:
        """``Trainer.reset_optimizer``."""
        with self.exclusive():
            self.arrays.moments.fill(0)
            input_scaling.begin(self)
            self.arrays.hyper[settings.UPDATES] = 0.0
            self.arrays.hyper[settings.OPTIMIZER_STATE] = 1.0

    # The learning rate

    @property
    def lr(self) -> float:
        """The learning rate, which a schedule multiplies."""
        return float(self.arrays.hyper[codes.LR])

    @lr.setter
    def lr(self, value: float) -> None:
        self.arrays.hyper[codes.LR] = value

    @property
    def scheduled_lr(self) -> float:
        """The learning rate of the next update."""
        hyper = self.arrays.hyper
        factor, _ = reference.scheduled(hyper[settings.SCHEDULE :], hyper[settings.UPDATES])
        return float(hyper[codes.LR] * factor)

    @property
    def updates(self) -> int:
        """Updates made so far."""
        return int(self.arrays.hyper[settings.UPDATES])

    @property
    def has_accuracy(self) -> bool:
        """Whether ``evaluate`` returns an accuracy."""
        return self.loss.has_classes

    # Compiled code

    def model(self) -> Model:
        """``Trainer.compiled``."""
        if self.engine_name == "numpy":
            raise ValueError(
                "engine is 'numpy', which compiles nothing: make the Trainer with engine='numba'"
            )
        if self.group is not None:
            raise ValueError("comm is given, and compiled code trains one rank alone: leave it out")
        self.check_balanced()
        self.check_updates("compiled")
        with self.exclusive():
            if self._model is None:
                self._model = self._new_model()
            return self._model

    def _new_model(self) -> Model:
        handle, arrays = self.compiled.handle(self.batch_size), self.arrays
        self._handles.append(ref(handle.array))
        return Model(
            handle.array,
            arrays.parameters,
            arrays.moments,
            arrays.hyper,
            self.compiled.work,
            handle.scratch,
        )

    def fast_step(self) -> fast_path.Step:
        """The fast path of ``Trainer.step``; ``NO_STEP`` where there is none."""
        unbalanced = self.options.class_weight == "balanced" and not self.is_balanced
        if self.engine is not self.compiled or self.compiled.max_single_thread_rows() == 0:
            return fast_path.NO_STEP
        if unbalanced or not self.optimizer.makes_updates:
            return fast_path.NO_STEP
        with suppress(MemoryError):  # a model needs memory for batch_size rows, a step for its own
            path = fast_path.step(self.model())
            total = self.options.total_updates
            return fast_path.until(total, self.arrays.hyper, path) if total else path
        return fast_path.NO_STEP

    # Class weights, schedules, the user's functions

    @property
    def class_weights(self) -> Floats:
        """The weight of each class, (classes,)."""
        return self.arrays.class_weights

    def set_class_weights(self, weights: Floats, is_balanced: bool = True) -> None:
        """Set them; is_balanced: whether they are known, where they are to be "balanced"."""
        self.class_weights[:], self.is_balanced = weights, is_balanced
        self._tell_change()

    def check_balanced(self) -> None:
        """ValueError where class weights are "balanced" and not known yet."""
        if self.options.class_weight == "balanced" and not self.is_balanced:
            raise ValueError(
                "class_weight is 'balanced', which takes the weights from the labels of fit, and "
                "fit has not been called: pass a dict of weights"
            )

    def check_schedule(self, made: int, more: int) -> None:
        """ValueError if a schedule ends before ``made + more`` updates."""
        for name, schedule in self.options.given_schedules.items():
            schedules.check_length(schedule, made, more, name)

    def check_updates(self, call: str) -> None:
        """ValueError where the optimizer makes no updates by batches."""
        if not self.optimizer.makes_updates:
            raise ValueError(
                f"{call} makes updates by batches, and optimizer {self.optimizer!r} none: call "
                "fit, or make the Trainer with another optimizer"
            )

    def functions(self) -> list[Callable[..., Any]]:
        """The user's own functions: a loss, activations."""
        functions = (self.loss.function, *self.net.custom_activations)
        return [function for function in functions if function is not None]
