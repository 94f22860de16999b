"""Rows of the user's sparse matrix in CSR form.

Its descriptor (gather.py) has the type code CSR and the address of a *record*, int64 (RECORD,),
which says where the three arrays lie. The columns of a row must ascend strictly and lie in the
matrix: what does not is refused like a NaN, so that wrong indices never read or write elsewhere.
"""

from numba import types

from ..base.jit import kernel
from ..ir.simd import get, lanes, offset, pointer_to, put, splat, store
from ..ir.typed_pointers import typed_pointer_at
from .elements import element

# Elements of a record.
(
    VALUES,  # address of the values
    VALUE_TYPE,  # their type code
    VALUE_BYTES,  # size of one
    INDICES,  # address of the column of each value
    INDEX_BYTES,  # size of one: 4 or 8
    STARTS,  # address of the place of each row's first value, and of the end: (rows + 1,)
    START_BYTES,  # size of one: 4 or 8
    N_VALUES,  # number of values
    RECORD,  # length of a record
) = range(9)


@kernel
def _integer(address, place, size):
    """Element ``place`` of an array of integers of 4 or 8 bytes."""
    if size == 4:
        return types.int64(get(pointer_to(address, types.int32), place))
    return get(pointer_to(address, types.int64), place)


@kernel
def column_of(record, place):
    """The column of a value."""
    return _integer(record[INDICES], place, record[INDEX_BYTES])


@kernel
def value_of(record, place):
    """A value, as float64."""
    return element(record[VALUES] + place * record[VALUE_BYTES], record[VALUE_TYPE])


@kernel
def span(record, row):
    """(first, end): the places of a row's values; (0, -1) where they are none of the matrix."""
    first = _integer(record[STARTS], row, record[START_BYTES])
    end = _integer(record[STARTS], row + 1, record[START_BYTES])
    if first < 0 or end < first or end > record[N_VALUES]:
        return 0, -1
    return first, end


@kernel
def _scatter_row(record, row, columns, target, panel, step):
    """One row to its elements of target, where there are zeros; whether it was refused."""
    n_lanes, before, bad = lanes(target), -1, False
    first, end = span(record, row)
    for place in range(first, end):
        column = column_of(record, place)
        if column <= before or column >= columns:
            return True
        before = column
        here = offset(target, column // n_lanes * panel + column % n_lanes * step)
        put(here, 0, value_of(record, place))
        bad = bad or get(here, 0) - get(here, 0) != 0.0
    return bad or end < first


@kernel
def scatter(address, order, first, rows, columns, target, panel, step):
    """Some rows as dense ones; whether a value was NaN or infinite, or a row no row.

    address: of a record. order, first: as in ``gather``. target: panels of columns, ``panel``
    elements apart; in a panel columns are ``step`` apart and rows are 1 apart, or the lanes where
    ``step`` is 1. All of it is written. Twin: ``rows_of_csr``.
    """
    record, n_lanes = typed_pointer_at(address, types.int64), lanes(target)
    for i in range(0, -(-columns // n_lanes) * panel, n_lanes):
        store(target, i, splat(target, 0.0))
    between, bad = n_lanes if step == 1 else 1, False
    for r in range(rows):
        row = first + r if order == 0 else get(pointer_to(order, types.int64), first + r)
        here = offset(target, r * between)
        bad = _scatter_row(record, row, columns, here, panel, step) or bad
    return bad
