"""Arenas from Python: their memory, and parameters and scales in natural shapes.

layout.py says where a plan puts them.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..base import width
from .layout import (
    BIAS,
    EMBEDDED,
    EMBEDDING,
    EMBEDDING_STRIDE,
    FREQUENCIES,
    INPUTS,
    LINE,
    NUMBERS,
    OUTPUTS,
    PER_UNIT,
    PER_UNIT_STRIDE,
    WEIGHT_STRIDE,
    WEIGHTS,
    PlanSpec,
    rounded,
)


def allocate(count: int, dtype: Any) -> NDArray[Any]:
    """Zeros, aligned to a cache line."""
    itemsize = np.dtype(dtype).itemsize
    raw = np.zeros(count * itemsize + LINE, np.uint8)
    start = -raw.__array_interface__["data"][0] % LINE
    return raw[start : start + count * itemsize].view(dtype)


def _panels(arena: NDArray[Any], row: NDArray[np.int64], lanes: int) -> NDArray[Any]:
    """The weights of one layer in place, as (panels, inputs, lanes)."""
    count, stride = -(-int(row[OUTPUTS]) // lanes), int(row[WEIGHT_STRIDE])
    start = int(row[WEIGHTS])
    flat = arena[start : start + count * stride].reshape(count, stride)
    return flat[:, : int(row[INPUTS]) * lanes].reshape(count, int(row[INPUTS]), lanes)


def _per_unit(arena: NDArray[Any], row: NDArray[np.int64]) -> list[NDArray[Any]]:
    """The biases of one layer in place, (O,), and its gains and shifts if it has them."""
    count, stride = int(row[PER_UNIT]), int(row[PER_UNIT_STRIDE])
    starts = range(int(row[BIAS]), int(row[BIAS]) + count * stride, stride)
    return [arena[start : start + int(row[OUTPUTS])] for start in starts]


def _of_numbers(arena: NDArray[Any], plan: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Frequencies and phases (k, H), weights (k, H, E) and biases (k, E) of k numbers, in place."""
    k, H, E = (int(plan[0, column]) for column in (NUMBERS, FREQUENCIES, EMBEDDED))
    start, stride = int(plan[0, EMBEDDING]), int(plan[0, EMBEDDING_STRIDE])
    flat = arena[start : start + k * stride].reshape(k, stride)
    wide = rounded(H, width.lanes(arena.itemsize))
    weights = flat[:, 2 * wide : (2 + E) * wide].reshape(k, E, wide)[:, :, :H]
    biases = flat[:, (2 + E) * wide :][:, :E]
    return [flat[:, :H], flat[:, wide : wide + H], weights.transpose(0, 2, 1), biases]


Layer: TypeAlias = tuple[NDArray[Any], ...]
"""(W, b) in natural shapes, (I, O) and (O,); (W, b, gains, shifts) of a normalized layer. Where
numbers are embedded, a last item follows the layers: their frequencies and phases (k, H), weights
(k, H, E) and biases (k, E)."""


def read_weights(row: NDArray[np.int64], arena: NDArray[Any]) -> NDArray[Any]:
    """A fresh copy of the weights (I, O) of the layer that a row of a plan describes."""
    panels = _panels(arena, row, width.lanes(arena.itemsize))
    wide = panels.transpose(1, 0, 2).reshape(panels.shape[1], -1)
    return wide[:, : row[OUTPUTS]].copy()


def write_weights(row: NDArray[np.int64], arena: NDArray[Any], weights: NDArray[Any]) -> None:
    """Copy weights (I, O) into an arena; padding stays as it is."""
    lanes = width.lanes(arena.itemsize)
    for number, panel in enumerate(_panels(arena, row, lanes)):
        columns = weights[:, number * lanes : (number + 1) * lanes]
        panel[:, : columns.shape[1]] = columns


def read_layers(plan: NDArray[np.int64], arena: NDArray[Any]) -> Iterator[Layer]:
    """Fresh copies of the parameters of every layer."""
    for row in plan[1:]:
        yield read_weights(row, arena), *(part.copy() for part in _per_unit(arena, row))
    if plan[0, NUMBERS]:
        yield tuple(part.copy(order="C") for part in _of_numbers(arena, plan))


def write_layers(plan: NDArray[np.int64], arena: NDArray[Any], layers: Iterable[Layer]) -> None:
    """Copy the parameters of every layer into an arena; padding stays 0."""
    rest = iter(layers)
    for row in plan[1:]:
        weights, *per_unit = next(rest)
        write_weights(row, arena, weights)
        _fill(_per_unit(arena, row), per_unit)
    if plan[0, NUMBERS]:
        _fill(_of_numbers(arena, plan), next(rest))


def _fill(places: Iterable[NDArray[Any]], values: Iterable[NDArray[Any]]) -> None:
    for place, value in zip(places, values, strict=True):
        place[...] = value


class Scales(NamedTuple):
    """The scales of a network (scaling.py) in natural shapes, (inputs,) or (outputs,).

    A loss with fewer targets than outputs reads the first elements of target_mean and
    target_factor.
    """

    input_mean: NDArray[Any]
    input_factor: NDArray[Any]
    target_mean: NDArray[Any]
    target_factor: NDArray[Any]
    output_factor: NDArray[Any]
    output_shift: NDArray[Any]


def scales_length(shape: PlanSpec) -> int:
    """Elements of the scales of a network."""
    inputs, outputs = (rounded(count, shape.lanes) for count in (shape.sizes[0], shape.sizes[-1]))
    return 2 * inputs + 4 * outputs


def read_scales(shape: PlanSpec, scales: NDArray[Any]) -> Scales:
    """The scales of a network (scaling.py) in place."""
    counts = (shape.sizes[0],) * 2 + (shape.sizes[-1],) * 4
    ends = np.cumsum([rounded(count, shape.lanes) for count in counts])
    parts = np.split(scales, ends[:-1])
    return Scales(*(part[:count] for part, count in zip(parts, counts, strict=True)))
