"""A sparse matrix from blocks of rows."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..common.types import Array, Ints


class Stored(NamedTuple):
    """Some rows: values (rows, m), zeros among them, and the column of each (rows, m).

    The columns of a row ascend, apart from those of zeros.
    """

    values: Array
    columns: Ints


def stacked(blocks: Iterable[Stored], n_columns: int) -> Any:
    """The rows of all blocks, one at least, as a ``scipy.sparse.csr_array`` without zeros."""
    from scipy import sparse

    values, indices, counts = [], [], []
    for block in blocks:
        is_stored = block.values != 0
        values.append(block.values[is_stored])
        indices.append(block.columns[is_stored].astype(np.int32))
        counts.append(np.count_nonzero(is_stored, axis=1))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    if starts[-1] <= np.iinfo(np.int32).max:  # else SciPy converts the columns
        starts = starts.astype(np.int32)
    shape = (len(starts) - 1, n_columns)
    return sparse.csr_array((np.concatenate(values), np.concatenate(indices), starts), shape=shape)
