"""The updates of fit on arrays: many batches, or many epochs, in one compiled call."""

import time
from collections.abc import Iterator
from typing import Any, ClassVar

from ..kernels.tables import job_table
from ..runtime.job import Job
from . import resume, row_weights
from .agreement import event
from .fitting import Fit
from .row_order import RowOrder
from .snapshot import Snapshot

EPOCHS_AT_ONCE = 4096
"""The most epochs of one compiled call, which keeps their losses until Python takes them."""


class ArrayLoop:
    """The loop of ``Trainer.fit``; see ``Loop``.

    Args:
        fit: the call that it is for.
        order: the rows of each epoch.
        keeps_snapshot: whether to go back to the end of an epoch where a batch is refused.
        point: of a checkpoint, to go on from; None to begin.

    """

    nests: ClassVar[bool] = False

    def __init__(
        self, fit: Fit, order: RowOrder, keeps_snapshot: bool, point: resume.ResumePoint | None
    ) -> None:
        self._fit, self._core, self._watch = fit, fit.core, fit.watch
        self._order, self._point = order, point
        self._batch = min(fit.core.batch_size, order.rows)
        self._snapshot = None
        if keeps_snapshot:
            repeats = not fit.watch.callbacks and fit.core.group is None
            self._snapshot = Snapshot(fit.core, order, repeats)
        self._is_underway = False

    def prepare(self) -> None:
        """Take over the state of the checkpoint, if there is one."""
        self._core.check_schedule(*self._updates())
        row_weights.weigh(self._core, self._order)
        resume.check_mean_weight(self._point, self._order.mean_weight)
        lr, self._fit.set_lr = resume.learning_rates(self._core, self._point, self._fit.lr)
        if self._point is not None:
            self._fit.has_changed = True
            self._point.saved.restore(self._core)
            self._fit.cursor = self._point.cursor
            self._watch.state.history.update(self._point.saved.history)
            self._advance()
        self._core.lr = lr

    def _updates(self) -> tuple[int, int]:
        """Updates of the trainer before this fit, and those that the fit is to make."""
        of_epoch = -(-self._order.rows // self._batch)
        whole = self._watch.state.epochs * of_epoch
        if self._point is None:
            return self._core.updates, whole
        cursor = self._point.cursor
        made = cursor.epochs * of_epoch + cursor.row // self._batch
        return self._point.saved.updates, whole - made

    def to_dict(self) -> dict[str, Any]:
        """See ``Loop``."""
        if self._is_underway:
            raise RuntimeError(
                "save was called by a signal handler in the middle of updates: let the handler set "
                "a flag, and save in on_epoch_end or on_step_end of a callback"
            )
        return resume.to_dict(self._fit, self._order)

    def run(self) -> None:
        """See ``Loop``."""
        if self._point is not None:
            with event(self._core, self._watch):
                self._watch.finish_event()
            self._fit.end_epochs()
        for ends_step in self._calls():
            self._fit.end_call(ends_step)
        cursor = self._fit.cursor
        if self._watch.stopped and cursor.row:
            rows = max(1, self._taken())
            self._fit.end_part(cursor.loss / rows, rows, cursor.seconds)

    def _calls(self) -> Iterator[bool]:
        """Run the epochs. Yields after each compiled call whether its last update has listeners.

        A call is a part of an epoch, or many epochs where no validation and no callback
        needs the end of each.
        """
        core, order, watch = self._core, self._order, self._watch
        epochs = watch.state.epochs
        one_by_one = self._fit.held_out is not None or watch.step_interval > 0
        most = 1 if one_by_one else min(epochs, EPOCHS_AT_ONCE)
        job = order.job(core.batch_size, core.seed, most)
        self._fit.cursor.place(job, core.epoch)
        order.resume(job)
        while job.epochs_taken < epochs and not watch.stopped:
            at_once = watch.epochs_at_once(min(most, epochs - job.epochs_taken))
            job[job_table.EPOCHS] = job[job_table.EPOCH] + at_once
            order.prepare(job)
            if self._snapshot and (job[job_table.START] == 0 or self._snapshot.is_empty):
                self._snapshot.take(self._fit.cursor)
            yield self._call(job)

    def _call(self, job: Job) -> bool:
        """Run some batches. Returns whether the last one has listeners."""
        interval = self._watch.step_interval
        left = interval - self._watch.state.steps % interval if interval else 0
        self._is_underway = True
        try:
            self._run(job, left)
        except BaseException as error:  # a batch was refused, or Ctrl-C
            self._follow(job)
            self._break_off(error)
            raise
        self._follow(job)
        return left == 1

    def _run(self, job: Job, left: int) -> None:
        """Run the batch that has listeners, or some before it. left: batches up to that one."""
        started = time.perf_counter()
        try:
            if left == 1:
                self._step(job)
            else:
                job.chunk = min(job.chunk, left - 1) if left else job.chunk
                self._core.chunk(self._order.data, job, "fit")
                job.chunk = int(self._core.agreed(job.chunk))  # ranks hear of the same batches
        finally:  # also for epochs that ended before an error
            self._fit.cursor.seconds += time.perf_counter() - started

    def _step(self, job: Job) -> None:
        """Run one batch, and give FitState its loss."""
        before = job.losses[0]
        try:
            loss, rows = self._core.next_batch(self._order.data, job, "fit")
            self._watch.state.step_loss = loss / rows
        finally:
            job.losses[0] += before

    def _follow(self, job: Job) -> None:
        """Update the trainer's epoch, the cursor and FitState from the job."""
        cursor = self._fit.cursor
        self._core.epoch = job[job_table.EPOCH]
        if job[job_table.EPOCH] > job[job_table.FIRST]:
            cursor.ended = job.take_losses()
            cursor.ended_seconds = cursor.seconds / len(cursor.ended)
            cursor.seconds = 0.0
        cursor.follow(job)
        if self._watch.is_on:
            self._advance()
        self._is_underway = False

    def _advance(self) -> None:
        cursor, state = self._fit.cursor, self._watch.state
        self._watch.advance(cursor.epochs, cursor.row, self._batch)
        state.samples += self._taken() - cursor.row

    def _taken(self) -> int:
        """Rows taken of an epoch."""
        return self._order.taken(self._fit.cursor.row, self._batch)

    def _break_off(self, error: BaseException) -> None:
        """Keep the epochs that ended before the error; where a batch was refused, undo its epoch.

        An epoch that is still to be validated stays in the cursor.
        """
        if self._fit.held_out is None:
            self._fit.take_epochs()
        if self._snapshot and isinstance(error, FloatingPointError | ValueError):
            self._fit.cursor = self._snapshot.go_back(self._fit.cursor.epochs)
            self._advance()
            error.add_note("The trainer is as it was at the end of the epoch before.")
