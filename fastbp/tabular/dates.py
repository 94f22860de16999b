"""A column of dates as inputs: the year with its fraction, and where cycles are in their turn."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..common.types import Array, Floats, Ints
from ..storage import tree_codec
from .numbers import Number
from .values import Seconds

DAY = 86_400
THURSDAY = 3
"""The first day of 1970, counted from Monday."""

FIRST_DAY = 719_162
"""The first day of 1970, counted from that of the year 1: the origin of dates in exports."""

ERA, YEARS = 2000, 400
"""The calendar repeats after so many years; an era begins with this one."""

BEGINS = (np.arange(ERA, ERA + YEARS + 1) - 1970).astype("M8[Y]").astype("M8[s]").astype(np.int64)
"""Of each year of an era and of the next one, in seconds since 1970."""

MEAN_YEAR = 31_556_952
"""Seconds of a year, the mean of an era. No year of an era begins two days off a multiple of it."""


def years(dates: Seconds) -> Floats:
    """The year of each date with the fraction that has passed, NaN where missing.

    NumPy's own conversion to years takes three times as long.

    >>> from fastbp.tabular.dates import years
    >>> years(np.array(["1970-01-01", "2023-07-02T12", "NaT"], "M8[s]"))
    array([1970. , 2023.5,    nan])

    """
    is_missing = np.isnat(dates)
    stamps = np.where(is_missing, 0, dates.astype(np.int64))
    era = (stamps - BEGINS[0]) // (YEARS * MEAN_YEAR)
    stamps -= era * (YEARS * MEAN_YEAR)
    place = (stamps - BEGINS[0]) // MEAN_YEAR
    place -= stamps < BEGINS[place]
    place += stamps >= BEGINS[place + 1]
    begin = BEGINS[place]
    fraction = (stamps - begin) / (BEGINS[place + 1] - begin)
    return np.where(is_missing, np.nan, ERA + YEARS * era + place + fraction)


def _of_year(_stamps: Ints, in_years: Floats) -> Floats:
    return in_years - np.floor(in_years)


def _of_week(stamps: Ints, _in_years: Floats) -> Floats:
    days = stamps // DAY
    return np.asarray((days + THURSDAY) % 7 / 7)


def _of_day(stamps: Ints, _in_years: Floats) -> Floats:
    return np.asarray((stamps - stamps // DAY * DAY) / DAY)


CYCLES = {"month": _of_year, "weekday": _of_week, "hour": _of_day}
"""What fraction of each cycle has passed: of the year, of the week by whole days, of the day. Of
dates as seconds since 1970, and of their ``years``; of missing ones it means nothing."""


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
        in_years, is_there = years(dates), ~np.isnat(dates)
        stamps = dates.astype(np.int64)
        cycles = tuple(
            name for name, phase in CYCLES.items() if np.ptp(phase(stamps, in_years)[is_there]) > 0
        )
        return cls(Number.fit(in_years, scale), cycles)

    @property
    def width(self) -> int:
        """The number of inputs."""
        return self.year.width + 2 * len(self.cycles)

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        pairs = [f"{column} {cycle} {part}" for cycle in self.cycles for part in ("sin", "cos")]
        return [*self.year.names(column), *pairs]

    def fill(self, dates: Seconds, out: Array) -> None:
        """Fill out (rows, width)."""
        in_years, stamps = years(dates), dates.astype(np.int64)
        self.year.fill(in_years, out[:, : self.year.width])
        is_missing = np.isnat(dates)
        for i, cycle in enumerate(self.cycles):
            phase = CYCLES[cycle](stamps, in_years)
            angle = 2 * np.pi * np.where(is_missing, 0.0, phase)
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
