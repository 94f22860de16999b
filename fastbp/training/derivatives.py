"""Training on derivatives: what the network and the loss must be for it."""

from typing import Any

from ..components.activations import ACTIVATIONS
from ..data.derivatives import Derivatives, as_derivatives
from .core import TrainerCore


def of_rows(
    core: TrainerCore, rows: int, jacobian: Any, weight: Any, directions: Any
) -> Derivatives | None:
    """The arguments jacobian, jacobian_weight and directions for ``rows`` rows; None for none.

    ValueError or TypeError where they do not fit, or network and loss do not go with them.
    """
    sizes = core.net.sizes
    found = as_derivatives(jacobian, weight, directions, (rows, sizes[0], sizes[-1]))
    if found is not None:
        _check_alone(core)
        _check_smooth(core)
    return found


def _check_alone(core: TrainerCore) -> None:
    if core.net.number_embedding is not None:
        raise ValueError(
            "jacobian is given, but the network embeds numbers, through which there are no "
            "derivatives by the inputs: make the Network without number_embedding"
        )
    if core.group is not None:
        raise ValueError(
            "jacobian is given, but ranks share out the values of a batch alone: train on "
            "derivatives by a Trainer without comm"
        )


def _check_smooth(core: TrainerCore) -> None:
    smooth = [name for name, one in ACTIVATIONS.items() if one.smooth]
    for number, activation in enumerate(core.net.arrays.activations, 1):
        if not activation.smooth:
            why = "whose second derivative jumps, or is 0 where it exists"
            if activation.function is not None:
                why = "your own function, whose second derivative is not known"
            raise ValueError(
                f"jacobian is given, but layer {number} has activation {activation.name!r}, {why}: "
                f"make the Network with one of {', '.join(smooth)}"
            )
    if core.loss.outputs_per_target != 1:
        raise ValueError(
            f"jacobian is given, but the outputs for loss {core.loss.name!r} are not y alone, and "
            "so are their derivatives: use loss='mse'"
        )
