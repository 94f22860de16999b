"""The data of a call, with shapes and dtypes checked; values are checked when they are read."""

from typing import Any

import numpy as np

from ..data.tables import as_inputs, as_row_weights, as_targets
from ..runtime.arrays import Dataset
from .core import TrainerCore
from .row_order import RowOrder
from .validation import Validation, check_fraction, check_some_weight, hold_out

NAMES = ("X", "y", "sample_weight")

LARGEST = {4: float(np.finfo(np.float32).max), 8: float(np.finfo(np.float64).max)}
"""The largest number of a network's dtype, by its itemsize."""


def as_dataset(
    core: TrainerCore,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    names: tuple[str, str, str] = NAMES,
    takes_mean: bool = False,
) -> Dataset:
    """X, y and the weights of rows.

    names: their names in messages. takes_mean: whether the weights are divided by their mean.
    """
    sizes = core.net.sizes
    x = as_inputs(X, sizes[0], names[0])
    rows = len(x.array)
    targets = as_targets(y, core.loss, sizes[-1], rows, names[1])
    weights = None
    if sample_weight is not None:
        limit = None if takes_mean else LARGEST[core.net.dtype.itemsize]
        weights = as_row_weights(sample_weight, rows, limit, names[2])
    return Dataset(x, targets, names[:2], weights)


def as_batch(core: TrainerCore, batch: Any, name: str) -> Dataset:
    """One of the batches of ``fit_batches``. name: its name in messages."""
    if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
        size = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
        raise TypeError(
            f"{name} is a {type(batch).__name__}{size}, expected a pair (X, y) or a triple (X, y, "
            "sample_weight); for all of X and y in two arrays call fit(X, y)"
        )
    names = f"{name}[0]", f"{name}[1]", f"{name}[2]"
    weights = batch[2] if len(batch) == 3 else None
    data = as_dataset(core, batch[0], batch[1], weights, names)
    if data.rows > core.batch_size:
        raise ValueError(
            f"{names[0]} has {data.rows} rows, expected at most batch_size = {core.batch_size}: "
            "make smaller batches, or the Trainer with a larger batch_size"
        )
    return data


def as_validation(core: TrainerCore, given: Any) -> Validation | None:
    """``validation_data``: (X, y), (X, y, sample_weight) or None."""
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        size = f" of {len(given)}" if isinstance(given, tuple | list) else ""
        raise TypeError(
            f"validation_data is a {type(given).__name__}{size}, expected a pair (X, y), a triple "
            "(X, y, sample_weight) or None"
        )
    names = "validation_data[0]", "validation_data[1]", "validation_data[2]"
    weights = given[2] if len(given) == 3 else None
    data = as_dataset(core, given[0], given[1], weights, names, takes_mean=True)
    check_some_weight(data.weights, names[2])
    return Validation(data, np.asarray(given[1]))


def as_held_out(
    core: TrainerCore, order: RowOrder, y: Any, given: Any, fraction: Any
) -> Validation | None:
    """``validation_data``, or the rows that ``validation_fraction`` takes out of ``order``."""
    if fraction is None:
        return as_validation(core, given)
    fraction = check_fraction(fraction, given, order.data.rows)
    order.chosen, held_out = hold_out(order.data, y, fraction, core.seed, core.arrays)
    return held_out
