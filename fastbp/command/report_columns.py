"""What a report says of the columns of a table: their kinds, their values, their importance."""

from collections.abc import Sequence
from typing import Any

from .permutation import Importance
from .report_page import Section, bar, name, number, paragraph, percent, table, text

MOST_RANKED = 30
"""Columns whose importance is listed."""

MOST_DESCRIBED = 500
"""Columns of the schema table."""

MOST_LEVELS = 3
"""Levels of a category that are named."""


def importance(found: Sequence[Importance], what: str, n_rows: int, repeats: int) -> Section:
    """The columns by the rise of the error where they are shuffled. what: the error's name."""
    shown = found[:MOST_RANKED]
    ends = (
        min(0.0, *(one.mean - one.std for one in shown)) if shown else 0.0,
        max(0.0, *(one.mean + one.std for one in shown)) if shown else 0.0,
    )
    lines = (
        (
            name(one.column),
            bar(one.mean - one.std, one.mean, one.mean + one.std, ends),
            number(one.mean),
            f"± {number(one.std, 2)}",
        )
        for one in shown
    )
    sentences = [
        f"How much the {text(what)} rises where a column is shuffled and tells nothing any more.",
        f"Mean and standard deviation of {repeats} shuffles of {n_rows:,} rows.",
        "Columns that tell the same share their importance: each looks small beside the other.",
    ]
    if len(found) > len(shown):
        rest = found[len(shown)].mean
        sentences.append(
            f"{len(found) - len(shown):,} further columns raise it by {number(rest)} at most."
        )
    head = ("column", "", "rise", "spread")
    body = paragraph(*sentences) + table(f"Rise of the {text(what)}.", head, lines, "ww")
    return Section("importance", "Importance of columns", body)


def schema(columns: Sequence[Any], whole: Any, learned: Any) -> Section:
    """The columns that the model knows.

    Args:
        columns: the ``Column``s of the model's schema.
        whole: the pyarrow Table as it came.
        learned: its columns as the model reads them.

    """
    lines = []
    for column in columns[:MOST_DESCRIBED]:
        source = learned if column.name in learned.column_names else whole
        values = source[column.name] if column.name in source.column_names else None
        lines.append(_described(column, values))
    kinds = [column.kind for column in columns]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    listed = ", ".join(f"{n:,} {text(kind)}" for kind, n in counts.items())
    sentence = f"{len(columns):,} columns: {listed}."
    if len(columns) > MOST_DESCRIBED:
        sentence += f" The first {MOST_DESCRIBED} are listed."
    head = ("column", "kind", "missing", "values", "remark")
    caption = "Kinds are those learned in training; missing and values are of this file."
    body = paragraph(sentence) + table(caption, head, lines, "ww ww")
    return Section("columns", "Columns", body)


def _described(column: Any, values: Any) -> tuple[str, str, str, str, str]:
    why = text(column.why or "")
    if values is None:
        return name(column.name), text(column.kind), "-", "-", why
    missing = _share_missing(values)
    return name(column.name), text(column.kind), percent(missing), _values(column.kind, values), why


def _share_missing(values: Any) -> float:
    import pyarrow.compute as pc

    if not len(values):
        return 0.0
    return float(pc.sum(pc.is_null(values, nan_is_null=True)).as_py()) / len(values)


def _values(kind: str, values: Any) -> str:
    """The range of numbers and dates; of others the most frequent values: HTML."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there = values.filter(pc.invert(pc.is_null(values, nan_is_null=True)))
    if len(there) == 0:
        return "none"
    if kind in ("number", "date"):
        ends = pc.min_max(there).as_py()
        shown = number if kind == "number" else _date
        return f"{shown(ends['min'])} to {shown(ends['max'])}"
    try:
        return _levels(there.cast(pa.large_string()), len(values))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists and bytes, which are dropped
        return ""


def _date(value: Any) -> str:
    """As in ISO 8601, the time of day where it is not midnight."""
    return text(value).removesuffix(" 00:00:00")


def _levels(values: Any, n_rows: int) -> str:
    """How many there are, and the most frequent ones with their shares of rows."""
    import pyarrow.compute as pc

    counts = pc.value_counts(values)
    order = pc.array_sort_indices(counts.field("counts"), order="descending")
    named = ", ".join(
        f"{name(one['values'])} {percent(one['counts'] / n_rows)}"
        for one in counts.take(order[:MOST_LEVELS]).to_pylist()
    )
    return f"{len(counts):,}: {named}{', …' if len(counts) > MOST_LEVELS else ''}"
