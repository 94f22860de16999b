"""pyarrow, imported when a table is first read."""

from typing import Any

from ..common.optional import need


def module(name: str) -> Any:
    """``pyarrow``, or a part of it; where it is missing an error with what to install."""
    return need(name, "tabular", "fastbp on the command line")
