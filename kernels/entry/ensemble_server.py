"""Serves a prediction of an embedded ensemble: mean and standard deviation of its members' outputs.

Its header is laid out as a model handle (embed_server.py): ENTRY, STAMP, HERE, ITEMSIZE, MOST_ROWS,
SLOTS and the slots are the same. The addresses of the members' handles stand behind the slots, and
what else is known of it in the place of the job of training. A member predicts as a trainer's model
does, by a slot of its own.

In a request y is the array of deviations, and out that of means. Members of a Gaussian likelihood
have twice as many outputs as there are targets: means, and logarithms of variances.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
from numba import types

from ..base import jit
from ..base.jit import c_function, kernel
from ..ir.simd import get, offset, pointer_to, put
from ..ir.slots import acquire, release
from ..ir.typed_pointers import typed_pointer_at
from ..tables import job_table as J
from .embed_server import (
    BAD_OUT,
    BAD_X,
    BAD_Y,
    BUSY,
    COLUMNS,
    FIRST_SLOT,
    HERE,
    ITEMSIZE,
    MOST_ROWS,
    NO_MODEL,
    OK,
    REQUEST_HANDLE,
    REQUEST_OUT,
    REQUEST_STATUS,
    REQUEST_TASK,
    REQUEST_X,
    REQUEST_Y,
    ROWS,
    SHARED_OUT,
    SLOT_STRIDE,
    SLOTS,
    TRAINING,
    has_shape,
    predict,
    rows_of_x,
    size_of,
    thread,
)

# Elements of the header of an ensemble, besides those of a model handle.
(
    MEMBERS,  # number of networks
    INPUTS,
    OUTPUTS,  # of a network
    TARGETS,  # columns of the means: OUTPUTS, or half of them where there are variances
    MEMORY,  # address of the memory of the first slot
    SLOT_BYTES,  # of memory between two slots
) = range(TRAINING, TRAINING + 6)

DOUBLE = 8
"""Bytes of a sum. Those of squares and variances are float64: the square of 1e-20 is 0 in
float32."""

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_X, _Y, _OUT = map(np.int64, (REQUEST_X, REQUEST_Y, REQUEST_OUT))


def slot_bytes(rows: int, outputs: int, targets: int, itemsize: int) -> int:
    """Bytes of a slot's memory: the sums of each target, then the outputs of one network."""
    return rows * (targets * DOUBLE + outputs * itemsize)


@kernel
def _overlap(request, one, other, itemsize):
    """Whether two arrays of a request have memory in common."""
    first, second = request[one], request[other]
    ends = first + size_of(request, one, itemsize), second + size_of(request, other, itemsize)
    return first < ends[1] and second < ends[0]


@kernel
def _check(request, header, rows):
    """The status of a request, from shapes and addresses alone."""
    targets, itemsize = header[TARGETS], header[ITEMSIZE]
    if rows < 1 or rows > header[MOST_ROWS]:
        return BAD_X
    if not has_shape(request, _OUT, rows, targets):
        return BAD_OUT
    if request[_Y] != 0 and not has_shape(request, _Y, rows, targets):
        return BAD_Y
    shared = _overlap(request, _X, _OUT, itemsize) or _overlap(request, _Y, _OUT, itemsize)
    if shared or _overlap(request, _X, _Y, itemsize):
        return SHARED_OUT
    return OK


@kernel
def _take(number, p, mean, sums, counts):
    """Take the outputs p of network ``number``, from 1, into the means and sums.

    p: (rows, outputs). mean: (rows, targets), of the networks before (Welford, 1962). sums:
    float64 (rows, targets), of squared deviations from the mean, plus of variances. counts: (rows,
    outputs, targets). None alias. Twin: ``Ensemble.predict`` of fastbp.
    """
    rows, outputs, targets = counts
    for r in range(rows):
        for j in range(targets):
            at, i = r * outputs + j, r * targets + j
            if number == 1:
                put(mean, i, get(p, at))
                put(sums, i, 0.0)
            else:
                put(p, at, get(p, at) - get(mean, i))
                d = get(p, at) * 1.0  # float64
                put(p, at, d / number)
                put(mean, i, get(mean, i) + get(p, at))
                put(sums, i, get(sums, i) + d * d * ((number - 1) / number))
            if targets < outputs:
                s = get(p, at + targets) * 1.0
                put(sums, i, get(sums, i) + math.exp(s))


@kernel
def _deviations(sums, std, count, members):
    for i in range(count):
        put(std, i, math.sqrt(get(sums, i) / members))


@kernel
def _average(place, request, header, memory, rows, like):
    """Fill the means, and the deviations where they are wanted, by ``memory`` of a slot.

    like: a type of elements.
    """
    counts = rows, header[OUTPUTS], header[TARGETS]
    values = rows * header[TARGETS]
    sums, behind = pointer_to(memory, types.float64), memory + DOUBLE * values
    p, mean = pointer_to(behind, like), pointer_to(request[_OUT], like)
    members = typed_pointer_at(
        header[HERE] + DOUBLE * (FIRST_SLOT + header[SLOTS] * SLOT_STRIDE), types.int64
    )
    request[_OUT], request[_OUT + ROWS], request[_OUT + COLUMNS] = behind, rows, header[OUTPUTS]
    for k in range(header[MEMBERS]):
        member = typed_pointer_at(members[k], types.int64)
        predict(place, request, member, rows, header[INPUTS])
        _take(k + 1, p, mean, sums, counts)
    if request[_Y] != 0:
        _deviations(sums, pointer_to(request[_Y], like), values, header[MEMBERS])


def _serve_ensemble(place):
    """Serve the request, int64 (REQUEST,), at an address, and set its status. Returns 0.

    X that is not finite makes the outputs of all networks NaN, and so means and deviations.
    """
    request = typed_pointer_at(place, types.int64)
    header = typed_pointer_at(request[REQUEST_HANDLE], types.int64)
    rows = rows_of_x(request, header[INPUTS])
    status = _check(request, header, rows)
    if request[REQUEST_TASK] != J.INFER:
        status = NO_MODEL
    request[REQUEST_STATUS] = status
    if status != OK:
        return 0.0
    flags = pointer_to(header[HERE] + DOUBLE * (FIRST_SLOT + BUSY), types.int64)
    slot = acquire(flags, SLOT_STRIDE, header[SLOTS], thread(place))
    memory = header[MEMORY] + slot * header[SLOT_BYTES]
    if header[ITEMSIZE] == 4:
        _average(place, request, header, memory, rows, types.float32)
    else:
        _average(place, request, header, memory, rows, types.float64)
    release(offset(flags, slot * SLOT_STRIDE))
    return 0.0


_SIGNATURE = types.float64(types.int64)


@cache
def serve() -> int:
    """Address of ``_serve_ensemble``; compiles it, or loads it."""
    return c_function(_serve_ensemble, _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``serve`` compiles into a folder (jit.py)."""
    jit.ship(folder, _serve_ensemble, _SIGNATURE)
