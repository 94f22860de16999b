"""The rows of a call, as fastbp takes them."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from ..common.types import Array, Floats
from ..data.dtypes import CODES
from ..training.validation import check_some_weight

TOO_FEW = (
    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
)
"""scikit-learn's text."""


def readable(array: Array) -> Array:
    """Numbers in a dtype that fastbp reads: in float64 where they are longer, or swapped."""
    is_read = array.dtype in CODES or array.dtype.kind not in "biuf"
    return array if is_read else array.astype(np.float64)


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

    def check_weights(self, which: str) -> None:
        """ValueError where no row has weight. which: of the rows these are."""
        check_some_weight(self.weights, "the weight by sample_weight and class", f"row {which}")

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
