"""The losses by name, and the output activations that each goes with.

With p the output, z its logit, y the target, and n rows of O outputs:

- mse: mean over rows and outputs of (p - y)^2
- squared_error: mean over rows of 1/2 sum_j (p - y)^2
- bce: mean over rows and outputs of -[y ln p + (1 - y) ln(1 - p)], computed from z
- cross_entropy: mean over rows of -sum_j y_j ln softmax(z)_j
"""

from dataclasses import dataclass

from . import activations, names
from .kernels import codes


@dataclass(frozen=True)
class Loss:
    """A loss and the names of the output activations that it goes with."""

    name: str
    code: int
    """Its code in the kernels."""
    outputs: tuple[str, ...]


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("mse", codes.MSE, tuple(activations.HIDDEN)),
        Loss("squared_error", codes.SQUARED_ERROR, tuple(activations.HIDDEN)),
        Loss("bce", codes.BCE, ("sigmoid",)),
        Loss("cross_entropy", codes.CROSS_ENTROPY, ("softmax",)),
    )
}


def lookup(name: object, argument: str = "loss") -> Loss:
    """The loss called ``name``. ValueError if there is none."""
    return names.lookup(LOSSES, name, argument)


def check_pair(loss: Loss, output: str) -> None:
    """Raise ValueError unless ``loss`` goes with the output activation called ``output``."""
    if output not in loss.outputs:
        pairs = "; ".join(f"{known.name} with {_or(known.outputs)}" for known in LOSSES.values())
        raise ValueError(
            f"loss {loss.name!r} does not go with output {output!r}: the pairs are {pairs}"
        )


def _or(words: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
