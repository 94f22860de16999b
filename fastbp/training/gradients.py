"""Gradients that a user gives, checked."""

from collections.abc import Sequence
from typing import Any

from ..components.number_embedding import EmbeddingParameters
from ..kernels.tables import arenas
from ..model.network import Network
from ..model.network_checks import as_parameters

KINDS = ("dW", "db", "dgain", "dshift")


def as_gradients(gradients: Any, net: Network) -> list[arenas.Layer]:
    """Copies of the gradients of every layer, in the network's dtype.

    ValueError or TypeError where counts, shapes or dtypes do not fit, or a number is not finite.
    """
    spec = net.arrays.spec
    shapes = [
        [(inputs, units)] + [(units,)] * (3 if normalized else 1)
        for inputs, units, normalized in zip(
            spec.widths[:-1], spec.widths[1:], spec.normalized, strict=True
        )
    ]
    if net.embedding_parameters is not None:
        shapes.append([part.shape for part in net.embedding_parameters])
    expected = (
        f"expected {len(shapes)} layers, each with its arrays, [(dW, db), ...]: the second result "
        "of loss_and_gradients"
    )
    try:
        count = len(gradients)
    except TypeError:
        raise TypeError(f"gradients is a {type(gradients).__name__}, {expected}") from None
    if count != len(shapes):
        raise ValueError(f"gradients has {count} items, {expected}")
    return [
        tuple(as_parameters(layer, some, net.dtype, f"gradients[{i}]", _kinds(some)))
        for i, (layer, some) in enumerate(zip(gradients, shapes, strict=True))
    ]


def _kinds(shapes: Sequence[tuple[int, ...]]) -> str:
    names = KINDS if len(shapes[-1]) == 1 else EmbeddingParameters._fields
    return f"of ({', '.join(names[: len(shapes)])})"
