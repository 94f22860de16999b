"""Rows larger than memory: their types, where they lie, how many are taken, what that costs."""

import doctest
import tracemalloc
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.csv
from pyarrow import parquet

from fastbp import tabular
from fastbp.command import csv_types, predicting, reading, reporting, stored, training_rows
from support import command

FAST = ("--epochs", "2", "--set", "ensemble=1")


# Types


def found_in(path, folder, given=()):
    """(the types of all columns, the number of rows)."""
    table, rows = reading.open_table(path, Namespace()).table(dict(given), folder, 0)
    assert table.num_rows == rows
    return dict(zip(table.schema.names, table.schema.types, strict=True)), rows


@pytest.mark.parametrize(
    ("early", "late", "kind"),
    [
        ("1", "2", "int64"),
        ("1", "1.5", "double"),
        ("1", "99999999999999999999", "double"),
        ("1.5", "x", "string"),
        ("1", "x, y", "string"),
        ("", "7", "int64"),
        ("", "0.5", "double"),
        ("", "x", "string"),
        ("", "2024-01-01", "date32[day]"),
        ("true", "x", "string"),
        ("2024-01-01", "2024-01-01 10:00:00", "timestamp[s]"),
        ("2024-01-01", "2024-01-01 10:00:00.5", "timestamp[ns]"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00.5", "timestamp[ns]"),
        ("2024-01-01", "1.1.2024", "string"),
        ("10:00", "x", "string"),
    ],
)
def test_types_are_those_of_all_rows(early, late, kind, tmp_path, monkeypatch):
    """As pyarrow infers them where it reads all rows at once, which takes memory."""
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 2000)
    body = [[i, early] for i in range(900)] + [[900, late]] + [[i, early] for i in range(50)]
    path = Path(command.write(tmp_path / "data.csv", command.text(["n", "x"], body)))
    types, rows = found_in(str(path), tmp_path)
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    expected = pyarrow.csv.read_csv(path, convert_options=options).schema
    assert (types["n"], str(types["x"]), rows) == (pa.int64(), kind, 951)
    assert expected.field("x").type == types["x"]


def test_the_example():
    found = doctest.testmod(csv_types)
    assert (found.failed, found.attempted) == (0, 2)


def test_several_columns_change_late(tmp_path, monkeypatch):
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 1000)
    names = [f"x{i}" for i in range(6)]
    body = [[1] * 6] * 500 + [[1.5 if i % 2 else "a" for i in range(6)]] + [["b"] * 3 + [1] * 3]
    data = command.write(tmp_path / "data.csv", command.text(names, body))
    types, rows = found_in(data, tmp_path, {"x3": pa.string()})
    kinds = ["string", "string", "string", "string", "string", "double"]
    assert ([str(types[name]) for name in names], rows) == (kinds, 502)


def test_decimal_commas_late(tmp_path, monkeypatch):
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 1000)
    content = "a;b\n1,5;1\n" + "1,5;1\n" * 500 + "2,5;0,5\n"
    data = command.write(tmp_path / "data.csv", content)
    assert found_in(data, tmp_path)[0] == {"a": pa.float64(), "b": pa.float64()}


def test_what_is_no_type_of_arrow_is_text():
    assert csv_types.widened("timestamp[s, tz=UTC]", "x", ".") == pa.string()
    assert csv_types.widened("time32[s]", "x", ".") == pa.string()


# Where they lie


def levels(*words):
    return pa.table({"c": pa.array(words).dictionary_encode()})


def test_a_table_lies_in_a_file(tmp_path):
    parts = [levels("a", "b"), levels("c", "a"), levels("b", None)]
    before = pa.total_allocated_bytes()
    found = stored.table_of(iter(parts), tmp_path)
    assert pa.total_allocated_bytes() - before < 1024
    assert found.column("c").to_pylist() == ["a", "b", "c", "a", "b", None]
    assert pa.types.is_dictionary(found.schema.types[0])


def test_some_rows_of_a_table(monkeypatch):
    monkeypatch.setattr(stored, "ROWS", 7)
    table = pa.table({"x": range(30)})
    kept = np.arange(30) % 4 > 1
    found = pa.concat_tables(stored.parts_of(table, kept))
    assert found.column("x").to_pylist() == np.flatnonzero(kept).tolist()


# How many


def parts(n, rows=100):
    return (pa.table({"x": range(start, start + rows)}) for start in range(0, n, rows))


def test_few_rows_are_all_taken():
    taken = pa.concat_tables(stored.chosen(parts(1000), 1000, seed=0))
    assert taken.column("x").to_pylist() == list(range(1000))
    table, rows = reporting.drawn(parts(1000))
    assert (table.num_rows, rows) == (1000, 1000)


def test_of_more_rows_some_are_drawn(monkeypatch):
    monkeypatch.setattr(stored, "MOST_ROWS", 4000)
    found = [
        pa.concat_tables(stored.chosen(parts(20_000, rows), 20_000, seed)).column("x").to_pylist()
        for rows, seed in ((100, 0), (1000, 0), (100, 1))
    ]
    assert found[0] == found[1] != found[2]
    # Binomial: 4000 of 20000, within six deviations; and so its mean of the numbers drawn.
    assert abs(len(found[0]) - 4000) < 6 * np.sqrt(20_000 * 0.2 * 0.8)
    assert abs(np.mean(found[0]) - 10_000) < 6 * 20_000 / np.sqrt(12 * 4000)


@pytest.mark.parametrize("n", [1001, 1999, 2000, 2001, 20_000])
def test_exactly_so_many_rows_are_drawn_for_a_report(n, monkeypatch):
    monkeypatch.setattr(reporting, "MOST_ROWS", 1000)
    tables = list(parts(-(-n // 100) * 100))
    tables[-1] = tables[-1].slice(0, n - 100 * (len(tables) - 1))
    table, rows = reporting.drawn(tables)
    numbers = table.column("x").to_numpy()
    assert (len(numbers), rows) == (1000, n)
    assert (np.diff(numbers) > 0).all()
    # Of uniform numbers without replacement: fewer than six deviations from their mean.
    assert abs(numbers.mean() - n / 2) < 6 * n / np.sqrt(12 * 1000)


def test_training_takes_some_rows_and_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stored, "MOST_ROWS", 200)
    command.write(tmp_path / "table.csv", command.text())
    said = command.run(capsys, "train", "table.csv", "--target", "colour", *FAST)
    assert said.code == 0, said.err
    assert "about 200 rows of them, drawn by chance, are learned from" in said.err
    rows = tabular.load("table.safetensors").record_["rows"]
    assert abs(rows - 200) < 6 * np.sqrt(300 * 2 / 9)


@pytest.mark.parametrize("weight", ["", "0"])
def test_rows_that_teach_nothing_are_not_stored(weight, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    body = [[*row, weight if i % 3 else 1] for i, row in enumerate(command.rows())]
    if not weight:
        body = [[*row[:-1], 1] if row[-1] else [*row[:4], "", *row[5:-1], 1] for row in body]
    command.write(tmp_path / "table.csv", command.text([*command.COLUMNS, "w"], body))
    seen, table_of = [], stored.table_of

    def watched(*arguments):
        seen.append(table_of(*arguments))
        return seen[-1]

    monkeypatch.setattr(stored, "table_of", watched)
    said = command.run(capsys, "train", "table.csv", "--target=colour", "--weight=w", *FAST)
    assert said.code == 0, said.err
    assert seen[-1].num_rows == 100


# What it costs


class Peak:
    """The most bytes within a block: of Python and NumPy, and of pyarrow at each part."""

    def __enter__(self):
        self._arrow = 0
        tracemalloc.start()
        return self

    def __exit__(self, *_):
        self.bytes = self._arrow + tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    def watched(self, parts):
        """A function like ``reading.parts``, which looks at each part."""

        def watch(*arguments):
            for part in parts(*arguments):
                self._arrow = max(self._arrow, pa.total_allocated_bytes() - self.before)
                yield part

        self.before = pa.total_allocated_bytes()
        return watch


def numbers(path, n, columns=12):
    """A table of numbers in a CSV or Parquet file."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, columns)).round(5)
    table = pa.table({f"x{j}": x[:, j] for j in range(columns)} | {"y": x[:, 0] - x[:, 1]})
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        parquet.write_table(table, path, row_group_size=600)
    return str(path)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 2**14)  # pyarrow reads 32 of them ahead
    monkeypatch.setattr("fastbp.command.column_file.ROWS", 150)
    monkeypatch.setattr(reading, "ROWS", 150)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_memory_of_predictions_does_not_grow_with_the_file(suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few, many = (numbers(tmp_path / f"{n}{suffix}", n) for n in (6000, 24_000))
    assert command.main(["train", few, "--target", "y", "--model", "m", *FAST]) == 0
    peaks, parts = [], reading.parts
    for data in (few, few, many):  # the first one loads what stays
        options = Namespace(model="m", data=data, output="out.csv")
        with Peak() as peak:
            monkeypatch.setattr(reading, "parts", peak.watched(parts))
            assert predicting.run(options) == 0
        peaks.append(peak.bytes)
    # 18,000 rows more would take 1.9 MB as a table.
    assert peaks[2] - peaks[1] < 0.3e6


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_memory_of_a_training_table_is_that_of_its_targets(suffix, tmp_path, monkeypatch):
    few, many = (numbers(tmp_path / f"{n}{suffix}", n) for n in (6000, 24_000))
    peaks, table_of, folder = [], stored.table_of, tmp_path / "rows"
    folder.mkdir()
    for data in (few, few, many):
        with Peak() as peak:
            watched = peak.watched(iter)
            monkeypatch.setattr(stored, "table_of", lambda p, f, w=watched: table_of(w(p), f))
            found = training_rows.read(Namespace(data=data, target=["y"]), {}, folder)
        peaks.append(peak.bytes)
    assert found.train.X.num_rows == 24_000
    # A target is a float64, which is looked at once: by a mask, rounded, compared.
    assert peaks[2] - peaks[1] < 18_000 * 8 * 4


def test_what_comes_through_stdin_lies_in_a_file_while_it_is_needed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command.stdin(monkeypatch, command.text())
    copied, folder = [], tmp_path / "model.safetensors.networks"

    def look(*_):
        copied.append((folder / "stdin").stat().st_size)
        raise AttributeError

    monkeypatch.setattr(training_rows, "_known", look)
    with pytest.raises(AttributeError):
        command.run(capsys, "train", "-", "--target", "colour", *FAST)
    assert copied == [len(command.text())]
    assert not folder.exists()
