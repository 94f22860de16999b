"""``fastbp train``: from a file to a model."""

import time
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

from ..common.types import Array
from ..storage import atomic
from . import arrow, predictions, remembered, rows, settings, target
from .errors import INTERRUPTED, DataError, UsageError
from .interrupts import CtrlC
from .messages import count, number, pairs, say, show
from .progress import Progress
from .reading import TableFile, check_column, open_table
from .remembered import Remembered
from .shelf import Shelf
from .target import CLASSIFICATION, Task


class Rows(NamedTuple):
    """What an estimator learns from, or is validated by."""

    X: Any
    y: Array
    weights: Array | None

    def take(self, places: Array) -> "Rows":
        """Some of the rows."""
        weights = None if self.weights is None else self.weights[places]
        return Rows(self.X.take(places), self.y[places], weights)

    @property
    def given(self) -> tuple[Any, ...]:
        """As ``validation_data``."""
        return (self.X, self.y) if self.weights is None else tuple(self)


def run(options: Namespace) -> int:
    """Train the model, write it, and show what it is worth."""
    names = getattr(options, "target", None)
    if not names:
        raise UsageError("--target is missing: the column to predict")
    given = settings.arguments(options)
    path = Path(getattr(options, "model", None) or _default_model(options.data))
    atomic.target(path)  # before the training: it may take long
    start = time.perf_counter()
    file = open_table(options.data, options, keep=True)
    table = _read(file, options, names, given)
    task, data = _prepared(file, table, names, options)
    train, validation = _validated(data, task, table.schema, options)
    model = _estimator(task, given)
    with predictions.naming(file.source.name, 0):
        say(_about_columns(train.X, given))
        shelf = Shelf(path)
        shelf.prepare(getattr(options, "resume", False))
        interrupted = _fit(model, train, validation, shelf)
    Remembered(
        targets=names,
        columns=list(file.names),
        types=remembered.types_of_schema(table.schema),
        has_header=not getattr(options, "no_header", False),
    ).keep(model)
    model.save(path)
    if not interrupted:
        shelf.clear()
    _show(model, path, task, options, time.perf_counter() - start)
    if interrupted:
        say(f"stopped by Ctrl-C: {path} has the best networks so far; --resume goes on")
    return INTERRUPTED if interrupted else 0


def _default_model(data: str) -> str:
    """``flights.safetensors`` for ``data/flights.csv.gz``."""
    name = "model" if data == "-" else Path(data).name.partition(".")[0]
    return f"{name or 'model'}.safetensors"


def _read(file: TableFile, options: Namespace, names: list[str], given: dict[str, Any]) -> Any:
    """The table, once the columns are found that the options name."""
    for name in names:
        check_column(file, name, "--target")
    if len(set(names)) < len(names):
        raise UsageError("--target has the same column twice")
    weight = getattr(options, "weight", None)
    if weight is not None:
        check_column(file, weight, "--weight")
    for name in given.get("drop", ()):
        check_column(file, name, "--drop")
    for name in {weight, *given.get("drop", ())} & set(names):
        raise UsageError(f"{name!r} is the target, and cannot be a weight or be dropped as well")
    kinds = given.get("kinds")
    kinds = kinds if isinstance(kinds, dict) else {}
    as_text = [name for name in file.names if kinds.get(name) == "category"]  # 007 is not 7
    table = file.table(dict.fromkeys(as_text, arrow.module("pyarrow").string()))
    shape = f"{count(table.num_rows, 'row')}, {count(table.num_columns, 'column')}"
    say(f"{file.source.name}: {file}, {shape}")
    if table.num_rows == 0:
        raise DataError(f"{file.source.name} has a header, and no rows to learn from")
    return table


def _prepared(
    file: TableFile, table: Any, names: list[str], options: Namespace
) -> tuple[Task, Rows]:
    known = target.known_rows(table, names)
    missing = int((~known).sum())
    if missing == len(known):
        raise DataError(f"{file.source.name}: target {names[0]!r} has no value in any row")
    if missing:
        say(f"{count(missing, 'row')} without a target left out")
        table = table.filter(arrow.module("pyarrow").array(known))
    task = target.choose(getattr(options, "task", None) or "auto", table, names)
    say(f"target {', '.join(names)}: {task.name}, because {task.why}{task.remedy}")
    return task, _rows(table, names, task, getattr(options, "weight", None))


def _rows(table: Any, names: list[str], task: Task, weight: str | None) -> Rows:
    weights = None if weight is None else target.weights_of(table, weight)
    others = {*names, *([] if weight is None else [weight])}
    inputs = [name for name in table.column_names if name not in others]
    if not inputs:
        raise DataError("there is no column besides the target: there is nothing to learn from")
    return Rows(table.select(inputs), target.values(table, names, task.name), weights)


def _validated(data: Rows, task: Task, schema: Any, options: Namespace) -> tuple[Rows, Rows | None]:
    """The rows to train on, and those to validate by; None where each network holds rows out.

    schema: pyarrow's, of the training file.
    """
    share, path = getattr(options, "split", None), getattr(options, "valid", None)
    if share is not None:
        labels = data.y if task.name == CLASSIFICATION else None
        kept, held = rows.split(labels, len(data.y), share, getattr(options, "seed", 0))
        return data.take(kept), data.take(held)
    if path is None:
        return data, None
    names, weight = options.target, getattr(options, "weight", None)
    file = open_table(path, options, keep=True)
    for name in (*names, *([] if weight is None else [weight])):
        check_column(file, name, "the column")
    kinds = {name: schema.field(name).type for name in schema.names if name in file.names}
    types = {name: remembered.as_read(kind) for name, kind in kinds.items()}
    if task.name == CLASSIFICATION:
        types[names[0]] = kinds[names[0]]
    table = file.table(types)
    table = table.filter(arrow.module("pyarrow").array(target.known_rows(table, names)))
    say(f"{file.source.name}: {file}, {count(table.num_rows, 'row')} to validate by")
    return data, _rows(table, names, task, weight)


def _estimator(task: Task, given: dict[str, Any]) -> Any:
    from .. import tabular

    is_classifier = task.name == CLASSIFICATION
    kind = tabular.TabularClassifier if is_classifier else tabular.TabularRegressor
    return settings.estimator(kind, given)


def _about_columns(X: Any, given: dict[str, Any]) -> str:
    """How each column is taken: all of few columns, and of many how many of each kind."""
    from ..tabular.schema import Schema

    schema = Schema.infer(X, drop=given.get("drop", ()), kinds=given.get("kinds"))
    if len(schema.columns) <= 40:
        return "\n".join(f"  {line}" for line in schema.describe())
    kinds = [column.kind for column in schema.columns]
    return "columns: " + ", ".join(f"{kinds.count(kind):,} {kind}" for kind in dict.fromkeys(kinds))


def _fit(model: Any, train: Rows, validation: Rows | None, shelf: Shelf) -> bool:
    """Fit; returns whether Ctrl-C ended it. KeyboardInterrupt where there is nothing to keep."""
    progress = Progress()
    with CtrlC() as ctrl_c:
        try:
            model.fit(
                train.X,
                train.y,
                train.weights,
                validation_data=None if validation is None else validation.given,
                on_epoch=progress,
                keep_in=shelf.folder,
            )
        except KeyboardInterrupt:
            if not hasattr(model, "ensemble_"):
                raise
        finally:
            progress.end()
    return ctrl_c.pressed


def _show(model: Any, path: Path, task: Task, options: Namespace, seconds: float) -> None:
    scores = {key: float(value) for key, value in model.validation_score_.items()}
    found = {
        "command": "train",
        "model": str(path),
        "bytes": path.stat().st_size,
        "target": options.target,
        "task": task.name,
        "why": task.why,
        "networks": len(model.ensemble_),
        "parameters": model.ensemble_.n_parameters,
        "validation": scores,
        "seconds": round(seconds, 3),
    }
    networks = count(len(model.ensemble_), "network")
    lines = {
        "model": f"{path}, {found['bytes']:,} bytes, {networks}",
        "validation": ", ".join(f"{key} {number(value)}" for key, value in scores.items()),
        "seconds": f"{seconds:.1f}",
    }
    show(found, pairs(lines), getattr(options, "json", False))
