"""The data of a call, with shapes and dtypes checked; values are checked when they are read."""

from typing import Any

import numpy as np

from ..data.tables import as_inputs, as_row_weights, as_targets
from ..runtime.arrays import Dataset
from .core import TrainerCore
from .row_order import RowOrder
from .validation import Validation, check_fraction, hold_out

NAMES = ("X", "y", "sample_weight")


def as_dataset(
    core: TrainerCore,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    names: tuple[str, str, str] = NAMES,
) -> Dataset:
    """X, y and the weights of rows. names: their names in messages."""
    sizes = core.net.sizes
    x = as_inputs(X, sizes[0], names[0])
    rows = len(x.array)
    targets = as_targets(y, core.loss, sizes[-1], rows, names[1])
    return Dataset(x, targets, names[:2], as_row_weights(sample_weight, rows, names[2]))


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


def as_validation(core: TrainerCore, pair: Any) -> Validation | None:
    """``validation_data``: a pair (X, y) or None."""
    if pair is None:
        return None
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(
            f"validation_data is a {type(pair).__name__}, expected a pair (X, y) or None"
        )
    names = "validation_data[0]", "validation_data[1]", ""
    return Validation(as_dataset(core, pair[0], pair[1], names=names), np.asarray(pair[1]))


def as_held_out(
    core: TrainerCore, order: RowOrder, y: Any, pair: Any, fraction: Any
) -> Validation | None:
    """``validation_data``, or the rows that ``validation_fraction`` takes out of ``order``."""
    if fraction is None:
        return as_validation(core, pair)
    fraction = check_fraction(fraction, pair, order.data.rows)
    order.chosen, held_out = hold_out(order.data, y, fraction, core.seed, core.arrays)
    return held_out
