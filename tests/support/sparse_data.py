"""Sparse data: matrices of SciPy, and the same as dense arrays."""

import numpy as np
import scipy.sparse

from support.array_views import values_of


def dense_of(rng, shape, stored, kind="float32"):
    """An array with ``stored`` numbers that are not 0 in most rows, none in the first and last."""
    dense = np.zeros(shape, kind)
    for row in range(1, shape[0] - 1):
        columns = rng.choice(shape[1], min(stored, shape[1]), replace=False)
        dense[row, columns] = values_of(kind, rng, len(columns))
    return dense


def csr_of(dense, index="int32", make=scipy.sparse.csr_array):
    """The same in CSR form, with indices of this type."""
    sparse = make(dense)
    sparse.indices, sparse.indptr = sparse.indices.astype(index), sparse.indptr.astype(index)
    return sparse
