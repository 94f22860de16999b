"""Ready callbacks that monitor no value: a CSV log and a time limit."""

import csv
import os
import time
from io import TextIOWrapper
from pathlib import Path

from ..common import checks
from ..common.call_repr import as_call
from ..common.signatures import explained
from ..storage import atomic
from .base import Callback, FitState, StopTraining


class CSVLogger(Callback):
    """Writes a row of History to a file after each epoch, in the format of ``History.to_csv``.

    Each row is flushed, so that other programs can read it during fit. A new fit overwrites the
    file.

    Args:
        path: the file.

    Raises:
        OSError: in fit, the file cannot be written.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=2, callbacks=[fastbp.CSVLogger("run.csv")])
    >>> print(np.loadtxt("run.csv", delimiter=",", skiprows=1, usecols=(0, 1)).round(2))
    [[1.   4.  ]
     [2.   1.44]]

    """

    _file: TextIOWrapper | None = None  # on the first of several ranks only

    @explained("fastbp.CSVLogger")
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def __repr__(self) -> str:
        return as_call(self, str(self._path))

    def on_fit_begin(self, state: FitState) -> None:
        """Open the file, and write the earlier epochs of a resumed fit."""
        if state.trainer.rank > 0:
            return
        place = atomic.in_a_folder(self._path)
        self._file = place.open("w", newline="", encoding="utf-8")
        if state.epoch:
            state.history.write_csv(self._file)
            self._file.flush()

    def on_epoch_end(self, state: FitState) -> None:
        """Write a row, and before the first row the names of the columns."""
        self._write_row(state, state.epoch)

    def on_fit_end(self, state: FitState) -> None:
        """Write a row for a part of an epoch, if there is one, and close the file."""
        if self._file is not None:
            with self._file:
                if state.is_cut:
                    self._write_row(state, state.epoch + 1)

    def _write_row(self, state: FitState, number: int) -> None:
        if self._file is None:
            return
        table = csv.writer(self._file, lineterminator="\n")
        if number == 1:
            table.writerow(["epoch", *state.values])
        table.writerow([number, *state.values.values()])
        self._file.flush()


class TimeLimit(Callback):
    """Stops when another epoch, as long as the last one, would exceed a time limit.

    An epoch that exceeds it is cut: the clock is looked at ten times a second, and in
    ``fit_batches`` after each batch. History has the part that was trained, as after
    ``StopTraining``. A resumed fit goes on within the epoch, and has the full time again.

    Args:
        seconds: seconds from the beginning of fit, above 0; callbacks and validation count.

    Raises:
        ValueError, TypeError: seconds is not a finite number above 0.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> limit = fastbp.TimeLimit(seconds=1e-9)
    >>> len(trainer.fit([[1.0]], [[2.0]], epochs=100, callbacks=[limit])["loss"])
    1

    """

    @explained("fastbp.TimeLimit")
    def __init__(self, seconds: float) -> None:
        self._seconds = checks.positive(seconds, "seconds")
        self._end = self._latest = 0.0

    def __repr__(self) -> str:
        return as_call(self, seconds=self._seconds)

    def on_fit_begin(self, state: FitState) -> None:
        """Start the clock."""
        self._latest = time.perf_counter()
        self._end = self._latest + self._seconds

    def on_epoch_end(self, state: FitState) -> None:
        """Stop if another epoch as long as this one would end too late."""
        now = time.perf_counter()
        epoch, self._latest = now - self._latest, now
        if now + epoch > self._end:
            raise StopTraining(resumable=True)

    def between_calls(self, state: FitState) -> None:
        """Stop within an epoch that exceeds the limit; fit calls it ten times a second."""
        if time.perf_counter() > self._end:
            raise StopTraining(resumable=True)
