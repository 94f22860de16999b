"""The code of embeddings of numbers, as C functions of their own (stages/number_embedding.py)."""

from functools import cache
from pathlib import Path

from numba import types

from ..base import jit
from ..base.jit import c_function
from ..ir.simd import pointer_to
from ..ir.typed_pointers import extended_plan_at, typed_pointer_at
from ..stages.embedded_numbers import serve

_SIGNATURE = types.int64(*[types.int64] * 9)


def _embed_float32(plan, params, second, third, hyper, request, a, b, c):
    first, kind = pointer_to(params, types.float32), types.float32
    arenas = first, pointer_to(second, kind), pointer_to(third, kind)
    table = typed_pointer_at(hyper, types.float64)
    serve(extended_plan_at(plan), arenas, table, request, a, b, c)
    return 0


def _embed_float64(plan, params, second, third, hyper, request, a, b, c):
    first, kind = pointer_to(params, types.float64), types.float64
    arenas = first, pointer_to(second, kind), pointer_to(third, kind)
    table = typed_pointer_at(hyper, types.float64)
    serve(extended_plan_at(plan), arenas, table, request, a, b, c)
    return 0


_CALLS = {4: _embed_float32, 8: _embed_float64}


@cache
def code(itemsize: int) -> int:
    """Address of ``embedded_numbers.serve`` for elements of 4 or 8 bytes; compiles or loads it."""
    return c_function(_CALLS[itemsize], _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``code`` compiles into a folder (jit.py)."""
    for function in _CALLS.values():
        jit.ship(folder, function, _SIGNATURE)
