"""What a call of fit reports."""

import csv
import json
import math
import os
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..common.optional import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class History(dict[str, list[float]]):
    """Lists with one entry an epoch.

    loss: the mean over rows of the losses before each update. samples_per_second: rows trained.
    With validation data val_loss and, for losses that have one, val_accuracy; val_ and its name
    for each metric.
    """

    def extend(self, **columns: list[float]) -> None:
        """Add some epochs: for each key a list with one entry for each of them."""
        for key, values in columns.items():
            self.setdefault(key, []).extend(values)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table, a row an epoch: its number, from 1, and a column for each key.

        Numbers are written such that they can be read again without loss.
        """
        self._check()
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            self.write_csv(file)

    def write_csv(self, file: TextIO) -> None:
        """The same, to an open file."""
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["epoch", *self])
        table.writerows(row.values() for row in self._rows())

    def to_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write a line of JSON for each epoch: its number, from 1, and its entry for each key.

        JSON has no NaN and no infinity: they become null.
        """
        self._check()
        with Path(path).open("w", encoding="utf-8", newline="\n") as file:
            for row in self._rows():
                finite = {k: v if math.isfinite(v) else None for k, v in row.items()}
                file.write(json.dumps(finite, default=float) + "\n")  # NumPy's are not known

    def _check(self) -> None:
        """ValueError or TypeError for what is no table of numbers, before a file is begun."""
        for key, values in self.items():
            if not isinstance(values, list) or not all(map(_is_number, values)):
                raise TypeError(f"History has {values!r} under {key!r}, expected a list of numbers")
        lengths = {key: len(values) for key, values in self.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"History has columns of lengths {lengths}, expected equal ones")

    def _rows(self) -> Iterator[dict[str, float]]:
        for epoch, values in enumerate(zip(*self.values(), strict=True), 1):
            yield {"epoch": epoch} | dict(zip(self, values, strict=True))

    def plot(self) -> "Figure":
        """Curves of the loss and of each metric over the epochs, training and validation together.

        The figure belongs to no window and no backend: save it, ``history.plot().savefig(...)``,
        or let a notebook show it. ValueError without an epoch, ModuleNotFoundError without
        matplotlib.
        """
        need("matplotlib", "plot", "plot")
        from . import plots

        return plots.curves(self)


def _is_number(value: object) -> bool:
    """Whether it is one that a float can stand for."""
    if not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True
