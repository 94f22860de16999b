"""Sparse matrices and arrays of SciPy in CSR form, whose rows the kernels gather.

The class of an object says that it comes from SciPy, which fastbp does not import. Other formats
are refused: a row cannot be read there without a search.
"""

from typing import Any

import numpy as np

from ..common.types import Array, Ints, Rows
from ..kernels import reference
from ..kernels.primitives import csr
from .dtypes import CODES

INDEX_DTYPES = (np.dtype(np.int32), np.dtype(np.int64))
"""Of the indices that the kernels read."""


class CsrRows:
    """The rows of a CSR matrix in place.

    values, indices: (stored,), the values and their columns, which ascend in each row. starts:
    (rows + 1,), the place of each row's first value, and the end. columns: how many. record: what
    kernels read (kernels/primitives/csr.py). Like an array it has shape, dtype and length, and the
    rows that are taken out of it are dense.
    """

    def __init__(self, values: Array, indices: Ints, starts: Ints, columns: int) -> None:
        self.values, self.indices, self.starts = values, indices, starts
        self.shape, self.dtype = (len(starts) - 1, columns), values.dtype
        record = np.zeros(csr.RECORD, np.int64)
        record[[csr.VALUES, csr.INDICES, csr.STARTS]] = [part.ctypes.data for part in self.memory]
        record[csr.VALUE_TYPE], record[csr.VALUE_BYTES] = CODES[values.dtype], values.itemsize
        record[[csr.INDEX_BYTES, csr.START_BYTES]] = indices.itemsize, starts.itemsize
        record[csr.N_VALUES] = min(len(values), len(indices))
        self.record = record

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Rows by numbers or a slice, one row, or one entry, as of an array."""
        if isinstance(key, tuple):
            return self[key[0]][key[1]]
        numbers = np.arange(len(self))[key]
        dense = reference.rows_of_csr(
            self.values, self.indices, self.starts, self.shape[1], np.atleast_1d(numbers)
        )
        return dense if np.ndim(numbers) else dense[0]

    @property
    def memory(self) -> tuple[Array, ...]:
        """The arrays that hold it."""
        return self.values, self.indices, self.starts

    @property
    def n_stored(self) -> int:
        """The number of its values."""
        return int(self.starts[-1] - self.starts[0])

    def part(self, start: int, stop: int) -> "CsrRows":
        """Rows ``start`` to ``stop``, in place."""
        starts = self.starts[start : stop + 1]
        return CsrRows(self.values, self.indices, starts, self.shape[1])

    def take(self, rows: Rows) -> "CsrRows":
        """A copy of these rows."""
        which, columns, values = self.stored(rows)
        starts = np.searchsorted(which, np.arange(len(rows) + 1))
        return CsrRows(values, columns, starts, self.shape[1])

    def stored(self, rows: Rows) -> tuple[Ints, Ints, Array]:
        """What these rows store, copied: the place in ``rows`` of each value, its column, it."""
        numbers = np.asarray(rows)
        first, counts = self.starts[numbers], np.diff(self.starts)[numbers]
        which = np.repeat(np.arange(len(numbers)), counts)
        ends = np.cumsum(counts, dtype=np.int64)
        places = np.arange(len(which)) + np.repeat(first - (ends - counts), counts)
        return which, self.indices[places], self.values[places]


def refuse_format(data: Any, name: str) -> None:
    """TypeError for a sparse matrix of another format than CSR, or of another package."""
    is_scipy = any(str(base.__module__).startswith("scipy.") for base in type(data).__mro__)
    if is_scipy and data.format == "csr":
        return
    raise TypeError(
        f"{name} is a sparse {type(data).__name__}, expected a matrix or array of SciPy in CSR "
        f"format, or a dense array: pass {name}.tocsr()"
    )


def rows_of(data: Any, name: str) -> CsrRows:
    """The rows of SciPy's ``data``, two-dimensional, in CSR format and of a known dtype.

    They are copied once where the columns of a row do not ascend, or are there twice: then values
    are added up, as in ``data.toarray()``. Indices of other types than int32 and int64 are
    converted. ValueError where ``data.indptr`` is none.
    """
    _check_starts(data, name)
    if not data.has_canonical_format:
        data = data.copy()
        data.sum_duplicates()
    values = np.ascontiguousarray(data.data)
    return CsrRows(values, _indices(data.indices), _indices(data.indptr), data.shape[1])


def _check_starts(data: Any, name: str) -> None:
    starts, stored = np.asarray(data.indptr), min(len(data.indices), len(data.data))
    if len(starts) != data.shape[0] + 1:
        wrong = f"length {len(starts)}, expected {data.shape[0] + 1}"
    elif starts[0] < 0 or starts[-1] > stored or (starts[1:] < starts[:-1]).any():
        wrong = f"other numbers than ascending ones from 0 to {stored}"
    else:
        return
    raise ValueError(f"{name}.indptr has {wrong}: {name}.check_format() tells what is wrong")


def _indices(array: Any) -> Ints:
    known = array.dtype if array.dtype in INDEX_DTYPES else np.int64
    return np.ascontiguousarray(array, known)


def check_indices(rows: CsrRows, numbers: Rows, name: str, first: int) -> None:
    """ValueError for the first column index of these rows that the kernels refuse.

    first: what is added to the number of a row in the message.
    """
    which, columns, _ = rows.stored(numbers)
    wrong = (columns < 0) | (columns >= rows.shape[1])
    wrong[1:] |= (np.diff(columns) <= 0) & (np.diff(which) == 0)
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(
            f"{name} has column index {columns[i]} at row {first + int(numbers[which[i]])}, "
            f"expected ascending ones in [0, {rows.shape[1]}): {name}.check_format() tells more, "
            f"{name}.sum_duplicates() sorts"
        )
