"""What is no array in memory, and is read a part at a time, in the order of its rows.

Array-likes of h5py, zarr and others have a shape, a dtype and slices, and no memory that NumPy
could share; tables of pandas, polars and pyarrow (frames.py) may have to be converted.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..common.types import Array
from .frames import Frame, as_frame, package_of

PART_BYTES = 2**24
"""The bytes that a part aims at: large enough for a disk, small beside any memory."""

FEWEST_ROWS = 64
"""The fewest rows of a part: fewer have kernels, and an order of summation, of their own."""

SHARE = 0.5
"""The largest share of the machine's memory that data which are read whole may take."""

IN_MEMORY = (np.ndarray, list, tuple)

SHARES_MEMORY = ("__array_interface__", "__array_struct__", "__dlpack__")
"""What NumPy, or other libraries of arrays, take memory by."""


class Source(Protocol):
    """Rows that are read on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what ``read`` returns."""

    def read(self, start: int, stop: int) -> Array:
        """Rows ``start`` to ``stop`` as an array."""


class Stored(NamedTuple):
    """An array-like with slices, as h5py's datasets and zarr's arrays are."""

    data: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str

    def read(self, start: int, stop: int) -> Array:
        """See ``Source``. An exception of the array-like gets the place in a note."""
        try:
            rows = np.asarray(self.data[start:stop])
        except Exception as error:
            error.add_note(f"raised while {self.name}[{start}:{stop}] was read")
            raise
        if rows.shape != (stop - start, *self.shape[1:]) or rows.dtype != self.dtype:
            raise ValueError(
                f"{self.name}[{start}:{stop}] has shape {rows.shape} and dtype {rows.dtype}, but "
                f"{self.name} has shape {self.shape} and dtype {self.dtype}: pass np.asarray of it"
            )
        return rows


def as_source(data: Any, name: str) -> Source | None:
    """``data`` as a Source; None for what np.asarray reads better, such as arrays and lists.

    TypeError for a table with a column that holds no numbers.
    """
    if isinstance(data, Stored | Frame):
        return data
    if isinstance(data, IN_MEMORY):
        return None
    return as_frame(data, name) or as_stored(data, name)


def as_stored(data: Any, name: str) -> Stored | None:
    """``data`` as an array-like of a file, or of another package, if it is one."""
    kind = type(data)
    if isinstance(data, IN_MEMORY) or not hasattr(kind, "__getitem__") or package_of(kind):
        return None
    if any(hasattr(kind, way) for way in (*SHARES_MEMORY, "tocsr")):  # csr.py has sparse ones
        return None
    with suppress(Exception):  # TypeError of what has no buffer; an object may raise anything
        memoryview(data)
        return None
    with suppress(Exception):
        dtype, shape = data.dtype, data.shape
        if isinstance(dtype, np.dtype) and isinstance(shape, tuple) and shape:
            return Stored(data, tuple(int(length) for length in shape), dtype, name)
    return None


def unread(data: Any) -> Any:
    """``data``; of a ``Stored`` one what stands in for it."""
    stored = as_stored(data, "X")
    return data if stored is None else stand_in(stored)


def stand_in(source: Source) -> Array:
    """An array of the same shape and dtype in the memory of one number, for checks of these."""
    return np.broadcast_to(np.zeros((), source.dtype), source.shape)


def parts(*data: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """(the number of its first row, the rows of each of ``data``) of one part after another.

    data: Sources, or the user's. Where none is a Source they make one part.
    """
    each = [as_source(one, "X") for one in data]
    sources = [source for source in each if source is not None]
    if not sources:
        yield 0, data
        return
    arrays = [source or as_array(one, "y") for source, one in zip(each, data, strict=True)]
    rows = sources[0].shape[0]
    for start, stop in _spans(rows, min(map(_rows_of_part, sources))):
        yield start, tuple(_part(one, start, stop) for one in arrays)


def _part(data: Any, start: int, stop: int) -> Array:
    rows: Array = data[start:stop] if isinstance(data, np.ndarray) else data.read(start, stop)
    return rows


def _spans(rows: int, count: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each part, in order. The last has up to twice the rows of the others."""
    start = 0
    while rows - start >= 2 * count:
        yield start, start + count
        start += count
    yield start, rows


def _rows_of_part(source: Source) -> int:
    """Rows of a part: whole chunks of the file, so that none is read, and decompressed, twice."""
    of_row = source.dtype.itemsize * int(np.prod(source.shape[1:], dtype=object))
    count = max(FEWEST_ROWS, PART_BYTES // max(1, of_row))
    chunks = getattr(getattr(source, "data", None), "chunks", None)
    chunk = chunks[0] if isinstance(chunks, tuple) and chunks else 1
    if not isinstance(chunk, int) or not 1 <= chunk <= 4 * count:
        return count
    return max(count // chunk, 1) * chunk


def read_all(source: Source, name: str) -> Array:
    """All rows, read a part at a time. MemoryError where they take too much memory."""
    needed = source.dtype.itemsize * int(np.prod(source.shape, dtype=object))
    if needed > SHARE * _memory():
        raise MemoryError(
            f"{name} takes {needed / 2**30:.1f} GiB, more than {SHARE:.0%} of this machine's "
            "memory, and is read whole by this call: pass its batches to fit_batches, or a "
            "np.memmap to fit; predict and evaluate read a part at a time"
        )
    if not isinstance(source, Stored):
        return source.read(0, source.shape[0])
    rows = np.empty(source.shape, source.dtype)
    for start, stop in _spans(source.shape[0], _rows_of_part(source)):
        rows[start:stop] = source.read(start, stop)
    return rows


def _memory() -> float:
    """Bytes of memory of this machine, or of the container that it is; infinite if unknown."""
    limits = [float("inf")]
    with suppress(OSError, ValueError, AttributeError):  # no such call, no such name
        limits.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    with suppress(OSError, ValueError):  # no control group, or "max"
        limits.append(float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(limit for limit in limits if limit > 0)


def as_array(data: Any, name: str) -> Array:
    """``data`` as an array, which keeps the memory of an array of any class.

    TypeError or ValueError for what NumPy cannot read, and for masked entries.
    """
    if type(data) in IN_MEMORY:
        return _through_numpy(data, name)
    if hasattr(data, "tocsr"):
        raise TypeError(
            f"{name} is a sparse {type(data).__name__}, expected a dense array: pass "
            f"{name}.toarray()"
        )
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise ValueError(
            f"{name} is a masked array with masked entries, expected a value for every entry: "
            f"pass {name}.filled(value)"
        )
    source = as_source(data, name)
    return _through_numpy(data, name) if source is None else read_all(source, name)


def _through_numpy(data: Any, name: str) -> Array:
    try:
        return np.asarray(data)
    except MemoryError:
        raise
    except Exception as error:  # __array__ of the object may raise anything
        refusal = ValueError if isinstance(error, ValueError) else TypeError
        raise refusal(
            f"{name} is a {type(data).__name__} that NumPy cannot read "
            f"({str(error) or repr(error)}): pass an array of numbers, or rows of equal length"
        ) from error


def are_none(X: Any) -> bool:
    """Whether X has no rows: one of several ranks may have none."""
    shape = getattr(X, "shape", None)
    return shape[0] == 0 if shape else isinstance(X, list | tuple) and len(X) == 0
