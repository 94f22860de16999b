"""One call of fit: compiled calls, the epochs that they end, validation, History."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks.base import CallbackList, StopTraining
from ..callbacks.history import History
from ..common.types import NO_LOSSES
from ..components.lbfgs import LBFGS
from ..components.metrics import Metric
from ..kernels.tables import job_table, settings
from ..runtime.job import Job
from .cursor import FitCursor
from .lbfgs_search import minimize
from .resume import Resumed, describe
from .row_order import RowOrder
from .snapshot import Snapshot
from .validation import Validation

if TYPE_CHECKING:
    from .trainer import Trainer

EPOCHS_AT_ONCE = 4096
"""Epochs of one compiled call, at most: their losses wait there for Python."""


@dataclass
class Fit:
    """What fit was asked for, checked.

    position: where it stands, whenever a callback is called. snapshot: to go back to.
    """

    trainer: "Trainer"
    order: RowOrder
    watch: CallbackList
    held_out: Validation | None
    metrics: Mapping[str, Metric]
    snapshot: Snapshot | None = None
    resumed: Resumed | None = None
    position: FitCursor = field(default_factory=FitCursor)
    _is_underway: bool = False
    """Whether updates are being made, of which position says nothing yet."""

    def run(self) -> History:
        """Train, and tell the callbacks. RuntimeError within a fit: both would take its epochs."""
        trainer = self.trainer
        if trainer._fit is not None:
            raise RuntimeError(
                "fit was called within a fit of the same trainer, by a callback or a metric: call "
                "it afterwards; step can be called within"
            )
        try:  # Ctrl-C may come at once
            trainer._fit = self
            trainer._balance(self.order.data, self.order.chosen)
            if self.resumed:
                self._take_up(self.resumed)
            trainer._history = self.watch.state.history
            with self.watch:
                self._run()
        finally:
            trainer._fit = None
        return self.watch.state.history

    def updates(self) -> tuple[int, int]:
        """Updates of the trainer before, and those that this fit is to make."""
        batch = min(self.trainer.batch_size, self.order.rows)
        of_epoch = -(-self.order.rows // batch)
        whole = self.watch.state.epochs * of_epoch
        if self.resumed is None:
            return int(self.trainer._state.hyper[settings.UPDATES]), whole
        position = self.resumed.position
        made = position.epochs * of_epoch + position.row // batch
        return self.resumed.learned.updates, whole - made

    def describe(self) -> dict[str, Any] | None:
        """What a checkpoint must have to resume it; None for L-BFGS, whose memory is SciPy's."""
        if self._is_underway:
            raise RuntimeError(
                "save was called by a signal handler in the middle of updates: let the handler set "
                "a flag, and save in on_epoch_end or on_step_end of a callback"
            )
        return None if self.trainer._full_batch else describe(self)

    def _take_up(self, resumed: Resumed) -> None:
        """Stand where the checkpoint was written."""
        resumed.learned.restore(self.trainer)
        self.position = resumed.position
        self.watch.state.history.update(resumed.history)
        self._advance()

    def _run(self) -> None:
        watch = self.watch
        watch.begin()
        if self.resumed:
            watch.go_on()
            self._end_epochs()
        if isinstance(self.trainer.optimizer, LBFGS):
            self._minimize(self.trainer.optimizer)
            return
        for is_heard in self._calls():
            if is_heard:
                watch.end_step()
            self._end_epochs()
            watch.end_call()

    def _minimize(self, rule: LBFGS) -> None:
        """All rows at every iteration, which takes the place of an epoch."""
        trainer, watch = self.trainer, self.watch
        started = time.perf_counter()

        def end_iteration(number: int, loss: float) -> None:
            nonlocal started
            watch.state._advance(number, 0, self.order.rows)
            self.position.ended = np.array([loss])
            self.position.ended_seconds = time.perf_counter() - started
            self._end_epochs()
            watch.end_call()
            if watch.stopped:
                raise StopTraining
            started = time.perf_counter()

        with suppress(StopTraining):
            gradients = partial(trainer._loss_and_gradients, replace(self.order, shuffle=False))
            minimize(rule, trainer.net, gradients, watch.state.epochs, end_iteration)

    def _end_epochs(self) -> None:
        """Give History the epochs that have just ended, and tell of them."""
        if len(self.position.ended):
            self.watch.state.history.extend(**self._columns())
            self.position.ended = NO_LOSSES
            self.watch.end_epoch()

    def _columns(self) -> dict[str, list[float]]:
        """History of the epochs that have just ended: one, if it is to be validated."""
        ended, seconds = self.position.ended.tolist(), self.position.ended_seconds
        columns = {"loss": ended}
        if self.held_out is not None:
            judged = self.trainer._evaluate(self.held_out, self.metrics)
            columns |= {f"val_{key}": [value] for key, value in judged.items()}
        columns["samples_per_second"] = [self.order.rows / seconds] * len(ended)
        return columns

    def _calls(self) -> Iterator[bool]:
        """Run the epochs, a part of one or many in a compiled call.

        Yields after each whether callbacks are to hear of its last update.
        """
        trainer, order, watch = self.trainer, self.order, self.watch
        epochs = watch.state.epochs
        one_by_one = self.held_out is not None or watch.each_epoch or watch.step_interval > 0
        at_once = 1 if one_by_one else min(epochs, EPOCHS_AT_ONCE)
        job = order.job(trainer.batch_size, trainer.seed, at_once)
        self.position.place(job, trainer._epoch)
        order.resume(job)
        # Not whether kernels are the extended ones: a callback may go over to these meanwhile, and
        # who resumes may have done so before.
        weighs_classes = trainer._options.class_weight is not None
        self._weighed = weighs_classes or order.data.weights is not None
        while job.epochs_taken < epochs and not watch.stopped:
            job[job_table.EPOCHS] = job[job_table.EPOCH] + min(at_once, epochs - job.epochs_taken)
            order.prepare(job)
            if self.snapshot and (job[job_table.START] == 0 or self.snapshot.is_empty):
                self.snapshot.take(self.position)
            yield self._call(job)

    def _call(self, job: Job) -> bool:
        """Some batches, whose end may be one that callbacks hear of. Whether it is."""
        interval = self.watch.step_interval
        left = interval - self.watch.state.steps % interval if interval else 0
        self._is_underway = True
        try:
            if left == 1:
                self._step(job)
            else:
                job.chunk = min(job.chunk, left - 1) if left else job.chunk
                self._chunk(job)
        except BaseException as error:  # a batch was refused, or Ctrl-C
            self._follow(job)
            self._break_off(error)
            raise
        self._follow(job)
        return left == 1

    def _follow(self, job: Job) -> None:
        """Take over what a call has brought."""
        position = self.position
        self.trainer._epoch = job[job_table.EPOCH]
        if job[job_table.EPOCH] > job[job_table.FIRST]:
            position.ended = job.take_losses(self._weighed)
            position.ended_seconds = position.seconds / len(position.ended)
            position.seconds = 0.0
        position.follow(job)
        if self.watch.is_on:
            self._advance()
        self._is_underway = False

    def _advance(self) -> None:
        position, batch = self.position, min(self.trainer.batch_size, self.order.rows)
        self.watch.state._advance(position.epochs, position.row, batch)

    def _break_off(self, error: BaseException) -> None:
        """Keep the epochs that ended before the error; where a batch was refused, undo its epoch.

        One that is still to be validated is kept by ``position``.
        """
        if len(self.position.ended) and self.held_out is None:
            self.watch.state.history.extend(**self._columns())
            self.position.ended = NO_LOSSES
        if self.snapshot and isinstance(error, FloatingPointError | ValueError):
            self.position = self.snapshot.go_back(self.position.epochs)
            self._advance()
            error.add_note("The trainer is as it was at the end of the epoch before.")

    def _chunk(self, job: Job) -> None:
        """Some batches."""
        started = time.perf_counter()
        try:
            self.trainer._chunk(self.order.data, job, "fit")
        finally:  # of epochs that ended before an error, too
            self.position.seconds += time.perf_counter() - started

    def _step(self, job: Job) -> None:
        """One batch, whose loss the callbacks get."""
        rows = float(min(job.batch, job[job_table.ROWS] - job[job_table.START]))
        loss, weight = job.losses[0], job.weights[0]
        job.chunk, job.losses[0], job.weights[0] = 1, 0.0, 0.0
        try:
            self._chunk(job)
            if not self._weighed:
                job.weights[0] = rows
            self.watch.state.step_loss = float(job.means(extended=True)[0])
        finally:
            job.losses[0] += loss
            job.weights[0] += weight
