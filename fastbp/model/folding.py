"""Parameters that compute under one scaling what others compute under another."""

from typing import Any

import numpy as np

from ..common.types import Array, Floats
from ..data import scaling
from ..data.scaling import Scaling, Units
from ..kernels.base import codes
from ..kernels.tables import arenas, layout

MOST_ERROR = 1e-3
"""How much of what a layer computes the rounding of its new parameters may be."""

REMEDY = (
    "standardize a new network before it is trained, or set means and scales by net.set_scaling, "
    "which leaves the parameters as they are"
)


def folded(
    layers: list[arenas.Layer], spec: layout.PlanSpec, before: Scaling, after: Scaling
) -> list[arenas.Layer]:
    """Layers with which a network scaled by ``after`` is the function that it was by ``before``.

    With X = u s + m of inputs, the first layer is W u + b; with p = q f + h of outputs, so is the
    last: W and b take up the change. ValueError where a residual layer also adds the inputs, or
    the outputs have an activation, or where the rounding of the parameters would show.
    """
    found = [tuple(part.astype(np.float64) for part in layer) for layer in layers]
    if not _equal(before.inputs, after.inputs):
        _check_first(spec)
        new = _first(found[0], before.inputs, after.inputs)
        _check_reach("X", _reach(found[0]), _reach(new), layers[0][0].dtype)
        found[0] = new
    if not _equal(before.targets, after.targets):
        _check_last(spec)
        units = [scaling.of_outputs(one, spec.sizes[-1]) for one in (before, after)]
        last = len(spec.sizes) - 2
        new = _last(found[last], *units)
        old_reach, new_reach = (
            _reach(layer) * factor + np.abs(shift)
            for layer, (factor, shift) in zip((found[last], new), units, strict=True)
        )
        _check_reach("y", old_reach, new_reach, layers[0][0].dtype)
        found[last] = new
    return found


def _equal(one: Units | None, other: Units | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one.mean, other.mean) and np.array_equal(one.scale, other.scale)


def _check_reach(name: str, before: Floats, after: Floats, dtype: np.dtype[Any]) -> None:
    """before, after: how large the numbers are that add up to what each unit computes."""
    if after.max() * np.finfo(dtype).eps > MOST_ERROR * before.max() > 0:
        raise ValueError(
            f"the network is trained, and the means or scales of {name} are so far from the "
            f"present ones that {dtype} cannot hold what the network computes: look for outliers "
            f"and constant columns in {name}; {REMEDY}"
        )


def _reach(layer: arenas.Layer) -> Floats:
    weights, bias, *_ = layer
    reach: Floats = np.abs(weights).sum(axis=0) + np.abs(bias)
    return reach


def _first(layer: arenas.Layer, before: Units | None, after: Units | None) -> arenas.Layer:
    weights, bias, *norms = layer
    mean, scale = _of(before)
    new_mean, new_scale = _of(after)
    ratio = np.broadcast_to(new_scale / scale, len(weights))
    shift = np.broadcast_to((new_mean - mean) / scale, len(weights))
    return weights * ratio[:, None], bias + shift @ weights, *norms


def _of(units: Units | None) -> tuple[Floats, Floats]:
    return (np.zeros(1), np.ones(1)) if units is None else (units.mean, units.scale)


def _last(
    layer: arenas.Layer, before: tuple[Array, Array], after: tuple[Array, Array]
) -> arenas.Layer:
    weights, bias, *norms = layer
    (factor, shift), (new_factor, new_shift) = before, after
    return weights * (factor / new_factor), (bias * factor + shift - new_shift) / new_factor, *norms


def _check_first(spec: layout.PlanSpec) -> None:
    if spec.numbers:
        raise ValueError(
            "the network is trained, and it embeds numbers, so that another scaling of X would "
            f"change what the network computes; {REMEDY}"
        )
    if spec.adds_inputs[0]:
        raise ValueError(
            "the network is trained, and its first layer is residual: it adds the inputs, so that "
            f"another scaling of X would change what the network computes; {REMEDY}"
        )


def _check_last(spec: layout.PlanSpec) -> None:
    if spec.activations[-1] != codes.IDENTITY:
        raise ValueError(
            "the network is trained, and its outputs have an activation, so that another scaling "
            f"of y would change what the network computes; {REMEDY}"
        )
