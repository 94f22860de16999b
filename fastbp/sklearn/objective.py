"""scikit-learn's losses in terms of fastbp's."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from ..common.types import Array, Floats
from ..components.losses import LossLike


@dataclass(frozen=True)
class Objective:
    """What is minimized.

    loss, output: fastbp's loss and output activation. out_activation: scikit-learn's name of the
    latter. scale: scikit-learn's gradient over fastbp's. reported_scale: its value of the loss
    over fastbp's. constant: what it adds to the value, besides.

    scikit-learn's gradients are those of a sum over outputs, where fastbp has the mean for bce and
    poisson. A learning rate of SGD is to be multiplied by ``scale`` then, and whatever is compared
    with gradients divided by it, penalties included.
    """

    loss: LossLike
    output: str
    out_activation: str
    scale: float = 1.0
    reported_scale: float = 1.0
    constant: float = 0.0

    def reported(self, loss: float) -> float:
        """``loss_`` for a loss of fastbp's."""
        return float(loss * self.reported_scale + self.constant)


def of_classes(loss: Any, is_multiclass: bool, n_outputs: int) -> Objective:
    """The objective of a classifier. loss: "log_loss" or the user's njit function."""
    output, name = ("softmax", "softmax") if is_multiclass else ("sigmoid", "logistic")
    if loss != "log_loss":
        return Objective(loss, output, name)
    if is_multiclass:
        return Objective("cross_entropy", output, name)
    return Objective("bce", output, name, n_outputs, n_outputs)


def of_numbers(loss: Any, n_outputs: int, y: Array, weights: Floats | None) -> Objective:
    """The objective of a regressor. loss: a name, a fastbp specification, or an njit function."""
    if loss == "squared_error":
        # Its value is the mean over outputs, and its gradient that of the sum.
        return Objective(loss, "identity", "identity", reported_scale=1 / n_outputs)
    if loss == "poisson":
        with np.errstate(invalid="ignore"):  # below 0, which fit refuses
            rows = np.average(xlogy(y, y) - y, weights=weights, axis=0)
        return Objective(loss, "identity", "exp", n_outputs, n_outputs, float(np.sum(rows)))
    return Objective(loss, "identity", "identity")
