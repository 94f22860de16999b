"""What columns are, why some are dropped, and how other tables are read as they were learned."""

import datetime as dt
import json

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import pyarrow as pa

from fastbp.tabular.columns import Column
from fastbp.tabular.frames import as_table
from fastbp.tabular.schema import Schema


def column(values, **options):
    """What one column is, beside a number that nothing drops."""
    table = as_table({"a": values, "other": np.arange(len(values)) % 2 + 0.5})
    (found, _) = Schema.infer(table, **options).columns
    return found


def kind(values, **options):
    return column(values, **options).kind


def test_numbers():
    assert kind([1, 2, None]) == "number"
    assert kind([1.5, np.nan, 2]) == "number"
    assert kind(pa.array([1, 2], pa.decimal128(5, 2))) == "number"
    assert kind(np.array([1, 2], "m8[s]")) == "number"
    assert kind([dt.time(1), dt.time(2)]) == "number"
    assert kind(np.array([1, 2], np.float16)) == "number"


def test_other_kinds():
    assert kind([True, False, None]) == "boolean"
    assert kind(["a", "b", "a"]) == "category"
    assert kind([b"a", b"b", b"a"]) == "category"
    assert kind(["1", "2", "1"]) == "category"
    assert kind(pa.array([1, 2, 1]).dictionary_encode()) == "category"
    assert kind(np.array([1, 2], "M8[s]")) == "date"
    assert kind([dt.date(2024, 1, 1), dt.date(2024, 1, 2)]) == "date"
    assert kind([1, "a", 2.5, "a"]) == "category"


@pytest.mark.parametrize("wrap", [pa.string, pa.large_string, pa.string_view])
def test_types_of_text(wrap):
    assert kind(pa.array(["a", "b", "a"], wrap())) == "category"


def test_encoded_types():
    runs = pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([1.5, 2.5]))
    assert kind(runs) == "number"
    assert column(runs).missing == 0


def test_text_of_many_different_numbers_is_a_number():
    found = column([f" {i / 4} " for i in range(300)] + ["", "NA"])
    assert (found.kind, found.why, found.missing) == ("number", "text that holds numbers", 2)


def test_text_with_leading_zeros_is_a_code():
    assert kind([f"0{i % 60:03}" for i in range(300)]) == "category"


@pytest.mark.parametrize(
    ("values", "why", "missing"),
    [
        ([None, None], "nothing but missing values", 2),
        ([np.nan, np.nan], "nothing but missing values", 2),
        (["", " NA "], "nothing but missing values", 2),
        ([np.inf, -np.inf, np.nan], "no finite value", 1),
        ([3.0, 3.0], "constant: always 3", 0),
        (["x", " x"], "constant: always 'x'", 0),
        ([True, True], "constant: always true", 0),
        ([dt.date(2024, 1, 1)] * 2, "constant: always 2024-01-01T00:00:00", 0),
        (["2024-01-01"] * 2, "constant: always '2024-01-01'", 0),
        (["a", "b", "c", None], "every value differs: an identifier", 1),
        (range(1000), "every value differs: an identifier", 0),
        (np.arange(500) * 7.0, "every value differs: an identifier", 0),
    ],
)
def test_what_is_dropped(values, why, missing):
    found = column(values)
    assert (found.kind, found.why, found.missing) == ("dropped", why, missing)


def test_text_that_hardly_repeats_is_dropped():
    names = [f"name {i // 2}" for i in range(400)]
    assert column(names).why == "no value in 3 rows or more: free text, or an identifier"
    assert kind(["often"] * 3 + names[3:]) == "category"


def test_one_value_and_missing_ones_tell_something():
    assert kind([3.0, None]) == "number"
    assert kind(["x", ""]) == "category"
    assert kind([True, None]) == "boolean"


def test_whole_numbers_that_repeat_or_lie_apart_are_no_identifiers():
    assert kind([*range(999), 998]) == "number"
    assert kind(np.arange(1000) ** 2) == "number"
    assert kind(np.arange(1000) + 0.5) == "number"
    assert kind(range(50)) == "number"


def test_a_name_makes_an_identifier_of_numbers_that_lie_apart():
    far = np.arange(1000) ** 2
    for name in ("id", "ID", "customer_id", "Unnamed: 0"):
        (found, _) = Schema.infer(as_table({name: far, "other": far})).columns
        assert found.kind == "dropped"
        assert column(range(1000), kinds={"a": "number"}).kind == "number"


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_identifiers_beyond_the_whole_numbers_of_floats(dtype):
    first = np.array(2**62 + 1, dtype)
    assert kind(first + np.arange(1000, dtype=dtype)) == "dropped"
    far = first + 999_983 * np.arange(1000, dtype=dtype)
    found = Schema.infer(as_table({"id": far, "x": np.arange(1000) ** 2}))
    assert found.columns[0].kind == "dropped"
    assert kind(np.append(far[:-1], far[0])) == "number"


FORMS = {
    "year-month-day": ["2024-01-31", "2024-2-1 06:30", "2024-02-29T23:59:59.5Z"],
    "day.month.year": ["31.01.2024", "1.2.2024 06:30", "29.02.2024 23:59:59"],
    "month/day/year": ["01/31/2024", "2/1/2024 06:30", "02/29/2024 23:59:59"],
    "day/month/year": ["31/01/2024", "1/2/2024 06:30", "29/02/2024 23:59:59"],
}
DAYS = [
    dt.datetime(2024, 1, 31),
    dt.datetime(2024, 2, 1, 6, 30),
    dt.datetime(2024, 2, 29, 23, 59, 59),
]


@pytest.mark.parametrize("form", FORMS)
def test_dates_in_text(form):
    table = as_table({"a": [*FORMS[form], None, ""]})
    schema = Schema.infer(table)
    assert schema.describe() == [f"a: date, text read as {form}, 2 values missing"]
    assert schema.check(table).column("a").to_pylist() == [*DAYS, None, None]


def test_dates_that_can_be_read_in_two_ways_are_said():
    found = column(["1/2/2024", "3/4/2024"])
    assert (found.form, found.why) == (
        "month/day/year",
        "which could be day/month/year as well",
    )


@pytest.mark.parametrize("wrong", ["2024-02-30", "2024-13-01", "2024-00-10", "2024-01-01 24:00"])
def test_what_is_no_date_makes_a_category(wrong):
    assert kind(["2024-01-31", wrong, "2024-01-31"]) == "category"


def test_kinds_are_as_asked_for():
    assert kind([1, 2, 1], kinds={"a": "category"}) == "category"
    assert kind(["1", "2", "1"], kinds={"a": "number"}) == "number"
    assert kind([0, 1, 1], kinds={"a": "boolean"}) == "boolean"
    assert kind(["2024-01-31", "2024-01-31"], kinds={"a": "date"}) == "dropped"
    assert kind(["2024-01-31", "2024-01-30"], kinds={"a": "category"}) == "dropped"
    assert kind([1, 1], kinds={"a": "number"}) == "dropped"


@pytest.mark.parametrize(
    ("values", "asked", "row"),
    [
        (["1", "x"], "number", "'x' in column 'a' at row 1, expected numbers, or text"),
        ([0, 2], "boolean", "2 in column 'a' at row 1, expected bool, 0 and 1"),
        (["2024-01-31", "soon"], "date", "'soon' in column 'a' at row 1, expected dates written"),
        ([1.5, 2.5], "date", "1.5 in column 'a' at row 0, expected dates"),
        ([dt.date(2024, 1, 1)], "number", r"datetime.date\(2024, 1, 1\) in column 'a'"),
    ],
)
def test_what_is_not_as_asked_for(values, asked, row):
    with pytest.raises(ValueError, match=row):
        column(values, kinds={"a": asked})


NESTED = {
    "lists": [[1, 2], [3]],
    "dicts": [{"a": 1}, {"a": 2}],
    "fixed lists": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)),
    "maps": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8())),
}


@pytest.mark.parametrize("values", NESTED.values(), ids=NESTED)
def test_nested_columns_are_refused_unless_they_are_dropped(values):
    with pytest.raises(
        TypeError, match=r"'a', which holds several values in a row: .*drop=\['a'\]"
    ):
        column(values)
    assert column(values, drop=["a"]).why == "left out by drop"


def test_no_column_is_left():
    with pytest.raises(ValueError, match=r"1 row and no column to learn from \('a': constant"):
        Schema.infer(as_table({"a": [1]}))
    with pytest.raises(ValueError, match=r"'c3': constant: always 3, .* and 2 more\)"):
        Schema.infer(as_table({f"c{i}": [i, i] for i in range(12)}))
    with pytest.raises(ValueError, match="X has no rows"):
        Schema.infer(as_table({"a": np.empty(0)}))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"drop": "town"}, TypeError, r"drop is 'town', expected a list .*\['town'\]"),
        ({"drop": ["towm"]}, ValueError, "drop has 'towm', .*did you mean 'town'"),
        ({"kinds": {"town": "text"}}, ValueError, r"kinds\['town'\] is 'text', .*'category'"),
        ({"kinds": {"x": "number"}}, ValueError, "kinds has 'x', which is no column of X"),
        ({"kinds": ["town"]}, TypeError, "kinds is a list, expected a dict"),
    ],
)
def test_wrong_arguments(options, error, text):
    with pytest.raises(error, match=text):
        Schema.infer(as_table({"town": ["a", "b", "a"]}), **options)


LEARNED = {
    "n": [1.0, 2.0, 4.0],
    "b": [True, False, True],
    "c": ["x", "y", "x"],
    "d": ["1.2.2024", "13.2.2024", "14.2.2024"],
    "same": [1, 1, 1],
}


@pytest.fixture
def schema():
    return Schema.infer(as_table(LEARNED))


def test_check_reads_what_means_the_same(schema):
    day = dt.datetime(2024, 2, 1)
    expected = {"n": 1.0, "b": True, "c": "3", "d": day}
    for values in (
        {"n": 1, "b": 1, "c": 3, "d": day},
        {"n": " 1.0", "b": "TRUE", "c": 3.0, "d": "01.02.2024"},
        {"n": True, "b": 1.0, "c": " 3 ", "d": day.date()},
        {"n": 1, "b": 1, "c": np.float32(3), "d": day},
    ):
        table = as_table({"more": [0], **{key: [value] for key, value in values.items()}})
        assert schema.check(table).to_pylist() == [expected]
        assert schema.check(table.select([*reversed(table.column_names)])).to_pylist() == [expected]


def test_check_has_the_learned_types(schema):
    nothing = schema.check(as_table({name: [None] for name in "nbcd"}))
    same = schema.check(pa.table({name: [float("nan")] for name in "nbcd"}))
    assert same.drop(["n"]) == nothing.drop(["n"])
    texts = pa.dictionary(pa.int32(), pa.large_string())
    types = [pa.float64(), pa.bool_(), texts, pa.timestamp("s")]
    assert nothing.schema.types == types
    assert np.isnan(nothing.column("n")[0].as_py())
    assert schema.check(as_table(LEARNED).slice(0, 0)).schema.types == types


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n": ["1", "2", "x"]}, "T has 'x' in column 'n' at row 7, expected numbers"),
        ({"b": [0, 1, 0.5]}, "T has 0.5 in column 'b' at row 7, expected bool"),
        ({"c": [[1], [2], [3]]}, r"T has \[1\] in column 'c' at row 5, expected text"),
        (
            {"d": ["1.2.2024", None, "2024-02-01"]},
            "'2024-02-01' in column 'd' at row 7, .*day.month",
        ),
        ({"d": [1, 2, 3]}, "T has 1 in column 'd' at row 5, expected dates"),
    ],
)
def test_check_names_the_first_value_that_cannot_be_read(schema, change, text):
    with pytest.raises(ValueError, match=text):
        schema.check(as_table(LEARNED | change), "T", first=5)


def test_check_names_columns_that_are_missing(schema):
    table = as_table(LEARNED).rename_columns(["N", "b", "c", "e", "same"])
    with pytest.raises(ValueError, match=r"X lacks 'n', 'd', .*learned from; it has 'N'"):
        schema.check(table)
    with pytest.raises(ValueError, match="two columns of the name 'b'"):
        schema.check(as_table(LEARNED).append_column("b", pa.array([1, 2, 3])))


def test_bytes_that_are_no_text_are_refused(schema):
    strange = {"c": pa.array([b"x", b"\xff", b"y"])}
    with pytest.raises(ValueError, match=r"b'\\xff' in column 'c' at row 1, expected text"):
        schema.check(as_table(LEARNED | strange))


def test_the_clock_of_a_time_zone_counts():
    zone = pa.timestamp("us", "Europe/Berlin")
    noon = pa.array([dt.datetime(2024, 7, 1, 10), dt.datetime(2024, 1, 1, 11)]).cast(zone)
    table = as_table({"a": noon})
    assert [day.hour for day in Schema.infer(table).check(table).column("a").to_pylist()] == [
        12,
        12,
    ]


def test_a_schema_is_json(schema):
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize(
    "change",
    [{"kind": "text"}, {"kind": 1}, {"missing": -1}, {"missing": True}, {"form": "x"}, {"a": 1}],
)
def test_a_schema_of_a_stranger_is_looked_at(schema, change):
    state = schema.to_dict()
    state["columns"][0] |= change
    with pytest.raises(ValueError, match="a column is"):
        Schema.from_dict(state)
    with pytest.raises(ValueError, match="same name"):
        Schema.from_dict({"columns": schema.to_dict()["columns"] * 2})


def test_a_description_has_a_line_for_each_column(schema):
    assert schema.describe() == [
        "n: number",
        "b: boolean",
        "c: category, 2 levels",
        "d: date, text read as day.month.year",
        "same: dropped, constant: always 1",
    ]
    assert Column("", "number").describe() == "'': number"
    assert Column("a\nb", "number").describe() == "'a\\nb': number"
    assert column([1.0, np.inf, 2.0]).describe() == (
        "a: number, 1 infinite, read as the largest and least finite ones"
    )
