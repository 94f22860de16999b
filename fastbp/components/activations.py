"""The activations that a layer can have, by name. Definitions and defaults are torch's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..common import registry
from ..common.literals import ActivationName, OutputName
from ..kernels.base import codes
from . import user_functions


@dataclass(frozen=True, kw_only=True)
class Activation(codes.ActivationFacts):
    """An activation: its name, and the facts that codes.py has of it."""

    name: str
    function: Callable[..., Any] | None = None
    """The njit function of a custom activation."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the facts from the table: a pickle of another version has other codes."""
        known = _custom(state["function"]) if state["function"] else ACTIVATIONS[state["name"]]
        vars(self).update(vars(known))


ACTIVATIONS = {
    name: Activation(name=name, **vars(facts)) for name, facts in codes.ACTIVATIONS.items()
}

HIDDEN = {name: a for name, a in ACTIVATIONS.items() if not a.output_only}
"""The activations of hidden layers."""

ActivationLike: TypeAlias = ActivationName | Callable[..., Any]
"""What a user passes for an activation: a name, or their own njit function."""

OutputLike: TypeAlias = OutputName | Callable[..., Any]
"""The same for the last layer."""


def lookup(activation: object, argument: str = "output") -> Activation:
    """The activation that the user names, for an output layer.

    ValueError for an unknown name or a wrong custom one, TypeError for another type.
    """
    return _lookup(ACTIVATIONS, activation, argument)


def lookup_hidden(activation: object, argument: str = "activation") -> Activation:
    """``lookup`` for a hidden layer."""
    return _lookup(HIDDEN, activation, argument)


def _lookup(table: Mapping[str, Activation], activation: Any, argument: str) -> Activation:
    if not callable(activation):
        return registry.lookup(table, activation, argument)
    if not user_functions.is_compiled(activation):
        form = user_functions.ACTIVATION
        raise TypeError(user_functions.not_compiled(table, activation, argument, form))
    user_functions.check_activation(activation)
    return _custom(activation)


def _custom(function: Callable[..., Any]) -> Activation:
    facts = vars(codes.CUSTOM_ACTIVATION_FACTS)
    return Activation(name=function.__name__, function=function, **facts)
