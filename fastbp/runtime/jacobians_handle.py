"""Derivatives in models of njit code: their code and memory, once they are asked for.

kernels/entry/jacobian_server.py has the record that a model's handle is given here.
"""

import threading
from weakref import finalize

import numpy as np

from ..common.types import Array, Ints
from ..data.tables import address
from ..kernels.base import width
from ..kernels.entry import embed_server, jacobian_server
from ..kernels.tables import arenas, jacobian_job, layout
from . import model_handle

_asked_for = threading.Event()
_one_at_a_time = threading.Lock()
_KEPT: dict[int, tuple[Ints, Array]] = {}
"""The record and the memory of directions of each handle, by its address."""


def begin() -> None:
    """Give every model of the process a record, and those to come."""
    if not _asked_for.is_set():
        for handle in model_handle.of_training():
            attach(handle)
        _asked_for.set()


jacobian_server.prepare_by.append(begin)


def follow(handle: Ints) -> None:
    """Give a new model a record if derivatives have been asked for, here or in another process.

    Code of the user's that comes from a cache cannot ask.
    """
    if _asked_for.is_set() or jacobian_server.is_at_hand(*_kind(handle)):
        attach(handle)


def attach(handle: Ints) -> None:
    """Give a handle its record, if it has none, and its network embeds no numbers."""
    plan = model_handle.plan_of(handle)
    if handle[embed_server.DERIVATIVES] != 0 or plan[0, layout.NUMBERS] > 0:
        return
    from ..kernels.entry import jacobian_run  # loads kernels that few need

    itemsize, extended = _kind(handle)
    codes = jacobian_server.serve(), jacobian_run.code(itemsize, extended)
    sizes = int(plan[1, layout.INPUTS]), *plan[1:, layout.OUTPUTS].tolist()
    stride = jacobian_job.vector_stride(sizes, width.lanes(itemsize), itemsize)
    apart = jacobian_job.arena_stride(stride)
    # Pages that no call touches take no memory of the machine.
    arena = arenas.allocate(int(handle[embed_server.SLOTS]) * apart, f"f{itemsize}")
    record = np.array([*codes, address(arena), apart, stride], np.int64)
    with _one_at_a_time:
        if handle[embed_server.DERIVATIVES] == 0:
            here = address(handle)
            _KEPT[here] = record, arena
            finalize(handle, _KEPT.pop, here, None).atexit = False
            handle[embed_server.DERIVATIVES] = address(record)


def _kind(handle: Ints) -> tuple[int, bool]:
    plan = model_handle.plan_of(handle)
    return int(handle[embed_server.ITEMSIZE]), bool(plan[0, layout.EXTENDED])
