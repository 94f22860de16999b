"""The activations that a layer can have, by name. Definitions and defaults are torch's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..common import registry
from ..kernels.base import codes
from . import user_functions


@dataclass(frozen=True)
class Activation:
    """An activation, and what the Python side must know about it."""

    name: str
    code: int
    """Its code in the kernels."""
    rectifier: bool = False
    """Of the relu family: init="auto" draws He weights."""
    output_only: bool = False
    function: Callable[..., Any] | None = None
    """The user's own, if it is one."""


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

ActivationLike: TypeAlias = str | Callable[..., Any]
"""How a user names an activation: own ones are njit functions (fastbp/own.py)."""


def lookup(activation: object, argument: str = "output") -> Activation:
    """The activation that is meant, for an output layer.

    ValueError for a name that is not known, or an own one that is wrong; TypeError for no name.
    """
    return _lookup(ACTIVATIONS, activation, argument)


def lookup_hidden(activation: object, argument: str = "activation") -> Activation:
    """``lookup`` for a hidden layer."""
    return _lookup(HIDDEN, activation, argument)


def _lookup(table: Mapping[str, Activation], activation: Any, argument: str) -> Activation:
    if not callable(activation):
        return registry.lookup(table, activation, argument)
    if not user_functions.is_compiled(activation):
        raise TypeError(user_functions.not_compiled(table, activation, argument))
    user_functions.check_activation(activation)
    return Activation(activation.__name__, codes.CUSTOM_ACTIVATION, function=activation)
