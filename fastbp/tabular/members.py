"""Networks that are trained side by side: a Python thread each, on the same rows in memory.

A fit runs compiled code without the GIL, so that threads train at the same time. Each network has a
seed of its own and holds out a fold of its own; nothing else decides what it becomes, so that the
result does not depend on the number of threads.
"""

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from ..callbacks.base import FitState, StopTraining
from ..callbacks.history import History
from ..common.types import Array, Floats, Ints
from ..model.network import Network
from .bookmarks import Bookmark
from .clock import Clock
from .ranks import Ranks
from .recipe import Recipe, Task
from .watch import Watch

POLL = 0.1
"""Seconds after which the calling thread looks for Ctrl-C, which Windows does not show a thread
that waits."""

PILOT_EPOCHS, PILOT_SHARE = 4, 0.05
"""Epochs that are timed where there is a limit of time, and the most of it that they may take."""

LEAST_ROWS = 2**14
"""Rows that are learned from where the limit of time has none for them: some tenths of a second."""

LEARNED_PER_HELD = 4
"""At least so many rows are learned from for each that is held out, as of whole tables."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Data:
    """What all members learn from, shared by their threads.

    X: (n, inputs), an array or CSR. y: codes (n,), or numbers (n, targets). weights: above 0, (n,),
    or None. validation: (X, y) or (X, y, weights) of rows besides, or None.
    """

    X: Any
    y: Array
    weights: Floats | None = None
    validation: tuple[Any, ...] | None = None

    def only(self, rows: Ints) -> "Data":
        """These rows, in memory. The validation stays."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], weights=weights)


@dataclass(frozen=True)
class Member:
    """A network to train: its number, its seed, and the rows that it holds out."""

    number: int
    seed: int
    held: Ints


@dataclass
class Trained:
    """A member after its training, with the parameters of its best epoch.

    epochs: complete ones. best_epoch: from 1; 0 where no epoch was evaluated. error: why it ended
    early, or None. rows: how many it was trained on, where they are some of those not held out.
    """

    member: Member
    net: Network
    history: History
    epochs: int
    best_epoch: int
    error: str | None
    rows: int | None = None

    @property
    def rank(self) -> tuple[bool, bool]:
        """What is worse about it: that it has diverged, that it has no complete epoch."""
        return self.error is not None, self.epochs == 0


class Shelf(Protocol):
    """Where members are kept, done or underway."""

    def find(self, member: Member) -> Trained | None:
        """The member, where it is done."""

    def put(self, one: Trained) -> None:
        """Keep it, which is done."""

    def bookmark(self, member: Member, epochs: int) -> Bookmark:
        """What keeps how far a training for so many epochs is."""


@dataclass
class Team:
    """Trains members side by side.

    recipe, task: what they are; the task's rows are those of ``data``. threads: the most at a time.
    tell: is called after each epoch of any member, by one thread at a time, with the member and the
    state of its fit. StopTraining from it ends all. kept: where members are kept, done or underway,
    and taken from; None for nowhere. ranks: that share the members; threads are those of this one.
    """

    recipe: Recipe
    task: Task
    data: Data
    clock: Clock
    threads: int
    tell: Callable[[Member, int, FitState], object]
    kept: Shelf | None = None
    ranks: Ranks = field(default_factory=Ranks)
    was_interrupted: bool = False
    _at_once: int = 1
    _rows: int | None = None  # of an epoch of the first member, where there is no time for all
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def train(self, members: Sequence[Member]) -> list[Trained]:
        """The members after their training, those that are fit for use.

        Where a limit of time does not allow all, the first ones; where it does not allow an epoch,
        one member learns from some of the rows, with a UserWarning. Ctrl-C ends the training of all
        with a UserWarning. A member that diverges is left out, with a UserWarning, unless all do.

        Raises:
            FloatingPointError: all have diverged in their first epoch.
            KeyboardInterrupt: Ctrl-C came before any update.

        """
        most = sum(self.ranks.of_all(self.threads))
        mine = self._begin(members, most)
        if self.clock.limit is not None:
            wanted = self._affordable(members, most)
            members = members[: self.ranks.agreed(wanted)]
            mine = self._begin(members, most)
        jobs = [partial(self._train, member, len(members)) for member in mine]
        own = [one for one in self._run(jobs) if one is not None]
        found = [one for of_rank in self.ranks.of_all(own) for one in of_rank]
        return self._usable(sorted(found, key=lambda one: one.member.number), len(members))

    def _begin(self, members: Sequence[Member], most: int) -> list[Member]:
        """The members of this rank. most: that all ranks train at a time."""
        mine = self.ranks.mine(members)
        self.clock.at_once = min(most, len(members))
        self._at_once = max(1, min(self.threads, len(mine)))
        return mine

    def _affordable(self, members: Sequence[Member], most: int) -> int:
        """How many members the limit of time allows. most: that all ranks train at a time."""
        mine = self._begin(members, most)
        if not self.ranks.agreed(self.clock.is_over):
            self._measure(mine[: self._at_once])
            if self.ranks.agreed(not self.clock.has_an_epoch):  # one alone has more threads
                mine = self._begin(members[:1], most)
                self._measure(mine)
        if not self.clock.has_an_epoch:
            warnings.warn(
                f"{max(0.0, self.clock.left):.0f} s of the limit of time are left to train in, "
                f"less than an epoch takes: one network {self._shortened(mine)}. Give more time, "
                "or fewer rows",
                stacklevel=5,
            )
        return self.clock.members(len(members), self.recipe.epochs)

    def _shortened(self, mine: Sequence[Member]) -> str:
        """Bound the rows of the first member by the time that is left; returns what it does."""
        rows = self.task.rows - sum(len(member.held) for member in mine[:1])
        some = max(LEAST_ROWS, int(self.clock.share * rows))
        if some >= rows:
            return "makes one epoch all the same"
        self._rows = some
        return f"learns from {some:,} of {rows:,} rows, drawn by chance"

    @property
    def _threads_of_each(self) -> int:
        return max(1, self.threads // self._at_once)

    def _train(self, member: Member, members: int) -> Trained | None:
        """Train a member; None where there is no time left to begin."""
        may_wait = member.number >= self.clock.at_once
        if self._stop.is_set() or (may_wait and self.clock.is_over):
            return None
        done = None if self.kept is None else self.kept.find(member)
        if done is not None:
            return done
        if member.number == 0 and self._rows is not None:
            return self._train_on_some(member, self._rows)
        epochs = self.clock.epochs(member.number, members, self.recipe.epochs)
        watch = Watch(
            lambda: self._is_to_stop(member, watch),
            partial(self._tell_of, member, members),
            None if self.kept is None else self.kept.bookmark(member, epochs),
        )
        net, error = self._fit(member, self.data, epochs, watch)
        history = watch.state.history
        trained = Trained(member, net, history, watch.epochs, watch.best_epoch, error)
        if self.kept is not None and error is None and watch.epochs == epochs:
            self.kept.put(trained)
        return trained

    def _train_on_some(self, member: Member, rows: int) -> Trained:
        """The member after an epoch of so many rows, drawn by chance, and with fewer held out."""
        held = member.held[:: max(1, -(-LEARNED_PER_HELD * len(member.held) // rows))]
        others = np.delete(np.arange(len(self.data.y)), member.held)
        drawn = np.random.default_rng(member.seed).choice(others, rows, replace=False)
        data = self.data.only(np.concatenate([held, np.sort(drawn)]))
        there = replace(member, held=np.arange(len(held)))
        watch = Watch(lambda: self._is_to_stop(there, watch), partial(self._tell_of, there, 1))
        net, error = self._fit(there, data, 1, watch)
        member, history = replace(member, held=held), watch.state.history
        return Trained(member, net, history, watch.epochs, watch.best_epoch, error, rows)

    def _is_to_stop(self, member: Member, watch: Watch) -> bool:
        """Whether the training of a member ends now. The first one makes an epoch in any case."""
        owes_an_epoch = member.number == 0 and watch.epochs == 0
        return self._stop.is_set() or (self.clock.is_over and not owes_an_epoch)

    def _fit(
        self, member: Member, data: Data, epochs: int, watch: Watch
    ) -> tuple[Network, str | None]:
        """The network after a fit, and why it diverged, or None.

        It goes on from where the bookmark of ``watch`` is.
        """
        held = member.held if len(member.held) else None
        task = replace(self.task, rows=len(data.y) - len(member.held))
        trainer = self.recipe.trainer(task, epochs, member.seed, self._threads_of_each)
        try:
            trainer.fit(
                data.X,
                data.y,
                epochs,
                sample_weight=data.weights,
                validation_data=data.validation,
                validation_rows=held,
                callbacks=[watch],
                progress=False,
                resume=None if watch.bookmark is None else watch.bookmark.find(),
                snapshot=False,
            )
        except FloatingPointError as error:
            return trainer.net, str(error)
        return trainer.net, None

    def _tell_of(self, member: Member, members: int, state: FitState) -> None:
        try:
            with self._lock:
                self.tell(member, members, state)
        except StopTraining:
            self._stop.set()

    def _measure(self, members: Sequence[Member]) -> None:
        """Time some epochs of networks that are thrown away, beside one another."""
        rows = slice(0, self.recipe.batch_size)
        few = self.data.X[rows], self.data.y[rows]
        nobody = Member(0, 0, np.empty(0, np.int64))
        # What is compiled now is not timed.
        self._fit(nobody, Data(*few, validation=few), 1, Watch(lambda: False))
        seconds = self._run([partial(self._time, member) for member in members])
        if self.was_interrupted:
            raise KeyboardInterrupt
        self.clock.seconds_per_epoch = max(self.ranks.of_all(max(seconds, default=0.0)))

    def _time(self, member: Member) -> float:
        """The seconds of an epoch, by some epochs or a part of one, and of its validation."""
        began = time.perf_counter()
        end = began + PILOT_SHARE * self.clock.left
        watch = Watch(lambda: self._stop.is_set() or time.perf_counter() > end)
        self._fit(member, self.data, PILOT_EPOCHS, watch)
        seconds, state = time.perf_counter() - began, watch.state
        speeds = state.history.get("samples_per_second", [])
        if not speeds:  # it has diverged
            return seconds * state.rows / max(state.samples, 1)
        speed = float(np.mean(speeds))
        return state.rows / speed + max(0.0, seconds - state.samples / speed) / len(speeds)

    def _run(self, jobs: Sequence[Callable[[], Result]]) -> list[Result]:
        """Call the jobs in threads; the results in the order of the jobs.

        Ctrl-C stops them, and only those that have begun give a result. The first exception of a
        job stops the others, and is raised.
        """
        with ThreadPoolExecutor(self._at_once, "fastbp-member") as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                self._wait(futures)
            except KeyboardInterrupt:
                self.was_interrupted = True
            finally:
                if self.was_interrupted or not all(future.done() for future in futures):
                    self._stop.set()
                    pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures if not future.cancelled()]

    def _wait(self, futures: "Sequence[Future[Any]]") -> None:
        """Wait for all, those of other ranks, too, or for the first exception."""
        left, others = set(futures), 1
        while others:
            done, left = wait(left, POLL, FIRST_EXCEPTION)
            if any(future.exception() for future in done):
                return
            others, stops = self.ranks.look(len(left), self._stop.is_set())
            if stops:
                self._stop.set()

    def _usable(self, found: list[Trained], wanted: int) -> list[Trained]:
        """Those of the best rank."""
        if not found:
            raise KeyboardInterrupt
        best = min(one.rank for one in found)
        if best == (True, True):
            raise FloatingPointError(f"no member could be trained: {found[0].error}")
        if self.was_interrupted:
            warnings.warn(
                "the training was interrupted: the model has the best weights so far", stacklevel=5
            )
        for one in found:
            if one.rank > best and one.error is not None:
                warnings.warn(
                    f"member {one.member.number + 1} of {wanted} has diverged and is left out: "
                    f"{one.error}",
                    stacklevel=5,
                )
        return [one for one in found if one.rank == best]
