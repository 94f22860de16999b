"""What the predictions for rows are worth: scores, confusion, calibration, coverage."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..common.types import Floats, Ints
from . import scores

Z = 1.959963984540054
"""Standard deviations on each side of a normal distribution that hold 95% of it."""

N_BINS = 10
"""Of stated probabilities, all of the same width."""


class Score(NamedTuple):
    """A figure and what it means.

    error: its standard error over the rows, None where there is none.
    baseline: the figure of a constant prediction, None where there is none.
    """

    name: str
    value: float
    error: float | None
    baseline: float | None
    meaning: str


class Bin(NamedTuple):
    """Rows whose stated probabilities are close: means of what was stated and of what came.

    low, high: 95% interval of Wilson (1927) of the share that came.
    share: of all rows.
    """

    stated: float
    came: float
    low: float
    high: float
    share: float


class Confusion(NamedTuple):
    """Rows by true class (down) and predicted class (across), for some of the classes.

    codes: the classes shown, ascending.
    counts: (s, s), or (s + 1, s + 1) where other classes share the last row and column.
    """

    codes: Ints
    counts: Ints


class ClassScores(NamedTuple):
    """Of each class shown; NaN where there is nothing to divide by."""

    codes: Ints
    rows: Ints
    predicted: Ints
    precision: Floats
    recall: Floats
    f1: Floats


class Interval(NamedTuple):
    """A central interval: how much it should hold, what it holds, and its mean width."""

    stated: float
    held: float
    width: float


def of_classes(y: Ints, p: Floats, w: Floats) -> list[Score]:
    """Of codes y (n,) and probabilities p (n, c)."""
    shares = np.bincount(y, weights=w, minlength=p.shape[1]) / w.sum()
    right, plain = scores.hits(y, p), scores.of_classes(y, p, w)
    recalls = np.bincount(y, weights=w * right, minlength=len(shares)) / w.sum()
    there = shares > 0
    shares = shares[there]
    return [
        Score(
            "accuracy",
            plain["accuracy"],
            scores.mean(right, w)[1],
            float(shares.max()),
            "share of rows whose most probable class is the true one",
        ),
        Score(
            "balanced accuracy",
            float((recalls[there] / shares).mean()),
            None,
            1 / len(shares),
            "mean over the classes of the share found: rare classes count as much as others",
        ),
        *_area(plain["roc_auc"], p.shape[1]),
        Score(
            "log loss",
            plain["log_loss"],
            scores.mean(scores.surprise(y, p), w)[1],
            float(-(shares * np.log(shares)).sum()),
            "mean of -ln(probability of the true class): confident mistakes cost most",
        ),
        Score(
            "calibration error",
            calibration_error(reliability(y, p, w)),
            None,
            None,
            "mean distance between the probability stated and the share that came true",
        ),
    ]


def _area(area: float, n_classes: int) -> list[Score]:
    """The area under the ROC curve, where there are rows of all classes."""
    if np.isnan(area):
        return []
    meaning = "chance that a row of the second class gets more of it than one of the first"
    if n_classes > 2:
        meaning = "chance that a row of a class gets more of it than another row, mean over classes"
    meaning += ": 1 is perfect"
    return [Score("ROC AUC", area, None, 0.5, meaning)]


def largest(y: Ints, n_classes: int, most: int) -> Ints:
    """The codes of the ``most`` classes with most rows, ascending."""
    rows = np.bincount(y, minlength=n_classes)
    return np.sort(np.argsort(-rows, kind="stable")[:most])


def confusion(y: Ints, predicted: Ints, n_classes: int, most: int) -> Confusion:
    """Of true and predicted codes (n,), for at most ``most`` classes and all others together."""
    codes = largest(y, n_classes, most)
    size = len(codes) + (len(codes) < n_classes)
    places = np.full(n_classes, size - 1)
    places[codes] = np.arange(len(codes))
    cells = places[y] * size + places[predicted]
    return Confusion(codes, np.bincount(cells, minlength=size * size).reshape(size, size))


def class_scores(y: Ints, predicted: Ints, n_classes: int, most: int) -> ClassScores:
    """Precision, recall and F1 of at most ``most`` classes."""
    codes = largest(y, n_classes, most)
    rows = np.bincount(y, minlength=n_classes)[codes]
    said = np.bincount(predicted, minlength=n_classes)[codes]
    hits = np.bincount(y[y == predicted], minlength=n_classes)[codes]
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is told
        return ClassScores(codes, rows, said, hits / said, hits / rows, 2 * hits / (rows + said))


def reliability(y: Ints, p: Floats, w: Floats) -> list[Bin]:
    """The bins that have rows.

    What is stated is the probability of the second of two classes; of more classes, that of the
    most probable one.
    """
    if p.shape[1] == 2:
        stated, came = p[:, 1], y == 1
    else:
        stated, came = p.max(axis=1), p.argmax(axis=1) == y
    places = np.minimum((stated * N_BINS).astype(np.int64), N_BINS - 1)
    sums = [
        np.bincount(places, weights=v, minlength=N_BINS) for v in (w, w * stated, w * came, w * w)
    ]
    total = float(w.sum())
    bins = zip(*(each.tolist() for each in sums), strict=True)
    return [_bin(n, p_sum, hits, squares, total) for n, p_sum, hits, squares in bins if n > 0]


def _bin(weight: float, stated: float, came: float, squares: float, total: float) -> Bin:
    """Of sums over the bin's rows: of w, of w times what was stated and what came, of w squared."""
    share = came / weight
    n = weight * weight / squares  # as many equal weights have this variance (Kish, 1965)
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Bin(stated / weight, share, min(low, share), max(high, share), weight / total)


def calibration_error(bins: Sequence[Bin]) -> float:
    """The mean over rows of the bins' |stated - came| (Naeini et al., 2015)."""
    return float(sum(one.share * abs(one.stated - one.came) for one in bins))


def of_numbers(y: Floats, p: Floats, w: Floats) -> list[Score]:
    """Of true and predicted numbers (n,)."""
    plain, square_error = scores.of_numbers(y, p, w), scores.mean(np.square(p - y), w)[1]
    rmse, spread = plain["rmse"], scores.mean(np.square(y - scores.mean(y, w)[0]), w)[0]
    middle = float(np.quantile(y, 0.5, weights=w, method="inverted_cdf"))
    bias, bias_error = scores.mean(p - y, w)
    return [
        Score(
            "R²",
            plain["r2"],
            None,
            0.0,
            "share of the target's variance that is explained: 1 is perfect",
        ),
        Score(
            "RMSE",
            rmse,
            square_error / (2 * rmse) if square_error is not None and rmse > 0 else None,
            float(np.sqrt(spread)),
            "root of the mean squared error, in units of the target: large errors count most",
        ),
        Score(
            "mean absolute error",
            plain["mae"],
            scores.mean(np.abs(p - y), w)[1],
            scores.mean(np.abs(y - middle), w)[0],
            "in units of the target",
        ),
        Score(
            "bias",
            bias,
            bias_error,
            None,
            "mean of predicted - true, in units of the target: 0 is none",
        ),
    ]


def below(y: Floats, quantiles: Floats, w: Floats) -> list[float]:
    """The shares of y (n,) at or below each quantile predicted (n, q)."""
    return [scores.mean((y <= q).astype(np.float64), w)[0] for q in quantiles.T]


def intervals(y: Floats, quantiles: Floats, w: Floats, levels: Sequence[float]) -> list[Interval]:
    """The central intervals, the widest first. quantiles: (n, q) at ascending symmetric levels."""
    found = []
    for low in range(len(levels) // 2):
        high = len(levels) - 1 - low
        inside = (quantiles[:, low] <= y) & (y <= quantiles[:, high])
        held = scores.mean(inside.astype(np.float64), w)[0]
        width = scores.mean(quantiles[:, high] - quantiles[:, low], w)[0]
        found.append(Interval(levels[high] - levels[low], held, width))
    return found
