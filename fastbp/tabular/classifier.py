"""``TabularClassifier``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight

from ..common.types import Array, Floats
from . import calibration
from .base import BaseTabular
from .left_out import LeftOut
from .parameters import CONSTRAINTS
from .recipe import CLASSES
from .rows import Rows
from .targets import Labels


@dataclass(eq=False, repr=False)
class TabularClassifier(ClassifierMixin, BaseTabular[Labels]):
    """An ensemble of networks that classifies the rows of tables as they are.

    Columns may be numbers, booleans, text, categories and dates, with missing values. The encoder
    learns from each column what it is; networks are trained side by side, each without a fold of
    the rows, by which its best epoch is chosen and the probabilities are calibrated.

    Args:
        preset: "fast": two networks. "best": eight, with dropout, weight decay and twice the
            epochs; it takes many times as long.
        ensemble: the number of networks; None for the preset's.
        epochs: of each network; None for the preset's, fewer for more rows.
        time_limit: seconds that ``fit`` may take, encoding included; None for no limit. Epochs, and
            where there are too few of them networks, are planned by the time that the first ones
            take. Where it leaves less than an epoch takes, one network learns from some rows, drawn
            by chance. It may be exceeded by a few percent, and by encoding.
        class_weight: a dict of weights by class, or "balanced". It multiplies ``sample_weight``.
        drop: names of columns to leave out.
        kinds: "number", "boolean", "category" or "date" by the name of a column, where its kind
            should not be found out.
        random_state: seed of the folds, the initial weights and the order of rows. With it, and
            without time_limit, the result is the same on any number of threads.
        n_threads: the most networks that are trained at a time, or threads of fewer networks; None
            for as many as there are processors.
        verbose: 1 prints the end of each network's training, 2 each epoch.

    Attributes:
        classes_: the classes, in ascending order.
        encoder_: the TableEncoder; ``encoder_.schema`` says what each column is.
        ensemble_: the ``fastbp.Ensemble``.
        histories_: a History of each network.
        validation_score_: accuracy and log loss on rows by networks that were not trained on them;
            empty where there are none, because every class has one row.
        temperature_: T in p^(1/T), which calibrates probabilities.
        record_: what the fit was, in terms of JSON.
        n_features_in_, feature_names_in_: the columns of X.

    >>> from fastbp.tabular import TabularClassifier
    >>> X = {"weight": [1.0, 1.2, None, 5.0, 5.5, 6.1] * 5, "colour": ["red", "blue", "red"] * 10}
    >>> y = ["apple", "apple", "apple", "melon", "melon", "melon"] * 5
    >>> model = TabularClassifier(epochs=30, random_state=0).fit(X, y)
    >>> print(model.predict({"weight": [1.1, 6.0], "colour": ["blue", "green"]}))
    ['apple' 'melon']

    """

    preset: str = "fast"
    class_weight: str | Mapping[Any, float] | None = field(default=None, kw_only=True)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    _goal: ClassVar[Mapping[str, Any]] = CLASSES

    @property
    def classes_(self) -> Array:
        """The classes, in ascending order: bool, integers, floats or text."""
        return self.targets_.classes

    def predict(self, X: Any) -> Array:
        """The most probable class of each row of X, (n,)."""
        codes = self.predict_proba(X).argmax(axis=1)
        labels: Array = self.classes_[codes]
        return labels

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, (n, classes), in the order of ``classes_``.

        The mean of the networks' probabilities at ``temperature_``. ValueError where X lacks a
        column that the model has learned from; others are ignored.
        """
        p = np.concatenate([self.ensemble_.predict(part) for part in self._parts(X)])
        return calibration.scaled(p, self.temperature_)

    def _learn(self, y: Any, sample_weight: Any) -> tuple[Labels, Array, Array]:  # noqa: ARG002
        return Labels.of(y)

    def _strata(self, targets: Array) -> Array:
        return targets

    def _weighed(self, found: Rows, targets: Labels) -> Rows:
        if self.class_weight is None:
            return found
        labels = targets.classes[found.targets]
        return found.weighed(compute_sample_weight(self.class_weight, labels))

    def _calibrate(self, left_out: LeftOut) -> dict[str, float]:
        self.temperature_ = 1.0
        rows, p = left_out.mean()
        if not len(rows):
            return {}
        codes, weights = left_out.targets[rows], left_out.weights_of(rows)
        self.temperature_ = calibration.temperature(p, codes, weights)
        p = calibration.scaled(p, self.temperature_)
        return {
            "accuracy": float(np.average(p.argmax(axis=1) == codes, weights=weights)),
            "log_loss": calibration.log_loss(p, codes, weights),
        }
