"""What fit tells its callbacks, and when.

The ready ones are in monitors.py (what follows a value of History) and ready.py (the others).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .history import History

if TYPE_CHECKING:
    from types import TracebackType

    from .progress import Bar
    from .trainer import Trainer

EVENTS = ("on_fit_begin", "on_step_end", "on_epoch_end", "on_fit_end")


class StopTraining(Exception):
    """Raised by a callback, ends fit: it returns the History of the epochs that have ended.

    The other callbacks hear of the same event first. The updates of an epoch that has not ended
    stay; the next fit begins that epoch anew.
    """


@dataclass
class FitState:
    """Where a call of fit stands: what each method of a callback is given.

    trainer: the trainer. epochs: those asked for. rows: rows trained on in each;
    of ``fit_batches`` those of the last that has ended, 0 before.
    history: of the epochs that have ended; a callback may add a column, one value an epoch.
    steps: batches taken in this call. samples: rows of them.
    step_loss: in on_step_end, the loss of the batch before its update; nan where no callback has
        an on_step_end.
    error: in on_fit_end, what ended fit before its time; None after StopTraining.
    """

    trainer: "Trainer"
    epochs: int
    rows: int
    history: History = field(default_factory=History)
    steps: int = 0
    samples: int = 0
    step_loss: float = math.nan
    error: BaseException | None = None

    def _advance(self, epochs: int, row: int, batch: int) -> None:
        """So many epochs have ended, and of the next so many rows are taken, in whole batches."""
        self.samples = epochs * self.rows + row
        self.steps = epochs * -(-self.rows // batch) + row // batch

    @property
    def epoch(self) -> int:
        """How many epochs have ended."""
        return len(self.history.get("loss", ()))

    @property
    def values(self) -> dict[str, float]:
        """What history has of the last epoch that ended."""
        return {key: column[-1] for key, column in self.history.items()}


class Callback:
    """What fit calls as it goes on: derive from it, and override what you need.

    A callback may predict, evaluate, set ``trainer.lr``, call ``trainer.step`` or raise
    StopTraining; a fit of the same trainer is refused (RuntimeError). As long as it does not change
    what is trained, the bits do not depend on it. Only where one has on_step_end does each update
    take a call of its own, and only where one has on_epoch_end does each epoch.

    Another exception ends fit and reaches its caller; the updates before it stay. Then, as after
    Ctrl-C or a loss that is not finite, each callback whose on_fit_begin was called without an
    exception gets on_fit_end, the last first.
    """

    def on_fit_begin(self, state: FitState) -> None:
        """Before the first update."""

    def on_step_end(self, state: FitState) -> None:
        """After each update; after the last of an epoch, before on_epoch_end."""

    def on_epoch_end(self, state: FitState) -> None:
        """After each epoch, its validation and its entry in the History."""

    def on_fit_end(self, state: FitState) -> None:
        """When fit ends, in whatever way: ``state.error`` says why."""


class LambdaCallback(Callback):
    """A callback of plain functions of a FitState.

    Args:
        on_fit_begin, on_step_end, on_epoch_end, on_fit_end: what to call; None for nothing.

    """

    def __init__(
        self,
        *,
        on_fit_begin: Callable[[FitState], object] | None = None,
        on_step_end: Callable[[FitState], object] | None = None,
        on_epoch_end: Callable[[FitState], object] | None = None,
        on_fit_end: Callable[[FitState], object] | None = None,
    ) -> None:
        functions = (on_fit_begin, on_step_end, on_epoch_end, on_fit_end)
        for event, function in zip(EVENTS, functions, strict=True):
            if callable(function):
                setattr(self, event, function)
            elif function is not None:
                raise TypeError(
                    f"{event} is {function!r}, of type {type(function).__name__}, expected a "
                    "function of a FitState, or None"
                )


def as_callbacks(callbacks: Any) -> list[Callback]:
    """``callbacks`` as a list; TypeError for what is not an iterable of Callbacks."""
    try:
        checked = list(callbacks)
    except TypeError:
        raise TypeError(
            f"callbacks is a {type(callbacks).__name__}, expected a list of callbacks: "
            "[fastbp.EarlyStopping()]"
        ) from None
    for i, callback in enumerate(checked):
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks[{i}] is {callback!r}, expected an instance of a fastbp.Callback: a "
                "function goes into fastbp.LambdaCallback(on_epoch_end=...)"
            )
    return checked


class Watch:
    """The callbacks of one fit, and its bar; as a context, what ends with the fit.

    is_on: whether there are any, or a bar. each_step, each_epoch: whether one of them hears of each
    update, of each epoch. stopped: whether one has raised StopTraining.
    """

    def __init__(self, callbacks: Sequence[Callback], bar: "Bar | None", state: FitState) -> None:
        self.state, self.stopped = state, False
        self._bar = bar
        # The bar begins last and ends first: what others print then stands below it.
        self._all = (*callbacks, bar) if bar else callbacks
        self._of_steps = _overriding("on_step_end", self._all)
        self._of_epochs = _overriding("on_epoch_end", self._all)
        self._begun: list[Callback] = []
        self.is_on = bool(self._all)
        self.each_step, self.each_epoch = bool(self._of_steps), bool(self._of_epochs)

    def begin(self) -> None:
        """Tell them that fit begins."""
        for callback in self._all:
            self._tell(callback.on_fit_begin)
            self._begun.append(callback)

    def end_step(self) -> None:
        """Tell them of an update."""
        for callback in self._of_steps:
            self._tell(callback.on_step_end)

    def end_epoch(self) -> None:
        """Tell them of an epoch."""
        for callback in self._of_epochs:
            self._tell(callback.on_epoch_end)

    def end_call(self) -> None:
        """Show how far a compiled call has come."""
        if self._bar:
            self._bar.show(self.state)

    def _tell(self, method: Callable[[FitState], object]) -> None:
        try:
            method(self.state)
        except StopTraining:
            self.stopped = True

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: "TracebackType | None",
    ) -> None:
        self.state.error = error
        if self._begun:
            with ExitStack() as ends:  # each is told, even where another raises
                for callback in self._begun:
                    ends.callback(self._tell, callback.on_fit_end)


def _overriding(event: str, callbacks: Sequence[Callback]) -> list[Callback]:
    """Those whose method of this name is not the empty one."""
    empty = getattr(Callback, event)
    return [c for c in callbacks if getattr(getattr(c, event), "__func__", None) is not empty]
