"""Data that are no arrays: what h5py and zarr have in common, and tables with names."""

import numpy as np


class Stored:
    """An array-like with slices and without memory to share; it counts what is read of it.

    rows: how often each row was read. largest: the most bytes read at once. whole: how often all
    of it was asked for.
    """

    def __init__(self, array, chunks=None):
        self._array, self.chunks = array, chunks
        self.rows, self.largest, self.whole = np.zeros(len(array), int), 0, 0

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)

    def __len__(self):
        return len(self._array)

    def __getitem__(self, key):
        found = np.array(self._array[key])
        self.rows[key] += 1
        self.largest = max(self.largest, found.nbytes)
        return found

    def __array__(self, dtype=None, copy=None):
        self.whole += 1
        return np.array(self._array, dtype=dtype)


class Named:
    """A table with names of columns that NumPy can read."""

    def __init__(self, array, columns):
        self._array, self.columns = np.asarray(array), list(columns)

    shape = property(lambda self: self._array.shape)

    def __len__(self):
        return len(self._array)

    def __getitem__(self, columns):
        return Named(self._array[:, [self.columns.index(name) for name in columns]], columns)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._array, dtype=dtype)
