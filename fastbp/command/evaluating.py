"""``fastbp evaluate``: how good the predictions are for rows with known targets."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..common.types import Array, Floats
from . import arrow, inputs, predictions, reading, scores, target
from .errors import DataError, UsageError
from .messages import count, number, say, show, table
from .reading import TableFile
from .remembered import Remembered


class Scored(NamedTuple):
    """The rows of a file that have targets.

    y: (n,) numbers of classes, or numbers (n, targets). p: probabilities (n, classes), or numbers
    (n, targets). weights: (n,), 1 where none are given.
    """

    y: Array
    p: Floats
    weights: Floats


class Wanted(NamedTuple):
    """What is read of a file with targets.

    names: the targets. weight: the column of weights, or None. columns: these, and the inputs.
    types: by which the columns of a CSV file are read.
    """

    names: list[str]
    weight: str | None
    columns: list[str]
    types: dict[str, Any]


def run(options: Namespace) -> int:
    """Predict the rows of the file, part by part, and show the metrics."""
    model = inputs.load(options.model)
    file = inputs.open_for(model, options)
    columns = wanted(model, file, options)
    names = columns.names
    rows = _predicted(model, file, columns)
    found = _metrics(model, rows, names)
    say(f"{file.source.name}: {file}, {count(len(rows.y), 'row')}")
    content = {
        "command": "evaluate",
        "model": options.model,
        "rows": len(rows.y),
        "metrics": found if len(names) > 1 else found[names[0]],
    }
    show(content, _lines(found), getattr(options, "json", False))
    return 0


def wanted(model: Any, file: TableFile, options: Namespace) -> Wanted:
    """What to read. The targets are those of ``--target``, or of training."""
    names = list(getattr(options, "target", ())) or list(Remembered.of(model).targets)
    if not names:
        raise UsageError("--target is missing: the model was not trained by fastbp train")
    expected = 1 if predictions.is_classifier(model) else model.targets_.n_outputs
    if len(names) != expected:
        raise UsageError(f"--target is given {len(names)} times, and the model has {expected}")
    for name in names:
        reading.check_column(file, name, "the target")
    weight = getattr(options, "weight", None)
    extra = [] if weight is None else [weight]
    for name in extra:
        reading.check_column(file, name, "--weight")
    columns = list(dict.fromkeys([*inputs.needed(model), *names, *extra]))
    types = inputs.types(model, columns) | _target_types(model, names)
    types |= dict.fromkeys(extra, arrow.module("pyarrow").float64())
    return Wanted(names, weight, columns, types)


def _target_types(model: Any, names: list[str]) -> dict[str, Any]:
    pa, remembered = arrow.module("pyarrow"), Remembered.of(model)
    if not predictions.is_classifier(model):
        return dict.fromkeys(names, pa.float64())
    # A target of another name has the classes of the one in training.
    trained = dict(zip(names, remembered.targets, strict=False))
    return {name: remembered.type_of(trained.get(name, name)) or pa.string() for name in names}


def with_targets(file: TableFile, columns: Wanted) -> Iterator[tuple[int, Any]]:
    """The parts of the file without the rows that lack a target, each with its first row.

    How many are left out is said in the end. DataError where no row is left.
    """
    first = kept = 0
    for part in reading.parts(file, columns.columns, columns.types):
        known = target.known_rows(part, columns.names)
        if known.any():
            yield first, part.filter(arrow.module("pyarrow").array(known))
        first, kept = first + part.num_rows, kept + int(known.sum())
    if not kept:
        raise DataError(f"{file.source.name} has no row with a target")
    if kept < first:
        say(f"{file.source.name}: {count(first - kept, 'row')} without a target left out")


def _predicted(model: Any, file: TableFile, columns: Wanted) -> Scored:
    scored = []
    for first, part in with_targets(file, columns):
        with predictions.naming(file.source.name, first):
            scored.append(_scored(model, part, columns, first))
    rows = Scored(*map(np.concatenate, zip(*scored, strict=True)))
    if not rows.weights.any():
        raise DataError(
            f"{file.source.name}: weight {columns.weight!r} is 0 in every row: there is no mean"
        )
    return rows


def _scored(model: Any, part: Any, columns: Wanted, first: int) -> Scored:
    weights = np.ones(part.num_rows)
    if columns.weight is not None:
        weights = target.weights_of(part, columns.weight)
    p = predictions.outputs(model, part)
    if predictions.is_classifier(model):
        labels = target.values(part, columns.names, target.CLASSIFICATION)
        return Scored(scores.codes(labels, predictions.class_names(model), first), p, weights)
    y = target.values(part, columns.names, target.REGRESSION)
    return Scored(y[:, None] if y.ndim == 1 else y, p, weights)


def _metrics(model: Any, rows: Scored, names: list[str]) -> dict[str, dict[str, float]]:
    """The metrics of each target."""
    if predictions.is_classifier(model):
        return {names[0]: scores.of_classes(rows.y, rows.p, rows.weights)}
    return {
        name: scores.of_numbers(rows.y[:, place], rows.p[:, place], rows.weights)
        for place, name in enumerate(names)
    }


def _lines(found: dict[str, dict[str, float]]) -> list[str]:
    metrics = list(next(iter(found.values())))
    head = [] if len(found) == 1 else [["", *found]]
    rows = [
        [scores.NAMES[metric], *(_text(values[metric]) for values in found.values())]
        for metric in metrics
    ]
    return table([*head, *rows])


def _text(value: float) -> str:
    return "undefined" if np.isnan(value) else number(value)
