"""The values of a column as numbers, text, bool or seconds, whatever its type of Arrow.

A missing value is null, NaN, NaT, or text that is in ``MISSING`` once spaces around it are gone.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..common.types import Array, Floats, Ints
from . import date_text

Seconds: TypeAlias = npt.NDArray[np.datetime64]
"""datetime64[s], NaT where missing."""

MISSING = ("", "NA", "N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL")
"""Text that stands for a missing value."""

NUMBER = r"(?i)^-?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)$"
BOOLS = {"true": True, "false": False, "1": True, "0": False}

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Seconds of each unit of time."""

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
    if is_text(kind):
        return numbers_in(clean(array))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        _refuse(array, pc.is_valid(array))
        return np.full(len(array), np.nan)
    factor = 1.0
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        factor = UNITS[kind.unit]
        array = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    floats = _array(array.cast(pa.float64(), safe=False))
    return floats if factor == 1 else np.asarray(floats * factor)


def numbers_in(texts: pa.DictionaryArray) -> Floats:
    """The numbers that texts hold, NaN where missing. texts: as of ``text``."""
    words = texts.dictionary
    _refuse_words(texts, pc.invert(pc.match_substring_regex(words, NUMBER)))
    return _array(words.cast(pa.float64()).take(texts.indices))


def is_infinite(x: Floats) -> Array:
    """Whether each number is infinite, or nearly."""
    return np.asarray((x > LARGEST) | (x < -LARGEST))


def text(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Text without spaces around it, null where missing; 3.0 is written as 3.

    The words of its dictionary, large_string, differ, and each is there. So equal texts are looked
    at once.
    """
    array = plain(column)
    if is_text(array.type):
        return clean(array)
    if pa.types.is_floating(array.type):
        floats = array.to_numpy(zero_copy_only=False)
        array = pa.array(floats + 0.0, from_pandas=True)  # NaN is missing, and -0 is 0
    if pa.types.is_duration(array.type):
        array = array.cast(pa.int64())  # in its unit: Arrow has no text for durations
    return array.cast(pa.large_string()).dictionary_encode()


def clean(array: pa.Array) -> pa.DictionaryArray:
    """Text without spaces around it, null for what stands for a missing value."""
    encoded = array.dictionary_encode()
    words = pc.utf8_trim_whitespace(encoded.dictionary)
    is_missing = pc.is_in(words, value_set=pa.array(MISSING, words.type))
    words = pc.if_else(is_missing, pa.scalar(None, words.type), words)
    words = words.dictionary_encode()  # without spaces some may be equal
    return pa.DictionaryArray.from_arrays(words.indices.take(encoded.indices), words.dictionary)


def booleans(column: pa.ChunkedArray) -> pa.Array:
    """Bool, null where missing. Numbers are 0 and 1; text is true or false in any case, 0 or 1."""
    array = plain(column)
    if pa.types.is_boolean(array.type):
        return array
    texts = text(column)
    words = pc.utf8_lower(texts.dictionary)
    place = pc.index_in(words, value_set=pa.array(list(BOOLS), words.type))
    _refuse_words(texts, pc.is_null(place), array)
    return pa.array(list(BOOLS.values()), pa.bool_()).take(place).take(texts.indices)


def seconds(column: pa.ChunkedArray, form: str = "") -> Seconds:
    """The seconds since 1970 of each date, by the clock of its own time zone; NaT where missing.

    form: how text is read, one of ``date_text.FORMS``; "" is ISO 8601.
    """
    array = plain(column)
    kind = array.type
    if is_text(kind):
        return seconds_in(clean(array), form or date_text.ISO)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = pc.local_timestamp(array)
    elif not pa.types.is_timestamp(kind) and not pa.types.is_date(kind):
        _refuse(array, pc.invert(pc.is_null(array, nan_is_null=True)))
        return np.full(len(array), np.datetime64("NaT", "s"))
    stamps = array.cast(pa.timestamp("s"), safe=False)
    return np.asarray(_array(stamps), "M8[s]")


def seconds_in(texts: pa.DictionaryArray, form: str) -> Seconds:
    """The dates that texts hold, NaT where missing. texts: as of ``text``; form: as in FORMS."""
    found = date_text.read(texts.dictionary, form)
    _refuse_words(texts, pa.array(np.isnat(found)))
    return np.asarray(np.append(found, np.datetime64("NaT", "s"))[places(texts)])


def places(texts: pa.DictionaryArray) -> Ints:
    """The place of each text in the dictionary, -1 where it is missing."""
    return _array(pc.fill_null(texts.indices, -1))


def _array(array: pa.Array) -> Array:
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _refuse(array: pa.Array, wrong: pa.Array) -> None:
    """Unreadable for the first value that is wrong."""
    row = pc.index(wrong, value=True).as_py()
    if row >= 0:
        raise Unreadable(row, array[row].as_py())


def _refuse_words(texts: pa.DictionaryArray, wrong: pa.Array, shown: pa.Array = None) -> None:
    """Unreadable for the first text whose word is wrong, with the value that is to be shown."""
    if pc.any(wrong).as_py():
        _refuse(texts if shown is None else shown, wrong.take(texts.indices))
