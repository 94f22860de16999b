"""Rows of the user's array, of any type and strides, into lane panels.

The array comes as a descriptor, int64 (6,): address, bytes between rows, bytes between columns,
type code, rows, columns. Its type is a value, so that no kind of array adds a compilation.
"""

import math

from numba import types

from . import codes
from .jit import kernel
from .simd import (
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
)

ADDRESS, ROW_BYTES, COLUMN_BYTES, DTYPE, N_ROWS, N_COLUMNS = range(6)
DESCRIPTOR = 6


@kernel
def _half(bits):
    """The value of an IEEE half, from its bits: Numba cannot load one."""
    fraction = types.float64(bits & 1023)
    power = (bits >> 10) & 31
    if power == 31:
        size = math.inf if fraction == 0.0 else math.nan
    elif power == 0:
        size = fraction * 2.0**-24
    else:
        size = (1.0 + fraction * 2.0**-10) * 2.0 ** (power - 15)
    return -size if bits & 0x8000 else size


@kernel
def _element(address, code):
    """One element of any type as float64."""
    if code == codes.F64:
        return get(pointer_to(address, types.float64), 0)
    if code == codes.F32:
        return types.float64(get(pointer_to(address, types.float32), 0))
    if code == codes.U8:
        return types.float64(get(pointer_to(address, types.uint8), 0))
    if code == codes.I64:
        return types.float64(get(pointer_to(address, types.int64), 0))
    if code == codes.I32:
        return types.float64(get(pointer_to(address, types.int32), 0))
    if code == codes.F16:
        return _half(types.int64(get(pointer_to(address, types.uint16), 0)))
    if code == codes.I8:
        return types.float64(get(pointer_to(address, types.int8), 0))
    if code == codes.I16:
        return types.float64(get(pointer_to(address, types.int16), 0))
    if code == codes.U16:
        return types.float64(get(pointer_to(address, types.uint16), 0))
    if code == codes.U32:
        return types.float64(get(pointer_to(address, types.uint32), 0))
    return types.float64(get(pointer_to(address, types.uint64), 0))


AHEAD = 8
"""Vectors between a prefetch of a row and its use: shuffled rows come from far memory, and the few
lines that are read of each before the next row's turn start no prefetch of the processor's own."""


@kernel
def _copy_row(source, step, code, count, target):
    """target[i] = element i of a row, for i < count; elements lie ``step`` bytes apart."""
    size = item_bytes(target)
    prefetch(source + AHEAD * lanes(target) * step)
    if count == lanes(target) and step == size and code == (codes.F32 if size == 4 else codes.F64):
        store(target, 0, load_anywhere(pointer_to(source, target)))
    elif code == codes.F32 and step == 4:
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
            put(target, i, _element(source + i * step, code))


@kernel
def _row_address(job, data, order, place):
    """Where the row at ``place`` of the order lies in the array."""
    row = place if order == 0 else get(pointer_to(order, types.int64), place)
    return job[data + ADDRESS] + row * job[data + ROW_BYTES]


@kernel
def gather_rows(job, data, order, first, rows, target):
    """A few rows into row panels (gemv.py); returns whether a value was NaN or infinite.

    job, data, order: as in ``gather``. target: (panels of columns, rows, lanes); lanes beyond the
    last column become 0. Twin: plain indexing.
    """
    w = lanes(target)
    columns, step, code = job[data + N_COLUMNS], job[data + COLUMN_BYTES], job[data + DTYPE]
    zero = splat(target, 0.0)
    bad = zero < zero
    for r in range(rows):
        source = _row_address(job, data, order, first + r)
        for c in range(0, columns, w):
            place = offset(target, c * rows + r * w)
            if columns - c < w:
                store(place, 0, zero)
            _copy_row(source + c * step, step, code, min(w, columns - c), place)
            x = load(place, 0)
            bad = bad | differs(x - x, zero)
    return any_lane(bad)


@kernel
def gather(job, data, order, first, valid, target, scratch):
    """One vector of rows into ``target``; returns whether a value was NaN or infinite.

    job: int64, holds the array's descriptor from element ``data`` on. order: address of the row
    indices, int64, of which first .. first + valid are taken; 0 for the rows as they lie.
    target: (columns padded to lanes, lanes); lanes from ``valid`` on become 0.
    scratch: (lanes, lanes). Twin: plain indexing.
    """
    w = lanes(target)
    columns, step, code = job[data + N_COLUMNS], job[data + COLUMN_BYTES], job[data + DTYPE]
    zero = splat(target, 0.0)
    bad = zero < zero
    for r in range(valid, w):
        store(scratch, r * w, zero)
    for c in range(0, columns, w):
        count = min(w, columns - c)
        for r in range(valid):
            if count < w:
                store(scratch, r * w, zero)
            source = _row_address(job, data, order, first + r) + c * step
            _copy_row(source, step, code, count, offset(scratch, r * w))
        transpose(scratch, w, offset(target, c * w), w)
        for i in range(c * w, (c + w) * w, w):
            x = load(target, i)
            bad = bad | differs(x - x, zero)
    return any_lane(bad)
