"""The table of places of this process (kernels/entry/place_run.py), where the system has them."""

import ctypes
from functools import cache

from ..common.types import Ints
from ..data.tables import address
from ..kernels.entry import place_run
from ..kernels.tables import place_table
from . import threads

FUNCTIONS = "sched_getcpu", "pthread_self", "sched_getaffinity", "sched_setaffinity"
"""Of the C library of Linux."""


@cache
def known() -> tuple[int, int]:
    """(address of the code, address of the table), or zeros where threads stay where they are."""
    table = _table()
    return (0, 0) if table is None else (place_run.code(), address(table))


@cache
def _table() -> Ints | None:
    try:
        library = ctypes.CDLL(None)
        pointers = [ctypes.cast(getattr(library, name), ctypes.c_void_p) for name in FUNCTIONS]
    except (AttributeError, OSError, TypeError):  # TypeError: of Windows
        return None
    return place_table.make([pointer.value or 0 for pointer in pointers], threads.most())
