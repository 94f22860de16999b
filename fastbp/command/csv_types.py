"""The types of the columns of a CSV file, by all of its rows."""

import csv
import io
from typing import Any

from . import arrow


def widened(written: str, value: str, decimal: str) -> Any:
    """The narrowest of Arrow's types that reads this value, and all that another type has read.

    written: the other type, which does not read the value, as errors of pyarrow write it. decimal:
    "." or ",".

    >>> from fastbp.command.csv_types import widened
    >>> [str(widened("int64", value, ".")) for value in ("1.5", "many")]
    ['double', 'string']
    """
    pa, types = arrow.module("pyarrow"), arrow.module("pyarrow.types")
    try:
        kind = pa.type_for_alias(written)
    except ValueError:  # times with a zone
        return pa.string()
    other = _type_of(value, decimal)
    if types.is_null(kind):
        return other
    if types.is_integer(kind) and types.is_floating(other):
        return other
    if (types.is_date(kind) or types.is_timestamp(kind)) and types.is_timestamp(other):
        return other if other != kind else pa.string()
    return pa.string()


def _type_of(value: str, decimal: str) -> Any:
    """The type that pyarrow infers for a column of this one value."""
    module, text = arrow.module("pyarrow.csv"), io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([["x"], [value]])
    table = module.read_csv(
        io.BytesIO(text.getvalue().encode()),
        parse_options=module.ParseOptions(newlines_in_values=True),
        convert_options=module.ConvertOptions(decimal_point=decimal),
    )
    return table.schema.types[0]
