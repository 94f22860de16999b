"""A column of dates as inputs: the year with its fraction, and where cycles are in their turn."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..common.types import Array, Floats
from ..storage import tree_codec
from .numbers import Number
from .values import Seconds

DAY = 86_400
THURSDAY = 3
"""The first day of 1970, counted from Monday."""

FIRST_DAY = 719_162
"""The first day of 1970, counted from that of the year 1: the origin of dates in exports."""


def years(dates: Seconds) -> Floats:
    """The year of each date with the fraction that has passed, NaN where missing.

    >>> from fastbp.tabular.dates import years
    >>> years(np.array(["1970-01-01", "2023-07-02T12", "NaT"], "M8[s]"))
    array([1970. , 2023.5,    nan])

    """
    whole = dates.astype("M8[Y]")
    begin, end = whole.astype("M8[s]"), (whole + 1).astype("M8[s]")
    return np.asarray(1970 + whole.astype(np.int64) + (dates - begin) / (end - begin))


def _of_year(dates: Seconds) -> Floats:
    fraction = years(dates)
    return fraction - np.floor(fraction)


def _of_week(dates: Seconds) -> Floats:
    days = dates.astype("M8[D]").astype(np.int64)
    return np.where(np.isnat(dates), np.nan, (days + THURSDAY) % 7 / 7)


def _of_day(dates: Seconds) -> Floats:
    return np.where(np.isnat(dates), np.nan, dates.astype(np.int64) % DAY / DAY)


CYCLES = {"month": _of_year, "weekday": _of_week, "hour": _of_day}
"""What fraction of each cycle has passed: of the year, of the week by whole days, of the day."""


@dataclass(frozen=True)
class Date:
    """The inputs of a column of dates.

    year: the scale of the year. cycles: those of ``CYCLES`` that vary in training, of which sine
    and cosine are inputs, both 0 where the date is missing.
    """

    year: Number
    cycles: tuple[str, ...]

    @classmethod
    def fit(cls, dates: Seconds, scale: str) -> Self:
        """The inputs of dates (rows,), some of them not missing. scale: as for Number.fit."""
        present = dates[~np.isnat(dates)]
        cycles = tuple(name for name, phase in CYCLES.items() if np.ptp(phase(present)) > 0)
        return cls(Number.fit(years(dates), scale), cycles)

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.year.width + 2 * len(self.cycles)

    @property
    def numbers(self) -> int:
        """The inputs, the first ones, that are numbers."""
        return self.year.numbers

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        pairs = [f"{column} {cycle} {part}" for cycle in self.cycles for part in ("sin", "cos")]
        return [*self.year.names(column), *pairs]

    def fill(self, dates: Seconds, out: Array) -> None:
        """Fill out (rows, width)."""
        self.year.fill(years(dates), out[:, : self.year.width])
        is_missing = np.isnat(dates)
        for i, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * np.where(is_missing, 0.0, CYCLES[cycle](dates))
            place = self.year.width + 2 * i
            out[:, place] = np.where(is_missing, 0.0, np.sin(angle))
            out[:, place + 1] = np.where(is_missing, 0.0, np.cos(angle))

    def state(self) -> dict[str, Any]:
        """All of it as JSON and arrays."""
        return {"year": self.year.state(), "cycles": list(self.cycles)}

    @classmethod
    def of(cls, state: Any) -> Self:
        """What had this state; ValueError for anything else."""
        cycles = tree_codec.get(state, "cycles", list)
        if any(cycle not in CYCLES for cycle in map(str, cycles)):
            raise ValueError(f"'cycles' is {cycles!r:.80}, which it cannot be")
        return cls(Number.of(tree_codec.get(state, "year", dict)), tuple(map(str, cycles)))
