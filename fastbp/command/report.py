"""A report on a model for tables: one HTML page that stands alone."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..common.optional import need
from ..common.types import Array
from ..storage import atomic
from . import permutation, report_columns, report_page, report_record, report_scores, scores
from .remembered import Remembered
from .report_page import Section, name, paragraph
from .report_rows import Rows, read

REPEATS = 5
"""Shuffles of each column."""


def write(
    model: Any,
    table: Any,
    y: Any,
    path: str | os.PathLike[str],
    *,
    source: str,
    weights: Any = None,
    drawn_from: int = 0,
) -> None:
    """Write a page on how a fitted model for tables does on rows whose targets are known.

    The page has scores, training curves, the confusion matrix and calibration of a classifier or
    the errors and quantiles of a regressor, importance by permutation, columns, and the record of
    the training. It loads nothing from elsewhere and has no script.

    Args:
        model: a fitted or loaded ``TabularClassifier`` or ``TabularRegressor``.
        table: pyarrow Table with the columns that the model learned from, and maybe others.
        y: targets (n,), or (n, targets) or a Table for a regression. Rows without one are left out.
        path: the file to write. It is replaced once the page is complete.
        source: where the rows come from, as the page says it; of a file also its checksum is told.
        weights: of the rows, (n,): finite, none below 0.
        drawn_from: the rows of the source, of which those of the table were drawn by chance; 0
            where they are all of them.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError, TypeError: y or weights do not fit, no row has a target, a column is missing.
        OSError: the file cannot be written.

    """
    need("matplotlib", "plot", "a report")
    atomic.target(path)
    begin = time.perf_counter()
    rows = replace(read(model, table, y, weights), drawn_from=drawn_from)
    sections = list(_sections(model, rows))
    seconds = time.perf_counter() - begin
    sections.append(report_record.record(model, rows, source, seconds))
    page = report_page.page(
        _title(model, rows, source),
        _intro(model, source),
        sections,
        paragraph("Made by fastbp. The page is complete: it loads nothing from elsewhere."),
    )
    with atomic.replacing(path) as file:
        file.write(page.encode())


def _title(model: Any, rows: Rows, source: str) -> str:
    """The task, what is predicted where that is known, and the file."""
    task = "Classification" if hasattr(model, "classes_") else "Regression"
    targets = Remembered.of(model).targets
    what = f" of {', '.join(targets)}" if 0 < len(targets) <= 3 else ""
    if not what and len(rows.targets) > 1:
        what = f" of {len(rows.targets):,} targets"
    return f"{task}{what}: {Path(source).name or source}"


def _intro(model: Any, source: str) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    sentences = [f"A model of {len(model.ensemble_):,} networks on {name(source)}, {now}."]
    if hasattr(model, "classes_"):
        shown = ", ".join(name(one) for one in model.classes_[:10].tolist())
        more = ", …" if len(model.classes_) > 10 else "."
        sentences.append(f"{len(model.classes_):,} classes: {shown}{more}")
    return paragraph(*sentences)


def _sections(model: Any, rows: Rows) -> Iterator[Section]:
    yield from (_of_classes if hasattr(model, "classes_") else _of_numbers)(model, rows)
    yield _training(model)
    yield _importance(model, rows)
    schema = model.encoder_.schema
    yield report_columns.schema(schema.columns, rows.table, schema.check(rows.table))


def _of_classes(model: Any, rows: Rows) -> Iterator[Section]:
    from . import report_sections as parts

    p = np.asarray(model.predict_proba(rows.table), dtype=np.float64)
    found = report_scores.of_classes(rows.y, p, rows.weights)
    yield parts.headline(found, rows, model.validation_score_)
    yield parts.confusion(rows.y, p.argmax(axis=1), model.classes_)
    yield parts.calibration(rows.y, p, rows.weights, model.classes_, model.temperature_)


def _of_numbers(model: Any, rows: Rows) -> Iterator[Section]:
    from . import report_sections as parts

    p = _predicted(model, rows.table)
    quantiles = np.asarray(model.predict_quantiles(rows.table, parts.LEVELS), dtype=np.float64)
    found = parts.mean_scores(rows.y, p, rows.weights)
    yield parts.headline(found, rows, model.validation_score_)
    quantiles = quantiles.reshape(*p.shape, len(parts.LEVELS))
    yield parts.errors(rows.y, p, rows.weights, quantiles, rows.targets)


def _predicted(model: Any, table: Any) -> Array:
    """(n, targets), float64."""
    return np.asarray(model.predict(table), dtype=np.float64).reshape(table.num_rows, -1)


def _training(model: Any) -> Section:
    from . import report_figures

    members = model.record_.get("members", ())
    drawn = report_figures.training(model.histories_, [one["best_epoch"] for one in members])
    none = paragraph("The model has no record of its epochs.")
    return Section("training", "Training", report_page.pictures(drawn) if drawn else none)


def _importance(model: Any, rows: Rows) -> Section:
    columns = [one.name for one in model.encoder_.schema.columns if one.kind != "dropped"]
    n_parameters = model.ensemble_.n_parameters
    some = rows.some(permutation.n_rows(len(rows.y), len(columns), n_parameters, REPEATS))
    error, what = _error(model, some)
    found = permutation.importances(error, some.table, columns, repeats=REPEATS)
    return report_columns.importance(found, what, len(some.y), REPEATS)


def _error(model: Any, rows: Rows) -> tuple[Callable[[Any], float], str]:
    """The error of the model on a table with these targets, and what it is called."""
    if hasattr(model, "classes_"):

        def log_loss(table: Any) -> float:
            p = np.asarray(model.predict_proba(table))
            return scores.mean(scores.surprise(rows.y, p), rows.weights)[0]

        return log_loss, "log loss"
    spread = rows.y.std(axis=0)
    has_one = len(spread) == 1
    scale = 1.0 if has_one else np.where(spread > 0, spread, 1.0)

    def rmse(table: Any) -> float:
        squares = np.square((_predicted(model, table) - rows.y) / scale)
        return float(np.sqrt(rows.weights @ squares / rows.weights.sum()).mean())

    return rmse, "RMSE" if has_one else "mean relative RMSE"
