"""How good predictions are: the standard metrics by their names, and means with their errors."""

from typing import Any

import numpy as np

from ..common.types import Array, Floats, Ints
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


def codes(labels: Any, classes: list[str], first: int) -> Array:
    """The number of the class of each label, (n,). DataError for a label that is no class.

    labels: an array, or a column of pyarrow. classes: as text. first: the number of the first row.
    """
    pa, compute = arrow.module("pyarrow"), arrow.module("pyarrow.compute")
    column = pa.array(labels) if isinstance(labels, np.ndarray) else labels.combine_chunks()
    text = column.cast(pa.string())
    found = compute.index_in(text, value_set=pa.array(classes, pa.string()))
    strange = compute.index(found.is_null(), True).as_py()
    if strange >= 0:
        raise DataError(
            f"the target is {text[strange].as_py()!r:.80} in row {first + strange + 1:,}, which is "
            f"none of the classes that the model knows: {listed(classes)}"
        )
    return np.asarray(found.to_numpy())


def mean(values: Array, w: Floats) -> tuple[float, float | None]:
    """The weighted mean and its standard error; None for the latter of a single row."""
    total = w.sum()
    m = float(w @ values / total)
    if len(values) < 2:
        return m, None
    return m, float(np.sqrt(np.square(w * (values - m)).sum()) / total)


def hits(y: Ints, p: Floats) -> Floats:
    """1 for each row whose most probable class is the true one, else 0, (n,)."""
    return np.asarray(p.argmax(axis=1) == y, np.float64)


def surprise(y: Ints, p: Floats) -> Floats:
    """-ln of the probability of each row's true class, (n,).

    As in scikit-learn's ``log_loss``, the probability is taken as float64's epsilon at least.
    """
    true = np.take_along_axis(p, y[:, None], axis=1)[:, 0].astype(np.float64)
    return np.asarray(-np.log(np.maximum(true, np.finfo(np.float64).eps)))


def of_classes(y: Ints, p: Floats, w: Floats) -> dict[str, float]:
    """Accuracy, log loss, ROC AUC and the macro average of F1.

    y: (n,) numbers of classes. p: (n, classes) probabilities. w: weights (n,). The area is that of
    one class against the rest, on the mean of the classes; NaN where a class has no row, or none
    with weight.
    """
    return {
        "accuracy": mean(hits(y, p), w)[0],
        "log_loss": mean(surprise(y, p), w)[0],
        "roc_auc": _area(y, p, w),
        "f1_macro": _f1(y, p.argmax(axis=1), p.shape[1], w),
    }


def _area(y: Ints, p: Floats, w: Floats) -> float:
    n_classes = p.shape[1]
    if not np.bincount(y, weights=w, minlength=n_classes).all():
        return float("nan")
    from sklearn.metrics import roc_auc_score

    p = np.asarray(p, np.float64)
    stated = p[:, 1] if n_classes == 2 else p / p.sum(axis=1, keepdims=True)
    return float(roc_auc_score(y, stated, sample_weight=w, multi_class="ovr"))


def _f1(y: Ints, said: Ints, n_classes: int, w: Floats) -> float:
    """The mean over the classes of 2 hits / (rows + predicted), 0 where a class has neither."""
    rows, predicted = (np.bincount(x, weights=w, minlength=n_classes) for x in (y, said))
    right = np.bincount(y, weights=w * (y == said), minlength=n_classes)
    both = rows + predicted
    return float(np.divide(2 * right, both, out=np.zeros(n_classes), where=both > 0).mean())


def of_numbers(y: Floats, p: Floats, w: Floats) -> dict[str, float]:
    """RMSE, MAE and R2 of numbers (n,), p and y alike. R2 is NaN where y is constant."""
    square, spread = mean(np.square(p - y), w)[0], mean(np.square(y - mean(y, w)[0]), w)[0]
    return {
        "rmse": float(np.sqrt(square)),
        "mae": mean(np.abs(p - y), w)[0],
        "r2": 1 - square / spread if spread > 0 else float("nan"),
    }
