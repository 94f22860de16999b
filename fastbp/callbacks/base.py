"""What fit tells its callbacks, and when.

The ready ones are in monitors.py (what follows a value of History) and ready.py (the others).
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ..storage import tree_codec
from .history import History

if TYPE_CHECKING:
    from types import TracebackType

    from ..training.trainer import Trainer
    from .progress import Bar

EVENTS = ("on_fit_begin", "on_step_end", "on_epoch_end", "on_fit_end")
STEP, EPOCH = EVENTS[1:3]


class StopTraining(Exception):
    """Raised by a callback, ends fit: it returns the History of the epochs that have ended.

    The other callbacks hear of the same event first. The updates of an epoch that has not ended
    stay; the next fit begins that epoch anew.

    resumable: whether a fit that is resumed from a checkpoint of the end goes on; else it ends at
    once, as this one did.
    """

    def __init__(self, *args: object, resumable: bool = False) -> None:
        super().__init__(*args)
        self.resumable = resumable


@dataclass
class FitState:
    """Where a call of fit stands: what each method of a callback is given.

    trainer: the trainer. epochs: those asked for. rows: rows trained on in each;
    of ``fit_batches`` those of the last that has ended, 0 before.
    history: of the epochs that have ended; a callback may add a column, one value an epoch.
    steps: batches taken in this call. samples: rows of them.
    step_loss: in on_step_end, the loss of the batch before its update; nan where no callback has
        an on_step_end.
    A fit that is resumed counts on from the checkpoint.
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

    Attributes:
        step_interval: on_step_end comes after each so many updates of a fit, 0 for never. Between
            them many batches are one call.
        run_last: it hears of each event after those that do not, for it looks at what they have
            done.

    """

    step_interval: int = 1
    run_last: bool = False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of it: what JSON has, and NumPy arrays, by name.

        Lists and dicts of these, too; arrays of float32, float64 or int64 (of no dimension: they
        come back as numbers). Where it saves within an event, those who hear of it later do so when
        the fit is resumed.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave, after all on_fit_begin of a fit that is resumed."""

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


class CallbackList:
    """The callbacks of one fit, and its bar; as a context, what ends with the fit.

    is_on: whether there are any, or a bar. each_epoch: whether one of them hears of each epoch.
    step_interval: some hear of updates, at multiples of it; 0 if none does. stopped: whether one
    has raised StopTraining; for_good: and a fit that is resumed would end, too. event: STEP or
    EPOCH while they are told of one, else empty; told: how many of its listeners have been, or are.
    """

    def __init__(self, callbacks: Sequence[Callback], bar: "Bar | None", state: FitState) -> None:
        self.state, self.stopped, self.for_good = state, False, False
        self.event, self.n_notified = "", 0
        self.callbacks = sorted(callbacks, key=_runs_last)
        self._bar = bar
        # The bar begins last and ends first: what others print then stands below it.
        self._all = [*self.callbacks, bar] if bar else self.callbacks
        of_steps = [c for c in _overriding(STEP, self._all) if c.step_interval]
        self._hearers = {STEP: of_steps, EPOCH: _overriding(EPOCH, self._all)}
        self._begun: list[Callback] = []
        self._awaited: list[dict[str, Any]] = []
        self.is_on, self.each_epoch = bool(self._all), bool(self._hearers[EPOCH])
        self.step_interval = math.gcd(*(callback.step_interval for callback in of_steps))

    def begin(self) -> None:
        """Tell them that fit begins; of a fit that is resumed, give them their states."""
        for callback in self._all:
            self._tell(callback.on_fit_begin)
            self._begun.append(callback)
        if self._awaited:
            for callback, state in zip(self.callbacks, self._awaited, strict=True):
                callback.load_state_dict(state)
            self._awaited = []

    def end_step(self) -> None:
        """Tell them of an update."""
        self._announce(STEP, 0)

    def end_epoch(self) -> None:
        """Tell them of an epoch."""
        self._announce(EPOCH, 0)

    def describe(self) -> dict[str, Any]:
        """What a checkpoint has of them."""
        return {
            "stopped": self.for_good,
            "event": self.event,
            "told": self.n_notified,
            "step_loss": self.state.step_loss,
            "states": self._awaited or [callback.state_dict() for callback in self.callbacks],
        }

    def take_up(self, described: dict[str, Any]) -> None:
        """Stand where ``describe`` was called. ValueError for what it cannot have returned."""
        get = partial(tree_codec.get, described)
        stopped, step_loss = get("stopped", bool), get("step_loss", float)
        event = get("event", lambda value: value in ("", STEP, EPOCH))
        n_notified = get("told", lambda value: type(value) is int and value >= 0)
        states = get("states", lambda value: is_states(value, len(self.callbacks)))
        self.stopped = self.for_good = stopped
        self.event, self.n_notified, self.state.step_loss, self._awaited = (
            event,
            n_notified,
            step_loss,
            states,
        )

    def go_on(self) -> None:
        """Tell those of the event who were not told before the checkpoint was written."""
        if self.event:
            self._announce(self.event, self.n_notified)

    def end_call(self) -> None:
        """Show how far a compiled call has come."""
        if self._bar:
            self._bar.show(self.state)

    def _announce(self, event: str, n_notified: int) -> None:
        self.event, self.n_notified = event, n_notified
        for callback in self._hearers[event][n_notified:]:
            self.n_notified += 1
            if event == EPOCH or self.state.steps % callback.step_interval == 0:
                self._tell(getattr(callback, event))
        self.event = ""

    def _tell(self, method: Callable[[FitState], object]) -> None:
        try:
            method(self.state)
        except StopTraining as stop:
            self.stopped = True
            self.for_good |= not stop.resumable

    def __enter__(self) -> "CallbackList":
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


def _runs_last(callback: Callback) -> bool:
    """Its ``run_last``, which was ``hears_last`` in 0.1.0."""
    return bool(callback.run_last or getattr(callback, "hears_last", False))


def is_states(value: Any, count: int) -> bool:
    """Whether it is a state_dict for each of so many callbacks."""
    return isinstance(value, list) and [type(one) for one in value] == [dict] * count


def _overriding(event: str, callbacks: Sequence[Callback]) -> list[Callback]:
    """Those whose method of this name is not the empty one."""
    empty = getattr(Callback, event)
    return [c for c in callbacks if getattr(getattr(c, event), "__func__", None) is not empty]
