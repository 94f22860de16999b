"""Labels of any type become codes and come back; numbers become multiples of their deviation."""

import datetime as dt
import decimal
import doctest
import enum

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("polars")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import pandas as pd
import polars as pl
import pyarrow as pa

from fastbp.tabular import text_labels
from fastbp.tabular.targets import Labels, Units, as_labels, as_numbers

NAN = float("nan")


class Fruit(enum.Enum):
    APPLE = 1
    MELON = 2


LABELS = {
    "text": (["b", "a", "b"], ["b", "a", "b"], "U"),
    "text of NumPy": (np.array(["b", "a", "b"]), ["b", "a", "b"], "U"),
    "objects": (np.array(["b", "a", "b"], object), ["b", "a", "b"], "U"),
    "bytes": (np.array([b"b", b"a", b"b"]), ["b", "a", "b"], "U"),
    "integers": ([3, 1, 3], [3, 1, 3], "i"),
    "small integers": (np.array([3, 1, 3], "u1"), [3, 1, 3], "i"),
    "whole floats": ([3.0, -1.0, 3.0], [3.0, -1.0, 3.0], "f"),
    "bool": ([True, False, True], [True, False, True], "b"),
    "mixed": (["b", 1, "b"], ["b", "1", "b"], "U"),
    "bool and integers": ([True, 2, True], ["True", "2", "True"], "U"),
    "enum": ([Fruit.MELON, Fruit.APPLE, Fruit.MELON], None, "U"),
    "dates": (np.array(["2024-02-01", "2024-01-01", "2024-02-01"], "M8[D]"), None, "U"),
    "days": ([dt.date(2024, 2, 1), dt.date(2024, 1, 1)] * 2, None, "U"),
    "a column": ([["b"], ["a"], ["b"]], ["b", "a", "b"], "U"),
    "pandas": (pd.Series(["b", "a", "b"]), ["b", "a", "b"], "U"),
    "pandas' categories": (pd.Series(["b", "a", "b"], dtype="category"), ["b", "a", "b"], "U"),
    "a frame": (pd.DataFrame({"y": [3, 1, 3]}), [3, 1, 3], "i"),
    "polars": (pl.Series(["b", "a", "b"]), ["b", "a", "b"], "U"),
    "polars' frame": (pl.DataFrame({"y": ["b", "a", "b"]}), ["b", "a", "b"], "U"),
    "pyarrow": (pa.chunked_array([["b"], ["a", "b"]]), ["b", "a", "b"], "U"),
    "pyarrow's table": (pa.table({"y": [3, 1, 3]}), [3, 1, 3], "i"),
    "pyarrow's dictionary": (pa.array(["b", "a", "b"]).dictionary_encode(), ["b", "a", "b"], "U"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_any_type(name):
    y, expected, kind = LABELS[name]
    labels, codes, known = Labels.of(y)
    assert known.all()
    assert labels.classes.dtype.kind == kind
    assert codes.dtype == np.int64
    if expected is not None:
        assert labels.classes[codes].tolist() == expected
    assert codes.tolist()[:3] == [1, 0, 1]
    again, known = labels.encode(y, "y")
    assert np.array_equal(again, codes)
    assert known.all()
    kept = Labels.from_dict(labels.to_dict()).classes
    assert kept.dtype.kind == kind
    assert np.array_equal(kept, labels.classes)


MISSING = {
    "None": (["a", None, "b"], ["a", "b"]),
    "NaN in text": (["a", NAN, "b"], ["a", "b"]),
    "NaN": ([1.0, NAN, 2.0], [1.0, 2.0]),
    "None in integers": ([1, None, 2], [1, 2]),
    "NA": (pd.Series([1, None, 2], dtype="Int64"), [1, 2]),
    "NA in text": (pd.Series(["a", None, "b"], dtype="string"), ["a", "b"]),
    "categories": (pd.Series(["a", None, "b"], dtype="category"), ["a", "b"]),
    "NaT": (pd.Series(["2024-01-01", None, "2024-01-02"], dtype="datetime64[ns]"), None),
    "masked": (np.ma.array([1, 9, 2], mask=[0, 1, 0]), [1, 2]),
    "polars": (pl.Series([True, None, False]), [True, False]),
    "pyarrow": (pa.array(["a", None, "b"]), ["a", "b"]),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_labels_are_seen(name):
    y, expected = MISSING[name]
    labels, known = as_labels(y)
    assert known.tolist() == [True, False, True]
    assert len(labels) == 2
    assert expected is None or labels.tolist() == expected


def test_labels_that_are_none():
    with pytest.raises(ValueError, match=r"y has 0\.5 at row 2, .* TabularRegressor for numbers"):
        Labels.of([1.0, NAN, 0.5])
    with pytest.raises(ValueError, match=r"y has shape \(2, 2\), expected \(n,\)"):
        Labels.of([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match=r"y has one class, 'a', in every row: .* two classes"):
        Labels.of(["a", None, "a"])
    with pytest.raises(ValueError, match=r"y is missing in all 2 rows"):
        Labels.of([None, None])


def test_a_label_that_training_did_not_have():
    labels = Labels.of(["a", "b", "c", "d", "e", "f", "g"])[0]
    with pytest.raises(ValueError, match=r"v has the label 'z' at row 2, .* 'e' and 2 more"):
        labels.encode(["a", None, "z"], "v")


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"dtype": "O", "classes": ["a", "b"]},
        {"dtype": ["U"], "classes": ["a", "b"]},
        {"dtype": "U", "classes": ["a"]},
        {"dtype": "U", "classes": ["a", 1]},
        {"dtype": "i", "classes": [1, 2**70]},
    ],
    ids=["nothing", "objects", "a list", "one", "mixed", "huge"],
)
def test_saved_labels_that_are_none(saved):
    with pytest.raises(ValueError, match=r"dtype|classes"):
        Labels.from_dict(saved)


NUMBERS = {
    "list": [1.5, 2, None],
    "NumPy": np.array([1.5, 2, NAN]),
    "objects": np.array([decimal.Decimal("1.5"), 2, None], object),
    "pandas": pd.Series([1.5, 2, None]),
    "pandas' own": pd.Series([1.5, 2, None], dtype="Float64"),
    "polars": pl.Series([1.5, 2, None]),
    "pyarrow": pa.array([1.5, 2, None]),
    "masked": np.ma.array([1.5, 2, 9], mask=[0, 0, 1]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_any_package(name):
    values, known, flat = as_numbers(NUMBERS[name])
    assert flat
    assert known.tolist() == [True, True, False]
    assert values.tolist() == [[1.5], [2.0]]


def test_several_targets():
    frame = pd.DataFrame({"a": [1.0, 2.0, NAN], "b": [1, 2, 3]})
    values, known, flat = as_numbers(frame)
    assert not flat
    assert known.tolist() == [True, True, False]
    assert values.tolist() == [[1.0, 1.0], [2.0, 2.0]]


def test_numbers_that_are_none():
    with pytest.raises(TypeError, match=r"y has 'x' at row 1, expected a number: .*Classifier"):
        Units.of([1.0, "x"])
    with pytest.raises(TypeError, match="y has dtype <U1, expected numbers"):
        Units.of(np.array(["x", "y"]))
    with pytest.raises(ValueError, match="y has infinity at row 1"):
        Units.of([1.0, float("inf")])
    with pytest.raises(ValueError, match="y is missing in all 2 rows"):
        Units.of([NAN, None])
    with pytest.raises(ValueError, match=r"y has shape \(1, 1, 1\)"):
        Units.of(np.ones((1, 1, 1)))


def test_units_standardize_and_restore():
    y = np.array([[1.0, 5.0], [3.0, 5.0], [8.0, 5.0]])
    units, values, _ = Units.of(y)
    np.testing.assert_allclose(values[:, 0].mean(), 0, atol=1e-15)
    np.testing.assert_allclose(values[:, 0].std(), 1, rtol=1e-15)
    assert values[:, 1].tolist() == [0, 0, 0]
    np.testing.assert_allclose(units.restored(values), y, rtol=1e-15)
    assert units.restored(np.array([[-9.0, 3.0]])).tolist() == [[1.0, 5.0]]
    assert units.restored(np.array([[9.0, 3.0]])).tolist() == [[8.0, 5.0]]
    again = Units.from_dict(units.to_dict())
    assert np.array_equal(again.restored(values), units.restored(values))
    with pytest.raises(ValueError, match="v has 1 targets, and the y of fit had 2"):
        units.encode([1.0], "v")
    with pytest.raises(ValueError, match="differ in number"):
        Units.from_dict(units.to_dict() | {"low": np.zeros(1)})


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([["b", None], ["a", "b", "ä"], []]),
        pa.chunked_array([pa.array(["b", None]).dictionary_encode(), ["a", "b", "ä"]][:1]),
        pa.array(["b", "a", None, "a"], pa.large_string()),
    ],
    ids=["chunks", "dictionary", "large"],
)
def test_columns_of_text_are_labels_as_lists_are(column):
    texts, places, known = text_labels.coded(column)
    labels, expected = as_labels(column.to_pylist())
    assert known.tolist() == expected.tolist()
    assert texts[places].tolist() == labels.tolist()
    assert texts.tolist() == sorted(set(labels.tolist()))
    assert places.dtype == np.int64
    assert text_labels.coded(column.to_pylist()) is None
    assert text_labels.coded(pa.array([1, 2])) is None


def test_the_example_of_text():
    found = doctest.testmod(text_labels)
    assert (found.failed, found.attempted) == (0, 3)
