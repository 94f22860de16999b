"""Arrays that end, or begin, at a page that no one may touch: any access beyond them is fatal."""

import ctypes
import mmap
import sys
from functools import cache

import numpy as np
import pytest

from fastbp.common import types
from fastbp.components import options
from fastbp.kernels.tables import arenas, layout
from fastbp.model import network
from fastbp.runtime import compiled_engine, job, rooms
from fastbp.training import core as training_core
from fastbp.training import trainer

PAGE = mmap.PAGESIZE
SIDES = ("start", "end")


class Guard:
    """Makes arrays with a forbidden page on both sides, snug against the one at ``side``."""

    def __init__(self, side):
        self.side = side

    def empty(self, shape, dtype=float):
        dtype, count = np.dtype(dtype), int(np.prod(shape))
        length = max(1, -(-count * dtype.itemsize // PAGE)) * PAGE
        memory = mmap.mmap(-1, length + 2 * PAGE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for page in (address, address + PAGE + length):
            _forbid(page)
        slack = length - count * dtype.itemsize if self.side == "end" else 0
        return np.ndarray(shape, dtype, memory, PAGE + slack)

    zeros = empty
    """A new mapping holds zeros."""

    def copy(self, array):
        """An equal array, in C order."""
        guarded = self.empty(array.shape, array.dtype)
        guarded[...] = array
        return guarded

    def arange(self, *arguments):
        return self.copy(np.arange(*arguments))

    def strided(self, array, rows, columns):
        """An equal view whose rows and columns lie so many apart, ends at the array's ends."""
        n, m = array.shape
        memory = self.empty(((n - 1) * abs(rows) + 1, (m - 1) * abs(columns) + 1), array.dtype)
        view = memory[::rows, ::columns]
        view[...] = array
        return view

    def __getattr__(self, name):
        return getattr(np, name)  # so that a Guard can take the place of a module's np


@cache
def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _forbid(address):
    if _libc().mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")


guarding = pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")


def guard_everything(guard):
    """Every array that the kernels are given is made by ``guard``."""
    arenas.allocate = guard.zeros
    kernels = (arenas, layout)
    runtime = (compiled_engine, job, rooms)
    for module in (training_core, trainer, *runtime, network, options, types, *kernels):
        module.np = guard
