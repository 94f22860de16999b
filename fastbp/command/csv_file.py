"""Tables in CSV files, whole or some rows at a time."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import arrow, diagnosis, dialect
from .errors import DataError
from .messages import say
from .sources import Source

BLOCK = 2**23
"""Bytes that are read at a time where rows come in parts: some tens of thousands of rows."""


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

    def table(self, types: Mapping[str, Any] | None = None) -> Any:
        """All rows as a pyarrow Table. Columns that ``types`` does not have are inferred."""
        with self._explained(), self.source.open() as file:
            options = self._options(2**24, None, types or {})
            found = arrow.module("pyarrow.csv").read_csv(file, **options)
        self._check_text(found)
        return found

    def batches(self, columns: Sequence[str], types: Mapping[str, Any]) -> Iterator[Any]:
        """These columns, some rows at a time, as pyarrow Tables."""
        pa = arrow.module("pyarrow")
        with self._explained(), self.source.open() as file:
            options = self._options(BLOCK, columns, types)
            for batch in arrow.module("pyarrow.csv").open_csv(file, **options):
                yield pa.Table.from_batches([batch])

    def _options(
        self, block: int, columns: Sequence[str] | None, types: Mapping[str, Any]
    ) -> dict[str, Any]:
        csv, d = arrow.module("pyarrow.csv"), self.dialect
        return {
            "read_options": csv.ReadOptions(
                block_size=block,
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

    def _check_text(self, table: Any) -> None:
        """Arrow infers bytes where a column has what is no text."""
        types = arrow.module("pyarrow.types")
        for name, kind in zip(table.column_names, table.schema.types, strict=True):
            if types.is_binary(kind):
                raise DataError(diagnosis.of_bytes(self.source, self.dialect, name))
