"""What a report says of predictions: scores, confusion, calibration, errors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.types import Array, Floats, Ints
from . import report_figures as figures
from . import report_scores as scores
from .messages import count
from .report_page import (
    Section,
    name,
    number,
    paragraph,
    percent,
    pictures,
    table,
    text,
    tiles,
)
from .report_rows import Rows
from .report_scores import Score

MOST_SHOWN = 20
"""Classes of the confusion matrix."""

MOST_LISTED = 50
"""Classes of the table of precision and recall."""

MOST_DRAWN = 4
"""Targets that have pictures."""

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Of the quantiles that are compared with what came: symmetric around the half."""


def headline(found: Sequence[Score], rows: Rows, validation: dict[str, float]) -> Section:
    """The scores, what they mean, and how far a constant prediction comes."""
    remarks = [(one.name, number(one.value), _remark(one)) for one in found[:4]]
    cells = (
        (
            text(one.name),
            number(one.value),
            "-" if one.error is None else f"± {number(one.error, 2)}",
            number(one.baseline),
            text(one.meaning),
        )
        for one in found
    )
    head = ("score", "value", "standard error", "constant prediction", "meaning")
    caption = (
        "Standard error: how far the value may be off by the choice of rows alone. Constant "
        "prediction: what the best answer that ignores the columns would reach."
    )
    return Section(
        "scores",
        "Scores",
        tiles(remarks) + _caution(rows, validation) + table(caption, head, cells, "w   w"),
    )


def _remark(one: Score) -> str:
    error = "" if one.error is None else f"± {number(one.error, 2)}"
    constant = "" if one.baseline is None else f"constant prediction: {number(one.baseline)}"
    return "<br>".join(filter(None, (error, constant)))


def _caution(rows: Rows, validation: dict[str, float]) -> str:
    """What these scores are of, and those of validation beside them."""
    drawn = f", drawn by chance from {rows.drawn_from:,}" if rows.drawn_from else ""
    sentences = [
        f"These are of the {count(len(rows.y), 'row')} of this file{drawn}.",
        "Rows that the model was trained on flatter it.",
    ]
    if rows.is_weighted:
        sentences.append("Rows count by their weights, here and in the importance of columns.")
    if rows.left_out:
        what = "a target or with a weight of 0" if rows.is_weighted else "a target"
        sentences.append(f"{rows.left_out:,} rows without {what} are left out.")
    if validation:
        listed = ", ".join(f"{text(key)} {number(v)}" for key, v in validation.items())
        sentences.append(f"In training, on rows held out from it: {listed}.")
    return paragraph(*sentences)


def confusion(y: Ints, predicted: Ints, classes: Array) -> Section:
    """The confusion matrix, and precision and recall of each class."""
    matrix = scores.confusion(y, predicted, len(classes), MOST_SHOWN)
    labels = [name(classes[code]) for code in matrix.codes]
    hidden = len(classes) - len(labels)
    if hidden:
        labels.append(f"{hidden:,} other{'s' if hidden > 1 else ''}")
    caption = "Rows by true class (down) and predicted class (across), with the share of their row."
    if hidden:
        caption += f" Shown are the {len(matrix.codes)} classes with most rows."
    head = ("true \N{RIGHTWARDS ARROW} predicted", *labels)
    totals = matrix.counts.sum(axis=1)
    lines = (
        (
            label,
            *(
                _shade(n, totals[i], i == j < len(matrix.codes))
                for j, n in enumerate(matrix.counts[i])
            ),
        )
        for i, label in enumerate(labels)
    )
    body = table(caption, head, lines) + _per_class(y, predicted, classes)
    return Section("confusion", "Confusion", body)


def _shade(n: int, total: int, is_right: bool) -> str:
    share = n / total if total else 0.0
    kind = "shade right" if is_right else "shade"
    told = percent(share) if total else "-"
    return f'<td class="{kind}" style="--share:{share:.3f}">{n:,} <small>{told}</small></td>'


def _per_class(y: Ints, predicted: Ints, classes: Array) -> str:
    found = scores.class_scores(y, predicted, len(classes), MOST_LISTED)
    lines = (
        (
            name(classes[code]),
            f"{found.rows[i]:,}",
            f"{found.predicted[i]:,}",
            number(float(found.precision[i])),
            number(float(found.recall[i])),
            number(float(found.f1[i])),
        )
        for i, code in enumerate(found.codes)
    )
    caption = (
        "Precision: share of the rows predicted as the class that are of it. Recall: share of its "
        "rows that are predicted as it. F1: their harmonic mean."
    )
    if len(found.codes) < len(classes):
        caption += f" Shown are the {len(found.codes)} of {len(classes):,} classes with most rows."
    head = ("class", "rows", "predicted", "precision", "recall", "F1")
    return table(caption, head, lines)


def calibration(y: Ints, p: Floats, w: Floats, classes: Array, temperature: Any) -> Section:
    """The reliability diagram and its numbers."""
    bins = scores.reliability(y, p, w)
    binary = len(classes) == 2
    what = "probability" if binary else "confidence"
    subject = (
        f"the probability of the class {name(classes[1])}"
        if binary
        else "the confidence, which is the probability of the most probable class,"
    )
    sentences = [f"How often {subject} came true, in bins of what was stated."]
    if temperature is not None:
        sentences.append(
            "The logits were divided by the temperature "
            f"{number(float(temperature))}, found on rows held out in training."
        )
    lines = (
        (
            number(one.stated),
            number(one.came),
            f"{number(one.low)} to {number(one.high)}",
            percent(one.share),
        )
        for one in bins
    )
    head = (f"{what} stated", "share that came true", "95% interval", "rows")
    numbers = table("The bins of the picture: means of their rows.", head, lines)
    drawn = pictures([figures.reliability(bins, what)])
    body = paragraph(*sentences) + f'<div class="pair">{drawn}{numbers}</div>\n'
    return Section("calibration", "Calibration", body)


def errors(y: Floats, p: Floats, w: Floats, quantiles: Floats, targets: Sequence[str]) -> Section:
    """Pictures and coverage for each target. y, p: (n, k). quantiles: (n, k, levels)."""
    parts = []
    if len(targets) > 1:
        parts.append(_per_target(y, p, w, targets))
    for i, target in enumerate(targets[:MOST_DRAWN]):
        if len(targets) > 1:
            parts.append(f"<h3>{name(target)}</h3>\n")
        parts.append(_of_target(y[:, i], p[:, i], w, quantiles[:, i]))
    if len(targets) > MOST_DRAWN:
        parts.append(paragraph(f"Pictures are of the first {MOST_DRAWN} targets."))
    return Section("errors", "Errors", "".join(parts))


def _per_target(y: Floats, p: Floats, w: Floats, targets: Sequence[str]) -> str:
    found = [scores.of_numbers(y[:, i], p[:, i], w) for i in range(len(targets))]
    head = ("target", *(text(one.name) for one in found[0]), "spread of the target")
    lines = (
        (name(target), *(number(one.value) for one in of_one), number(of_one[1].baseline))
        for target, of_one in zip(targets, found, strict=True)
    )
    return table("Scores of each target; spread: its standard deviation.", head, lines)


def _of_target(y: Floats, p: Floats, w: Floats, quantiles: Floats) -> str:
    shares = scores.below(y, quantiles, w)
    drawn = [*figures.regression(y, p), figures.coverage(LEVELS, shares)]
    lines = (
        (percent(one.stated), percent(one.held), number(one.width))
        for one in scores.intervals(y, quantiles, w, LEVELS)
    )
    caption = "Central intervals that the model predicts, and the share of true values in them."
    head = ("interval", "true values in it", "mean width")
    return pictures(drawn) + table(caption, head, lines)


def mean_scores(y: Floats, p: Floats, w: Floats) -> list[Score]:
    """The scores of one target; of several the means over them, without units."""
    found = [scores.of_numbers(y[:, i], p[:, i], w) for i in range(y.shape[1])]
    if len(found) == 1:
        return found[0]
    varied = [of_one for of_one in found if of_one[1].baseline]
    r2 = [of_one[0].value for of_one in varied]
    relative = [of_one[1].value / (of_one[1].baseline or 1.0) for of_one in varied]
    return [
        Score("mean R²", _average(r2), None, 0.0, "mean over the targets: 1 is perfect"),
        Score(
            "mean relative RMSE",
            _average(relative),
            None,
            1.0,
            "mean over the targets of RMSE / standard deviation of the target: 0 is perfect",
        ),
    ]


def _average(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
