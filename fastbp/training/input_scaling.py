"""The learned scaling of a trainer's inputs: what it is, and how it is kept and passed on."""

from typing import TYPE_CHECKING

import numpy as np

from ..common.types import Array
from ..kernels import reference
from ..kernels.tables import arenas
from ..kernels.tables.learned_scaling import LearnedScaling
from ..model.network_data import read_only
from ..runtime.arrays import learned_scaling

if TYPE_CHECKING:
    from .core import TrainerCore


def _of(core: "TrainerCore") -> LearnedScaling | None:
    return learned_scaling(core.arrays, core.net.arrays.plan)


def scale(core: "TrainerCore") -> Array | None:
    """A read-only copy of s (n_in,).

    It is 1 for inputs whose weights another has changed since the last update.
    """
    scaling, net = _of(core), core.net.arrays
    if scaling is None:
        return None
    weights = arenas.read_weights(net.plan[1], net.parameters)
    changed = reference.changed_inputs(weights, scaling.scale, scaling.weights)
    return read_only(np.where(changed, scaling.scale.dtype.type(1), scaling.scale))


def begin(core: "TrainerCore") -> None:
    """Start anew, if there is one."""
    scaling = _of(core)
    if scaling is not None:
        scaling.begin()


def state(core: "TrainerCore") -> list[Array] | None:
    """All that it goes on from, copies: s (n_in,), its moments, and W (n_in, n_out)."""
    scaling = _of(core)
    if scaling is None:
        return None
    return [*(numbers.copy() for numbers in scaling.numbers), scaling.weights]


def restore(core: "TrainerCore", parts: list[Array] | None) -> None:
    """Go on from what ``state`` returned, or from that of a trainer with more or fewer moments."""
    scaling = _of(core)
    if scaling is None or parts is None:
        return
    for numbers, kept in zip(scaling.numbers, parts[:-1], strict=False):
        numbers[:] = kept
    scaling.weights = parts[-1]
