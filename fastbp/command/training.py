"""``fastbp train``: from a file to a model."""

import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage import atomic
from . import predictions, settings, training_rows, writing
from .errors import INTERRUPTED, UsageError
from .interrupts import CtrlC
from .messages import count, number, pairs, say, show
from .progress import Progress
from .shelf import Shelf
from .target import CLASSIFICATION, Task
from .training_rows import Found

if TYPE_CHECKING:
    from ..distributed.group import Group

LEAST_SECONDS = 1e-3
"""The limit of a fit for which reading has left no time."""


def run(options: Namespace, group: "Group | None" = None) -> int:
    """Train the model, write it, and show what it is worth.

    group: ranks that share the networks; each reads the rows, and rank 0 writes the model.
    """
    names = getattr(options, "target", None)
    if not names:
        raise UsageError("--target is missing: the column to predict")
    if group is not None and "-" in (options.data, getattr(options, "valid", None)):
        raise UsageError("- is stdin, which one rank alone can read: give all ranks a file")
    given = settings.arguments(options)
    path = Path(getattr(options, "model", None) or _default_model(options.data))
    read = options.data, getattr(options, "valid", None), getattr(options, "config", None)
    writing.check_apart(str(path), "--model", *read)
    atomic.target(path)  # before the training: it may take long
    start = time.perf_counter()
    with Shelf(path) as shelf:
        found = training_rows.read(options, given, shelf.folder)
        model = _estimator(found.task, given)
        with predictions.naming(found.source, 0):
            shelf.prepare(getattr(options, "resume", False))
            interrupted = _fit(model, found, shelf, time.perf_counter() - start, group)
        found.memory.keep(model)
        if group is None:
            model.save(path)
        else:
            group.of_first(lambda: model.save(path))
        if not interrupted:
            shelf.clear()
    if group is None or group.rank == 0:
        _show(model, path, found.task, options, time.perf_counter() - start)
    if interrupted:
        say(f"stopped by Ctrl-C: {path} has the best networks so far; --resume goes on")
    return INTERRUPTED if interrupted else 0


def _default_model(data: str) -> str:
    """``flights.safetensors`` for ``data/flights.csv.gz``, ``model.safetensors`` for a pipe."""
    name = Path(data).name.partition(".")[0] if Path(data).is_file() else ""
    return f"{name or 'model'}.safetensors"


def _estimator(task: Task, given: dict[str, Any]) -> Any:
    from .. import tabular

    is_classifier = task.name == CLASSIFICATION
    kind = tabular.TabularClassifier if is_classifier else tabular.TabularRegressor
    return settings.estimator(kind, given)


def _about_columns(schema: Any) -> str:
    """How each column is taken: all of few columns, and of many how many of each kind."""
    if len(schema.columns) <= 40:
        return "\n".join(f"  {line}" for line in schema.describe())
    kinds = [column.kind for column in schema.columns]
    return "columns: " + ", ".join(f"{kinds.count(kind):,} {kind}" for kind in dict.fromkeys(kinds))


def _fit(model: Any, found: Found, shelf: Shelf, spent: float, group: "Group | None") -> bool:
    """Fit; returns whether Ctrl-C ended it. KeyboardInterrupt where there is nothing to keep.

    spent: the seconds of the limit of time that reading has taken.
    """
    progress, limit = Progress(1 if group is None else group.size), model.time_limit
    if limit is not None:
        model.set_params(time_limit=max(limit - spent, LEAST_SECONDS))
    train, validation = found.train, found.validation
    with CtrlC(is_on=group is None) as ctrl_c:  # ranks keep it until they meet
        try:
            model.fit(
                train.X,
                train.y,
                train.weights,
                validation_data=None if validation is None else validation.given,
                on_epoch=progress,
                on_schema=lambda schema: say(_about_columns(schema)),
                keep_in=shelf.folder,
                comm=group,
            )
        except KeyboardInterrupt:
            if not hasattr(model, "ensemble_"):
                raise
        finally:
            progress.end()
            model.set_params(time_limit=limit)
    return ctrl_c.pressed or (group is not None and group.was_interrupted)


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
