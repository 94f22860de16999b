"""Rows of a sparse matrix in CSR form."""

import numpy as np


def rows_of_csr(values, indices, starts, columns, rows):
    """The rows with these numbers as a dense array (rows, columns) of the type of ``values``.

    values, indices: (stored,). starts: (all rows + 1,), the place of each row's first value, and
    the end. Of a column that a row has twice the last value counts.
    """
    dense = np.zeros((len(rows), columns), values.dtype)
    for r, row in enumerate(rows):
        stored = slice(starts[row], starts[row + 1])
        dense[r, indices[stored]] = values[stored]
    return dense
