"""fit_batches: one update for each batch that an iterable gives."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..callbacks.base import CallbackList
from ..callbacks.history import History
from ..components.metrics import Metric
from ..data.tables import as_inputs, as_row_weights, as_targets
from ..kernels.tables import job_table
from ..runtime.arrays import Dataset
from .validation import Validation

if TYPE_CHECKING:
    from .trainer import Trainer

EXPECTED = "a pair (X, y) or a triple (X, y, sample_weight)"


def source(batches: Any, epochs: int) -> Callable[[], Iterator[Any]]:
    """A function that begins an epoch: an iterator over its batches.

    TypeError for what gives none, ValueError where there are more epochs than it can begin.
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


@dataclass
class Stream:
    """What fit_batches was asked for, checked."""

    trainer: "Trainer"
    begin: Callable[[], Iterator[Any]]
    """Of ``source``."""
    watch: CallbackList
    held_out: Validation | None
    metrics: Mapping[str, Metric]

    def run(self) -> History:
        """Train, and tell the callbacks."""
        watch, state = self.watch, self.watch.state
        if self.trainer._fit is None:  # else it is called by a callback of that
            self.trainer._history = state.history
        with watch:
            watch.begin()
            while state.epoch < state.epochs and not watch.stopped:
                columns = self._epoch()
                if columns is not None:
                    state.history.extend(**columns)
                    watch.end_epoch()
        return state.history

    def _epoch(self) -> dict[str, list[float]] | None:
        """Make an update for each batch; the epoch's columns of History, None if it is ended."""
        watch, state = self.watch, self.watch.state
        started, before = time.perf_counter(), state.samples
        total = weight = 0.0
        for number, batch in enumerate(self.begin()):
            data = as_data(self.trainer, batch, f"batches[{number}]")
            place = f"epoch {state.epoch + 1}, step {number + 1}"
            more, more_weight = update(self.trainer, data, place)
            total, weight = total + more, weight + more_weight
            state.step_loss = more / more_weight if more_weight else 0.0
            state.steps, state.samples = state.steps + 1, state.samples + data.rows
            watch.end_step()
            watch.end_call()
            if watch.stopped:
                return None
        state.rows = state.samples - before
        if state.rows == 0:
            raise ValueError(
                f"batches had no batch in epoch {state.epoch + 1}: where it is an iterator that "
                "has been read, pass a new one, or a function that returns one"
            )
        speed = state.rows / (time.perf_counter() - started)
        columns = {"loss": [total / weight if weight else 0.0]}
        if self.held_out is not None:
            judged = self.trainer._evaluate(self.held_out, self.metrics)
            columns |= {f"val_{key}": [value] for key, value in judged.items()}
        return columns | {"samples_per_second": [speed]}


def as_data(trainer: "Trainer", batch: Any, name: str) -> Dataset:
    """A batch of the user's, checked. ValueError or TypeError where it does not fit."""
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        size = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
        raise TypeError(
            f"{name} is a {type(batch).__name__}{size}, expected {EXPECTED}; for all of X and y "
            "in two arrays call fit(X, y)"
        )
    sizes, names = trainer.net.sizes, (f"{name}[0]", f"{name}[1]")
    x = as_inputs(batch[0], sizes[0], names[0])
    rows = len(x.array)
    y = as_targets(batch[1], trainer._loss, sizes[-1], rows, names[1])
    if rows > trainer.batch_size:
        raise ValueError(
            f"{names[0]} has {rows} rows, expected at most batch_size = {trainer.batch_size}: "
            "make smaller batches, or the Trainer with a larger batch_size"
        )
    weights = as_row_weights(batch[2] if len(batch) == 3 else None, rows, f"{name}[2]")
    if weights is not None:
        trainer._weigh_rows()
    return Dataset(x, y, names, weights)


def update(trainer: "Trainer", data: Dataset, place: str) -> tuple[float, float]:
    """One update; sums of the rows' losses before it, times their weights, and of their weights."""
    job = trainer._step_job
    job.begin(job_table.TRAIN, data.rows, data.rows)
    job.losses[0] = job.weights[0] = 0.0
    trainer._run(data, job, f"fit_batches ({place})")
    return float(job.losses[0]), float(job.weights[0] if trainer._extended else data.rows)
