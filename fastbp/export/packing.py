"""The numbers of a network in the order in which the C code reads them.

A product x W takes outputs in *panels* of 32, whose sums stay in vector registers while the inputs
go by: W lies as (panels, inputs, 32). Compilers keep such sums in registers for 32 outputs, and
for 16 gcc makes scalar code. Up to 8 outputs beyond the last whole panel are *dots*, each with its
inputs in order, (dots, inputs), which costs less than a panel that is mostly padding.
"""

from typing import Any, NamedTuple

import numpy as np

from ..common.types import Array
from .content import Content, Layer

PANEL = 32
MOST_DOTS = 8


def padded(count: int) -> int:
    """``count`` rounded up to whole panels."""
    return -(-count // PANEL) * PANEL


class Product(NamedTuple):
    """Where the W of a product lies: counts of inputs, panels and dots; places of the two parts."""

    inputs: int
    panels: int
    dots: int
    of_panels: int
    of_dots: int


class LayerPlaces(NamedTuple):
    """Where the parameters of a layer lie. back: of the product with the transpose of W."""

    bias: int
    product: Product
    gain: int
    shift: int
    back: Product | None


class Packed(NamedTuple):
    """All numbers, as a list of (what they are, array), and the places of those of each layer.

    inputs, outputs: the places of the scaling of inputs and of outputs, as in ``Content``.
    """

    parts: list[tuple[str, Array]]
    layers: list[LayerPlaces]
    inputs: tuple[int, int]
    outputs: tuple[int, int]

    @property
    def length(self) -> int:
        """How many numbers there are."""
        return sum(array.size for _, array in self.parts)


class _Packer:
    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype, self.parts, self.end = dtype, list[tuple[str, Array]](), 0

    def add(self, about: str, array: Array | None) -> int:
        """The place of ``array``; 0 where it is None."""
        if array is None:
            return 0
        place, self.end = self.end, self.end + array.size
        self.parts.append((about, np.ascontiguousarray(array, self.dtype).ravel()))
        return place

    def units(self, about: str, array: Array | None) -> int:
        """The place of an array with a number for each unit, which is padded by zeros."""
        padding = None if array is None else (0, padded(array.size) - array.size)
        return self.add(about, None if array is None else np.pad(array, padding or 0))

    def product(self, about: str, weights: Array) -> Product:
        """The place of W (inputs, outputs)."""
        inputs, outputs = weights.shape
        whole, rest = divmod(outputs, PANEL)
        panels, dots = (whole, rest) if rest <= MOST_DOTS else (whole + 1, 0)
        wide = np.pad(weights, ((0, 0), (0, panels * PANEL + dots - outputs)))
        in_panels = wide[:, : panels * PANEL].reshape(inputs, panels, PANEL).swapaxes(0, 1)
        in_dots = np.pad(wide[:, panels * PANEL :].T, ((0, 0), (0, padded(inputs) - inputs)))
        of_panels = self.add(f"{about}, panels of {PANEL}", in_panels) if panels else 0
        of_dots = self.add(f"{about}, dots", in_dots) if dots else 0
        return Product(inputs, panels, dots, of_panels, of_dots)

    def layer(self, number: int, layer: Layer, derivatives: bool) -> LayerPlaces:
        name = f"layer {number}"
        return LayerPlaces(
            self.units(f"{name}: bias", layer.bias),
            self.product(f"{name}: weights", layer.weights),
            self.units(f"{name}: gain", layer.gain),
            self.units(f"{name}: shift", layer.shift),
            self.product(f"{name}: weights, transposed", layer.weights.T) if derivatives else None,
        )


def pack(content: Content, derivatives: bool) -> Packed:
    """The numbers of a network. derivatives: with W and its transpose."""
    packer = _Packer(content.dtype)
    mean, factor = content.inputs or (None, None)
    inputs = (
        packer.units("mean of the inputs", mean),
        packer.units("1 / scale of the inputs", factor),
    )
    numbered = enumerate(content.layers, 1)
    layers = [packer.layer(number, layer, derivatives) for number, layer in numbered]
    scale, shift = content.outputs or (None, None)
    outputs = (
        packer.units("scale of the outputs", scale),
        packer.units("mean of the outputs", shift),
    )
    return Packed(packer.parts, layers, inputs, outputs)
