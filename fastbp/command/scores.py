"""How good predictions are: the standard metrics by their names."""

import numpy as np

from ..common.types import Array, Floats
from . import arrow
from .errors import DataError, listed

NAMES = {
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
    "f1_macro": "F1 macro",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R2",
}
"""What readers call them."""


def codes(labels: Array, classes: list[str], first: int) -> Array:
    """The number of the class of each label, (n,). DataError for a label that is no class.

    classes: as text. first: the number of the first row.
    """
    pa, compute = arrow.module("pyarrow"), arrow.module("pyarrow.compute")
    text = pa.array(labels).cast(pa.string())
    found = compute.index_in(text, value_set=pa.array(classes, pa.string()))
    strange = compute.index(found.is_null(), True).as_py()
    if strange >= 0:
        raise DataError(
            f"the target is {text[strange].as_py()!r:.80} in row {first + strange + 1:,}, which is "
            f"none of the classes that the model knows: {listed(classes)}"
        )
    return np.asarray(found.to_numpy())


def of_classes(y: Array, p: Floats, weights: Floats | None) -> dict[str, float]:
    """Accuracy, log loss, ROC AUC and the macro average of F1.

    y: (n,) numbers of classes. p: (n, classes) probabilities. The area is that of one class against
    the rest, on the mean of the classes; NaN where a class has no row.
    """
    from sklearn import metrics

    p = np.asarray(p, np.float64)
    p /= p.sum(axis=1, keepdims=True)
    labels, likeliest = np.arange(p.shape[1]), p.argmax(axis=1)
    area = np.nan
    if len(np.unique(y)) == len(labels):
        scores = p[:, 1] if len(labels) == 2 else p
        area = metrics.roc_auc_score(y, scores, sample_weight=weights, multi_class="ovr")
    return {
        "accuracy": float(metrics.accuracy_score(y, likeliest, sample_weight=weights)),
        "log_loss": float(metrics.log_loss(y, p, labels=labels, sample_weight=weights)),
        "roc_auc": float(area),
        "f1_macro": float(
            metrics.f1_score(
                y,
                likeliest,
                labels=labels,
                average="macro",
                sample_weight=weights,
                zero_division=0,
            )
        ),
    }


def of_numbers(y: Floats, p: Floats, weights: Floats | None) -> dict[str, float]:
    """RMSE, MAE and R2 of numbers (n,), p and y alike. R2 is NaN where y is constant."""
    error = p - y
    mean_square = np.average(error**2, weights=weights)
    spread = np.average((y - np.average(y, weights=weights)) ** 2, weights=weights)
    return {
        "rmse": float(np.sqrt(mean_square)),
        "mae": float(np.average(np.abs(error), weights=weights)),
        "r2": float(1 - mean_square / spread) if spread > 0 else float("nan"),
    }
