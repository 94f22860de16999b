"""A trainer or a network as C knows it: the struct ``fastbp_model`` (kernels/entry/c_calls.py)."""

import ctypes
import os
from functools import cache
from typing import Any, NoReturn
from weakref import WeakValueDictionary, finalize

from ..common.types import Ints
from ..data.tables import address
from ..kernels.entry import c_calls, embed_server
from ..model.network import Network
from ..runtime import jacobians_handle
from ..runtime.compiled_engine import inference_plan
from ..runtime.model_handle import inference_handle
from ..training.core import TrainerCore
from ..training.trainer import Trainer

MOST_ROWS = 2**31
"""Rows of one call of a network without a trainer: as many as anyone has."""


class Handle:
    """What C and Fortran call in place of a trainer, or of a network that only predicts.

    The handle and its trainer share parameters, moments and counters: training through either
    trains both. It keeps the trainer alive; calls after its own end return FASTBP_CLOSED, and so
    do those after ``close``. It cannot be copied or pickled.

    Args:
        owner: a Trainer, or a Network, which predicts any number of rows.

    Raises:
        TypeError: owner is neither.
        ValueError: the trainer cannot be compiled, as one with engine="numpy".
        MemoryError: there is not enough memory for a step of ``batch_size`` rows.

    >>> from fastbp import capi
    >>> net = fastbp.Network([3, 8, 2], seed=0)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), batch_size=16)
    >>> handle = capi.Handle(trainer)
    >>> handle
    <fastbp.capi.Handle: trains 3-8-2, float32, at most 16 rows>
    >>> address = handle.address  # give it to a function of C that takes a fastbp_model *
    >>> handle.close()

    """

    def __init__(self, owner: Trainer | Network) -> None:
        if isinstance(owner, Trainer):
            facts, self._memory = _of_trainer(owner)
        elif isinstance(owner, Network):
            facts, self._memory = _of_network(owner)
        else:
            raise TypeError(
                f"owner is a {type(owner).__name__}, expected a fastbp.Trainer, or a "
                "fastbp.Network to predict alone"
            )
        self.owner = owner
        """The trainer or the network; None once it is closed."""
        self._words = _new_words()
        for place, value in facts.items():
            self._words[place] = value
        self._words[c_calls.VERSION] = c_calls.INTERFACE
        self._finalizer = finalize(self, _close, self._words)
        ALL[self.address] = self

    @property
    def address(self) -> int:
        """The address of the struct, a ``fastbp_model *``. Its 96 bytes are never freed."""
        return ctypes.addressof(self._words)

    @property
    def function(self) -> int:
        """The address of the function ``call`` of the struct, for ctypes and other languages."""
        return int(self._words[c_calls.CALL])

    def close(self) -> None:
        """Let calls return FASTBP_CLOSED, and the trainer go. No thread may be in a call."""
        self._finalizer()
        self.owner = self._memory = None  # type: ignore[assignment]

    def free(self) -> None:
        """In a forked child: the thread that trained is in the parent."""
        self._words[c_calls.BUSY] = 0

    def __repr__(self) -> str:
        if self._words[c_calls.STATE] != c_calls.OK:
            return "<fastbp.capi.Handle: closed>"
        net = self.owner.net if isinstance(self.owner, Trainer) else self.owner
        sizes, rows = "-".join(map(str, net.sizes)), self._words[c_calls.MOST_ROWS]
        does = "trains" if isinstance(self.owner, Trainer) else "predicts"
        return f"<fastbp.capi.Handle: {does} {sizes}, {net.dtype}, at most {rows} rows>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a Handle holds addresses of its process and cannot be copied or pickled: make another "
            "of the copied trainer"
        )


ALL: WeakValueDictionary[int, Handle] = WeakValueDictionary()
"""The handles that are not closed, by address."""


def _of_trainer(trainer: Trainer) -> tuple[dict[int, int], Any]:
    model, net = trainer.compiled(), trainer.net
    core: TrainerCore = vars(trainer)["_core"]
    training = {
        c_calls.TARGETS: core.loss.n_targets(net.sizes[-1]),
        c_calls.HAS_LABELS: int(core.loss.takes_labels),
    }
    return training | _facts(net, model.header), model


def _of_network(net: Network) -> tuple[dict[int, int], Any]:
    arrays = net.arrays.for_inference()
    plan = inference_plan(arrays.spec, MOST_ROWS, 1)
    handle, watch = inference_handle(arrays, MOST_ROWS, plan), None
    if not arrays.spec.scaling:
        watch = _Watch(handle.array)
        net.arrays.followers.add(watch)
    return _facts(net, handle.array), (arrays, handle, watch)


def _facts(net: Network, header: Ints) -> dict[int, int]:
    """Elements of a C model. header: of the model handle, which is given code of Jacobians."""
    jacobians_handle.attach(header)  # a program of C cannot ask for it later
    return {
        c_calls.ITEMSIZE: net.dtype.itemsize,
        c_calls.INPUTS: net.sizes[0],
        c_calls.OUTPUTS: net.sizes[-1],
        c_calls.PARAMETERS: net.n_parameters,
        c_calls.MOST_ROWS: int(header[embed_server.MOST_ROWS]),
        c_calls.CALL: c_calls.serve_c(),
        c_calls.HANDLE: address(header),
    }


class _Watch:
    """Makes a handle stale when its network begins to scale, as a trainer does with its own."""

    def __init__(self, header: Ints) -> None:
        self._header = header

    def check_scaling(self, targets: Any) -> None:
        """Any scaling will do."""

    def follow_scaling(self) -> None:
        """The kernels of the handle do not scale."""
        self._header[embed_server.HERE] = 0

    def fold_average(self, fold: Any) -> None:
        """There is no average."""


@cache
def _allocate() -> Any:
    allocate = ctypes.pythonapi.PyMem_RawMalloc
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return allocate


def _new_words() -> Any:
    """Zeros (C_MODEL,), int64, that are never freed: C may keep their address for longer."""
    kind = ctypes.c_int64 * c_calls.C_MODEL
    place = _allocate()(ctypes.sizeof(kind))
    if not place:
        raise MemoryError
    words = kind.from_address(place)
    ctypes.memset(place, 0, ctypes.sizeof(kind))
    return words


def _close(words: Any) -> None:
    words[c_calls.STATE] = c_calls.CLOSED


def _free_all() -> None:
    for handle in ALL.values():
        handle.free()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
