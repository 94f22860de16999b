"""The data of a call, with shapes and dtypes checked; values are checked when they are read."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..data import sources
from ..data.derivatives import Derivatives
from ..data.frames import column_names
from ..data.names import check as check_names
from ..data.sources import as_array
from ..data.tables import as_inputs, as_row_weights, as_targets
from ..runtime.arrays import Dataset
from . import derivatives
from .core import TrainerCore
from .row_order import RowOrder
from .validation import (
    check_some_weight,
    check_values,
    hold_out,
    known_shares,
    rows_to_hold_out,
)

Names: TypeAlias = tuple[str, str, str]

NAMES = ("X", "y", "sample_weight")

LARGEST = {4: float(np.finfo(np.float32).max), 8: float(np.finfo(np.float64).max)}
"""The largest number of a network's dtype, by its itemsize."""


def as_dataset(
    core: TrainerCore,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    names: Names = NAMES,
    takes_mean: bool = False,
) -> Dataset:
    """X, y and the weights of rows.

    names: their names in messages. takes_mean: whether the weights are divided by their mean. Files
    are read once shapes and dtypes are known to fit.
    """
    if core.is_local:
        from . import local_rows

        if sources.are_none(X):
            return local_rows.no_rows(core, names[:2])
    if not (type(X) in sources.IN_MEMORY and type(y) in sources.IN_MEMORY):
        like_x, like_y = sources.unread(X), sources.unread(y)
        if like_x is not X or like_y is not y:
            as_dataset(core, like_x, like_y, sample_weight, names, takes_mean)
    sizes = core.net.sizes
    x = as_inputs(X, sizes[0], names[0], core.net.feature_names_in)
    rows = len(x.array)
    targets = as_targets(y, core.loss, sizes[-1], rows, names[1])
    weights = None
    if sample_weight is not None:
        limit = None if takes_mean else LARGEST[core.net.dtype.itemsize]
        weights = as_row_weights(sample_weight, rows, limit, names[2])
    return Dataset(x, targets, names[:2], weights)


def datasets(core: TrainerCore, X: Any, y: Any, sample_weight: Any) -> Iterator[Dataset]:
    """``as_dataset`` a part at a time, where X or y is read on demand; else at once.

    The weights are divided by their mean.
    """
    source = sources.as_source(X, "X")
    reads_y = sources.as_stored(y, "y") is not None
    if reads_y and hasattr(X, "tocsr"):  # a sparse matrix is in memory, as its targets may be
        y, reads_y = as_array(y, "y"), False
    if source is None and not reads_y:
        yield as_dataset(core, X, y, sample_weight, takes_mean=True)
        return
    columns = column_names(X), column_names(y)
    check_names(core.net.feature_names_in, columns[0], "X")
    y = y if reads_y else as_array(y, "y")
    like = X if source is None else sources.stand_in(source)
    whole = as_dataset(core, like, sources.unread(y), sample_weight, takes_mean=True)
    for first, (some_x, some_y) in sources.parts(source or X, y):
        data = as_dataset(core, some_x, some_y)
        data.x = data.x._replace(columns=columns[0], first=first)
        data.y = data.y and data.y._replace(columns=columns[1], first=first)
        if whole.weights is not None:
            data.weights = whole.weights[first : first + data.rows]
        yield data


def as_step(core: TrainerCore, X: Any, y: Any, sample_weight: Any, names: Names = NAMES) -> Dataset:
    """The data of one update. What is read on demand is not read where it has too many rows."""
    if type(X) not in sources.IN_MEMORY:
        source = sources.as_source(X, names[0])
        if source is not None:
            check_rows(core, source.shape[0], names[0])
    return as_dataset(core, X, y, sample_weight, names)


def check_rows(core: TrainerCore, rows: int, name: str) -> None:
    """ValueError where an update would have more rows than ``batch_size``."""
    if rows > core.batch_size:
        raise ValueError(
            f"{name} has {rows} rows, expected at most batch_size = {core.batch_size}: make "
            "smaller batches, or the Trainer with a larger batch_size"
        )


def as_batch(core: TrainerCore, batch: Any, name: str, jacobian_weight: Any = 1.0) -> Dataset:
    """One of the batches of ``fit_batches``. name: its name in messages."""
    if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= 5:
        size = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
        raise TypeError(
            f"{name} is a {type(batch).__name__}{size}, expected a pair (X, y) or a triple (X, y, "
            "sample_weight), which jacobian and directions may follow; for all of X and y in two "
            "arrays call fit(X, y)"
        )
    names = f"{name}[0]", f"{name}[1]", f"{name}[2]"
    weights = batch[2] if len(batch) > 2 else None
    data = as_step(core, batch[0], batch[1], weights, names)
    check_rows(core, data.rows, names[0])
    data.derivatives = _known(core, data, batch[3:], jacobian_weight)
    return data


def _known(
    core: TrainerCore, data: Dataset, given: Sequence[Any], weight: Any
) -> Derivatives | None:
    """What is known of derivatives, of (jacobian,), (jacobian, directions) or ()."""
    jacobian, directions = (*given, None, None)[:2]
    weight = 1.0 if jacobian is None else weight
    return derivatives.of_rows(core, data.rows, jacobian, weight, directions)


def validation_parts(given: Any) -> tuple[Any, Any, Any]:
    """The X, y and sample_weight, or None, of ``validation_data``; TypeError where it is none."""
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        size = f" of {len(given)}" if isinstance(given, tuple | list) else ""
        raise TypeError(
            f"validation_data is a {type(given).__name__}{size}, expected a pair (X, y), a triple "
            "(X, y, sample_weight) or None"
        )
    return given[0], given[1], given[2] if len(given) == 3 else None


def as_validation(core: TrainerCore, given: Any, jacobian_weight: Any = 1.0) -> Dataset | None:
    """``validation_data``: (X, y), perhaps with sample_weight, jacobian, directions; or None."""
    if given is None:
        return None
    names = "validation_data[0]", "validation_data[1]", "validation_data[2]"
    more = given[3:5] if isinstance(given, tuple | list) and len(given) <= 5 else ()
    parts = validation_parts(given[:3] if more else given)
    data = as_dataset(core, *parts, names, takes_mean=True)
    data.derivatives = _known(core, data, more, jacobian_weight)
    _check_some_weight(core, data, names[0], names[2], "row")
    check_values(data, core.arrays)
    _check_some_known(core, data)
    return data


def _check_some_weight(core: TrainerCore, data: Dataset, rows: str, weights: str, row: str) -> None:
    """ValueError where no row of any rank validates, or none of them has weight.

    rows, weights, row: what they are called in messages.
    """
    if core.is_local:
        core.rows_of_ranks(data.rows, data.weights is not None, (rows, weights))
    check_some_weight(core.some(data.weights), weights, row)


def _check_some_known(core: TrainerCore, data: Dataset) -> None:
    if not core.loss.ignores_nan or data.y is None:
        return
    if not core.summed(np.array(known_shares(data.y).any(), np.int64)):
        raise ValueError(
            f"{data.names[1]} is NaN in every row that validates, expected a known target: hold "
            "out other rows"
        )


def as_held_out(
    core: TrainerCore, order: RowOrder, given: Any, fraction: Any, rows: Any, jacobian_weight: Any
) -> Dataset | None:
    """``validation_data``, or the rows that one of the other arguments takes out of ``order``.

    fraction: ``validation_fraction``. rows: ``validation_rows``. jacobian_weight: of derivatives
    that ``validation_data`` has.
    """
    if fraction is None and rows is None:
        held_out = as_validation(core, given, jacobian_weight)
        if held_out is not None:
            check_names(order.data.x.columns, held_out.x.columns, held_out.names[0])
        return held_out
    wanted = {
        "validation_fraction": fraction,
        "validation_rows": rows,
        "validation_data": given,
    }
    if core.is_local and (order.data.rows < 2 or (rows is not None and np.size(rows) == 0)):
        held_out = order.data.part(0, 0)  # other ranks may hold out some
    else:
        others = rows_to_hold_out(order.data, wanted, core.seed, core.arrays)
        order.chosen, held_out = hold_out(order.data, others, core.arrays)
    names = "what is held out", "sample_weight", "row that is held out"
    _check_some_weight(core, held_out, *names)
    _check_some_known(core, held_out)
    return held_out
