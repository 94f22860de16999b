"""A network of layers that were read from another program's form."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..common.types import Array
from .network import Network


@dataclass
class ReadLayer:
    """A layer. What is None the form has not, which is zeros, or ones for gains."""

    name: str
    """What the form calls it, for messages."""
    weight: Array
    """(n_in, n_out)."""
    bias: Array | None = None
    norm: tuple[Array | None, Array | None] | None = None
    """Gains and shifts, where it is normalized."""
    activation: str = "identity"
    residual: bool = False


def network_of(layers: Sequence[ReadLayer], dtype: str) -> Network:
    """The network; ValueError where it has no place for a layer as it is."""
    for before, layer in pairwise(layers):
        if layer.weight.shape[0] != before.weight.shape[1]:
            raise ValueError(
                f"{layer.name} takes {layer.weight.shape[0]} inputs, after "
                f"{before.weight.shape[1]} outputs"
            )
    kinds = [layer.activation for layer in layers]
    sizes = [layers[0].weight.shape[0], *(layer.weight.shape[1] for layer in layers)]
    net = Network.blank(
        sizes,
        kinds[:-1],
        kinds[-1],
        seed=0,
        dtype=dtype,
        layer_norm=_layer_norm(layers),
        residual=_adds(layers),
    )
    net.arrays.set_parameters(
        [layer.weight for layer in layers],
        [_or(layer.bias, 0.0, layer) for layer in layers],
        *(_norms(layers) or (None, None)),
    )
    return net


def _layer_norm(layers: Sequence[ReadLayer]) -> bool:
    normalized = [layer.norm is not None for layer in layers]
    if any(normalized) and normalized != [True] * (len(layers) - 1) + [False]:
        raise ValueError(
            f"{sum(normalized)} of {len(layers)} layers are normalized, expected all but the last "
            "or none: layer_norm is of a whole network"
        )
    return any(normalized)


def _adds(layers: Sequence[ReadLayer]) -> bool:
    given = [layer.residual for layer in layers]
    alike = [layer.weight.shape[0] == layer.weight.shape[1] for layer in layers]
    if any(given) and given != [*alike[:-1], False]:
        raise ValueError(
            f"{sum(given)} layers add their inputs, expected each hidden layer that is as wide as "
            "the one before, or none: residual is of a whole network"
        )
    return any(given)


def _norms(layers: Sequence[ReadLayer]) -> list[list[Array]]:
    """Gains and shifts, where layers are normalized; else nothing."""
    pairs = [(layer, layer.norm) for layer in layers if layer.norm is not None]
    return [
        [_or(norm[part], start, layer) for layer, norm in pairs]
        for part, start in enumerate((1.0, 0.0))
        if pairs
    ]


def _or(array: Array | None, value: float, layer: ReadLayer) -> Array:
    """The array, or ``value`` for each unit where it is None."""
    return np.full(layer.weight.shape[1], value) if array is None else array
