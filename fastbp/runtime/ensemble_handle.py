"""The model of an ensemble: its header, and memory (kernels/entry/ensemble_server.py)."""

from collections.abc import Sequence
from weakref import finalize

import numba
import numpy as np

from ..common.types import Ints
from ..data.tables import address
from ..kernels.base import code_stamp
from ..kernels.entry import embed_server, ensemble_server
from ..kernels.tables import arenas
from . import compiled_engine
from .arrays import TrainingArrays
from .compiled_model import EnsembleModel
from .model_handle import MORE_SLOTS, enroll, inference_handle


def ensemble_model(networks: Sequence[TrainingArrays], rows: int, targets: int) -> EnsembleModel:
    """The model of networks that predict up to ``rows`` rows of ``targets`` columns."""
    members = [
        inference_handle(arrays, rows, compiled_engine.inference_plan(arrays.spec, rows, 1))
        for arrays in networks
    ]
    spec, slots = networks[0].spec, numba.config.NUMBA_NUM_THREADS + MORE_SLOTS
    outputs, itemsize = spec.sizes[-1], spec.itemsize
    of_slot = -(-ensemble_server.slot_bytes(rows, outputs, targets, itemsize) // 64) * 64
    end = embed_server.FIRST_SLOT + slots * embed_server.SLOT_STRIDE
    scratch = arenas.allocate(slots * of_slot // itemsize, f"f{itemsize}")
    header: Ints = arenas.allocate(end + len(members), np.int64)
    elements = {
        embed_server.ENTRY: ensemble_server.serve(),
        embed_server.STAMP: code_stamp.stamp(),
        embed_server.HERE: address(header),
        embed_server.ITEMSIZE: itemsize,
        embed_server.MOST_ROWS: rows,
        embed_server.SLOTS: slots,
        ensemble_server.MEMBERS: len(members),
        ensemble_server.INPUTS: spec.sizes[0],
        ensemble_server.OUTPUTS: outputs,
        ensemble_server.TARGETS: targets,
        ensemble_server.MEMORY: address(scratch),
        ensemble_server.SLOT_BYTES: of_slot,
    }
    header[list(elements)] = list(elements.values())
    header[end:] = [address(member.array) for member in members]
    enroll(header)
    keep(header, members, networks)
    return EnsembleModel(header, scratch)


def keep(header: Ints, *things: object) -> None:
    """Keep things alive as long as a header, which compiled code knows by their addresses alone."""
    finalize(header, _let_go, *things).atexit = False


def _let_go(*_things: object) -> None:
    """Nothing is left to do: the things were arguments."""
