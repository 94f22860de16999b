"""The code of gradients of parts (stages/part_gradients.py), as C functions of their own.

They have the signature of ``run.code``, so that the same parallel region calls them. What they work
on is in a request, int64 (REQUEST,).
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

from numba import types

from ..base import jit
from ..base.jit import c_function, kernel
from ..ir.denormals import flush_denormals, restore_denormals
from ..ir.simd import offset, pointer_to
from ..ir.typed_pointers import extended_plan_at, typed_pointer_at
from ..stages.part_gradients import add_arrays, gradient_of_parts
from ..stages.rounding import add_widened, round_with_rest, widen

_SIGNATURE = types.int64(types.int64, types.int64, types.int64, types.int64)

(
    PLAN,  # address of the plan (layout.py)
    WORK,  # address of the work arena
    HYPER,  # address of the hyperparameters (settings.py)
    TARGET,  # address of the arena of the sum; of an array that another is added to
    PROGRAM,  # address of the program
    SCRATCH,  # address of the scratch of all workers
    SCRATCH_STRIDE,  # elements between the scratch of two workers
    FIRST_LAYER,  # of those that are summed
    END_LAYER,  # the layer after them
    OTHER,  # address of an array that is added
    COUNT,  # its elements, whole vectors
    ROUNDED,  # address of an array in bfloat16
    REQUEST,  # length of a request
) = range(13)

GRADIENT, ADD, ROUND, WIDEN, ADD_WIDENED = range(5)
"""What is done: ``gradient_of_parts``, ``add_arrays``, or what stages/rounding.py has."""


@kernel
def _serve(request, what, worker, workers, dtype):
    target = pointer_to(request[TARGET], dtype)
    before = flush_denormals()
    if what == GRADIENT:
        scratch = offset(pointer_to(request[SCRATCH], dtype), worker * request[SCRATCH_STRIDE])
        gradient_of_parts(
            extended_plan_at(request[PLAN]),
            target,
            pointer_to(request[WORK], dtype),
            typed_pointer_at(request[HYPER], types.float64),
            typed_pointer_at(request[PROGRAM], types.int64),
            scratch,
            (request[FIRST_LAYER], request[END_LAYER]),
            worker,
            workers,
        )
    else:
        add_arrays(target, pointer_to(request[OTHER], dtype), request[COUNT], worker, workers)
    restore_denormals(before)
    return 0


@kernel
def _serve_rounding(request, what):
    target, count = pointer_to(request[TARGET], types.float32), request[COUNT]
    rounded = pointer_to(request[ROUNDED], types.uint16)
    before = flush_denormals()
    if what == ROUND:
        round_with_rest(pointer_to(request[OTHER], types.float32), target, rounded, count)
    elif what == WIDEN:
        widen(rounded, target, count)
    else:
        add_widened(rounded, target, count)
    restore_denormals(before)
    return 0


def _parts_float32(address, what, worker, workers):
    request = typed_pointer_at(address, types.int64)
    if what >= ROUND:
        return _serve_rounding(request, what)
    return _serve(request, what, worker, workers, types.float32)


def _parts_float64(address, what, worker, workers):
    return _serve(typed_pointer_at(address, types.int64), what, worker, workers, types.float64)


_CALLS = {4: _parts_float32, 8: _parts_float64}


@cache
def code(itemsize: int) -> int:
    """Address of the code for elements of 4 or 8 bytes; compiles it, or loads it."""
    return c_function(_CALLS[itemsize], _SIGNATURE)


@cache
def serial(itemsize: int) -> Callable[[int, int, int, int], int]:
    """``code`` as a Python function: (address of a request, GRADIENT or ADD, worker, workers).

    It runs in the calling thread and without the GIL.
    """
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)
    return kind(code(itemsize))


def ship(folder: Path) -> None:
    """Write what ``code`` compiles into a folder (jit.py)."""
    for function in _CALLS.values():
        jit.ship(folder, function, _SIGNATURE)
