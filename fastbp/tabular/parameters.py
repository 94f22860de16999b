"""The parameters that both estimators have, and what scikit-learn checks of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from .recipe import PRESETS

COUNT = [Interval(Integral, 1, None, closed="left"), None]

CONSTRAINTS: dict[str, list[Any]] = {
    "preset": [StrOptions(set(PRESETS))],
    "ensemble": COUNT,
    "epochs": COUNT,
    "time_limit": [Interval(Real, 0, None, closed="neither"), None],
    "drop": ["array-like"],
    "kinds": [dict, None],
    "random_state": ["random_state"],
    "n_threads": COUNT,
    "verbose": ["verbose"],
}
"""What each parameter may be, as scikit-learn checks it; its messages come from this."""


@dataclass(kw_only=True, eq=False, repr=False)
class Parameters(BaseEstimator):
    """The parameters, stored as they come; ``fit`` checks them. The estimators say what each is."""

    ensemble: int | None = None
    epochs: int | None = None
    time_limit: float | None = None
    drop: Sequence[str] = ()
    kinds: Mapping[str, str] | None = None
    random_state: Any = None
    n_threads: int | None = None
    verbose: int = 0
