"""What an export writes of a network: a copy of its numbers, and what they are for."""

from typing import Any, NamedTuple

import numpy as np

from ..common.types import Array
from ..kernels.base import codes
from ..model.network import Network
from ..runtime.locking import exclusive


class Layer(NamedTuple):
    """One layer: its activation, and its parameters in natural shapes."""

    activation: str
    weights: Array
    bias: Array
    gain: Array | None
    shift: Array | None
    adds_inputs: bool

    @property
    def code(self) -> int:
        """The activation's code."""
        return codes.ACTIVATIONS[self.activation].code

    @property
    def about(self) -> str:
        """The layer in a comment."""
        n_in, n_out = self.weights.shape
        norm = "layer norm, " if self.gain is not None else ""
        adds = ", adds its inputs" if self.adds_inputs else ""
        return f"{n_in} -> {n_out}, {norm}{self.activation}{adds}"


class Content(NamedTuple):
    """A copy of a network, all arrays in its dtype.

    inputs: (mean, factor), each (n_in,), for u = (x - mean) factor; None where they are not scaled.
    outputs: (factor, shift), each (n_out,), for p factor + shift; likewise.
    """

    dtype: np.dtype[Any]
    layers: tuple[Layer, ...]
    inputs: tuple[Array, Array] | None
    outputs: tuple[Array, Array] | None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, the inputs first."""
        return len(self.layers[0].weights), *(len(layer.bias) for layer in self.layers)


def of_network(net: Network) -> Content:
    """A copy of the network, all of one moment.

    ValueError for an activation of the user's, or where a parameter is not finite; RuntimeError
    while another thread trains it.
    """
    _check_activations(net)
    with exclusive(net.arrays.lock):
        found, scaling = net.arrays.layers(), net.arrays.scaling
        scales = type(net.arrays.scales)(*(part.copy() for part in net.arrays.scales))
    spec = net.arrays.spec
    layers = tuple(
        Layer(name, W, b, norm[0] if norm else None, norm[1] if norm else None, adds)
        for name, (W, b, *norm), adds in zip(net.activations, found, spec.adds_inputs, strict=True)
    )
    for number, layer in enumerate(found, 1):
        _check_finite(layer, number)
    return Content(
        net.dtype,
        layers,
        None if scaling.inputs is None else (scales.input_mean, scales.input_factor),
        None if scaling.targets is None else (scales.output_factor, scales.output_shift),
    )


def _check_activations(net: Network) -> None:
    own = [function.__name__ for function in net.custom_activations if function is not None]
    if own:
        raise ValueError(
            f"the network has the activation {own[0]!r}, a function of your own, which is compiled "
            "Python and has no text in C: give the layer one of fastbp's activations"
        )


def _check_finite(layer: tuple[Array, ...], number: int) -> None:
    for name, array in zip(("weights", "biases", "gains", "shifts"), layer, strict=False):
        if not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise ValueError(
                f"the {name} of layer {number} have {array[place]} at {place}, expected finite "
                "numbers: bring parameters back by set_parameters, and nothing has been written"
            )
