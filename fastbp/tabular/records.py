"""The record of a fit: what it was, in terms of JSON."""

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from .. import __version__
from .members import Trained
from .recipe import Recipe

if TYPE_CHECKING:
    from .base import BaseTabular


def of_fit(
    model: "BaseTabular[Any]",
    recipe: Recipe,
    seed: int,
    trained: Sequence[Trained],
    n: int,
    seconds: float,
) -> dict[str, Any]:
    """The record of a model that has just been fitted to n rows.

    versions; data: rows, columns, inputs of the networks; seed: drawn from random_state; preset;
    recipe: its settings; members: of each what it was trained on and how far; scores: of
    ``validation_score_``; seconds: of the whole fit.
    """
    return {
        "versions": {
            "fastbp": __version__,
            "numba": numba.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "rows": n,
        "columns": model.n_features_in_,
        "inputs": model.encoder_.n_features,
        "preset": model.preset,
        "seed": seed,
        "recipe": {key: _plain(value) for key, value in asdict(recipe).items()},
        "members": [_of_member(one, n) for one in trained],
        "scores": {k: v if math.isfinite(v) else None for k, v in model.validation_score_.items()},
        "seconds": round(seconds, 3),
    }


def _of_member(one: Trained, n: int) -> dict[str, Any]:
    return {
        "number": one.member.number,
        "seed": one.member.seed,
        "rows": n - len(one.member.held) if one.rows is None else one.rows,
        "epochs": one.epochs,
        "best_epoch": one.best_epoch,
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
