"""The values of a column as numbers, text, bool or seconds, whatever its type of Arrow.

A missing value is null, NaN, NaT, or text that is in ``MISSING`` once spaces around it are gone.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..common.types import Array, Floats
from . import date_text

Seconds: TypeAlias = npt.NDArray[np.datetime64]
"""datetime64[s], NaT where missing."""

MISSING = ("", "NA", "N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL")
"""Text that stands for a missing value."""

NUMBER = r"(?i)^-?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)$"
BOOLS = {"true": True, "false": False, "1": True, "0": False}

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Seconds of each unit of time."""

WHOLE = 2.0**53
"""Below this every whole float64 is the integer that its text says."""


LARGEST = 1e300
"""Numbers beyond count as infinite: the difference of two others is finite."""


class Unreadable(Exception):
    """A value that is not of the kind that was asked for, and its row."""

    def __init__(self, row: int, value: Any) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value


def natural_kind(kind: pa.DataType) -> str | None:
    """One of the kinds of a Column; None for a type with several values in a row.

    Dates in text are found by looking at it.
    """
    is_a = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return natural_kind(kind.storage_type)
    if is_a.is_run_end_encoded(kind):
        return natural_kind(kind.value_type)
    if is_a.is_boolean(kind):
        return "boolean"
    if is_a.is_timestamp(kind) or is_a.is_date(kind):
        return "date"
    if is_a.is_primitive(kind) or is_a.is_decimal(kind) or is_a.is_null(kind):
        return None if is_a.is_interval(kind) else "number"  # times and durations, too
    if is_a.is_dictionary(kind):
        return "category" if natural_kind(kind.value_type) else None
    return "category" if is_text(kind) or _is_binary(kind) else None


def is_text(kind: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of text."""
    is_a = pa.types
    return bool(is_a.is_string(kind) or is_a.is_large_string(kind) or is_a.is_string_view(kind))


def _is_binary(kind: pa.DataType) -> bool:
    is_a = pa.types
    views = is_a.is_binary(kind) or is_a.is_large_binary(kind) or is_a.is_binary_view(kind)
    return bool(views or is_a.is_fixed_size_binary(kind))


def plain(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array of a simple type; all text is large_string, nested types stay."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        stored = [chunk.storage for chunk in column.chunks]
        return plain(pa.chunked_array(stored, kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        decoded = [pc.run_end_decode(chunk) for chunk in column.chunks]
        return plain(pa.chunked_array(decoded, kind.value_type))
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if is_text(kind):
        column = column.cast(pa.large_string())
    elif _is_binary(kind):
        column = _decoded(column)
    elif pa.types.is_float16(kind):
        floats = [np.asarray(c.to_numpy(zero_copy_only=False), np.float32) for c in column.chunks]
        column = pa.chunked_array(floats, pa.float32())
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as text; Unreadable for the first that are no UTF-8."""
    try:
        return column.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        for row, value in enumerate(column.to_pylist()):
            try:
                (value or b"").decode()
            except UnicodeDecodeError:
                raise Unreadable(row, value) from None
        raise


def numbers(column: pa.ChunkedArray) -> Floats:
    """Float64, NaN where missing; durations and times of day in seconds. Text may hold numbers."""
    array = plain(column)
    kind = array.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        _refuse(array, pc.is_valid(array))
        return np.full(len(array), np.nan)
    if is_text(kind):
        array = clean(array)
        _refuse(array, pc.invert(pc.match_substring_regex(array, NUMBER)))
    factor = 1.0
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        factor = UNITS[kind.unit]
        array = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    floats = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(floats) if factor == 1 else np.asarray(floats * factor)


def is_infinite(x: Floats) -> Array:
    """Whether each number is infinite, or nearly."""
    return np.asarray(np.abs(x) > LARGEST)


def text(column: pa.ChunkedArray) -> pa.Array:
    """Text without spaces around it, null where missing; whole floats as integers."""
    array = plain(column)
    if is_text(array.type):
        return clean(array)
    if pa.types.is_floating(array.type):
        return _text_of_floats(array)
    if pa.types.is_duration(array.type):
        array = array.cast(pa.int64())  # in its unit: Arrow has no text for durations
    return array.cast(pa.large_string())


def clean(array: pa.Array) -> pa.Array:
    """Text without spaces around it, null for what stands for a missing value.

    Equal texts are looked at once.
    """
    encoded = array.dictionary_encode()
    words = pc.utf8_trim_whitespace(encoded.dictionary)
    is_missing = pc.is_in(words, value_set=pa.array(MISSING, words.type))
    words = pc.if_else(is_missing, pa.scalar(None, words.type), words)
    return words.take(encoded.indices)


def _text_of_floats(array: pa.Array) -> pa.Array:
    floats = np.asarray(array.to_numpy(zero_copy_only=False))
    with np.errstate(invalid="ignore"):
        whole = (np.floor(floats) == floats) & (np.abs(floats) < WHOLE)
    integers = pa.array(np.where(whole, floats, 0).astype(np.int64)).cast(pa.large_string())
    others = pa.array(floats, from_pandas=True).cast(pa.large_string())
    return pc.if_else(pa.array(whole), integers, others)


def booleans(column: pa.ChunkedArray) -> pa.Array:
    """Bool, null where missing. Numbers are 0 and 1; text is true or false in any case, 0 or 1."""
    array = plain(column)
    if pa.types.is_boolean(array.type):
        return array
    words = pc.utf8_lower(text(column))
    known = pa.array(list(BOOLS), words.type)
    place = pc.index_in(words, value_set=known)
    _refuse(array, pc.and_(pc.is_valid(words), pc.is_null(place)))
    return pa.array(list(BOOLS.values()), pa.bool_()).take(place)


def seconds(column: pa.ChunkedArray, form: str = "") -> Seconds:
    """The seconds since 1970 of each date, by the clock of its own time zone; NaT where missing.

    form: how text is read, one of ``date_text.FORMS``; "" is ISO 8601.
    """
    array = plain(column)
    kind = array.type
    if is_text(kind):
        array = clean(array)
        found = date_text.read(array, form or date_text.ISO)
        _refuse(array, pa.array(np.isnat(found) & _array(pc.is_valid(array))))
        return found
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = pc.local_timestamp(array)
    elif not pa.types.is_timestamp(kind) and not pa.types.is_date(kind):
        _refuse(array, pc.is_valid(array))
        return np.full(len(array), np.datetime64("NaT", "s"))
    stamps = array.cast(pa.timestamp("s"), safe=False)
    return np.asarray(stamps.to_numpy(zero_copy_only=False), "M8[s]")


def _array(array: pa.Array) -> Array:
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _refuse(array: pa.Array, wrong: pa.Array) -> None:
    """Unreadable for the first value that is wrong."""
    row = pc.index(wrong, value=True).as_py()
    if row >= 0:
        raise Unreadable(row, array[row].as_py())
