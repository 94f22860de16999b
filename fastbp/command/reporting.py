"""``fastbp report``: a page about a model, on rows with known targets."""

from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..storage import atomic
from . import arrow, evaluating, inputs, predictions, stored, target, writing
from .messages import count, say

MOST_ROWS = 1_000_000
"""Of a file; of more so many are drawn by chance."""


def run(options: Namespace) -> int:
    """Read the rows, and write the page."""
    output = getattr(options, "output", None) or f"{Path(options.model).stem}.html"
    atomic.target(output)  # before anything is read
    writing.check_apart(output, "--output", options.data, options.model)
    model = inputs.load(options.model)
    file = inputs.open_for(model, options)
    wanted = evaluating.wanted(model, file, options)
    table, rows = drawn(part for _, part in evaluating.with_targets(file, wanted))
    task = target.CLASSIFICATION if predictions.is_classifier(model) else target.REGRESSION
    from . import report

    with predictions.naming(file.source.name, 0):
        report.write(
            model,
            table.select(inputs.needed(model)),
            target.values(table, wanted.names, task),
            output,
            source=file.source.name,
            weights=None if wanted.weight is None else target.weights_of(table, wanted.weight),
            drawn_from=0 if rows == table.num_rows else rows,
        )
    taken = "" if rows == table.num_rows else f", of which {table.num_rows:,} were drawn"
    say(f"{file.source.name}: {file}, {count(rows, 'row')}{taken}")
    print(output)
    return 0


def drawn(tables: Iterable[Any]) -> tuple[Any, int]:
    """(the rows of all tables as one, how many there were).

    Of more than ``MOST_ROWS`` so many are drawn: each row has a random number, and those of the
    smallest ones stay. At most twice as many are in memory, besides those of a table.
    """
    random, limit, rows = np.random.default_rng(0), 1.0, 0
    kept: list[tuple[Any, Any]] = []
    for table in tables:
        rows += table.num_rows
        kept.append(_below(limit, table, random.random(table.num_rows)))
        if sum(one.num_rows for one, _ in kept) >= 2 * MOST_ROWS:
            limit = _limit(kept)
            kept = [_below(limit, *one) for one in kept]
    if rows > MOST_ROWS:
        limit = _limit(kept)
    found = [_below(limit, *one)[0] for one in kept]
    return arrow.module("pyarrow").concat_tables(found), rows


def _limit(kept: list[tuple[Any, Any]]) -> float:
    """The number below which ``MOST_ROWS`` rows of more have theirs."""
    numbers = np.concatenate([numbers for _, numbers in kept])
    if len(numbers) <= MOST_ROWS:
        return 1.0
    return float(np.partition(numbers, MOST_ROWS)[MOST_ROWS])


def _below(limit: float, table: Any, numbers: Any) -> tuple[Any, Any]:
    """The rows whose number is below the limit, and their numbers."""
    kept = numbers < limit
    return stored.only(table, kept), numbers[kept]
