"""``MLPRegressor``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from ..common.types import Array
from ..components.losses import Huber, LossLike, Quantile
from ..data.sources import as_array
from .base import BaseMLP
from .objective import Objective, of_numbers
from .parameters import CONSTRAINTS
from .parts import has_partial_fit
from .rows import Rows, readable
from .scores import r2

LOSSES = {"squared_error", "poisson", "mse", "mae", "huber", "quantile", "log_cosh"}


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP):
    """scikit-learn's MLPRegressor, trained by fastbp.

    The parameters of ``MLPClassifier`` but for class_weight and label_smoothing, and first of all:

    Args:
        loss: "squared_error"; "poisson", for counts, whose predictions are rates; one of fastbp's
            "mse", "mae", "huber", "quantile" and "log_cosh"; ``fastbp.Huber(delta)`` or
            ``fastbp.Quantile(q)``; or your own njit function ``loss(p, y, dloss_dp)`` of one row.

    Attributes:
        trainer_: the ``fastbp.Trainer``.
        net_: the ``fastbp.Network``. With "poisson" its outputs are the logarithms of the rates.
        coefs_ and all others of ``MLPClassifier`` but for classes_.

    >>> from fastbp.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=8, solver="lbfgs", random_state=0)
    >>> print(model.fit(X, 2 * X[:, 0] + 1).predict([[0.5]]).round(1))
    [2.]

    """

    loss: LossLike = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions(LOSSES), Huber, Quantile, callable],
    }
    _y_is_numeric: ClassVar[bool] = True

    def predict(self, X: Any) -> Array:
        """The predictions for the rows of X, (n,), or (n, outputs) where y had several columns."""
        return self._predictions(self._outputs(X))

    @available_if(has_partial_fit)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on with one epoch over these rows.

        Args:
            X: (n, n_in), array, table or sparse matrix.
            y: targets, (n,) or (n, outputs).
            sample_weight: of each row, (n,), >= 0; None for 1.

        Returns:
            The estimator.

        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _learn_targets(self, y: Array, incremental: bool) -> None:
        """Nothing: there are no classes."""

    def _encoded(self, y: Array) -> Array:
        return readable(as_array(y, "y"))  # which refuses sparse ones

    def _count_outputs(self, targets: Array) -> int:
        return 1 if targets.ndim == 1 else targets.shape[1]

    def _objective(self, rows: Rows) -> Objective:
        return of_numbers(self.loss, self.n_outputs_, rows.targets, rows.weights)

    def _onnx_outputs(self) -> Sequence[Any]:
        from . import onnx_file

        return onnx_file.of_numbers(self.net_, self.out_activation_ == "exp")

    def _predictions(self, p: Array) -> Array:
        if self.out_activation_ == "exp":
            p = np.exp(p)
        return p.ravel() if p.shape[1] == 1 else p

    def _score_outputs(self, p: Array, held: Rows) -> float:
        found = self._predictions(p)
        if not np.isfinite(found).all():
            return float("nan")
        with np.errstate(over="ignore"):  # of a fit that diverges
            return r2(held.targets, found, held.weights)
