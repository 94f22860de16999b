"""What is wrong with a CSV file, by line and column.

pyarrow reads in blocks and in parallel, and does not say where. After an error, the file is read
once more, record by record, up to the place.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain

from .dialect import Dialect, not_of_encoding
from .errors import DataError
from .sources import GZIP_ERRORS, Source

CONVERSION = re.compile(
    r"In CSV column #(\d+): (?:Row #\d+: )?CSV conversion error to ([^:]+): invalid value '(.*)'",
    re.DOTALL,
)
WIDTH = re.compile(r"Expected (\d+) columns, got (\d+)")
KINDS = {"double": "a number", "int64": "a whole number", "bool": "true or false"}
"""What a type of Arrow is for a reader; the others are dates and times."""


class Explained:
    """A context that turns pyarrow's errors of one file into DataErrors with line and column."""

    def __init__(self, source: Source, dialect: Dialect, names: tuple[str, ...]) -> None:
        self._source, self._dialect, self._names = source, dialect, names

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        if error is None or not isinstance(error, (ValueError, *GZIP_ERRORS)):
            return
        if not isinstance(error, DataError):
            raise DataError(self._sentence(error)) from error

    def _sentence(self, error: BaseException) -> str:
        name, text = self._source.name, str(error)
        if isinstance(error, GZIP_ERRORS):
            return f"{name} is damaged or was cut off: {error}"
        if isinstance(error, UnicodeDecodeError) or "UTF8" in text:
            return of_bytes(self._source, self._dialect, None)
        found = CONVERSION.search(text)
        if found is not None:
            return self._of_value(int(found[1]), found[2], found[3])
        if WIDTH.search(text):
            return self._of_width(text)
        if "straddling" in text:
            return (
                f"{name} has a record that does not end within some megabytes: a quote that is "
                "opened and not closed may be the reason"
            )
        return f"{name} cannot be read as {self._dialect}: {text}"

    def _of_value(self, place: int, kind: str, value: str) -> str:
        column = self._names[place] if place < len(self._names) else f"number {place + 1}"
        wanted = KINDS.get(kind, "a date or time as in training")
        line = next(
            (
                number
                for number, record in records(self._source, self._dialect)
                if place < len(record) and record[place] == value
            ),
            None,
        )
        return (
            f"{self._source.name}{_line(line)}, column {column!r}: {value!r:.80}, expected "
            f"{wanted}: correct it, or leave it empty where the value is not known"
        )

    def _of_width(self, text: str) -> str:
        name, width = self._source.name, len(self._names)
        for number, record in records(self._source, self._dialect):
            if len(record) != width:
                return (
                    f"{name}{_line(number)} has {len(record)} fields, expected {width}, as in the "
                    "first line: put fields with a delimiter in them in quotes, or give the right "
                    "--delimiter"
                )
        return f"{name}: {text}"


def records(
    source: Source, dialect: Dialect, more: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    """The records, each with the number of its first line; none where stdin has been used up.

    more: lines behind those of the file.
    """
    if not source.can_be_read_again:
        return
    limit = csv.field_size_limit(2**31 - 1)
    try:
        with source.open() as raw:
            text = io.TextIOWrapper(raw, dialect.encoding, errors="replace", newline="")
            reader, first = csv.reader(chain(text, more), delimiter=dialect.delimiter), 1
            for record in reader:
                if record:
                    yield first, record
                first = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def check_last_quote(source: Source, dialect: Dialect) -> None:
    """DataError where the file ends within quotes."""
    last = deque(records(source, dialect, ["\n", "end"]), maxlen=1)
    if last and last[0][1] != ["end"]:
        raise DataError(
            f"{source.name}{_line(last[0][0])} has a quote that is opened and not closed: all that "
            'follows would be one field. Close it, or write "" for a quote within quotes'
        )


def of_bytes(source: Source, dialect: Dialect, column: str | None) -> str:
    """The sentence for bytes that are no text, with their line where the file can be read again."""
    where = "" if column is None else f", column {column!r}"
    if source.can_be_read_again and dialect.is_utf8:
        with source.open() as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    return not_of_encoding(source.name, number, line[error.start], "utf-8")
    return (
        f"{source.name}{where} has bytes that are no {dialect.encoding} text: give the encoding of "
        "the file by --encoding"
    )


def _line(number: int | None) -> str:
    return "" if number is None else f", line {number:,}"
