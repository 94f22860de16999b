"""One call of fit or fit_batches: a loop of updates, callbacks, validation, History."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from ..callbacks.base import CallbackList
from ..callbacks.history import History
from ..common.types import NO_LOSSES
from ..components.metrics import Metric
from ..runtime.arrays import Dataset
from .agreement import check_alike, event
from .core import TrainerCore
from .cursor import FitCursor
from .inference import evaluate


class Loop(Protocol):
    """Makes the updates of a fit: from arrays, from a stream, or by L-BFGS.

    nests: whether a callback of another fit of the trainer may run it.
    """

    nests: ClassVar[bool]

    def prepare(self) -> None:
        """Make the last checks and set the trainer up, before on_fit_begin."""

    def run(self) -> None:
        """Make the updates of all epochs, or until ``Fit.watch`` is stopped.

        Each compiled call is followed by ``Fit.end_call``.
        """

    def to_dict(self) -> dict[str, Any] | None:
        """What a checkpoint needs to resume the fit; None where it cannot be resumed."""


@dataclass
class Fit:
    """A call of fit or fit_batches, with checked arguments.

    watch: the callbacks, and their FitState. held_out: the rows that validate each epoch. metrics:
    by name. cursor: the progress, up to date whenever a callback is called. lr: the learning rate
    to begin or go on with; None for the trainer's, or that of the checkpoint. set_lr: the one that
    the user had set when the fit began; NaN for none. has_changed: whether the trainer is another,
    though no update may have been counted: by a checkpoint, or an iteration of L-BFGS. asked: the
    arguments that ranks must have in common.
    """

    core: TrainerCore
    watch: CallbackList
    held_out: Dataset | None
    metrics: Mapping[str, Metric]
    cursor: FitCursor = field(default_factory=FitCursor)
    lr: float | None = None
    set_lr: float = math.nan
    has_changed: bool = False
    asked: dict[str, Any] = field(default_factory=dict)

    def run(self, loop: Loop) -> History:
        """Train, and call the callbacks.

        RuntimeError within another fit of the trainer, unless the loop nests: both fits would count
        epochs of the trainer.
        """
        core = self.core
        if loop.nests:
            return self._run(loop)
        if core.fit is not None:
            raise RuntimeError(
                "fit was called within a fit of the same trainer, by a callback or a metric: call "
                "it afterwards; step can be called within"
            )
        try:  # Ctrl-C may come at once
            core.fit = loop
            return self._run(loop)
        finally:
            core.fit = None

    def _run(self, loop: Loop) -> History:
        history = self.watch.state.history
        loop.prepare()
        check_alike(self.core, self.asked | self._events())
        if self.core.fit is None or self.core.fit is loop:
            self.core.history = history
        try:
            # An error of one rank is everybody's before on_fit_end, which all may predict in.
            with self.watch, self.core.together("the updates of a fit"):
                with event(self.core, self.watch):
                    self.watch.begin()
                loop.run()
        finally:
            self.core.settled_lr = self.core.lr
        return history

    def _events(self) -> dict[str, Any]:
        """What decides of which batches and epochs the ranks hear together."""
        watch = self.watch
        return {
            "epochs": watch.state.epochs,
            "callbacks": [type(callback).__name__ for callback in watch.callbacks],
            "whether a callback hears of epochs": watch.each_epoch,
            "the updates of which callbacks hear": watch.step_interval,
            "metrics": sorted(self.metrics),
        }

    def end_call(self, ends_step: bool) -> None:
        """Tell the callbacks which events a compiled call has ended with: an update, epochs."""
        with event(self.core, self.watch):
            if ends_step:
                self.watch.end_step()
            self._tell_of_epochs()
            self.watch.end_call()

    def end_epochs(self) -> None:
        """Add the epochs that have just ended to History, and tell the callbacks."""
        with event(self.core, self.watch):
            self._tell_of_epochs()

    def _tell_of_epochs(self) -> None:
        if self.take_epochs():
            self.watch.end_epoch()

    def take_epochs(self) -> bool:
        """Add the epochs that have just ended to History. Returns whether there were any."""
        if not len(self.cursor.ended):
            return False
        self.watch.state.history.extend(**self._columns())
        self.cursor.ended = NO_LOSSES
        return True

    def end_part(self, loss: float, rows: int, seconds: float) -> None:
        """Add the part of an epoch that a callback has cut to History.

        loss: its mean. seconds: the time that it took. A column of a callback's own gets a NaN.
        """
        history = self.watch.state.history
        found = {key: values[0] for key, values in self._validated().items()}
        values = {"loss": loss, **found, "samples_per_second": rows / seconds}
        others = dict.fromkeys(history.keys() - values.keys(), math.nan)
        history.extend(**{key: [value] for key, value in (values | others).items()})
        self.watch.state.is_cut = True

    def _columns(self) -> dict[str, list[float]]:
        """History's entries for the epochs that have just ended: for one, where it is validated."""
        losses = self.cursor.ended.tolist()
        speed = self.watch.state.rows / self.cursor.ended_seconds
        return {
            "loss": losses,
            **self._validated(),
            "samples_per_second": [speed] * len(losses),
        }

    def _validated(self) -> dict[str, list[float]]:
        if self.held_out is None:
            return {}
        found = evaluate(self.core, [self.held_out], self.metrics)
        return {f"val_{key}": [value] for key, value in found.items()}
