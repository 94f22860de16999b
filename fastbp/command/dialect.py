"""How a CSV file is written: its delimiter, decimal mark and encoding, found in its beginning."""

import codecs
import csv
import io
import re
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass

from .errors import DataError, check_names
from .sources import Source

DELIMITERS = (",", ";", "\t", "|")
"""Those that are looked for; a space where none of them fits."""
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}
RECORDS = 200
"""Records of the beginning that are looked at."""
WITH_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
WITH_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
NUMBER = re.compile(r"[+-]?\d*[.,]?\d+(?:[eE][+-]?\d+)?")
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""How files of an encoding begin."""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        delimiter: the character between fields.
        decimal: "." or ",".
        encoding: Python's name of it.
        has_header: whether the first record has the names of the columns.
        names: of the columns.

    """

    delimiter: str
    decimal: str
    encoding: str
    has_header: bool
    names: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"CSV with {NAMES.get(self.delimiter, repr(self.delimiter))}s"]
        if self.decimal == ",":
            parts.append("decimal commas")
        if self.encoding not in ("utf-8", "utf-8-sig"):
            parts.append(self.encoding)
        if not self.has_header:
            parts.append("no header")
        return ", ".join(parts)

    @property
    def is_utf8(self) -> bool:
        """Whether its bytes are read as they are."""
        return self.encoding in ("utf-8", "utf-8-sig")


def sniff(source: Source, options: Namespace) -> Dialect:
    """The dialect of a file, by its beginning and by what the options say of it."""
    encoding = getattr(options, "encoding", None) or _encoding(source.head)
    text = decoded(source, encoding)
    given = getattr(options, "delimiter", None)
    delimiter = given or _delimiter(text, source.is_whole)
    rows = _records(text, delimiter, source.is_whole)
    if not rows:
        raise DataError(f"{source.name} is empty: it has no header and no rows")
    has_header = not getattr(options, "no_header", False)
    names = tuple(rows[0]) if has_header else tuple(f"c{i}" for i in range(len(rows[0])))
    check_names(names, source.name)
    values = rows[1:] if has_header else rows
    decimal = getattr(options, "decimal", None) or _decimal(values, delimiter)
    if decimal == delimiter:
        raise DataError(
            f"{source.name}: the delimiter and the decimal mark are both {decimal!r}: "
            "give another --delimiter or --decimal"
        )
    return Dialect(delimiter, decimal, encoding, has_header, names)


def looks_like_data(names: tuple[str, ...]) -> bool:
    """Whether a header is more likely a row: all its names are numbers."""
    return all(NUMBER.fullmatch(name.strip()) for name in names)


def decoded(source: Source, encoding: str) -> str:
    """The beginning as text. DataError with the line where it is none of this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(source.head, final=source.is_whole)
    except UnicodeDecodeError as error:
        line = source.head[: error.start].count(b"\n") + 1
        byte = source.head[error.start]
        raise DataError(not_of_encoding(source.name, line, byte, encoding)) from None
    if "\0" in text:
        raise DataError(
            f"{source.name} is no text: it has zero bytes. Tables come as CSV, Parquet or Feather "
            "files; for UTF-16 without a mark give --encoding utf-16-le"
        )
    return text.removeprefix("\ufeff")  # which pyarrow leaves out, too


def not_of_encoding(name: str, line: int, byte: int, encoding: str) -> str:
    """The sentence for a byte that is no text."""
    other = "latin-1" if encoding.startswith("utf") else "utf-8"
    return (
        f"{name}, line {line:,}: the byte 0x{byte:02x} is no {encoding} text: give the encoding of "
        f"the file, such as --encoding {other}"
    )


def _encoding(head: bytes) -> str:
    return next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")


def _records(text: str, delimiter: str, is_whole: bool) -> list[list[str]]:
    """The first records; of a text that goes on without the last one, which may be cut."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > RECORDS:
                break
    except csv.Error:  # a field as long as the beginning: no record ends
        return rows
    return rows[:RECORDS] if len(rows) > RECORDS or is_whole or len(rows) == 1 else rows[:-1]


def _delimiter(text: str, is_whole: bool) -> str:
    """The delimiter by which most records have as many fields as the first, and the most fields."""
    scores = {one: _fit(_records(text, one, is_whole)) for one in DELIMITERS}
    best = max(DELIMITERS, key=lambda one: scores[one])
    if scores[best] > 0:
        return best
    return " " if _fit(_records(text, " ", is_whole)) > 0 else ","


def _fit(rows: list[list[str]]) -> float:
    if not rows or len(rows[0]) < 2:
        return 0.0
    counts = Counter(map(len, rows))
    share = counts[len(rows[0])] / len(rows)
    return len(rows[0]) * share if share > 0.5 else 0.0


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """A comma where some column is all numbers with commas, and none has numbers with points."""
    if delimiter == ",":
        return "."
    even = [row for row in rows if len(row) == len(rows[0])]
    columns = [[v.strip() for v in column if v.strip()] for column in zip(*even, strict=True)]
    numbers = [column for column in columns if all(map(NUMBER.fullmatch, column))]
    commas, points = (
        any(mark.fullmatch(v) for column in numbers for v in column)
        for mark in (WITH_COMMA, WITH_POINT)
    )
    return "," if commas and not points else "."
