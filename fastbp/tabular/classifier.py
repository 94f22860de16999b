"""``TabularClassifier``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import ClassifierMixin

from ..common.types import Array
from .base import BaseTabular


@dataclass(eq=False, repr=False)
class TabularClassifier(ClassifierMixin, BaseTabular):
    """A classifier for tables as they are."""

    preset: str = "fast"
    class_weight: str | Mapping[Any, float] | None = field(default=None, kw_only=True)

    classes_: Array
    temperature_: float

    def predict(self, X: Any) -> Array:
        """The classes of the rows of X, (n,)."""
        raise NotImplementedError

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (n, classes), in the order of ``classes_``."""
        raise NotImplementedError
