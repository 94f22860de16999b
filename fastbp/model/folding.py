"""Parameters that compute under one scaling what others compute under another."""

import numpy as np

from ..common.types import Array, Floats
from ..data import scaling
from ..data.scaling import Scaling, Units
from ..kernels.base import codes
from ..kernels.tables import arenas, layout

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
    the outputs have an activation.
    """
    found = [tuple(part.astype(np.float64) for part in layer) for layer in layers]
    if not _equal(before.inputs, after.inputs):
        _check_first(spec)
        found[0] = _first(found[0], before.inputs, after.inputs)
    if not _equal(before.targets, after.targets):
        _check_last(spec)
        units = (scaling.of_outputs(one, spec.sizes[-1]) for one in (before, after))
        found[-1] = _last(found[-1], *units)
    return found


def _equal(one: Units | None, other: Units | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one.mean, other.mean) and np.array_equal(one.scale, other.scale)


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
