"""The optimizers: frozen specifications with torch's update rules, names and defaults.

In the formulas w is a parameter, g the gradient of the batch's loss with weight_decay * w added,
and t the number of the update, from 1. Weights and biases follow the same rule. The constructor
checks every number: it raises TypeError for what is not a number, ValueError for a number out of
range.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from ..common import checks, suggestions
from ..common.call_repr import CallRepr
from ..common.signatures import explain_constructors
from ..common.specs import check_fields
from ..kernels.base import codes
from ..kernels.stages import update_rules as rules

__all__ = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam"]  # noqa: RUF022
"""The optimizers, which ``fastbp`` exports under these names. Messages list them in this order."""

Hyper: TypeAlias = npt.NDArray[np.float64]

SMALLEST_EPS = float(np.finfo(np.float32).tiny)
"""A smaller eps would be flushed to 0 in float32, and a parameter without gradient become NaN."""


class Optimizer(CallRepr, ABC):
    """An optimizer: its numbers are the fields, its facts the members here."""

    code: ClassVar[int]
    """Its code in the kernels (update_rules.py)."""
    extended: ClassVar[bool] = True
    """Whether it takes the extended kernels."""
    makes_updates: ClassVar[bool] = True
    """Whether it updates after each batch; L-BFGS takes all rows at a time."""

    @property
    @abstractmethod
    def n_moments(self) -> int:
        """Moment arrays in use, 0 to 2."""

    @property
    def has_momentum(self) -> bool:
        """Whether it has a momentum that a schedule can replace: ``momentum``, or betas[0]."""
        return False

    @abstractmethod
    def hyper(self) -> Hyper:
        """The hyperparameters as the kernels read them, (codes.N_HYPER,) float64."""


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak, 1964; Nesterov, 1983), torch's SGD.

    m = momentum m + g; w -= lr (g + momentum m) with nesterov, w -= lr m without.

    The first update of a weight 0, whose gradient is -4:

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> optimizer = fastbp.SGD(lr=0.25, momentum=0.9)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, engine="numpy")
    >>> trainer.step([[1.0]], [[2.0]])
    4.0
    >>> print(net.weights[0].round(3))
    [[1.]]
    """

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    code: ClassVar[int] = rules.SGD
    extended: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            lr=checks.positive,
            momentum=checks.from_zero_below_one,
            nesterov=checks.flag,
            weight_decay=checks.not_negative,
        )
        if self.nesterov and not self.momentum:
            raise ValueError(
                "SGD: nesterov is True but momentum is 0: Nesterov's rule needs momentum above 0"
            )

    @property
    def n_moments(self) -> int:
        """The velocity m, if there is momentum."""
        return 1 if self.momentum else 0

    @property
    def has_momentum(self) -> bool:
        """See ``Optimizer``."""
        return self.momentum > 0

    def hyper(self) -> Hyper:
        """See ``Optimizer``."""
        return _hyper(
            LR=self.lr,
            MOMENTUM=self.momentum,
            NESTEROV=self.nesterov,
            WEIGHT_DECAY=self.weight_decay,
        )


@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), with weight_decay added to the gradient.

    m and v are running means of g and g^2 with betas; w -= lr m' / (sqrt(v') + eps), where
    m' = m / (1 - betas[0]^t) and v' = v / (1 - betas[1]^t).

    The first update of a weight 0, whose gradient is -4:

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> optimizer = fastbp.Adam(lr=0.1)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, engine="numpy")
    >>> trainer.step([[1.0]], [[2.0]])
    4.0
    >>> print(net.weights[0].round(3))
    [[0.1]]
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    code: ClassVar[int] = rules.ADAM
    extended: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(
            self, lr=checks.positive, betas=_betas, eps=_eps, weight_decay=checks.not_negative
        )

    @property
    def n_moments(self) -> int:
        """The running means m and v."""
        return 2

    @property
    def has_momentum(self) -> bool:
        """See ``Optimizer``."""
        return True

    def hyper(self) -> Hyper:
        """See ``Optimizer``."""
        return _hyper(
            LR=self.lr,
            BETA1=self.betas[0],
            BETA2=self.betas[1],
            EPS=self.eps,
            WEIGHT_DECAY=self.weight_decay,
        )


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    w *= 1 - lr weight_decay, then Adam's update with the gradient of the loss alone.

    The first update of a weight 0, whose gradient is -4:

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> optimizer = fastbp.AdamW(lr=0.1)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, engine="numpy")
    >>> trainer.step([[1.0]], [[2.0]])
    4.0
    >>> print(net.weights[0].round(3))
    [[0.1]]
    """

    weight_decay: float = 1e-2

    code: ClassVar[int] = rules.ADAMW


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012), with momentum after the scaling.

    v is a running mean of g^2 with alpha; s = g / (sqrt(v) + eps); m = momentum m + s;
    w -= lr m.

    The first update of a weight 0, whose gradient is -4:

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> optimizer = fastbp.RMSprop(lr=0.01)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, engine="numpy")
    >>> trainer.step([[1.0]], [[2.0]])
    4.0
    >>> print(net.weights[0].round(3))
    [[0.1]]
    """

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0

    code: ClassVar[int] = rules.RMSPROP
    extended: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(
            self,
            lr=checks.positive,
            alpha=checks.from_zero_below_one,
            eps=_eps,
            weight_decay=checks.not_negative,
            momentum=checks.from_zero_below_one,
        )

    @property
    def n_moments(self) -> int:
        """The mean square v, and the velocity m if there is momentum."""
        return 2 if self.momentum else 1

    @property
    def has_momentum(self) -> bool:
        """See ``Optimizer``."""
        return self.momentum > 0

    def hyper(self) -> Hyper:
        """See ``Optimizer``."""
        return _hyper(
            LR=self.lr,
            MOMENTUM=self.momentum,
            BETA2=self.alpha,
            EPS=self.eps,
            WEIGHT_DECAY=self.weight_decay,
        )


@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer, 2011).

    v = v + g^2; w -= lr / (1 + (t - 1) lr_decay) g / (sqrt(v) + eps).

    The first update of a weight 0, whose gradient is -4:

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> optimizer = fastbp.Adagrad(lr=0.1)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, engine="numpy")
    >>> trainer.step([[1.0]], [[2.0]])
    4.0
    >>> print(net.weights[0].round(3))
    [[0.1]]
    """

    lr: float = 1e-2
    lr_decay: float = 0.0
    eps: float = 1e-10
    weight_decay: float = 0.0

    code: ClassVar[int] = rules.ADAGRAD

    def __post_init__(self) -> None:
        check_fields(
            self,
            lr=checks.positive,
            lr_decay=checks.not_negative,
            eps=_eps,
            weight_decay=checks.not_negative,
        )

    @property
    def n_moments(self) -> int:
        """The sum of squares v."""
        return 1

    def hyper(self) -> Hyper:
        """See ``Optimizer``."""
        return _hyper(LR=self.lr, DECAY=self.lr_decay, EPS=self.eps, WEIGHT_DECAY=self.weight_decay)


@dataclass(frozen=True, repr=False)
class NAdam(Adam):
    """Adam with Nesterov's momentum (Dozat, 2016), torch's NAdam.

    u_t = betas[0] (1 - 0.96^(t momentum_decay) / 2), U_t = u_1 u_2 ... u_t; m and v as in Adam;
    w -= lr [(1 - u_t) g / (1 - U_t) + u_(t+1) m / (1 - U_(t+1))] / (sqrt(v') + eps).

    The first update of a weight 0, whose gradient is -4:

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> optimizer = fastbp.NAdam(lr=0.1)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, engine="numpy")
    >>> trainer.step([[1.0]], [[2.0]])
    4.0
    >>> print(net.weights[0].round(3))
    [[0.106]]
    """

    lr: float = 2e-3
    momentum_decay: float = 4e-3

    code: ClassVar[int] = rules.NADAM
    extended: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, momentum_decay=checks.not_negative)

    @property
    def has_momentum(self) -> bool:
        """Its momentum follows a rule of its own."""
        return False

    def hyper(self) -> Hyper:
        """See ``Optimizer``."""
        hyper = super().hyper()
        hyper[codes.DECAY] = self.momentum_decay
        return hyper


@dataclass(frozen=True, repr=False)
class RAdam(Adam):
    """Rectified Adam (Liu et al., 2020), torch's RAdam.

    m' and v' as in Adam, and r_t = r - 2 t betas[1]^t / (1 - betas[1]^t), where
    r = 2 / (1 - betas[1]) - 1. While r_t <= 5, w -= lr m'. From then on
    w -= lr m' sqrt((r_t - 4) (r_t - 2) r / ((r - 4) (r - 2) r_t)) sqrt(1 - betas[1]^t) /
    (sqrt(v) + eps). With decoupled_weight_decay weights decay as in AdamW.

    The first update of a weight 0, whose gradient is -4:

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> optimizer = fastbp.RAdam(lr=0.1)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, engine="numpy")
    >>> trainer.step([[1.0]], [[2.0]])
    4.0
    >>> print(net.weights[0].round(3))
    [[0.4]]
    """

    decoupled_weight_decay: bool = False

    code: ClassVar[int] = rules.RADAM
    extended: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, decoupled_weight_decay=checks.flag)

    def hyper(self) -> Hyper:
        """See ``Optimizer``."""
        hyper = super().hyper()
        hyper[codes.DECAY] = self.decoupled_weight_decay
        return hyper


OPTIMIZERS: dict[str, type[Optimizer]] = {name: globals()[name] for name in __all__}


explain_constructors("fastbp", OPTIMIZERS)


def check(optimizer: object, argument: str = "optimizer") -> Optimizer:
    """``optimizer`` itself if it is one of the specifications, else TypeError."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    names = (*OPTIMIZERS, "LBFGS")
    known = ", ".join(f"fastbp.{name}" for name in names)
    text = getattr(optimizer, "__name__", optimizer)
    near = suggestions.meant(text, OPTIMIZERS) if isinstance(text, str) else None
    raise TypeError(
        f"{argument} is {optimizer!r}: it must be an instance of one of {known}, "
        f"for example fastbp.{near or 'Adam'}(lr=1e-3)"
    )


def _hyper(**values: float) -> Hyper:
    hyper = np.zeros(codes.N_HYPER)
    for name, value in values.items():
        hyper[getattr(codes, name)] = value
    return hyper


def _eps(value: Any, name: str) -> float:
    number = checks.positive(value, name)
    if number < SMALLEST_EPS:
        raise ValueError(
            f"{name} is {number}, expected at least {SMALLEST_EPS:.2g}, the smallest normal float32"
        )
    return number


def _betas(value: Any, name: str) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} is {value!r}, expected a pair of numbers, such as (0.9, 0.999)")
    return checks.from_zero_below_one(value[0], f"{name}[0]"), checks.from_zero_below_one(
        value[1], f"{name}[1]"
    )
