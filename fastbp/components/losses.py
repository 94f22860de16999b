"""The losses by name, and how a user names one. Their formulas stand in kernels/base/codes.py."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, ClassVar, TypeAlias

from ..common import checks, registry, specs
from ..common.call_repr import CallRepr
from ..common.literals import LossName
from ..common.signatures import explain_constructors
from ..common.specs import check_fields
from ..kernels.base import codes
from . import activations, user_functions


@dataclass(frozen=True, kw_only=True)
class Loss(codes.LossFacts):
    """A loss: its name, and the facts that codes.py has of it."""

    name: str
    function: Callable[..., float] | None = None
    """The njit function of a custom loss."""
    ignores_nan: bool = False
    """NaN in y is a target that is not known."""

    def goes_with(self, output: activations.Activation) -> bool:
        """Whether it goes with this output activation. A custom one needs a loss that takes any."""
        if output.function is not None:
            return set(codes.HIDDEN_ACTIVATIONS) <= set(self.outputs)
        return output.name in self.outputs

    @property
    def takes_labels(self) -> bool:
        """Whether y may be integer class labels (n,)."""
        return self.targets == codes.CLASS

    def n_targets(self, n_out: int) -> int:
        """Columns of y for ``n_out`` outputs, where y is not labels."""
        return n_out // self.outputs_per_target

    def n_classes(self, n_out: int) -> int:
        """Classes that a network with ``n_out`` outputs tells apart; 0 where there are none."""
        if not self.has_classes:
            return 0
        if self.takes_labels:
            return n_out
        return 2 if n_out == 1 else 0

    def n_class_weights(self, n_out: int) -> int:
        """Weights of classes: one for each; for bce two for each output."""
        if not self.has_classes:
            return 0
        return n_out if self.takes_labels else 2 * n_out

    def n_weights(self, n_out: int, weighs: bool) -> int:
        """Elements for classes in a trainer's vector (kernels/tables/settings.py)."""
        return self.n_class_weights(n_out) if weighs else self.n_classes(n_out)

    def weighs_entries(self, n_out: int) -> bool:
        """Whether each entry of y has a weight, and not each row: of its class, 0 for NaN."""
        if not self.has_classes:
            return self.ignores_nan
        return not self.takes_labels and (n_out > 1 or self.ignores_nan)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the facts from the table: a pickle of another version has other codes."""
        known = _custom(state["function"]) if state["function"] else LOSSES[state["name"]]
        own = {"parameter": state["parameter"]}
        vars(self).update(vars(known) | own)
        if state.get("ignores_nan"):
            vars(self).update(vars(that_ignores_nan(self)))


LOSSES = {name: Loss(name=name, **vars(facts)) for name, facts in codes.LOSSES.items()}


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

    delta: float = LOSSES["huber"].parameter

    loss: ClassVar[str] = "huber"

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

    q: float = LOSSES["quantile"].parameter

    loss: ClassVar[str] = "quantile"

    def __post_init__(self) -> None:
        check_fields(self, q=checks.between_zero_and_one)


@dataclass(frozen=True, repr=False)
class BetaNLL(CallRepr):
    """The Gaussian likelihood with gradients weighted by the variance to the power ``beta``.

    The first half of the outputs are means m, the second logarithms s of variances, for targets y
    (n, n_out / 2). The loss is the mean over rows and targets of [s + (m - y)^2 e^-s] / 2, without
    its constant ln(2 pi) / 2, as for "gaussian_nll". The gradient of each entry is multiplied by
    e^(beta s), which is held constant (Seitzer et al., On the pitfalls of heteroscedastic
    uncertainty estimation, ICLR 2022). Without it, beta 0, entries with a large
    predicted variance hardly train the mean, and may keep it for ever; with beta 1 the means are
    trained as by "mse", up to a factor. The paper advises 0.5. Variances have units: standardize
    targets.

    ValueError or TypeError unless beta is a number in [0, 1].

    >>> net = fastbp.Network([1, 2], init="zeros")
    >>> net.set_parameters(net.weights, [[0.0, np.log(4.0)]])
    >>> beta_nll = fastbp.BetaNLL(beta=0.5)
    >>> trainer = fastbp.Trainer(net, loss=beta_nll, optimizer=fastbp.Adam(), engine="numpy")
    >>> loss, [(dW, db)] = trainer.loss_and_gradients([[1.0]], [[3.0]])
    >>> print(round(loss, 4), db)  # 1/2 [ln 4 + 9/4]; 2 (0 - 3) / 4, 2 (1 - 9/4) / 2
    1.8181 [-1.5  -1.25]
    """

    beta: float = LOSSES["beta_nll"].parameter

    loss: ClassVar[str] = "beta_nll"

    def __post_init__(self) -> None:
        check_fields(self, beta=checks.from_zero_to_one)


LossLike: TypeAlias = LossName | Huber | Quantile | BetaNLL | Callable[..., float]
"""What a user passes for a loss: a name, a specification, or their own njit function."""


NUMBERED: dict[str, type[Huber | Quantile | BetaNLL]] = {
    "Huber": Huber,
    "Quantile": Quantile,
    "BetaNLL": BetaNLL,
}
"""Specifications of the losses with a number, by their own names."""

explain_constructors("fastbp", NUMBERED)


def lookup(loss: Any, argument: str = "loss") -> Loss:
    """The loss that the user names. ValueError for an unknown name, TypeError for another type."""
    if isinstance(loss, Huber | Quantile | BetaNLL):
        (number,) = astuple(loss)
        return replace(LOSSES[loss.loss], parameter=number)
    if user_functions.is_compiled(loss):
        return _custom(loss)
    if callable(loss):
        raise TypeError(user_functions.not_compiled(LOSSES, loss, argument, user_functions.LOSS))
    return registry.lookup(LOSSES, loss, argument)


def that_ignores_nan(loss: Loss) -> Loss:
    """The loss, with NaN for targets that are not known; ValueError where it needs them all."""
    if not loss.has_unknown:
        able = _or([repr(name) for name, known in LOSSES.items() if known.has_unknown])
        raise ValueError(
            f"ignore_nan is True, but loss {loss.name!r} needs every target: it goes with {able}; "
            "for others leave rows out, or replace NaN and give the rows a sample_weight of 0"
        )
    return replace(loss, ignores_nan=True, extended=True)


def check_has_objective(loss: Loss) -> None:
    """ValueError for a loss whose gradient is not that of its value: L-BFGS searches by both."""
    if loss.weighs_gradient:
        raise ValueError(
            f"loss {loss.name!r} multiplies its gradient by weights, and LBFGS searches by value "
            "and gradient together: use loss='gaussian_nll', or another optimizer"
        )


def _custom(function: Callable[..., float]) -> Loss:
    return Loss(name=function.__name__, function=function, **vars(codes.CUSTOM_LOSS_FACTS))


def to_dict(loss: Loss) -> Any:
    """The loss in types that JSON has: its name, or ``specs.to_dict`` of what the user passed."""
    return specs.to_dict(as_argument(loss))


def as_argument(loss: Loss) -> Any:
    """What ``lookup`` takes for this loss."""
    numbered = next((kind for kind in NUMBERED.values() if kind.loss == loss.name), None)
    return loss.function or (numbered(loss.parameter) if numbered else loss.name)


def from_dict(described: Any, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """What ``lookup`` takes for the loss that ``to_dict`` was given.

    functions: the user's own losses, by name. ValueError for one that is not among them, and for
    what ``to_dict`` cannot have returned.
    """
    if isinstance(described, str):
        return lookup(described).name
    own = specs.own_name(described)
    if own is None:
        return specs.from_dict(described, NUMBERED, "loss")
    if own not in functions:
        raise ValueError(
            f"its loss is the function {own!r:.80} of its own: pass it, as functions="
            f"{{{own!r:.80}: ...}}"
        )
    return functions[own]


def check_pair(loss: Loss, output: activations.Activation, n_out: int) -> None:
    """Raise ValueError unless ``loss`` goes with ``n_out`` outputs of this activation."""
    if n_out % loss.outputs_per_target:
        raise ValueError(
            f"loss {loss.name!r} takes {loss.outputs_per_target} outputs for each target, but the "
            f"network has {n_out} outputs: make it with {loss.outputs_per_target} times as many as "
            "there are targets"
        )
    if not loss.goes_with(output):
        needed = f"needs output={_or([repr(one) for one in loss.outputs])}"
        if loss.outputs == codes.HIDDEN_ACTIVATIONS:
            needed = "takes any output but 'softmax'"
        raise ValueError(
            f"loss {loss.name!r} {needed}, and the network has output {output.name!r}: "
            f"{_pair_remedy(loss, output)}"
        )


def _pair_remedy(loss: Loss, output: activations.Activation) -> str:
    """What the user most likely wants: for classes the loss of the output, else another output."""
    about_classes = loss.has_classes or loss.outputs == codes.HIDDEN_ACTIVATIONS
    for known in LOSSES.values():
        if about_classes and known.has_classes and known.outputs == (output.name,):
            several = ", or output='sigmoid' where a row may belong to several classes"
            return f"use loss={known.name!r}{several if loss.name == 'bce' else ''}"
    return f"make the Network with output={loss.outputs[0]!r}"


def _or(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
