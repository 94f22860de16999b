"""Levels as inputs, against scikit-learn's OneHotEncoder; dates against Python's."""

import datetime as dt
import math

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import pyarrow as pa
from sklearn import preprocessing

from fastbp.tabular import categories, date_text, values
from fastbp.tabular.categories import OneHot, Pair
from fastbp.tabular.dates import Date, years


def texts(values):
    return pa.array(values, pa.large_string()).dictionary_encode()


def filled(part, values):
    out = np.full((len(values), part.width), np.nan, np.float32)
    part.fill(values, out)
    return out


def words(rows, seed=0):
    """Some levels are often there, some rarely."""
    places = np.random.default_rng(seed).geometric(0.1, rows)
    return [f"w{place}" for place in places]


def test_texts_that_differ_by_spaces_are_one_word():
    found = values.text(pa.chunked_array([["b ", "a", " a"], [None, "NA", "b"]]))
    assert found.dictionary.to_pylist() == ["b", "a"]
    assert found.to_pylist() == ["b", "a", "a", None, None, "b"]


@pytest.mark.parametrize("most", [3, 10, 4096])
def test_levels_are_scikit_learns(most):
    train, new = words(1000), [*words(300, 1), "unknown"]
    n_levels = len(set(train))
    is_cut = most < n_levels
    theirs = preprocessing.OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=3,
        max_categories=most + 1 if is_cut else None,  # the one of the rare levels is counted, too
        sparse_output=False,
    ).fit(np.array(train, object)[:, None])
    part = categories.fit(texts(train), most)
    assert part.rare
    assert (filled(part, texts(new)) == theirs.transform(np.array(new, object)[:, None])).all()
    expected = [name.removeprefix("x0_") for name in theirs.get_feature_names_out()]
    assert list(part.levels) == expected[:-1]
    assert part.names("x")[-1] == "x is rare"


def test_levels_of_small_tables_are_kept():
    part = categories.fit(texts(["c", "a", "b", "a"]), 4096)
    assert part == OneHot(("a", "b", "c"), rare=False, missing=False)
    assert filled(part, texts(["b", "d", None])).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_a_missing_level_has_an_input_where_training_had_one():
    part = categories.fit(texts(["c", "a", None, "b"]), 4096)
    assert part.names("x") == ["x=a", "x=b", "x=c", "x is missing"]
    assert filled(part, texts([None, "d", "c"])).tolist() == [
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
    ]


def test_rare_and_missing_levels_are_told_apart():
    part = OneHot(("a",), rare=True, missing=True)
    assert part.inputs(texts(["a", "b", None])).tolist() == [0, 1, 2]


def test_equally_frequent_levels_are_cut_by_their_bytes():
    one = categories.fit(texts(["b", "a", "c", "c", "a", "b", "d", "d"]), 3)
    other = categories.fit(texts(["d", "c", "c", "a", "d", "b", "a", "b"]), 3)
    assert one == other == OneHot(("a", "b", "c"), rare=True, missing=False)


def test_two_levels_are_one_input():
    part = categories.fit(texts(["no", "yes", "no"]), 4096)
    assert part == Pair(("no", "yes"), missing=False)
    assert filled(part, texts(["no", "yes", None, "perhaps"])).tolist() == [[-1], [1], [0], [0]]
    part = categories.fit(texts(["no", "yes", None]), 4096)
    assert part.names("x") == ["x=yes", "x is missing"]
    assert filled(part, texts(["yes", None, "perhaps"])).tolist() == [[1, 0], [0, 1], [0, 0]]


def test_one_level_and_missing_ones():
    part = categories.fit(texts(["a", None]), 4096)
    assert filled(part, texts(["a", None])).tolist() == [[1, 0], [0, 1]]


MOMENTS = [
    dt.datetime(2023, 12, 31, 23, 59, 59),
    dt.datetime(2024, 1, 1),
    dt.datetime(2024, 2, 29, 6, 30),
    dt.datetime(1969, 7, 20, 20, 17, 40),
    dt.datetime(1600, 3, 1, 1),
]
STAMPS = np.array([*MOMENTS, None], "M8[s]")


def of_the_year(moment):
    begin = dt.datetime(moment.year, 1, 1)
    return (moment - begin) / (dt.datetime(moment.year + 1, 1, 1) - begin)


def test_years_are_those_of_the_calendar():
    expected = [moment.year + of_the_year(moment) for moment in MOMENTS]
    assert np.allclose(years(STAMPS)[:-1], expected, 2e-16, 0)
    assert np.isnan(years(STAMPS)[-1])


def test_years_begin_and_end_where_those_of_numpy_do():
    """A second before the beginning of each year, at it, and later; of several eras."""
    begins = np.arange(-2372, 10_031).astype("M8[Y]").astype("M8[s]")
    stamps = (begins[:, None] + np.array([-1, 0, 1, 20_000_000])).ravel()
    whole = stamps.astype("M8[Y]")
    begin, end = whole.astype("M8[s]"), (whole + 1).astype("M8[s]")
    expected = 1970 + whole.astype(np.int64) + (stamps - begin) / (end - begin)
    assert np.array_equal(years(stamps), expected)


def test_cycles_are_those_of_the_calendar():
    part = Date.fit(STAMPS, "robust")
    names = part.names("x")
    assert names[:2] == ["x", "x is missing"]
    assert names[2:] == [f"x {c} {f}" for c in ("month", "weekday", "hour") for f in ("sin", "cos")]
    shares = [
        (of_the_year(m), m.weekday() / 7, (3600 * m.hour + 60 * m.minute + m.second) / 86_400)
        for m in MOMENTS
    ]
    angles = 2 * math.pi * np.array(shares)
    expected = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(len(MOMENTS), 6)
    found = filled(part, STAMPS)
    # A year of 2,000 keeps its fraction to 2.3e-13: 1.5e-12 of the angle.
    assert np.allclose(found[:-1, 2:], expected, 0, 2.0**-24)
    assert found[-1].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


def test_only_cycles_that_vary_are_inputs():
    days = np.arange("2024-01-01", "2024-03-01", 7, "M8[D]").astype("M8[s]")
    assert Date.fit(days, "robust").cycles == ("month",)
    assert Date.fit(days + 3600, "robust").cycles == ("month",)
    new_years = np.array(["2001-01-01", "2007-01-01"], "M8[s]")
    assert Date.fit(new_years, "robust").names("x") == ["x"]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2024-02-29", "year-month-day", "2024-02-29"),
        ("2023-02-29", "year-month-day", "NaT"),
        ("2024-04-31", "year-month-day", "NaT"),
        ("0001-01-01", "year-month-day", "0001-01-01"),
        ("2024-02-29T07:08", "year-month-day", "2024-02-29T07:08"),
        ("2024-02-29 07:08:09.123+02:00", "year-month-day", "2024-02-29T07:08:09"),
        ("2024-02-29 24:00", "year-month-day", "NaT"),
        ("2024-02-29 07:60", "year-month-day", "NaT"),
        ("x2024-02-29", "year-month-day", "NaT"),
        ("2024-02-29x", "year-month-day", "NaT"),
        ("29.2.2024", "day.month.year", "2024-02-29"),
        ("2.29.2024", "day.month.year", "NaT"),
        ("2/29/2024", "month/day/year", "2024-02-29"),
        ("29/2/2024", "month/day/year", "NaT"),
        ("29/2/2024", "day/month/year", "2024-02-29"),
        ("29/2/24", "day/month/year", "NaT"),
        (None, "year-month-day", "NaT"),
    ],
)
def test_dates_of_each_form(text, form, expected):
    (found,) = date_text.read(pa.array([text], pa.large_string()), form)
    assert str(found) == str(np.datetime64(expected, "s"))
