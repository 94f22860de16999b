"""What fit tells its callbacks, and when.

The ready callbacks are in monitors.py, model_checkpoint.py and loggers.py.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ..common import suggestions
from ..common.call_repr import as_call
from ..common.signatures import OF_OTHERS, explained
from ..storage import tree_codec
from .history import History

if TYPE_CHECKING:
    from types import TracebackType

    from ..training.trainer import Trainer
    from .progress import Bar

EVENTS = ("on_fit_begin", "on_step_end", "on_epoch_end", "on_fit_end")
STEP, EPOCH = EVENTS[1:3]


class StopTraining(Exception):
    """A callback raises it to end fit, which returns the History.

    The other callbacks get the same event first. The updates of an incomplete epoch stay, and its
    part that was trained is the last entry of the History: the mean loss over the rows taken, and
    the validation after them. The next fit begins that epoch anew.

    Args:
        args: of an Exception.
        resumable: whether a fit that is resumed from a checkpoint of the end continues. By default
            it ends at once, too.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> class Target(fastbp.Callback):
    ...     def on_epoch_end(self, state):
    ...         if state.values["loss"] < 1:
    ...             raise fastbp.StopTraining
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=100, callbacks=[Target()])
    >>> print(np.round(history["loss"], 2))
    [4.   1.44 0.52]

    """

    def __init__(self, *args: object, resumable: bool = False) -> None:
        super().__init__(*args)
        self.resumable = resumable


@dataclass(repr=False)
class FitState:
    """The progress of a call of fit: the argument of every method of a callback.

    A resumed fit counts on from the checkpoint.

    Attributes:
        trainer: the trainer.
        epochs: number of epochs asked for.
        rows: rows of an epoch; with ``fit_batches`` those of the last complete epoch, 0 before.
        history: of the complete epochs; a callback may add a column, one value an epoch.
        is_cut: in on_fit_end, whether history ends with an entry for a part of an epoch, which
            StopTraining has cut.
        steps: batches taken in this call.
        samples: rows of these batches.
        step_loss: in on_step_end, the loss of the batch before its update; nan where no callback
            has an on_step_end.
        error: in on_fit_end, the exception that ended fit early; None after StopTraining.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> show = fastbp.LambdaCallback(on_epoch_end=lambda s: print(s.epoch, s.steps, s.samples))
    >>> history = trainer.fit(np.ones((50, 1)), np.ones(50), epochs=2, callbacks=[show])
    1 2 50
    2 4 100

    """

    trainer: "Trainer"
    epochs: int
    rows: int
    history: History = field(default_factory=History)
    steps: int = 0
    samples: int = 0
    step_loss: float = math.nan
    error: BaseException | None = None
    is_cut: bool = False

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return len(self.history.get("loss", ())) - self.is_cut

    @property
    def values(self) -> dict[str, float]:
        """The last values of the history, which are those of the last complete epoch."""
        return {key: column[-1] for key, column in self.history.items()}

    def __repr__(self) -> str:
        values = "".join(f", {key} {value:.4g}" for key, value in self.values.items())
        return f"<FitState: epoch {self.epoch} of {self.epochs}, {self.steps} steps{values}>"


class Callback:
    """The base class of callbacks: derive from it and override the methods that you need.

    A callback may predict, evaluate, set ``trainer.lr``, call ``trainer.step`` or raise
    StopTraining. A fit of the same trainer raises RuntimeError. A callback that only reads does not
    change a bit of the result. Each update is a separate compiled call only if a callback overrides
    on_step_end, and each epoch only if a callback overrides on_epoch_end.

    A method on_... of another name, such as Keras's on_epoch_begin, is a TypeError of fit.

    Any other exception ends fit and reaches its caller; the updates before it stay. Then, as after
    Ctrl-C or a loss that is not finite, each callback whose on_fit_begin has returned gets
    on_fit_end, in reverse order; those with run_last after the others.

    Attributes:
        step_interval: on_step_end comes after this number of updates, 0 for never. The batches in
            between are one compiled call.
        run_last: this callback gets every event after the callbacks without run_last, because it
            reads what they have done.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> class Print(fastbp.Callback):
    ...     def on_epoch_end(self, state):
    ...         print(state.epoch, round(state.values["loss"], 2))
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=3, callbacks=[Print()])
    1 4.0
    2 1.44
    3 0.52

    """

    step_interval: int = 1
    run_last: bool = False

    def __repr__(self) -> str:
        return f"<callback {type(self).__name__}>"

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint keeps: a dict of JSON values and NumPy arrays.

        Nested lists and dicts are allowed. Arrays are of float32, float64 or int64; those without
        dimensions come back as numbers. Where a callback saves within an event, the callbacks after
        it get this event when the fit is resumed.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of ``state_dict``; a resumed fit calls it after all on_fit_begin."""

    def on_fit_begin(self, state: FitState) -> None:
        """Before the first update."""

    def on_step_end(self, state: FitState) -> None:
        """After each update; after the last of an epoch, before on_epoch_end."""

    def on_epoch_end(self, state: FitState) -> None:
        """After each epoch, its validation and its entry in the History."""

    def on_fit_end(self, state: FitState) -> None:
        """When fit ends, also by an error: ``state.error`` is the reason."""


class LambdaCallback(Callback):
    """A callback made of functions of a FitState.

    Args:
        on_fit_begin: function that fit calls before the first update; None for none.
        on_step_end: likewise, after each update.
        on_epoch_end: likewise, after each epoch.
        on_fit_end: likewise, when fit ends.

    Raises:
        TypeError: an argument is neither callable nor None.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> show = fastbp.LambdaCallback(on_epoch_end=lambda state: print(state.epoch))
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=2, callbacks=[show])
    1
    2

    """

    @explained("fastbp.LambdaCallback")
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

    def __repr__(self) -> str:
        given = {name: value for name, value in vars(self).items() if name in EVENTS}
        return as_call(self, **given)


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
        _check_events(callback, f"callbacks[{i}]")
    return checked


def _check_events(callback: Callback, name: str) -> None:
    """TypeError for a method named as an event that fit never calls: Keras has others."""
    for method in dir(type(callback)):
        if method.startswith("on_") and method not in EVENTS:
            known = OF_OTHERS.get(method) or suggestions.meant(method, EVENTS)
            raise TypeError(
                f"{name} is {callback!r} with a method {method}, which fit never calls"
                + (f": did you mean {known}? " if known else ": ")
                + f"There are {', '.join(EVENTS)}; name a method of your own without on_"
            )


class CallbackList:
    """The callbacks of one fit and its bar. As a context, it calls on_fit_end at the end.

    is_on: whether there are callbacks or a bar. each_epoch: whether a callback has on_epoch_end.
    step_interval: callbacks hear of updates at multiples of it; 0 where none does. stopped: whether
    a callback has raised StopTraining. stopped_permanently: whether a resumed fit stops as well.
    event: STEP or EPOCH while callbacks are told of one, else empty. n_notified: the number of its
    listeners that have been told, or are being told. A callback with a method ``between_calls`` is
    told after each compiled call, ten times a second or more often. One with a method
    ``epochs_at_once`` hears of up to so many epochs together; others that hear of epochs, of each.
    """

    def __init__(self, callbacks: Sequence[Callback], bar: "Bar | None", state: FitState) -> None:
        self.state = state
        self.stopped = self.stopped_permanently = False
        self.event, self.n_notified = "", 0
        self.callbacks = sorted(callbacks, key=_runs_last)
        self._bar = bar
        # The bar begins last and ends first, so that the output of callbacks stands below it.
        self._all = [*self.callbacks, bar] if bar else self.callbacks
        of_steps = [c for c in _overriding(STEP, self._all) if c.step_interval]
        self._listeners = {STEP: of_steps, EPOCH: _overriding(EPOCH, self._all)}
        self._between = [c.between_calls for c in callbacks if hasattr(c, "between_calls")]
        self._begun: list[Callback] = []
        self._saved_states: list[dict[str, Any] | None] = []
        self._heard: list[Callback] = []
        self.is_on, self.each_epoch = bool(self._all), bool(self._listeners[EPOCH])
        self.step_interval = math.gcd(*(callback.step_interval for callback in of_steps))

    def epochs_at_once(self, most: int) -> int:
        """The epochs, up to ``most``, that may end before callbacks hear of them."""
        listeners = self._listeners[EPOCH]
        waits = [c.epochs_at_once() if hasattr(c, "epochs_at_once") else 1 for c in listeners]
        return int(min([most, *waits]))

    def begin(self) -> None:
        """Tell them that fit begins; where it is resumed, give them their saved states."""
        for callback in self._all:
            self._tell(callback.on_fit_begin)
            self._begun.append(callback)
        if self._saved_states:
            for callback, state in zip(self.callbacks, self._saved_states, strict=True):
                if state is not None:
                    callback.load_state_dict(state)
            self._saved_states = []

    def advance(self, epochs: int, row: int, batch: int) -> None:
        """Set FitState's counts: complete epochs, and rows of the next one, in whole batches."""
        state = self.state
        state.samples = epochs * state.rows + row
        state.steps = epochs * -(-state.rows // batch) + row // batch

    def end_step(self) -> None:
        """Tell them of an update."""
        self._announce(STEP)

    def end_epoch(self) -> None:
        """Tell them of an epoch."""
        self._announce(EPOCH)

    def to_dict(self) -> dict[str, Any]:
        """The state of the callbacks for a checkpoint."""
        saved = self._saved_states or [None] * len(self.callbacks)
        states = [
            callback.state_dict() if state is None else state
            for callback, state in zip(self.callbacks, saved, strict=True)
        ]
        return {
            "stopped": self.stopped_permanently,
            "event": self.event,
            "told": self.n_notified,
            "step_loss": self.state.step_loss,
            "states": states,
        }

    def counterparts(self, names: list[str]) -> list[Callback] | None:
        """The callbacks that those of these classes go on as, in their order; None without them.

        There may be others between them.
        """
        rest = iter(self.callbacks)
        found = [next((c for c in rest if type(c).__name__ == name), None) for name in names]
        known = [callback for callback in found if callback is not None]
        return known if len(known) == len(names) else None

    def restore(self, described: dict[str, Any], saved: list[Callback]) -> None:
        """Return to where ``to_dict`` was called; ValueError for what it cannot have returned.

        saved: the callbacks that there were. Others, which have been added since, hear of events
        from the next one on.
        """
        get = partial(tree_codec.get, described)
        stopped, step_loss = get("stopped", bool), get("step_loss", float)
        event = get("event", lambda value: value in ("", STEP, EPOCH))
        n_notified = get("told", lambda value: type(value) is int and value >= 0)
        states = get("states", lambda value: is_states(value, len(saved)))
        by_callback = dict(zip(map(id, saved), states, strict=True))
        self.stopped = self.stopped_permanently = stopped
        self.event, self.state.step_loss = event, step_loss
        self._saved_states = [by_callback.get(id(callback)) for callback in self.callbacks]
        if event:
            old = [c for c in self._listeners[event] if id(c) in by_callback]
            self._heard = [c for c in self._listeners[event] if c not in old[n_notified:]]
            self.n_notified = len(self._heard)

    def finish_event(self) -> None:
        """Tell the listeners of the saved event that had not been told before the checkpoint."""
        if self.event:
            self._announce(self.event, self._heard)
            self._heard = []

    def end_call(self) -> None:
        """Show how far a compiled call has come, and ask those that may stop in between."""
        for method in self._between:
            self._tell(method)
        if self._bar:
            self._bar.show(self.state)

    def _announce(self, event: str, heard: Sequence[Callback] = ()) -> None:
        self.event = event
        for number, callback in enumerate(self._listeners[event], 1):
            self.n_notified = number
            if callback in heard:
                continue
            if event == EPOCH or self.state.steps % callback.step_interval == 0:
                self._tell(getattr(callback, event))
        self.event = ""

    def _tell(self, method: Callable[[FitState], object]) -> None:
        try:
            method(self.state)
        except StopTraining as stop:
            self.stopped = True
            self.stopped_permanently |= not stop.resumable

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
            order = self._begun[::-1]
            order.sort(key=_runs_last)
            with ExitStack() as ends:  # each is told, even where another raises
                for callback in reversed(order):  # what is pushed last is called first
                    ends.callback(self._tell, callback.on_fit_end)


def _runs_last(callback: Callback) -> bool:
    """Its ``run_last``, which was ``hears_last`` in 0.1.0."""
    return bool(callback.run_last or getattr(callback, "hears_last", False))


def is_states(value: Any, count: int) -> bool:
    """Whether it is a list of ``count`` state_dicts."""
    return isinstance(value, list) and [type(one) for one in value] == [dict] * count


def _overriding(event: str, callbacks: Sequence[Callback]) -> list[Callback]:
    """Those whose method of this name is not the empty one."""
    empty = getattr(Callback, event)
    return [c for c in callbacks if getattr(getattr(c, event), "__func__", None) is not empty]
