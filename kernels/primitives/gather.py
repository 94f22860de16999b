"""Rows of the user's array, of any type and strides, into lane panels.

The array comes as a descriptor, int64 (6,): address, bytes between rows, bytes between columns,
type code, rows, columns. The type is a value: no kind of array adds a compilation. Sparse rows are
made dense here (csr.py).
"""

import numpy as np
from numba import types

from ..base import codes
from ..base.jit import kernel
from ..ir.simd import (
    any_lane,
    differs,
    get,
    item_bytes,
    lanes,
    load,
    load_anywhere,
    offset,
    pointer_to,
    prefetch,
    put,
    splat,
    store,
    transpose,
    transpose_rows,
)
from .csr import scatter
from .elements import element

ADDRESS, ROW_BYTES, COLUMN_BYTES, DTYPE, N_ROWS, N_COLUMNS = range(6)

_ZERO, _ONE = np.int64(0), np.int64(1)  # a Python constant would compile its callee once more

AHEAD = 8
"""Vectors between a prefetch of a row and its use. Shuffled rows come from distant memory, and the
processor does not prefetch by itself: only a few lines of a row are read before the next row."""


@kernel
def _is_native(step, code, target):
    """Whether the elements of a row are contiguous and have the target's type."""
    size = item_bytes(target)
    return step == size and code == (codes.F32 if size == 4 else codes.F64)


@kernel
def _copy_row(source, step, code, count, target):
    """``count`` elements of a row, ``step`` bytes apart, to the lanes of target; 0 beyond."""
    prefetch(source + AHEAD * lanes(target) * step)
    if count == lanes(target) and _is_native(step, code, target):
        store(target, 0, load_anywhere(pointer_to(source, target)))
        return
    store(target, 0, splat(target, 0.0))
    if code == codes.F32 and step == 4:
        single = pointer_to(source, types.float32)
        for i in range(count):
            put(target, i, get(single, i))
    elif code == codes.F64 and step == 8:
        double = pointer_to(source, types.float64)
        for i in range(count):
            put(target, i, get(double, i))
    elif code == codes.U8 and step == 1:
        byte = pointer_to(source, types.uint8)
        for i in range(count):
            put(target, i, get(byte, i))
    else:
        for i in range(count):
            put(target, i, element(source + i * step, code))


@kernel
def _row_address(job, data, order, place):
    """The address of the row at ``place`` of the order."""
    row = place if order == 0 else get(pointer_to(order, types.int64), place)
    return job[data + ADDRESS] + row * job[data + ROW_BYTES]


@kernel
def gather_rows(job, data, order, first, rows, target):
    """The rows of a small batch into row panels (gemv.py); whether a value was NaN or infinite.

    job, data, order: as in ``gather``. target: (panels of columns, rows, lanes); lanes beyond the
    last column become 0. Twin: plain indexing.
    """
    n_lanes = lanes(target)
    columns, step, code = job[data + N_COLUMNS], job[data + COLUMN_BYTES], job[data + DTYPE]
    if code == codes.CSR:
        panel = rows * n_lanes
        return scatter(job[data + ADDRESS], order, first, rows, columns, target, panel, _ONE)
    zero = splat(target, 0.0)
    bad = zero < zero
    for r in range(rows):
        source = _row_address(job, data, order, first + r)
        for c in range(0, columns, n_lanes):
            place = offset(target, c * rows + r * n_lanes)
            _copy_row(source + c * step, step, code, min(n_lanes, columns - c), place)
            x = load(place, 0)
            bad = bad | differs(x - x, zero)
    return any_lane(bad)


@kernel
def _gather_vectors(job, data, order, first, columns, target, scratch):
    """The columns that fill whole vectors, for a whole vector of rows.

    Returns whether a value was NaN or infinite. Arguments as in ``gather``. Each row is prefetched
    AHEAD vectors before use. Near its end the prefetch moves to the next row in the same lane.
    """
    n_lanes, size = lanes(target), item_bytes(target)
    zero = splat(target, 0.0)
    bad = zero < zero
    here = pointer_to(scratch, types.int64)
    for r in range(n_lanes):
        put(here, r, _row_address(job, data, order, first + r))
        later = min(first + n_lanes + r, job[data + N_ROWS] - 1)
        put(here, n_lanes + r, _row_address(job, data, order, later))
    for c in range(0, columns // n_lanes * n_lanes, n_lanes):
        row, ahead = _ZERO, (c + AHEAD * n_lanes) * size
        if c + AHEAD * n_lanes >= columns:
            row, ahead = n_lanes, (c + AHEAD * n_lanes) % columns * size
        for r in range(row, row + n_lanes):
            prefetch(get(here, r) + ahead)
        place = offset(target, c * n_lanes)
        transpose_rows(here, c * size, place)
        for i in range(0, n_lanes * n_lanes, n_lanes):
            x = load(place, i)
            bad = bad | differs(x - x, zero)
    return any_lane(bad)


@kernel
def gather(job, data, order, first, valid, target, scratch):
    """One vector of rows into ``target``; whether a value was NaN or infinite.

    job: int64, holds the array's descriptor from element ``data`` on. order: address of the row
    indices, int64, read from first to first + valid; 0 for rows in memory order.
    target: (columns padded to lanes, lanes); lanes from ``valid`` on become 0.
    scratch: (lanes, lanes). Twin: plain indexing.
    """
    n_lanes = lanes(target)
    columns, step, code = job[data + N_COLUMNS], job[data + COLUMN_BYTES], job[data + DTYPE]
    if code == codes.CSR:
        panel = n_lanes * n_lanes
        return scatter(job[data + ADDRESS], order, first, valid, columns, target, panel, n_lanes)
    whole, bad_vectors = _ZERO, False
    if valid == n_lanes <= columns and _is_native(step, code, target):
        whole = columns // n_lanes * n_lanes
        bad_vectors = _gather_vectors(job, data, order, first, columns, target, scratch)
    zero = splat(target, 0.0)
    bad = zero < zero
    for r in range(valid, n_lanes):
        store(scratch, r * n_lanes, zero)
    for c in range(whole, columns, n_lanes):
        count = min(n_lanes, columns - c)
        for r in range(valid):
            source = _row_address(job, data, order, first + r) + c * step
            _copy_row(source, step, code, count, offset(scratch, r * n_lanes))
        transpose(scratch, n_lanes, offset(target, c * n_lanes), n_lanes)
        for i in range(c * n_lanes, (c + n_lanes) * n_lanes, n_lanes):
            x = load(target, i)
            bad = bad | differs(x - x, zero)
    return bad_vectors or any_lane(bad)
