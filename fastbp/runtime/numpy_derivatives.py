"""Training on derivatives by the NumPy engine (kernels/reference/tangents.py)."""

from typing import Any, TypeAlias

import numpy as np

from ..common.types import Array, Ints
from ..data.derivatives import Derivatives
from ..kernels import reference
from .arrays import TrainingArrays, derivative_factors

Taken: TypeAlias = tuple[Array, Array, Array]
"""Directions (D, B, n_in) and targets (D, B, n_out) in the network's units, weights (D, n_out)."""


def take(arrays: TrainingArrays, known: Derivatives, rows: Ints) -> Taken:
    """What is known of these rows, whose numbers have been checked."""
    dtype, n_in = arrays.parameters.dtype, arrays.spec.sizes[0]
    with np.errstate(over="ignore"):
        targets = known.of_rows(rows, dtype) * derivative_factors(arrays, known)
    axes = np.eye(n_in, dtype=dtype)[:, None, :]
    directions = np.broadcast_to(axes, (n_in, len(rows), n_in))
    if known.directions is not None:
        given = known.directions.dense[rows].astype(dtype)
        directions = (given * arrays.scales.input_factor if arrays.spec.scaling else given)[None]
    return directions, targets.transpose(2, 0, 1), known.weights.T.astype(dtype)


def losses(layers: list[Any], zs: list[Array], taken: Taken) -> Array:
    """The loss of the known derivatives of each row. layers: of reference/tangents.py."""
    with np.errstate(all="ignore"):
        found, _ = _losses(layers, zs, taken)
    return found[0]


def _losses(layers: list[Any], zs: list[Array], taken: Taken) -> tuple[tuple[Array, Array], Any]:
    directions, targets, weights = taken
    zdots, adots = reference.forward_tangents(layers, zs, directions)
    return reference.tangent_losses(adots[-1], targets, weights), (zdots, adots)


def gradients(
    layers: list[Any],
    forward: tuple[list[Array], list[Array]],
    delta: Array,
    scale: Array,
    taken: Taken,
) -> tuple[Array, list[tuple[Array, ...]]]:
    """Losses as of ``losses``, and the gradient of both losses.

    forward: (zs, outs). delta: dLoss/dz of the outputs by the other loss. scale: (B,), the weight
    of each row's loss in the whole.
    """
    zs, outs = forward
    (found, rates), (zdots, adots) = _losses(layers, zs, taken)
    code = layers[-1][1]
    more, dot = reference.through_outputs(code, zs[-1], zdots[-1], rates * scale[:, None])
    deltas, dots, of_norms = reference.errors_with_tangents(layers, zs, zdots, delta + more, dot)
    pairs = reference.gradients_with_tangents(outs, adots, deltas, dots)
    return found, [(*pair, *(of_norm or ())) for pair, of_norm in zip(pairs, of_norms, strict=True)]
