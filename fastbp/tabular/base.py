"""What both estimators do: read a table, train the members, predict."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sklearn.base import BaseEstimator

from ..callbacks.history import History
from ..common.types import Array
from ..model.ensemble import Ensemble


@dataclass(frozen=True)
class Progress:
    """Where a fit is: the argument of ``on_epoch``.

    Attributes:
        member: the number of the network that has just ended an epoch, from 0.
        members: how many networks are trained.
        epoch: the epochs that it has made.
        epochs: how many it is to make.
        values: the last entries of its History.

    """

    member: int
    members: int
    epoch: int
    epochs: int
    values: Mapping[str, float]


@dataclass(kw_only=True, eq=False, repr=False)
class BaseTabular(BaseEstimator):
    """The base of ``TabularClassifier`` and ``TabularRegressor``."""

    ensemble: int | None = None
    epochs: int | None = None
    time_limit: float | None = None
    drop: Sequence[str] = ()
    kinds: Mapping[str, str] | None = None
    random_state: Any = None
    n_threads: int | None = None
    verbose: int = 0

    encoder_: Any
    ensemble_: Ensemble
    histories_: list[History]
    validation_score_: dict[str, float]
    record_: dict[str, Any]
    n_features_in_: int
    feature_names_in_: Array

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        on_epoch: Callable[[Progress], object] | None = None,
    ) -> Self:
        """Fit the ensemble to the table X and the targets y."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file."""
        raise NotImplementedError

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model of a file that ``save`` wrote."""
        raise NotImplementedError
