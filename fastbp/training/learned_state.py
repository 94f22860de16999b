"""What training changes among the hyperparameters, which a pickle keeps by name.

The options of a trainer make the rest of the vector (kernels/tables/settings.py). Its places differ
between versions.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ..common.types import Floats
from ..kernels.base import codes
from ..kernels.tables import settings
from ..runtime.arrays import TrainingArrays

PLACES = {
    "lr": codes.LR,
    "updates": settings.UPDATES,
    "optimizer_state": settings.OPTIMIZER_STATE,
}

PLACES_0_1_0 = {"lr": 0, "updates": 8, "optimizer_state": 29}
FIRST_LAYER_0_1_0, PER_LAYER_0_1_0 = 30, 2
"""Of 0.1.0, whose pickles have the vector. Weights of classes come after the layers."""

Kept: TypeAlias = Mapping[str, Any] | Floats


def of(arrays: TrainingArrays) -> Kept:
    """What a pickle keeps."""
    numbers = {name: float(arrays.hyper[place]) for name, place in PLACES.items()}
    return numbers | {"class_weights": arrays.class_weights.copy()}


def restore(arrays: TrainingArrays, kept: Kept) -> None:
    """Bring new arrays to the state that a pickle has kept."""
    if isinstance(kept, np.ndarray):
        kept = _of_vector(kept, len(arrays.spec.sizes) - 1, len(arrays.class_weights))
    for name, place in PLACES.items():
        arrays.hyper[place] = kept[name]
    arrays.class_weights[:] = kept["class_weights"]


def _of_vector(hyper: Floats, layers: int, classes: int) -> Mapping[str, Any]:
    first = FIRST_LAYER_0_1_0 + PER_LAYER_0_1_0 * layers
    numbers = {name: hyper[place] for name, place in PLACES_0_1_0.items()}
    return numbers | {"class_weights": hyper[first : first + classes]}
