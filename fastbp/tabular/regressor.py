"""``TabularRegressor``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from ..common.types import Array, Floats
from .base import BaseTabular
from .left_out import LeftOut
from .parameters import CONSTRAINTS
from .recipe import NUMBERS
from .residuals import Residuals
from .targets import Units


@dataclass(eq=False, repr=False)
class TabularRegressor(RegressorMixin, BaseTabular[Units]):
    """An ensemble of networks that predicts numbers from the rows of tables as they are.

    The parameters of ``TabularClassifier`` but for class_weight. Networks learn y in units of its
    standard deviation, and predictions lie in the range that y had in ``fit``.

    Attributes:
        residuals_: the errors on rows by networks that were not trained on them.
        validation_score_: rmse, mae and r2 on these rows, the mean over targets.
        encoder_, ensemble_, histories_, record_, n_features_in_, feature_names_in_: as of
            ``TabularClassifier``. The outputs of ``ensemble_`` are in units of ``targets_``.

    >>> from fastbp.tabular import TabularRegressor
    >>> X = {"size": np.linspace(1.0, 9.0, 60), "town": ["Ulm", "Jena", None] * 20}
    >>> model = TabularRegressor(epochs=60, random_state=0).fit(X, 3 * X["size"])
    >>> bool(abs(model.predict({"size": [5.0], "town": ["Ulm"]})[0] - 15) < 1.5)
    True

    """

    preset: str = "fast"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    _goal: ClassVar[Mapping[str, Any]] = NUMBERS

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The predictions for the rows of X, (n,), or (n, targets) where y had two dimensions.

        Args:
            X: a table with the columns that the model has learned from; others are ignored.
            return_std: return (predictions, deviations), both of one shape. The deviation is
                sqrt(s^2 + r^2): s is the standard deviation of the networks' predictions, r^2 the
                mean square of their errors on rows that they were not trained on.

        Raises:
            ValueError: X lacks a column.

        """
        if not return_std:
            mean = np.concatenate([self.ensemble_.predict(part) for part in self._parts(X)])
            return self._in_units(mean)
        parts = [self.ensemble_.predict(part, return_std=True) for part in self._parts(X)]
        mean, std = (np.concatenate(each) for each in zip(*parts, strict=True))
        deviation = self.residuals_.deviation(std) * self.targets_.scale
        return self._in_units(mean), self.targets_.shaped(deviation)

    def _in_units(self, outputs: Array) -> Floats:
        return self.targets_.shaped(self.targets_.restored(outputs))

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Floats:
        """Quantiles of y for the rows of X: (n, quantiles), or (n, targets, quantiles).

        The quantile q is that of all m_k(x) + r: m_k is the prediction of member k, r an error of
        this member on a row that it was not trained on, and members have equal weight (CV+, Barber
        et al., 2021). About a share q of the y of new rows lies below it.

        Raises:
            ValueError: a quantile is not in (0, 1), or X lacks a column.

        >>> from fastbp.tabular import TabularRegressor
        >>> x = np.linspace(0, 1, 80)
        >>> model = TabularRegressor(epochs=5, random_state=0).fit({"x": x}, x)
        >>> model.predict_quantiles({"x": [0.1, 0.5]}).shape
        (2, 3)

        """
        levels = np.asarray(quantiles, np.float64)
        if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(f"quantiles is {quantiles!r:.80}, expected numbers in (0, 1)")
        found = [self._quantiles(part, levels) for part in self._parts(X)]
        quantiles_of_targets: Floats = np.concatenate(found)
        return quantiles_of_targets[:, 0] if self.targets_.flat else quantiles_of_targets

    def _learn(self, y: Any, sample_weight: Any) -> tuple[Units, Array, Array]:
        return Units.of(y, sample_weight)

    def _quantiles(self, part: Any, levels: Floats) -> Floats:
        outputs = np.stack([net.predict(part) for net in self.ensemble_]).astype(np.float64)
        found = self.residuals_.quantiles(outputs, levels)
        return np.moveaxis(self.targets_.restored(np.moveaxis(found, 1, 2)), 2, 1)

    def _calibrate(self, left_out: LeftOut) -> dict[str, float]:
        errors = [
            left_out.targets[rows] - p
            for rows, p in zip(left_out.rows, left_out.outputs, strict=True)
        ]
        self.residuals_ = Residuals.of(errors)
        rows, p = left_out.mean()
        units, weights = self.targets_, left_out.weights_of(rows)
        y, found = units.restored(left_out.targets[rows]), units.restored(p)
        metrics = {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
        return {
            name: float(metric(y, found, sample_weight=weights)) for name, metric in metrics.items()
        }
