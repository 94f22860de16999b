"""``TabularRegressor``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import RegressorMixin

from ..common.types import Array
from .base import BaseTabular


@dataclass(eq=False, repr=False)
class TabularRegressor(RegressorMixin, BaseTabular):
    """A regressor for tables as they are."""

    preset: str = "fast"

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The predictions for the rows of X, (n,), or (n, targets); with return_std also (n,)."""
        raise NotImplementedError

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> Array:
        """Quantiles of the target, (n, quantiles), or (n, targets, quantiles)."""
        raise NotImplementedError
