"""Tables of any package become the same table of pyarrow."""

import datetime as dt
import doctest
import uuid
from decimal import Decimal

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import pyarrow as pa

from fastbp.tabular import views
from fastbp.tabular.frames import as_table

COLUMNS = {"age": [31, 45, 22], "rate": [0.5, None, 2.5], "town": ["Ulm", "Bonn", None]}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def of_pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def of_pandas_on_arrow(columns):
    return of_pandas(columns).convert_dtypes(dtype_backend="pyarrow")


def of_polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


class Stream:
    """What any package may have."""

    def __init__(self, columns):
        self._table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


MAKERS = {
    "pandas": of_pandas,
    "pandas on arrow": of_pandas_on_arrow,
    "polars": of_polars,
    "pyarrow": pa.table,
    "record batch": pa.record_batch,
    "stream": Stream,
    "dict": dict,
    "dict of arrays": lambda columns: {key: pa.array(value) for key, value in columns.items()},
    "rows": lambda columns: [
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    ],
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_any_package(make):
    assert as_table(make(COLUMNS)).to_pylist() == ROWS


@pytest.mark.parametrize("make", [of_pandas, of_polars], ids=["pandas", "polars"])
def test_dates_and_categories_keep_their_types(make):
    days = [dt.datetime(2024, 2, 29), None]
    table = as_table(make({"day": days, "ill": [True, False]}))
    assert pa.types.is_timestamp(table.schema.field("day").type)
    assert pa.types.is_boolean(table.schema.field("ill").type)
    assert table.column("day").to_pylist() == days


def test_a_categorical_is_a_dictionary():
    pandas = pytest.importorskip("pandas")
    table = as_table(pandas.DataFrame({"town": pandas.Categorical(["b", None, "a"])}))
    assert pa.types.is_dictionary(table.schema.field("town").type)
    assert table.column("town").to_pylist() == ["b", None, "a"]


def test_views_of_text_can_be_filtered():
    words = pa.array(["b", "a"], pa.string_view())
    uuids = [uuid.UUID(int=1), None]
    columns = {
        "text": pa.array(["Ulm", None], pa.string_view()),
        "raw": pa.array([b"x", b"y"], pa.binary_view()),
        "kind": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.uint32()), words),
        "id": pa.array([one and one.bytes for one in uuids], pa.uuid()),
    }
    found = as_table(pa.table(columns)).filter(pa.array([True, False]))
    assert found.to_pylist() == [{"text": "Ulm", "raw": b"x", "kind": "b", "id": str(uuids[0])}]
    assert found.schema.types[2] == pa.dictionary(pa.uint32(), pa.large_string())


def test_the_example_of_views():
    assert doctest.testmod(views).failed == 0


def test_the_index_is_no_column():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2]}, index=pandas.Index([7, 8], name="b"))
    assert as_table(frame).column_names == ["a"]


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u8", "f2", "f4", "f8", "g", ">f8", ">i4", "U3", "S3", "M8[D]", "m8[s]"]
)
def test_arrays_of_any_dtype(dtype):
    array = np.arange(6).reshape(3, 2).astype("i8" if dtype[0] in "mM" else dtype).astype(dtype)
    table = as_table(array)
    assert table.column_names == ["x0", "x1"]
    found = np.array(table.column("x1").to_pylist())
    assert (found == array[:, 1].astype(found.dtype)).all()


def test_arrays_of_any_strides_and_masks():
    array = np.arange(12.0).reshape(4, 3)[::-2, ::-1]
    array.flags.writeable = False
    assert as_table(array).to_pylist() == [
        {"x0": 11.0, "x1": 10.0, "x2": 9.0},
        {"x0": 5.0, "x1": 4.0, "x2": 3.0},
    ]
    masked = np.ma.masked_array([[1, 2], [3, 4]], [[False, True], [False, False]])
    assert as_table(masked).to_pylist() == [{"x0": 1, "x1": None}, {"x0": 3, "x1": 4}]


def test_structured_arrays_have_columns_by_field():
    array = np.array([(1, "a"), (2, "b")], [("n", "i4"), ("s", "U1")])
    assert as_table(array).to_pylist() == [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}]


def test_rows_without_names():
    assert as_table([[1, "a"], (2, None)]).to_pylist() == [
        {"x0": 1, "x1": "a"},
        {"x0": 2, "x1": None},
    ]


def test_rows_of_dicts_may_lack_a_key():
    assert as_table([{"a": 1}, {"b": 2, "a": 3}]).to_pylist() == [
        {"a": 1, "b": None},
        {"a": 3, "b": 2},
    ]


MIXED = [
    *(1, 2.0, 2.5, "x", True, None, float("nan"), Decimal("1.50"), b"\xc3\xa9"),
    *(dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 6, 30), np.int64(7)),
]
TEXT = [
    *("1", "2", "2.5", "x", "true", None, None, "1.50", "é"),
    *("2024-02-29", "2024-02-29 06:30:00", "7"),
]


@pytest.mark.parametrize("make", [of_pandas, dict], ids=["pandas", "dict"])
def test_objects_of_several_types_are_text(make):
    assert as_table(make({"a": MIXED})).column("a").to_pylist() == TEXT


def test_objects_of_polars():
    polars = pytest.importorskip("polars")
    series = polars.Series("a", [1, "x", None], dtype=polars.Object)
    table = as_table(polars.DataFrame([series, polars.Series("b", [1, 2, 3])]))
    assert table.to_pylist() == [{"a": "1", "b": 1}, {"a": "x", "b": 2}, {"a": None, "b": 3}]
    strange = polars.DataFrame([polars.Series("a", [object()], dtype=polars.Object)])
    with pytest.raises(TypeError, match="column 'a' with <object"):
        as_table(strange)


def test_sparse_columns_and_intervals_of_pandas():
    pandas = pytest.importorskip("pandas")
    sparse = pandas.arrays.SparseArray([0.0, 1.5, np.nan])
    parts = pandas.cut([1.0, 2.0, np.nan], [0, 1, 2])
    table = as_table(pandas.DataFrame({"a": sparse, "b": parts}))
    assert table.column("a").to_pylist() == [0, 1.5, None]
    assert table.column("b").to_pylist() == ["(0, 1]", "(1, 2]", None]
    with pytest.raises(TypeError, match="complex128 in column 'a'"):
        as_table(pandas.DataFrame({"a": [1j, 2]}))


def test_missing_objects_of_pandas_are_null():
    pandas = pytest.importorskip("pandas")
    values = [pandas.NA, pandas.NaT, None, np.nan, np.datetime64("NaT"), 1, "x"]
    frame = pandas.DataFrame({"a": pandas.Series(values, dtype=object)})
    assert as_table(frame).column("a").to_pylist() == [None] * 5 + ["1", "x"]


def test_a_mask_hides_objects():
    masked = np.ma.masked_array(np.array([1, "x", 2.0], object), [False, True, False])
    assert as_table({"a": masked}).column("a").to_pylist() == [1.0, None, 2.0]
    mixed = np.ma.masked_array(np.array([1, "x", "y"], object), [False, True, False])
    assert as_table({"a": mixed}).column("a").to_pylist() == ["1", None, "y"]


def test_names_are_text():
    pandas = pytest.importorskip("pandas")
    assert as_table(pandas.DataFrame(np.eye(2))).column_names == ["0", "1"]


def test_names_that_are_there_twice():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    twice = pa.table([[1], [2]], names=["a", "a"])
    for X in (frame, twice, {1: [1], "1": [2]}):
        with pytest.raises(ValueError, match=r"X has more than one column of the name '[a1]'"):
            as_table(X)


def scipy_matrix():
    return pytest.importorskip("scipy.sparse").csr_array(np.eye(2))


def lazy_frame():
    return of_polars({"a": [1]}).lazy()


REFUSED = {
    "sparse": (scipy_matrix, TypeError, r"X is a sparse csr_array, .* X\.toarray\(\)"),
    "lazy": (lazy_frame, TypeError, r"LazyFrame, .* X\.collect\(\)"),
    "pandas series": (lambda: of_pandas({"a": [1]})["a"], TypeError, r"Series.*X\.to_frame\(\)"),
    "polars series": (lambda: of_polars({"a": [1]})["a"], TypeError, r"Series.*X\.to_frame\(\)"),
    "arrow array": (lambda: pa.array([1]), TypeError, r"pyarrow\.table\(\{'x': X\}\)"),
    "number": (lambda: 3, TypeError, r"X is a int, expected a table"),
    "text": (lambda: "data.csv", TypeError, r"X is a str, expected a table"),
    "no rows": (list, ValueError, r"X is empty"),
    "one dimension": (lambda: np.ones(3), ValueError, r"X has shape \(3,\), .*reshape\(-1, 1\)"),
    "three": (lambda: np.ones((1, 2, 3)), ValueError, r"X has shape \(1, 2, 3\)"),
    "flat list": (lambda: [1, 2], TypeError, r"X\[0\] is 1, of type int, expected a row"),
    "ragged rows": (lambda: [[1, 2], [1]], ValueError, r"X\[1\] has 1 values, and X\[0\] has 2"),
    "ragged": (lambda: {"a": [1, 2], "b": [1]}, ValueError, r"1 values in column 'b', and 2 in"),
    "a single value": (lambda: {"a": 3}, TypeError, r"X has 3 as column 'a', of type int"),
    "a text": (lambda: {"a": "abc"}, TypeError, r"X has 'abc' as column 'a', of type str"),
    "complex": (lambda: np.ones((2, 2), complex), TypeError, r"complex128 in column 'x0'"),
    "complex object": (lambda: {"a": [1j, 2]}, TypeError, r"column 'a' with 1j at row 0, of type"),
    "wide column": (lambda: {"a": np.ones((2, 2))}, TypeError, r"shape \(2, 2\) in column 'a'"),
    "objects": (lambda: {"a": [1, object()]}, TypeError, r"column 'a' with <object.* at row 1"),
}


@pytest.mark.parametrize(("make", "error", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        as_table(make())
