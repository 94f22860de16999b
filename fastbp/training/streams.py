"""The updates of fit_batches: one for each batch of an iterable."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from ..data import names
from . import learned_names
from .datasets import as_batch, check_rows
from .fitting import Fit


def source(batches: Any, epochs: int) -> Callable[[], Iterator[Any]]:
    """A function that begins an epoch: it returns an iterator over the batches.

    TypeError where ``batches`` is neither iterable nor a function, ValueError where it can be read
    only once and ``epochs`` is more.
    """
    if not isinstance(batches, Iterable) and not hasattr(batches, "__getitem__"):
        if callable(batches):
            return lambda: _iterator(batches(), "what batches returned")
        raise TypeError(
            f"batches is a {type(batches).__name__}, expected an iterable of (X, y) or (X, y, "
            "sample_weight), or a function that returns one"
        )
    if isinstance(batches, Iterator) and epochs > 1:
        raise ValueError(
            f"batches is a {type(batches).__name__}, which can be read once, and epochs is "
            f"{epochs}: pass a function that returns a new one for each epoch, or a list"
        )
    return lambda: _iterator(batches, "batches")


def _iterator(batches: Any, name: str) -> Iterator[Any]:
    try:
        return iter(batches)
    except TypeError:
        raise TypeError(
            f"{name} is a {type(batches).__name__}, expected an iterable of (X, y) or (X, y, "
            "sample_weight)"
        ) from None


class StreamLoop:
    """The loop of ``Trainer.fit_batches``; see ``Loop``.

    begin: of ``source``; the iterator over the batches of an epoch. count: batches of an epoch,
    where that is known before they come. jacobian_weight: of the derivatives that batches have.
    """

    nests: ClassVar[bool] = True

    def __init__(
        self,
        fit: Fit,
        begin: Callable[[], Iterator[Any]],
        count: int | None = None,
        jacobian_weight: Any = 1.0,
    ) -> None:
        self._fit, self._begin, self._count = fit, begin, count
        self._jacobian_weight = jacobian_weight

    def prepare(self) -> None:
        """See ``Loop``."""
        core = self._fit.core
        core.check_schedule(core.updates, (self._count or 1) * self._fit.watch.state.epochs)

    def to_dict(self) -> None:
        """See ``Loop``: a stream cannot be resumed."""

    def run(self) -> None:
        """See ``Loop``."""
        watch = self._fit.watch
        while watch.state.epoch < watch.state.epochs and not watch.stopped:
            self._run_epoch()

    def _run_epoch(self) -> None:
        """Make an update of each batch, until the last one or until a callback stops."""
        fit, state = self._fit, self._fit.watch.state
        started, before = time.perf_counter(), state.samples
        loss = 0.0
        for number, batch in enumerate(self._begin()):
            loss += self._update(number, batch)
            fit.end_call(ends_step=True)
            if fit.watch.stopped:
                rows, seconds = state.samples - before, time.perf_counter() - started
                fit.end_part(loss / rows, rows, seconds)
                return
        state.rows = state.samples - before
        if state.rows == 0:
            raise ValueError(
                f"batches had no batch in epoch {state.epoch + 1}: where it is an iterator that "
                "has been read, pass a new one, or a function that returns one"
            )
        fit.cursor.ended = np.array([loss / state.rows])
        fit.cursor.ended_seconds = time.perf_counter() - started
        fit.end_epochs()

    def _update(self, number: int, batch: Any) -> float:
        """Make one update. Returns the loss before it times the rows."""
        core, state = self._fit.core, self._fit.watch.state
        data = as_batch(core, batch, f"batches[{number}]", self._jacobian_weight)
        if self._fit.held_out is not None:
            names.check(self._fit.held_out.x.columns, data.x.columns, data.names[0])
        place = f"epoch {state.epoch + 1}, step {number + 1}"
        rows = core.all_rows(data.rows)
        check_rows(core, rows, data.names[0])
        loss = core.update(data, rows, f"fit_batches ({place})")
        learned_names.learn(core.net, data)
        state.step_loss = loss / rows
        state.steps, state.samples = state.steps + 1, state.samples + rows
        return loss
