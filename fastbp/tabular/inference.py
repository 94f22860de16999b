"""What each column of a table is: numbers, bool, categories, dates, or nothing to learn from."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..common.types import Array, Floats, Ints
from . import columns, date_text, values
from .columns import DROPPED, Column

MANY_LEVELS = 50
"""Text that holds numbers alone is a category up to so many different ones, and numbers beyond."""

LEADING_ZERO = r"^0\d"
"""What numbers in text begin with that are codes."""

IDENTIFIER = "every value differs: an identifier"

COUNTED_ROWS, DENSE = 200, 10
"""From so many rows on, whole numbers that all differ are taken for a count of rows where they lie
within so many times as many: n drawn by chance from 10 n all differ once in exp(n / 20) times."""

IDENTIFIERS = ("id", "index", "rowid", "rownames", "row", "uuid", "unnamed: 0", "")
"""Names of columns that tell rows apart, in lower case; what ends in "_id" is such a name, too."""


def least_rows(rows: int) -> int:
    """The least number of rows of a level that has an input of its own.

    What fewer rows share is rarely both learned and tried on held-out rows. Small tables, where
    this would leave nothing, keep all levels.
    """
    return min(3, 1 + rows // 100)


def column_of(name: str, data: pa.ChunkedArray, wanted: str | None = None) -> Column:
    """What a column is; ``wanted`` is a kind to read it as, by the user's word.

    TypeError for a type with several values in a row. ValueError where it is not as wanted.
    """
    natural = values.natural_kind(data.type)
    if natural is None:
        raise TypeError(
            f"X has type {data.type} in column {name!r}, which holds several values in a row: make "
            f"a column of each, or leave it out by drop=[{name!r}]"
        )
    if pa.types.is_dictionary(data.type):
        wanted = wanted or "category"  # whoever made it has said so
    look = WANTED[wanted] if wanted else FOUND[natural]
    with columns.naming("X", name, wanted or natural, " or ".join(date_text.FORMS)):
        found = look(name, data)
    if found.missing == len(data):
        return Column(name, DROPPED, "nothing but missing values", missing=len(data))
    return found


def _number(name: str, data: pa.ChunkedArray) -> Column:
    return _of_numbers(name, values.numbers(data))


def _of_numbers(name: str, x: Floats) -> Column:
    present = x[~np.isnan(x)]
    infinite, missing = int(values.is_infinite(present).sum()), len(x) - len(present)
    if infinite and infinite == len(present):
        return Column(name, DROPPED, "no finite value", missing=missing)
    if len(present) and present.min() == present.max() and not missing:
        return Column(name, DROPPED, f"constant: always {present[0]:g}")
    why = f"{infinite} infinite, read as the largest and least finite ones" if infinite else ""
    return Column(name, "number", why, missing=missing)


def _found_number(name: str, data: pa.ChunkedArray) -> Column:
    exact = None
    if pa.types.is_int64(data.type) or pa.types.is_uint64(data.type):  # not all are floats
        exact = np.asarray(data.drop_null().to_numpy())
    return _found_in_numbers(name, values.numbers(data), exact)


def _found_in_numbers(name: str, x: Floats, exact: Array | None = None) -> Column:
    found = _of_numbers(name, x)
    present = x[~np.isnan(x)] if exact is None else exact
    if found.kind != DROPPED and _tells_rows_apart(name, present):
        return Column(name, DROPPED, IDENTIFIER, missing=found.missing)
    return found


def _tells_rows_apart(name: str, present: Array) -> bool:
    """Whether whole numbers all differ, and lie densely or have the name of an identifier."""
    rows = len(present)
    if rows < COUNTED_ROWS or _have_fractions(present[:COUNTED_ROWS]) or _have_fractions(present):
        return False
    if values.is_infinite(present).any():
        return False
    low, high = int(present.min()), int(present.max())
    if high - low < DENSE * rows:
        seen = np.zeros(high - low + 1, bool)
        seen[(present - present.min()).astype(np.int64)] = True
        return int(np.count_nonzero(seen)) == rows
    is_named = name.strip().lower() in IDENTIFIERS or name.lower().endswith("_id")
    return is_named and len(np.unique(present)) == rows


def _have_fractions(x: Array) -> bool:
    return x.dtype.kind == "f" and bool((np.floor(x) != x).any())


def _boolean(name: str, data: pa.ChunkedArray) -> Column:
    found = values.booleans(data)
    levels = found.unique().drop_null()
    if len(levels) == 1 and not found.null_count:
        return Column(name, DROPPED, f"constant: always {str(levels[0]).lower()}")
    return Column(name, "boolean", missing=found.null_count)


def _category(name: str, data: pa.ChunkedArray) -> Column:
    return _of_levels(name, values.text(data))


def _found_category(name: str, data: pa.ChunkedArray) -> Column:
    """Text may hold dates, or numbers."""
    texts = values.text(data)
    levels = texts.dictionary
    forms = date_text.forms_of(levels)
    if forms and len(levels) > 1:
        return _dated(name, texts, forms)
    if len(levels) > MANY_LEVELS and _are_numbers(levels):
        found = _found_in_numbers(name, values.numbers_in(texts))
        return found if found.why else replace(found, why="text that holds numbers")
    return _of_levels(name, texts)


def _are_numbers(levels: pa.Array) -> bool:
    """Whether texts are numbers and no codes. The first ones are looked at before all others."""
    for some in (levels.slice(0, date_text.FEW), levels):
        if not pc.all(pc.match_substring_regex(some, values.NUMBER)).as_py():
            return False
    return not pc.any(pc.match_substring_regex(levels, LEADING_ZERO)).as_py()


def _of_levels(name: str, texts: pa.DictionaryArray) -> Column:
    levels, counts = texts.dictionary, counts_of(texts)
    missing, least = texts.null_count, least_rows(len(texts))
    if len(levels) == 1 and not missing:
        return Column(name, DROPPED, f"constant: always {levels[0].as_py()!r:.60}")
    if len(levels) > 1 and counts.max() == 1:
        return Column(name, DROPPED, IDENTIFIER, missing=missing)
    if len(levels) > 1 and counts.max() < least:
        why = f"no value in {least} rows or more: free text, or an identifier"
        return Column(name, DROPPED, why, missing=missing)
    plural = "s" if len(levels) != 1 else ""
    return Column(name, "category", f"{len(levels)} level{plural}", missing=missing)


def counts_of(texts: pa.DictionaryArray) -> Ints:
    """The number of rows of each word of the dictionary."""
    places = np.asarray(texts.indices.drop_null())
    return np.bincount(places, minlength=len(texts.dictionary))


def _date(name: str, data: pa.ChunkedArray) -> Column:
    if values.is_text(values.plain(data).type):
        texts = values.text(data)
        return _dated(name, texts, date_text.forms_of(texts.dictionary) or [date_text.ISO])
    return _spread(name, values.seconds(data))


def _dated(name: str, texts: pa.DictionaryArray, forms: list[str]) -> Column:
    why = f"which could be {' or '.join(forms[1:])} as well" if len(forms) > 1 else ""
    return _spread(name, values.seconds_in(texts, forms[0]), why, forms[0])


def _spread(name: str, stamps: values.Seconds, why: str = "", form: str = "") -> Column:
    is_missing = np.isnat(stamps)
    missing, present = int(is_missing.sum()), stamps[~is_missing]
    if len(present) and present.min() == present.max() and not missing:
        return Column(name, DROPPED, f"constant: always {present[0]}")
    return Column(name, "date", why, form, missing)


Look: TypeAlias = Callable[[str, pa.ChunkedArray], Column]

WANTED: dict[str, Look] = {
    "number": _number,
    "boolean": _boolean,
    "category": _category,
    "date": _date,
}
"""How a column is looked at that the user wants to have read as this kind."""

FOUND = WANTED | {"number": _found_number, "category": _found_category}
"""How one is looked at by the kind of its type."""
