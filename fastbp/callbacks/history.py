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
    """A dict of lists, one entry an epoch: the result of ``Trainer.fit``.

    The keys are loss, the mean over rows of the losses before each update, and samples_per_second,
    the rows trained in a second. With validation data there are also val_loss, val_accuracy (for
    losses that have an accuracy), val_jacobian_loss (for data with derivatives), and val_ with its
    name for each metric.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=3)
    >>> print(np.round(history["loss"], 2), list(history))
    [4.   1.44 0.52] ['loss', 'samples_per_second']
    """

    def extend(self, **columns: list[float]) -> None:
        """Append epochs: for each key a list with one entry an epoch.

        >>> history = fastbp.History(loss=[0.5])
        >>> history.extend(loss=[0.25, 0.125])
        >>> history
        {'loss': [0.5, 0.25, 0.125]}
        """
        for key, values in columns.items():
            self.setdefault(key, []).extend(values)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table with a row an epoch: its number, from 1, and a column for each key.

        Numbers are written with all their digits. ValueError for columns of different lengths,
        TypeError for a column that is not a list of numbers, OSError if the file cannot be written.

        >>> fastbp.History(loss=[0.5, 0.25]).to_csv("run.csv")
        >>> print(np.loadtxt("run.csv", delimiter=",", skiprows=1))
        [[1.   0.5 ]
         [2.   0.25]]
        """
        self._check()
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            self.write_csv(file)

    def write_csv(self, file: TextIO) -> None:
        """Write the table of ``to_csv`` to an open text file.

        >>> import sys
        >>> fastbp.History(loss=[0.5, 0.25]).write_csv(sys.stdout)
        epoch,loss
        1,0.5
        2,0.25
        """
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["epoch", *self])
        table.writerows(row.values() for row in self._rows())

    def to_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write a line of JSON for each epoch: its number, from 1, and its entry for each key.

        NaN and infinity, which JSON lacks, become null. Raises what ``to_csv`` raises.

        >>> from pathlib import Path
        >>> fastbp.History(loss=[0.5, float("nan")]).to_jsonl("run.jsonl")
        >>> print(Path("run.jsonl").read_text(), end="")
        {"epoch": 1, "loss": 0.5}
        {"epoch": 2, "loss": null}
        """
        self._check()
        with Path(path).open("w", encoding="utf-8", newline="\n") as file:
            for row in self._rows():
                finite = {k: v if math.isfinite(v) else None for k, v in row.items()}
                file.write(json.dumps(finite, default=float) + "\n")  # NumPy's are not known

    def _check(self) -> None:
        """ValueError or TypeError unless this is a table of numbers, before a file is opened."""
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

        The figure belongs to no window and no backend: save it, or let a notebook show it.
        ValueError without an epoch, ModuleNotFoundError without matplotlib.

        >>> history = fastbp.History(loss=[0.5, 0.25], val_loss=[0.6, 0.5])
        >>> history.plot().savefig("run.png")
        """
        need("matplotlib", "plot", "plot")
        from . import plots

        return plots.curves(self)


def _is_number(value: object) -> bool:
    """Whether it is a real number in the range of a float."""
    if not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True
