"""Tables in CSV files, some rows at a time."""

import io
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from . import arrow, csv_types, diagnosis, dialect, stored
from .errors import DataError
from .messages import say
from .sources import Source

BLOCK = 2**20
"""Bytes that are read at a time: some thousand rows. pyarrow reads up to 32 of them ahead."""

BYTES_OF_A_FIELD = 64
"""No record of more bytes than a block can be read."""


class CSVFile:
    """A table in a CSV file.

    Attributes:
        source: where its bytes come from.
        dialect: how it is written.
        names: of its columns.

    """

    def __init__(self, source: Source, options: Namespace) -> None:
        self.source = source
        self.dialect = dialect.sniff(source, options)
        self.names = self.dialect.names
        if self.dialect.has_header and dialect.looks_like_data(self.names):
            say(
                f"{source.name}: its first line, {', '.join(self.names)!s:.60}, is taken for the "
                "names of the columns: give --no-header if it is data"
            )

    def __str__(self) -> str:
        return str(self.dialect)

    def rename(self, names: Sequence[str]) -> None:
        """Other names for the columns of a file without a header."""
        self.names = tuple(names)

    def table(self, given: Mapping[str, Any], folder: Path, seed: int) -> tuple[Any, int]:
        """(the rows as a table in a file of the folder, some of many; how many there are).

        The types of columns that ``given`` does not have are inferred: from the beginning, and once
        more from there where a later row has another one.
        """
        found = self._all(given, folder)
        n = found.num_rows
        if n > stored.MOST_ROWS:
            found = stored.table_of(stored.chosen(stored.slices(found), n, seed), folder)
        return found, n

    def _all(self, given: Mapping[str, Any], folder: Path) -> Any:
        """All rows as a table of a file in the folder."""
        types = dict(given)
        with self._explained():
            while True:
                try:
                    return stored.table_of(self._read(None, types), folder)
                except arrow.module("pyarrow").ArrowInvalid as error:
                    name, kind = self._wider(str(error))
                    if name is None or name in given or types.get(name) == kind:
                        raise
                    types[name] = kind

    def _wider(self, error: str) -> tuple[str | None, Any]:
        """(the column of which an error of pyarrow tells a value, the type to read it by)."""
        about = diagnosis.CONVERSION.search(error)
        if about is None or int(about[1]) >= len(self.names):
            return None, None
        wider = csv_types.widened(about[2], about[3], self.dialect.decimal)
        return self.names[int(about[1])], wider

    def batches(self, columns: Sequence[str], types: Mapping[str, Any]) -> Iterator[Any]:
        """These columns, some rows at a time, as pyarrow Tables."""
        with self._explained():
            yield from self._read(columns, types)

    def _read(self, columns: Sequence[str] | None, types: Mapping[str, Any]) -> Iterator[Any]:
        """All columns for None, some rows at a time, as pyarrow Tables; the first is empty.

        The types of columns that ``types`` does not have are those of the beginning.
        """
        pa = arrow.module("pyarrow")
        with self.source.open() as file, _Quotes(file) as quotes:
            batches = arrow.module("pyarrow.csv").open_csv(quotes, **self._options(columns, types))
            self._check_text(batches.schema)
            yield batches.schema.empty_table()
            for batch in batches:
                yield pa.Table.from_batches([batch])
            if quotes.count % 2:
                diagnosis.check_last_quote(self.source, self.dialect)

    def _options(self, columns: Sequence[str] | None, types: Mapping[str, Any]) -> dict[str, Any]:
        csv, d = arrow.module("pyarrow.csv"), self.dialect
        return {
            "read_options": csv.ReadOptions(
                block_size=max(BLOCK, BYTES_OF_A_FIELD * len(self.names)),
                encoding="utf8" if d.is_utf8 else d.encoding,
                column_names=None if d.has_header else list(self.names),
            ),
            # Whether a quoted field has a line break is not known before all of it is read.
            "parse_options": csv.ParseOptions(delimiter=d.delimiter, newlines_in_values=True),
            "convert_options": csv.ConvertOptions(
                column_types=dict(types),
                include_columns=None if columns is None else list(columns),
                strings_can_be_null=True,
                decimal_point=d.decimal,
            ),
        }

    def _explained(self) -> "diagnosis.Explained":
        return diagnosis.Explained(self.source, self.dialect, self.names)

    def _check_text(self, schema: Any) -> None:
        """Arrow infers bytes where a column has what is no text."""
        types = arrow.module("pyarrow.types")
        for name, kind in zip(schema.names, schema.types, strict=True):
            if types.is_binary(kind):
                raise DataError(diagnosis.of_bytes(self.source, self.dialect, name))


class _Quotes(io.BufferedIOBase):
    """A file, and how many quotes have been read: an odd number where one is not closed.

    pyarrow takes all behind such a one for a field.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.count = file, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        block = self._file.read(-1 if size is None else size)
        self.count += block.count(b'"')
        return block
