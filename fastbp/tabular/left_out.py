"""What members predict for rows that they were not trained on: their folds, or validation data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..common.types import Array, Floats, Ints
from .members import Data, Trained


@dataclass(frozen=True)
class LeftOut:
    """The outputs of each member for rows that it was not trained on.

    targets, weights: of all rows, weights (n,) or None. rows: of each member, the numbers of its
    rows. outputs: of each member, (its rows, outputs), float64.
    """

    targets: Array
    weights: Floats | None
    rows: Sequence[Ints]
    outputs: Sequence[Floats]

    @classmethod
    def of(cls, trained: Sequence[Trained], data: Data) -> Self:
        """The outputs of trained members, which are computed here."""
        X, targets, *weights = data.validation or (data.X, data.y, data.weights)
        rows = [one.member.held for one in trained]
        if data.validation is not None:
            rows = [np.arange(len(targets))] * len(trained)
        outputs = [
            one.net.predict(X[held]).astype(np.float64) if len(held) else np.empty((0, 0))
            for one, held in zip(trained, rows, strict=True)
        ]
        return cls(targets, weights[0] if weights else None, rows, outputs)

    def mean(self) -> tuple[Ints, Floats]:
        """(the numbers of the rows that have predictions, the mean of each one's)."""
        found, places = np.unique(np.concatenate(self.rows), return_inverse=True)
        counts = np.zeros(len(found))
        sums = np.zeros((len(found), max(p.shape[1] for p in self.outputs)))
        ends = np.cumsum([len(rows) for rows in self.rows])
        for p, own in zip(self.outputs, np.split(places, ends[:-1]), strict=True):
            if len(own):
                sums[own] += p
                counts[own] += 1
        return found, sums / counts[:, None]

    def weights_of(self, rows: Ints) -> Floats | None:
        """The weights of some rows."""
        return None if self.weights is None else self.weights[rows]
