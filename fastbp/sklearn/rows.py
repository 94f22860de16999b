"""The rows of a call, as fastbp takes them."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from ..common.types import Array, Floats

TOO_FEW = (
    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
)
"""scikit-learn's text."""


class Rows(NamedTuple):
    """X (n, n_in), targets (n,) or (n, outputs), and the weight of each row, (n,) or None.

    X is an array or a sparse matrix in CSR format.
    """

    X: Any
    targets: Array
    weights: Floats | None

    @property
    def mean_weight(self) -> float:
        """The mean weight of a row."""
        return 1.0 if self.weights is None else float(np.mean(self.weights, dtype=np.float64))

    @property
    def given(self) -> tuple[Any, ...]:
        """What there is of them: (X, targets), or (X, targets, weights)."""
        return tuple(array for array in self if array is not None)

    def split(self, fraction: float, random: Any, stratifies: bool) -> tuple["Rows", "Rows"]:
        """The rows to train on, and the share that is held out, as scikit-learn draws them."""
        parts = train_test_split(
            *self.given,
            random_state=random,
            test_size=fraction,
            stratify=self.targets if stratifies else None,
        )
        if parts[1].shape[0] < 2:
            raise ValueError(TOO_FEW)
        weights = (None, None) if self.weights is None else parts[4:]
        return Rows(parts[0], parts[2], weights[0]), Rows(parts[1], parts[3], weights[1])
