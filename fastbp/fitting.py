"""One call of fit: compiled calls, the epochs that they end, validation, History."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .callbacks import StopTraining, Watch
from .history import History
from .job import Floats, Job
from .kernels import jobs
from .lbfgs import LBFGS, minimize
from .metrics import Metric
from .order import Order
from .validation import Validation

if TYPE_CHECKING:
    from .trainer import Trainer

EPOCHS_AT_ONCE = 4096
"""Epochs of one compiled call, at most: their losses wait there for Python."""


NO_LOSSES = np.empty(0)


@dataclass
class Fit:
    """What fit was asked for, checked."""

    trainer: "Trainer"
    order: Order
    watch: Watch
    held_out: Validation | None
    metrics: Mapping[str, Metric]

    def run(self) -> History:
        """Train, and tell the callbacks. RuntimeError within a fit: both would take its epochs."""
        trainer = self.trainer
        if trainer._fitting:
            raise RuntimeError(
                "fit was called within a fit of the same trainer, by a callback or a metric: call "
                "it afterwards; step can be called within"
            )
        try:  # Ctrl-C may come at once
            trainer._fitting = True
            trainer._balance(self.order.data, self.order.chosen)
            with self.watch:
                self._run()
        finally:
            trainer._fitting = False
        return self.watch.state.history

    def _run(self) -> None:
        watch = self.watch
        watch.begin()
        if isinstance(self.trainer.optimizer, LBFGS):
            self._minimize(self.trainer.optimizer)
            return
        for losses, seconds in self._calls():
            watch.end_step()
            if len(losses):
                watch.state.history.extend(**self._columns(losses, seconds))
                watch.end_epoch()
            watch.end_call()

    def _minimize(self, rule: LBFGS) -> None:
        """All rows at every iteration, which takes the place of an epoch."""
        trainer, watch = self.trainer, self.watch
        started = time.perf_counter()

        def end_iteration(number: int, loss: float) -> None:
            nonlocal started
            watch.state._advance(number, 0, self.order.rows)
            losses, seconds = np.array([loss]), time.perf_counter() - started
            watch.state.history.extend(**self._columns(losses, seconds))
            watch.end_epoch()
            watch.end_call()
            if watch.stopped:
                raise StopTraining
            started = time.perf_counter()

        with suppress(StopTraining):
            gradients = partial(trainer._loss_and_gradients, replace(self.order, shuffle=False))
            minimize(rule, trainer.net, gradients, watch.state.epochs, end_iteration)

    def _columns(self, losses: Floats, seconds: float) -> dict[str, list[float]]:
        """History of the epochs that have just ended: one, if it is to be validated."""
        columns = {"loss": losses.tolist()}
        if self.held_out is not None:
            judged = self.trainer._evaluate(self.held_out, self.metrics)
            columns |= {f"val_{key}": [value] for key, value in judged.items()}
        columns["samples_per_second"] = [self.order.rows / seconds] * len(losses)
        return columns

    def _calls(self) -> Iterator[tuple[Floats, float]]:
        """Run the epochs, a part of one or many in a compiled call.

        Yields after each (mean losses of the epochs that it ended, seconds for each of them).
        """
        trainer, order, watch = self.trainer, self.order, self.watch
        epochs = watch.state.epochs
        one_by_one = self.held_out is not None or watch.each_epoch or watch.each_step
        at_once = 1 if one_by_one else min(epochs, EPOCHS_AT_ONCE)
        job = order.job(trainer.batch_size, trainer.seed, at_once)
        job[jobs.FIRST] = job[jobs.EPOCH] = trainer._epoch
        # A callback may bring the trainer to extended kernels: these rows still have no weights.
        self._weighed = trainer._extended or order.data.weights is not None
        call = self._step if watch.each_step else self._chunk
        seconds = 0.0
        while job.epochs_taken < epochs and not watch.stopped:
            job[jobs.EPOCHS] = job[jobs.EPOCH] + min(at_once, epochs - job.epochs_taken)
            order.prepare(job)
            try:
                seconds += call(job)
            finally:  # where a batch is refused, or Ctrl-C ends fit, the epochs before it are made
                trainer._epoch = job[jobs.EPOCH]
            ended = trainer._epoch > job[jobs.FIRST]
            losses = job.take_losses(self._weighed) if ended else NO_LOSSES
            if watch.is_on:
                watch.state._advance(job.epochs_taken, job[jobs.START], job.batch)
            yield losses, seconds / max(len(losses), 1)
            if ended:
                seconds = 0.0

    def _chunk(self, job: Job) -> float:
        """Some batches; the seconds that they took."""
        return self.trainer._chunk(self.order.data, job, "fit")

    def _step(self, job: Job) -> float:
        """One batch, whose loss the callbacks get."""
        rows = float(min(job.batch, job[jobs.ROWS] - job[jobs.START]))
        loss, weight = job.losses[0], job.weights[0]
        job.chunk, job.losses[0], job.weights[0] = 1, 0.0, 0.0
        seconds = self._chunk(job)
        if not self._weighed:
            job.weights[0] = rows
        self.watch.state.step_loss = float(job.means(extended=True)[0])
        job.losses[0] += loss
        job.weights[0] += weight
        return seconds
