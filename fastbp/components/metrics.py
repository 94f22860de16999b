"""The user's own metrics: functions of (y, p)."""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from ..common.types import Array
from .watched_arrays import watched

Metric: TypeAlias = Callable[[Array, Array], Any]
"""metric(y, p) -> a number: y as the user gave it; p the outputs, in the shape of y where y has as
many entries, (n, n_out) where it has not: for labels, and for means with variances. Each metric has
copies, which it may write to: views that cannot be written to are refused by njit functions with
signatures, and torch warns of them."""


def as_metrics(metrics: Any, has_accuracy: bool) -> dict[str, Metric]:
    """``metrics`` by name; none for None.

    TypeError for what is not a dict of callables, ValueError for the name of what evaluate has of
    itself: loss, jacobian_loss and, with ``has_accuracy``, accuracy.
    """
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"metrics is a {type(metrics).__name__}, expected a dict of functions of (y, p) by "
            "name: {'auc': sklearn.metrics.roc_auc_score}"
        )
    for name, metric in metrics.items():
        if not isinstance(name, str) or not callable(metric):
            raise TypeError(
                f"metrics has {metric!r} under {name!r}, expected a function of (y, p) under a str"
            )
        if name in ("loss", "jacobian_loss") or (name == "accuracy" and has_accuracy):
            raise ValueError(
                f"metrics has {name!r}, which fastbp computes itself: give yours another name"
            )
    return dict(metrics)


def apply_metrics(
    metrics: Mapping[str, Metric], y: Array, p: Array, takes_labels: bool
) -> dict[str, float]:
    """The values by name. y: as the user gave it. p: (n, n_out). takes_labels: what y may be.

    An exception of a metric gets its name in a note. TypeError for a value that is not a number,
    ValueError where a metric broadcasts y against p.
    """
    if y.size == p.size and not (takes_labels and y.ndim == 1):
        p = p.reshape(y.shape)
    return {name: _apply(name, metric, y.copy(), p.copy()) for name, metric in metrics.items()}


def _apply(name: str, metric: Metric, y: Array, p: Array) -> float:
    try:
        value = metric(*watched(y, p))
    except Exception as error:
        error.add_note(f"raised by the metric {name!r} for y {y.shape} and p {p.shape}")
        raise
    if isinstance(value, np.ndarray):
        raise TypeError(
            f"the metric {name!r} returned an array of shape {value.shape}, of type "
            f"{value.dtype}, for y {y.shape} and p {p.shape}, expected a number: return a float, "
            "np.mean of it, say"
        )
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"the metric {name!r} returned {value!r}, of type {type(value).__name__}, expected a "
            "number: return a float"
        )
    return float(value)
