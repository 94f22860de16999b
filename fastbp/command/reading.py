"""The table of a file, whatever its format: CSV, Parquet or Feather, from a file or stdin."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .column_file import ColumnFile
from .csv_file import CSVFile
from .errors import DataError, unknown
from .sources import Source
from .stored import ROWS

MAGIC = {b"PAR1": "Parquet", b"ARROW1": "Feather"}
OTHERS = {
    b"FEA1": "a Feather file of version 1: write it again, as version 2",
    b"PARE": "an encrypted Parquet file: decrypt it first",
}


class TableFile(Protocol):
    """What every format has."""

    source: Source
    names: tuple[str, ...]

    def table(self, given: Mapping[str, Any], folder: Path, seed: int) -> tuple[Any, int]:
        """(the rows as a table in a file of the folder, some of many; how many there are).

        given: the types of some columns of a CSV file.
        """

    def batches(self, columns: Sequence[str], types: Mapping[str, Any]) -> Iterator[Any]:
        """These columns, some rows at a time, as pyarrow Tables."""


def open_table(path: str, options: Namespace, keep: Path | None = None) -> TableFile:
    """The table in a file, which is recognized by what it begins with.

    Args:
        path: the file's name; "-" for stdin.
        options: what there is of no_header, delimiter, decimal and encoding.
        keep: a folder for what comes through stdin, where it is to be read more than once.

    Raises:
        DataError: there is no such file, it is empty, or it has no table.

    """
    source = Source(path, keep)
    for magic, what in OTHERS.items():
        if source.head.startswith(magic):
            raise DataError(f"{source.name} is {what}")
    for magic, kind in MAGIC.items():
        if source.head.startswith(magic):
            return ColumnFile(source, kind)
    return CSVFile(source, options)


def parts(file: TableFile, columns: Sequence[str], types: Mapping[str, Any]) -> Iterator[Any]:
    """``file.batches`` in parts of at most ``ROWS`` rows, none of them empty."""
    for table in file.batches(columns, types):
        for start in range(0, table.num_rows, ROWS):
            yield table.slice(start, ROWS)


def check_column(file: TableFile, name: str, option: str) -> None:
    """DataError unless the file has a column of this name, which an option has given."""
    if name not in file.names:
        hint = ""
        if not any(map(str.isalpha, "".join(file.names))):
            hint = ". Its first line has no names: give --no-header, then they are c0, c1, ..."
        about = unknown(name, file.names, "column")
        raise DataError(f"{file.source.name}: {option} {about}{hint}")
