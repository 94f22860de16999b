"""The rows of a file in memory that is mapped: a table may be larger than memory."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..common.types import Array
from . import arrow

ROWS = 2**16
"""The most rows of a part."""

MOST_ROWS = 10_000_000
"""Of a file to learn from; of more some are taken by chance. Besides the values, training keeps
some hundred bytes of each row in memory."""


def table_of(parts: Iterable[Any], folder: Path) -> Any:
    """One pyarrow Table of these, one at least, below one another.

    Its memory is that of a file in the folder, whose name is gone when this returns.
    """
    from ..tabular import mapped_rows

    pa, ipc = arrow.module("pyarrow"), arrow.module("pyarrow.ipc")
    each = iter(parts)
    first = next(each)
    with mapped_rows.new_file(folder) as (path, file):
        # A stream, unlike a file of Arrow, may have other levels of a category in each part.
        with ipc.new_stream(file, first.schema) as written:
            for part in chain([first], each):
                written.write_table(part)
        file.flush()
        return ipc.open_stream(pa.memory_map(str(path))).read_all()


def chosen(parts: Iterable[Any], rows: int, seed: int) -> Iterator[Any]:
    """The rows of all parts; about ``MOST_ROWS`` by chance where there are more. rows: of all."""
    share, random = MOST_ROWS / max(rows, 1), np.random.default_rng(seed)
    for part in parts:
        yield part if share >= 1 else only(part, random.random(part.num_rows) < share)


def slices(table: Any) -> Iterator[Any]:
    """The rows of a table, some at a time."""
    for start in range(0, table.num_rows, ROWS):
        yield table.slice(start, ROWS)


def parts_of(table: Any, kept: Array) -> Iterator[Any]:
    """The rows of a table for which ``kept`` is True, some at a time."""
    for start in range(0, table.num_rows, ROWS):
        yield only(table.slice(start, ROWS), kept[start : start + ROWS])


def only(part: Any, kept: Array) -> Any:
    """The rows of a table, or of a column, for which ``kept`` is True, (rows,)."""
    return part if kept.all() else part.filter(arrow.module("pyarrow").array(kept))
