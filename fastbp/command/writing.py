"""Tables as files, some rows at a time: CSV, Parquet or Feather."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..storage import atomic
from . import arrow
from .errors import UsageError

STDOUT = "-"
FORMATS = {".csv": "CSV", ".parquet": "Parquet", ".pq": "Parquet", ".feather": "Feather"}
QUOTED = '[",\r\n]'
"""Text with one of these is put in quotes."""


def format_of(path: str) -> str:
    """CSV, Parquet or Feather, by the end of the name; CSV for stdout."""
    if path == STDOUT:
        return "CSV"
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"--output {path!r}: its end says no format, expected one of {', '.join(FORMATS)}"
        )
    return FORMATS[suffix]


def check_apart(path: str, option: str, *read: str | None) -> None:
    """UsageError where the file that an option names is one of those that are read."""
    for one in filter(None, read):
        paths = Path(path), Path(one)
        if all(place.exists() for place in paths) and paths[0].samefile(paths[1]):
            raise UsageError(f"{option} {path!r} is a file that is read: name another one")


@contextmanager
def writer(path: str, schema: Any) -> Iterator[Any]:
    """What writes pyarrow Tables of this schema, by its method ``write_table``.

    The file replaces an older one when all rows have been written; after an error nothing changed.
    """
    kind = format_of(path)
    if path == STDOUT:
        yield _CSVWriter(sys.stdout.buffer, schema)
        sys.stdout.buffer.flush()
        return
    with atomic.replacing(path) as file:
        if kind == "CSV":
            yield _CSVWriter(file, schema)
        elif kind == "Parquet":
            with arrow.module("pyarrow.parquet").ParquetWriter(file, schema) as parquet:
                yield parquet
        else:
            with arrow.module("pyarrow.ipc").new_file(file, schema) as feather:
                yield feather


class _CSVWriter:
    """Rows of CSV, with quotes only where they are needed, which pyarrow does not do."""

    def __init__(self, file: BinaryIO, schema: Any) -> None:
        self._file = file
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(schema.names)
        file.write(header.getvalue().encode())

    def write_table(self, table: Any) -> None:
        """Append the rows of a table."""
        module = arrow.module("pyarrow.csv")
        style = "needed" if any(map(_needs_quotes, table.columns)) else "none"
        options = module.WriteOptions(include_header=False, quoting_style=style)
        part = io.BytesIO()
        module.write_csv(table, part, options)
        self._file.write(part.getbuffer())


def _needs_quotes(column: Any) -> bool:
    types = arrow.module("pyarrow.types")
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        return False
    compute = arrow.module("pyarrow.compute")
    return bool(compute.any(compute.match_substring_regex(column, QUOTED)).as_py())
