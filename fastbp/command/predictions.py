"""What a model predicts for a part of a table, and the columns that it becomes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..common.types import Array
from . import arrow
from .errors import DataError

PREDICTION, PROBABILITY = "prediction", "p_"
"""The column of the prediction, and what the columns of the classes' probabilities begin with."""


@contextmanager
def naming(file: str, first: int) -> Iterator[None]:
    """Errors of the estimator as errors of the file's rows from ``first`` on."""
    try:
        yield
    except DataError as error:  # which names its row itself
        raise DataError(f"{file}: {error}") from error
    except (ValueError, TypeError, FloatingPointError) as error:
        where = f", rows from {first + 1:,} on" if first else ""
        raise DataError(f"{file}{where}: {error}") from error


def is_classifier(model: Any) -> bool:
    """Whether the model predicts classes."""
    return hasattr(model, "classes_")


def class_names(model: Any) -> list[str]:
    """The classes as text, as CSV files have them."""
    pa = arrow.module("pyarrow")
    return [str(name) for name in pa.array(model.classes_).cast(pa.string()).to_pylist()]


def names(model: Any, targets: Sequence[str]) -> list[str]:
    """The names of the columns of ``columns``."""
    if is_classifier(model):
        return [PREDICTION, *(f"{PROBABILITY}{name}" for name in class_names(model))]
    if len(targets) > 1:
        return [f"{PREDICTION}_{target}" for target in targets]
    return [PREDICTION]


def types(model: Any, titles: Sequence[str]) -> list[Any]:
    """The types of these columns."""
    pa = arrow.module("pyarrow")
    if not is_classifier(model):
        return [pa.float64()] * len(titles)
    return [pa.array(model.classes_).type, *[pa.float32()] * len(model.classes_)]


def outputs(model: Any, table: Any) -> Array:
    """Probabilities (n, classes), or numbers (n, targets)."""
    if is_classifier(model):
        return np.asarray(model.predict_proba(table))
    found = np.asarray(model.predict(table))
    return found[:, None] if found.ndim == 1 else found


def columns(model: Any, found: Array) -> list[Any]:
    """The outputs as pyarrow Arrays: for a classifier the likeliest class comes first."""
    pa = arrow.module("pyarrow")
    arrays = [pa.array(np.ascontiguousarray(column)) for column in found.T]
    if not is_classifier(model):
        return arrays
    return [pa.array(model.classes_).take(pa.array(found.argmax(axis=1))), *arrays]
