"""The activations that a layer can have, by name. Definitions and defaults are torch's."""

from dataclasses import dataclass

from . import names
from .kernels import codes


@dataclass(frozen=True)
class Activation:
    """An activation, and what the Python side must know about it."""

    name: str
    code: int
    """Its code in the kernels."""
    rectifier: bool = False
    """Of the relu family: init="auto" draws He weights."""
    output_only: bool = False


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("identity", codes.IDENTITY),
        Activation("sigmoid", codes.SIGMOID),
        Activation("tanh", codes.TANH),
        Activation("relu", codes.RELU, rectifier=True),
        Activation("leaky_relu", codes.LEAKY_RELU, rectifier=True),
        Activation("elu", codes.ELU, rectifier=True),
        Activation("softplus", codes.SOFTPLUS, rectifier=True),
        Activation("silu", codes.SILU, rectifier=True),
        Activation("gelu", codes.GELU, rectifier=True),
        Activation("softmax", codes.SOFTMAX, output_only=True),
    )
}

HIDDEN = {name: a for name, a in ACTIVATIONS.items() if not a.output_only}
"""Those that a hidden layer can have."""


def lookup(name: object, argument: str = "output") -> Activation:
    """The activation called ``name``, for an output layer. ValueError if there is none."""
    return names.lookup(ACTIVATIONS, name, argument)


def lookup_hidden(name: object, argument: str = "activation") -> Activation:
    """The activation called ``name``, for a hidden layer. ValueError if there is none."""
    return names.lookup(HIDDEN, name, argument)
