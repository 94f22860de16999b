"""Files of every format as tables, and what is said of those that are none."""

import gzip
import io
import os
import tempfile
import threading
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
from pyarrow import feather, parquet

from fastbp.command import reading
from fastbp.command.errors import DataError
from fastbp.command.sources import HEAD
from support import command

NOTHING = Namespace()


def opened(path, **options):
    return reading.open_table(str(path), Namespace(**options))


def whole(file, given=()):
    """All rows as one table, by the types that are found."""
    with tempfile.TemporaryDirectory() as folder:
        stored, rows = file.table(dict(given), Path(folder), 0)
    schema = stored.schema
    types = dict(zip(schema.names, schema.types, strict=True))
    parts = list(reading.parts(file, file.names, types))
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    assert (table.num_rows, table.schema.types) == (rows, schema.types)
    assert stored.to_pylist() == table.to_pylist()
    return table


@pytest.fixture
def csv_file(tmp_path):
    """Writes a file, and opens it."""

    def make(content, name="data.csv", **options):
        return opened(command.write(tmp_path / name, content), **options)

    return make


def refusal(make, *arguments, **options):
    with pytest.raises(DataError) as caught:
        whole(make(*arguments, **options))
    return str(caught.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
def test_the_delimiter_is_found(delimiter, csv_file):
    body = [["1", "a, b; c" if delimiter not in ",; " else "ab", "2.5"]] * 5
    file = csv_file(command.text(["one", "two", "three"], body, delimiter=delimiter))
    assert file.dialect.delimiter == delimiter
    assert file.names == ("one", "two", "three")
    assert whole(file).num_rows == 5


def test_text_with_other_delimiters_does_not_mislead(csv_file):
    body = [[str(i), f"some; text; with | {i % 3} things"] for i in range(9)]
    assert csv_file(command.text(["number", "said what"], body)).dialect.delimiter == ","
    body = [[str(i), "text" + ";" * (i % 3)] for i in range(9)]
    assert csv_file(command.text(["number; of; all", "text"], body)).dialect.delimiter == ","


@pytest.mark.parametrize("content", ["x\n1\n2\n", "a b c\n1\n2\n"])
def test_one_column(content, csv_file):
    assert whole(csv_file(content)).num_columns == 1


def test_a_delimiter_that_is_not_looked_for_can_be_given(csv_file):
    assert whole(csv_file("a:b\n1:2\n", delimiter=":")).to_pylist() == [{"a": 1, "b": 2}]


def test_decimal_commas_are_found(csv_file):
    file = csv_file("a;b\n1,5;x\n-2;y\n1,25e3;z\n")
    assert "decimal commas" in str(file)
    assert whole(file).column("a").to_pylist() == [1.5, -2.0, 1250.0]


def test_points_are_no_commas(csv_file):
    file = csv_file("a;b\n1.5;1,5\n2.5;2,5\n")
    assert file.dialect.decimal == "."
    assert csv_file("a;b\n1;1\n", decimal=",").dialect.decimal == ","


def test_decimal_mark_and_delimiter_differ(csv_file):
    assert "are both ','" in refusal(csv_file, "a,b\n1,2\n", decimal=",")


def test_quotes_and_line_breaks_within_them(csv_file):
    table = whole(csv_file('a,b\n"x, ""y""\nand z",1\nplain,2\n'))
    assert table.column("a").to_pylist() == ['x, "y"\nand z', "plain"]


def test_a_mark_of_utf_8_is_no_part_of_a_name(csv_file):
    assert whole(csv_file(b"\xef\xbb\xbfa,b\n1,2\n")).column_names == ["a", "b"]
    given = whole(csv_file(b"\xef\xbb\xbfa,b\n1,2\n", encoding="utf-8"))
    assert given.column_names == ["a", "b"]
    content = "\ufeffa,b\n1,2\n".encode("utf-16-le")
    assert whole(csv_file(content, encoding="utf-16-le")).column_names == ["a", "b"]


def test_utf_16_is_found_by_its_mark(csv_file):
    file = csv_file("a,b\nä,2\n".encode("utf-16"))
    assert whole(file).to_pylist() == [{"a": "ä", "b": 2}]
    assert "utf-16" in str(file)


def test_another_encoding_can_be_given(csv_file):
    content = "a,b\nä,2\n".encode("latin-1")
    assert whole(csv_file(content, encoding="iso8859-1")).column("a").to_pylist() == ["ä"]
    assert "line 2: the byte 0xe4 is no utf-8 text" in refusal(csv_file, content)


def test_an_encoding_that_changes_late_is_found(csv_file):
    content = b"a,b\n" + b"x,1\n" * (HEAD // 4) + b"\xe4,2\n"
    assert f"line {HEAD // 4 + 2:,}: the byte 0xe4" in refusal(csv_file, content)


def test_odd_names(csv_file):
    names = ["", " a", "--target", "é", 'q"', "x,y", "nan", "a" * 300]
    body = [["1"] * len(names)] * 3
    assert whole(csv_file(command.text(names, body))).column_names == names


def test_names_that_occur_twice_are_refused(csv_file):
    assert "same name, 'a'" in refusal(csv_file, "a,b,a\n1,2,3\n")


def test_without_a_header_columns_are_numbered(csv_file):
    file = csv_file("1,2\n3,4\n", no_header=True)
    assert whole(file).to_pylist() == [{"c0": 1, "c1": 2}, {"c0": 3, "c1": 4}]
    assert "no header" in str(file)


def test_a_header_that_looks_like_data_is_remarked(csv_file, capsys):
    csv_file("1,2\n3,4\n")
    assert "give --no-header if it is data" in capsys.readouterr().err


def test_missing_values_are_null(csv_file):
    table = whole(csv_file("a,b\n1,x\n,\nNA,NULL\n"))
    assert table.column("a").null_count == table.column("b").null_count == 2


def test_gzip_is_found_by_its_content(csv_file):
    assert whole(csv_file(gzip.compress(b"a,b\n1,2\n"), "data")).num_rows == 1


def test_gzip_that_was_cut_off(csv_file):
    noise = np.random.default_rng(0).integers(0, 10**9, 40_000)
    whole = gzip.compress(("a\n" + "\n".join(map(str, noise))).encode())
    assert "cut off" in refusal(csv_file, whole[:-40])
    assert "cut off" in refusal(csv_file, whole[:100])


@pytest.mark.parametrize("content", ["", "\n\n", "   ", b"\xef\xbb\xbf"])
def test_an_empty_file(content, csv_file):
    assert "is empty" in refusal(csv_file, content)


def test_a_header_alone_is_a_table_without_rows(csv_file):
    assert whole(csv_file("a,b\n")).num_rows == 0
    assert list(reading.parts(csv_file("a,b\n"), ["b"], {"b": pa.float64()})) == []


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"PK\x03\x04....", "zip or Excel"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"FEA1....", "Feather file of version 1"),
        (b"BZh91AY", "bzip2"),
        (b'{"a": 1}\n{"a": 2}\n', "data.csv is JSON: read it with pandas or polars"),
        (b'[{"a": 1}]', "data.csv is JSON"),
        (b"<!DOCTYPE html><html>", "data.csv is a web page"),
        (b"<?xml version='1.0'?>", "data.csv is XML"),
        (b"PAR1 no more", "damaged Parquet file"),
        (b"ARROW1 no more", "damaged Feather file"),
        (b"a,b\n\x00\x00,1\n", "zero bytes"),
    ],
)
def test_files_that_are_no_tables(content, wanted, csv_file):
    assert wanted in refusal(csv_file, content)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        opened(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder"):
        opened(tmp_path)


# Errors by line and column


def test_a_record_of_another_width_is_named_by_its_line(csv_file):
    err = refusal(csv_file, 'a,b\n"1\n1",2\n\n3,4,5\n')
    assert "data.csv, line 5 has 3 fields, expected 2" in err


def test_a_value_of_another_type_is_named_by_line_and_column(csv_file):
    file = csv_file("a,b\n1,2\n3,x y\n")
    with pytest.raises(
        DataError, match=r"line 3, column 'b': 'x y', expected a number: correct it"
    ):
        whole(file, {"b": pa.float64()})
    with pytest.raises(DataError, match=r"line 3, column 'b'"):
        list(reading.parts(file, ["b"], {"b": pa.float64()}))


def test_the_line_is_that_of_the_file_where_rows_come_in_parts(csv_file, monkeypatch):
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 1000)
    content = "a,b\n" + "1,2\n" * 5000 + "1,no\n" + "1,2\n" * 500
    with pytest.raises(DataError, match=r"line 5,002, column 'b'"):
        list(reading.parts(csv_file(content), ["b"], {"b": pa.float64()}))


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_quote_that_is_open_at_the_end(compress, csv_file):
    """The rows behind it would be lost."""
    err = refusal(csv_file, compress(b'a,b\n1,"x"\n2,"y\n3,z\n4,5 ""inch""\n'))
    assert "data.csv, line 3 has a quote that is opened and not closed" in err
    file = csv_file(compress(b'a,b\n1,"x"\n2,5" pipe\n'))
    assert whole(file).column("b").to_pylist() == ["x", '5" pipe']


def test_a_quote_that_is_not_closed(csv_file, monkeypatch):
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 1000)
    content = "a,b\n1,2\n" + '"x,1\n' + "1,2\n" * 5000
    with pytest.raises(DataError, match="a quote that is opened and not closed"):
        list(reading.parts(csv_file(content), ["b"], {"b": pa.float64()}))


# In parts


def test_parts_are_all_rows_in_their_order(csv_file, monkeypatch):
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 1000)
    monkeypatch.setattr(reading, "ROWS", 64)
    content = "a,b,c\n" + "".join(f"{i},x{i},2\n" for i in range(2000))
    parts = list(reading.parts(csv_file(content), ["b", "a"], {"b": pa.string(), "a": pa.int64()}))
    assert len(parts) > 10
    assert max(part.num_rows for part in parts) <= 64
    whole = pa.concat_tables(parts)
    assert whole.column("a").to_pylist() == list(range(2000))
    assert whole.column_names == ["b", "a"]


@pytest.fixture(params=["parquet", "feather"])
def column_file(request, tmp_path):
    """Writes a table in a format that knows types, and opens it."""

    def make(table):
        path = tmp_path / f"data.{request.param}"
        writers = {"parquet": parquet.write_table, "feather": feather.write_feather}
        writers[request.param](table, str(path))
        return opened(path)

    return make


def test_tables_of_other_formats(column_file):
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", None]})
    file = column_file(table)
    assert file.names == ("a", "b")
    assert whole(file) == table
    (part,) = reading.parts(file, ["b"], {})
    assert part.to_pydict() == {"b": ["x", "y", None]}


def test_stdin_is_read_once_or_kept(monkeypatch, tmp_path):
    content = "a,b\n" + "1,2\n" * HEAD
    command.stdin(monkeypatch, content)
    file = reading.open_table("-", NOTHING, keep=tmp_path)
    assert whole(file).num_rows == whole(file).num_rows == HEAD
    command.stdin(monkeypatch, content)
    once = reading.open_table("-", NOTHING)
    assert not once.source.can_be_read_again
    parts = reading.parts(once, ["b"], {"b": pa.float64()})
    assert sum(part.num_rows for part in parts) == HEAD


def test_stdin_may_be_compressed_or_parquet(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 10**9, 200_000)
    command.stdin(monkeypatch, gzip.compress(("a\n" + "\n".join(map(str, noise))).encode()))
    file = reading.open_table("-", NOTHING)
    parts = reading.parts(file, ["a"], {"a": pa.int64()})
    assert np.array_equal(pa.concat_tables(parts).column("a").to_numpy(), noise)
    out = io.BytesIO()
    parquet.write_table(pa.table({"a": [1, 2]}), out)
    command.stdin(monkeypatch, out.getvalue())
    assert whole(reading.open_table("-", NOTHING)).num_rows == 2


def test_a_first_line_of_many_names(csv_file, monkeypatch):
    """It is longer than what is looked at of other files."""
    names = [f"a_name_of_some_length_{i:06}" for i in range(12_000)]
    content = ",".join(names) + "\n" + 2 * (",".join(["1"] * len(names)) + "\n")
    assert len(",".join(names)) > HEAD
    assert csv_file(content).names == tuple(names)
    command.stdin(monkeypatch, content)
    once = reading.open_table("-", NOTHING)
    assert once.names == tuple(names)
    (part,) = reading.parts(once, names[-2:], dict.fromkeys(names[-2:], pa.int64()))
    assert part.to_pylist() == 2 * [dict.fromkeys(names[-2:], 1)]


def test_a_record_of_many_long_fields(csv_file):
    """It is longer than a block of other files."""
    n = 30_000
    content = ",".join(f"c{i}" for i in range(n)) + "\n" + ",".join(["1" * 40] * n) + "\n"
    (part,) = reading.parts(csv_file(content), ["c7"], {"c7": pa.string()})
    assert part.column("c7").to_pylist() == ["1" * 40]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("kept", [False, True])
def test_a_named_pipe_is_read_once_or_kept(compress, kept, tmp_path):
    """As the shell passes <(command)."""
    content = compress(("a,b\n" + "1,2\n" * HEAD).encode())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[content], daemon=True)
    writer.start()
    file = reading.open_table(str(pipe), NOTHING, keep=tmp_path if kept else None)
    assert file.names == ("a", "b")
    for _ in range(1 + kept):
        parts = reading.parts(file, ["b"], {"b": pa.float64()})
        assert sum(part.num_rows for part in parts) == HEAD
    writer.join()


@pytest.mark.parametrize("suffix", ["feather", "parquet"])
def test_files_of_polars(suffix, tmp_path):
    """It writes text as views, of which pyarrow does not know all."""
    pl = pytest.importorskip("polars")
    columns = {
        "town": ["Ulm", None, "Bonn"],
        "kind": pl.Series(["a", "b", None], dtype=pl.Categorical),
        "level": pl.Series(["low", "high", None], dtype=pl.Enum(["low", "high"])),
        "raw": [b"x", b"y", None],
        "n": [1, 2, None],
    }
    frame, path = pl.DataFrame(columns), tmp_path / f"data.{suffix}"
    if suffix == "feather":
        frame.write_ipc(path)
    else:
        frame.write_parquet(path)
    table = whole(opened(path))
    assert table.to_pylist() == frame.to_dicts()
    assert not any(str(kind).endswith("_view") for kind in table.schema.types)


def test_a_terminal_is_no_table(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(DataError, match="stdin is a terminal"):
        reading.open_table("-", NOTHING)


def test_a_column_that_is_not_there_is_told_the_nearest(csv_file):
    file = csv_file("price,x\n1,2\n")
    with pytest.raises(DataError, match=r"--target 'prise' is no column: did you mean 'price'"):
        reading.check_column(file, "prise", "--target")
    with pytest.raises(DataError, match="give --no-header"):
        reading.check_column(csv_file("1,2\n3,4\n"), "y", "--target")
