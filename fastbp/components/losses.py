"""The losses by name, and the output activations that each goes with.

With p the output, z its logit, y the target, and n rows of O outputs:

- mse: mean over rows and outputs of (p - y)^2
- squared_error: mean over rows of 1/2 sum_j (p - y)^2
- bce: mean over rows and outputs of -[y ln p + (1 - y) ln(1 - p)], computed from z
- cross_entropy: mean over rows of -sum_j y_j ln softmax(z)_j
- mae: mean over rows and outputs of |p - y|
- huber: mean over rows and outputs of 1/2 d^2 where |d| <= delta, else delta (|d| - delta / 2),
  with d = p - y (Huber, 1964)
- quantile: mean over rows and outputs of q d where d = y - p > 0, else (q - 1) d: p comes to be the
  quantile q of y (Koenker and Bassett, 1978)
- poisson: mean over rows and outputs of e^p - y p, where p is the logarithm of the rate (output
  "identity"), or of p - y ln(p + 1e-8), where p is the rate itself (output "softplus"); y counts
- gaussian_nll: mean over rows and targets of 1/2 [s + (m - y)^2 e^-s], for outputs that are first
  the means m and then the logarithms s of the variances, twice as many as there are targets (Nix
  and Weigend, 1994)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..common import checks, registry, specs
from ..common.call_repr import CallRepr
from ..common.specs import check_fields
from ..kernels.base import codes
from . import activations, user_functions


@dataclass(frozen=True)
class Loss:
    """A loss and the names of the output activations that it goes with."""

    name: str
    code: int
    """Its code in the kernels."""
    outputs: tuple[str, ...]
    parameter: float = 0.0
    """Huber's delta, or the quantile."""
    function: Callable[..., float] | None = None
    """The user's own, if it is one."""

    @property
    def extended(self) -> bool:
        """Whether it takes the extended kernels."""
        return self.code > codes.CROSS_ENTROPY

    def goes_with(self, output: activations.Activation) -> bool:
        """Whether it goes with this activation of the outputs; own ones need one that any suits."""
        if output.function is not None:
            return set(_ANY) <= set(self.outputs)
        return output.name in self.outputs

    def n_targets(self, n_out: int) -> int:
        """Columns of y for so many outputs, where y is no labels."""
        return n_out // 2 if self.code == codes.GAUSSIAN_NLL else n_out


_ANY = tuple(activations.HIDDEN)

LOSSES = {
    loss.name: loss
    for loss in (
        Loss("mse", codes.MSE, _ANY),
        Loss("squared_error", codes.SQUARED_ERROR, _ANY),
        Loss("bce", codes.BCE, ("sigmoid",)),
        Loss("cross_entropy", codes.CROSS_ENTROPY, ("softmax",)),
        Loss("mae", codes.MAE, _ANY),
        Loss("huber", codes.HUBER, _ANY, 1.0),
        Loss("quantile", codes.QUANTILE, _ANY, 0.5),
        Loss("poisson", codes.POISSON, ("identity", "softplus")),
        Loss("gaussian_nll", codes.GAUSSIAN_NLL, ("identity",)),
    )
}


@dataclass(frozen=True, repr=False)
class Huber(CallRepr):
    """Huber's loss (1964): quadratic for errors up to ``delta`` > 0, linear beyond.

    With d = p - y: the mean over rows and outputs of d^2 / 2 where |d| <= delta, and of
    delta (|d| - delta / 2) elsewhere. ValueError or TypeError unless delta is a number above 0.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> huber = fastbp.Huber(delta=0.5)
    >>> trainer = fastbp.Trainer(net, loss=huber, optimizer=fastbp.Adam(), engine="numpy")
    >>> trainer.evaluate([[1.0]], [[2.0]])
    {'loss': 0.875}
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self, delta=checks.positive)


@dataclass(frozen=True, repr=False)
class Quantile(CallRepr):
    """The quantile, or pinball, loss: outputs estimate the quantile ``q`` in (0, 1) of y.

    With d = y - p: the mean over rows and outputs of q d where d > 0, and of (q - 1) d elsewhere
    (Koenker and Bassett, 1978). ValueError or TypeError unless q is a number in (0, 1).

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> quantile = fastbp.Quantile(q=0.25)
    >>> trainer = fastbp.Trainer(net, loss=quantile, optimizer=fastbp.Adam(), engine="numpy")
    >>> trainer.evaluate([[1.0]], [[2.0]])
    {'loss': 0.5}
    """

    q: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, q=checks.between_zero_and_one)


LossLike: TypeAlias = str | Huber | Quantile | Callable[..., float]
"""How a user names a loss: own ones are njit functions (fastbp/own.py)."""


def lookup(loss: Any, argument: str = "loss") -> Loss:
    """The loss that is meant. ValueError for a name that is not known, TypeError for no name."""
    if isinstance(loss, Huber):
        return Loss("huber", codes.HUBER, _ANY, loss.delta)
    if isinstance(loss, Quantile):
        return Loss("quantile", codes.QUANTILE, _ANY, loss.q)
    if user_functions.is_compiled(loss):
        outputs = (*_ANY, "softmax")
        return Loss(loss.__name__, codes.CUSTOM_LOSS, outputs, function=loss)
    if callable(loss):
        raise TypeError(user_functions.not_compiled(LOSSES, loss, argument))
    return registry.lookup(LOSSES, loss, argument)


NUMBERED = {"Huber": Huber, "Quantile": Quantile}


def describe(loss: Loss) -> Any:
    """A loss as JSON has it."""
    if loss.function is not None:
        return {"own": loss.name}
    if loss.code == codes.HUBER:
        return specs.describe(Huber(loss.parameter))
    if loss.code == codes.QUANTILE:
        return specs.describe(Quantile(loss.parameter))
    return loss.name


def build(described: Any, functions: Mapping[str, Callable[..., Any]]) -> LossLike:
    """What ``describe`` was given, for ``lookup``. ValueError for what it cannot have returned.

    functions: own losses, by name.
    """
    if isinstance(described, str):
        return lookup(described).name
    if not isinstance(described, dict) or described.keys() != {"own"}:
        numbered: Huber | Quantile = specs.build(described, NUMBERED, "loss")
        return numbered
    if described["own"] not in functions:
        raise ValueError(
            f"its loss is the function {described['own']!r:.80} of its own: pass it, as functions="
            f"{{{described['own']!r:.80}: ...}}"
        )
    return functions[described["own"]]


def check_pair(loss: Loss, output: activations.Activation, n_out: int) -> None:
    """Raise ValueError unless ``loss`` goes with ``n_out`` outputs of this activation."""
    if loss.code == codes.GAUSSIAN_NLL and n_out % 2:
        raise ValueError(
            f"loss 'gaussian_nll' takes a mean and a log-variance for each target, but the network "
            f"has {n_out} outputs: make it with an even number, twice that of the targets"
        )
    if not loss.goes_with(output):
        pairs = "; ".join(f"{known.name} with {_or(known.outputs)}" for known in LOSSES.values())
        raise ValueError(
            f"loss {loss.name!r} does not go with output {output.name!r}: the pairs are {pairs}"
        )


def _or(words: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
