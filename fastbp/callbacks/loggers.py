"""Callbacks ready for use that follow no value."""

import csv
import os
import time
from io import TextIOWrapper
from pathlib import Path

from ..common import checks
from .base import Callback, FitState, StopTraining


class CSVLogger(Callback):
    """Writes History to a file as it grows, a row after each epoch, as ``History.to_csv`` does.

    The file can be read meanwhile, and is there if the process ends. A new fit begins it anew.

    Args:
        path: the file.

    """

    _file: TextIOWrapper

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def on_fit_begin(self, state: FitState) -> None:
        """Begin the file; where a fit is resumed, with the epochs before."""
        self._file = self._path.open("w", newline="", encoding="utf-8")
        if state.epoch:
            state.history.write_csv(self._file)
            self._file.flush()

    def on_epoch_end(self, state: FitState) -> None:
        """Write a row; before the first, the names of the columns."""
        table = csv.writer(self._file, lineterminator="\n")
        if state.epoch == 1:
            table.writerow(["epoch", *state.values])
        table.writerow([state.epoch, *state.values.values()])
        self._file.flush()

    def on_fit_end(self, state: FitState) -> None:
        """Close the file."""
        self._file.close()


class TimeLimit(Callback):
    """Stops after the last epoch that fits into a time, taking the next to last as long.

    Epochs are always whole, and the first is made in any case. A fit that is resumed has the whole
    time again.

    Args:
        seconds: from the beginning of fit, above 0; callbacks and validation count.

    """

    def __init__(self, seconds: float) -> None:
        self._seconds = checks.positive(seconds, "seconds")
        self._end = self._latest = 0.0

    def on_fit_begin(self, state: FitState) -> None:
        """Look at the clock."""
        self._latest = time.perf_counter()
        self._end = self._latest + self._seconds

    def on_epoch_end(self, state: FitState) -> None:
        """Stop if another epoch as long as this one would end too late."""
        now = time.perf_counter()
        epoch, self._latest = now - self._latest, now
        if now + epoch > self._end:
            raise StopTraining(resumable=True)
