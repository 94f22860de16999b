"""Encoded rows in files that are mapped into memory: a table may have more than memory holds."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..common.types import Array
from ..storage import unfinished


def dense(blocks: Iterable[Array], width: int, folder: Path) -> Array:
    """The rows of all blocks as a read-only float32 array (rows, width).

    Its memory is that of a file in the folder, whose name is gone when this returns.
    """
    with new_file(folder) as (path, file):
        for block in blocks:
            file.write(np.ascontiguousarray(block, np.float32).data)
        return _mapped(path, file, np.float32).reshape(-1, width)


def sparse(blocks: Iterable[Any], width: int, folder: Path) -> Any:
    """The same of blocks in CSR format, as a ``scipy.sparse.csr_array``."""
    from scipy.sparse import csr_array

    counts = [np.zeros(1, np.int64)]
    with new_file(folder) as values, new_file(folder) as columns:
        for block in blocks:
            values[1].write(np.ascontiguousarray(block.data, np.float32).data)
            columns[1].write(np.ascontiguousarray(block.indices, np.int32).data)
            counts.append(np.diff(block.indptr))
        starts = np.cumsum(np.concatenate(counts))
        if starts[-1] <= np.iinfo(np.int32).max:  # else SciPy converts the columns, in memory
            starts = starts.astype(np.int32)
        parts = _mapped(*values, np.float32), _mapped(*columns, np.int32), starts
        return csr_array(parts, shape=(len(starts) - 1, width))


@contextmanager
def new_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """(path, file) of a new file, whose name is gone at the end, and what is mapped of it is not.

    Windows keeps the name of what is mapped; ``unfinished.remove_orphans`` removes it later.
    """
    is_done = False
    try:
        with unfinished.named_file(folder) as (path, file):
            yield path, file
            is_done = True
    except PermissionError:
        if not is_done or os.name != "nt":
            raise


def _mapped(path: Path, file: BinaryIO, dtype: type) -> Array:
    """What was written, as an array (values,)."""
    file.flush()
    if not file.tell():  # nothing cannot be mapped
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype, "r"))
