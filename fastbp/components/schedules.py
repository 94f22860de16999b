"""Schedules of rates: frozen specifications, evaluated before every update.

A schedule gives a factor that multiplies a rate: for the trainer's argument ``schedule`` it is the
optimizer's lr, and ``OneCycle`` gives a momentum as well. In the formulas t counts the updates made
before, from 0.

Everything is counted in updates, not in epochs: an epoch of n rows has ceil(n / batch_size)
updates. Ten epochs of 60,000 rows in batches of 256 are 10 * 235 updates::

    Warmup(235, then=Cosine(9 * 235))

Where torch.optim.lr_scheduler has the schedule, the values are torch's with a scheduler that steps
once an update. The constructor checks every number: it raises TypeError for what is not a number,
ValueError for a number out of range.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..common import checks
from ..common.signatures import explain_constructors
from ..common.specs import check_fields
from ..common.types import Floats
from ..kernels.tables import schedules as codes
from .annealing import Cosine, FlatCosine, LogCosine, OneCycle
from .optimizers import Optimizer
from .schedule_base import Schedule, encode

EXAMPLE = "such as fastbp.schedules.Table.of(lambda t: 0.99**t, updates=1000)"

SHOWN = 8
"""The most factors of a table that its repr shows."""


@dataclass(frozen=True, repr=False)
class Constant(Schedule):
    """A factor of 1: the optimizer's lr throughout.

    >>> factors(fastbp.schedules.Constant(), 3)
    [1.0, 1.0, 1.0]
    """

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        return encode(codes.CONSTANT)


@dataclass(frozen=True, repr=False)
class StepDecay(Schedule):
    """gamma^(t // every), torch's StepLR; gamma lies in (0, 1].

    >>> factors(fastbp.schedules.StepDecay(every=2, gamma=0.5), 5)
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self, every=checks.count, gamma=checks.above_zero_to_one)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        return encode(codes.STEPS, GAMMA=self.gamma, EVERY=self.every)


@dataclass(frozen=True, repr=False)
class ExponentialDecay(Schedule):
    """gamma^t, torch's ExponentialLR; gamma lies in (0, 1].

    gamma = 0.5 ** (1 / h) halves lr every h updates.

    >>> factors(fastbp.schedules.ExponentialDecay(gamma=0.5), 4)
    [1.0, 0.5, 0.25, 0.125]
    """

    gamma: float

    def __post_init__(self) -> None:
        check_fields(self, gamma=checks.above_zero_to_one)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        return encode(codes.STEPS, GAMMA=self.gamma, EVERY=1)


@dataclass(frozen=True, repr=False)
class InverseScaling(Schedule):
    """(t + 1)^-power; scikit-learn's "invscaling" has this rule with a t that counts rows.

    >>> factors(fastbp.schedules.InverseScaling(power=1.0), 4)
    [1.0, 0.5, 0.333, 0.25]
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, power=checks.positive)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        return encode(codes.INVERSE, POWER=self.power)


@dataclass(frozen=True, repr=False)
class Table(Schedule):
    """A schedule of your own: one factor for each update, finite numbers of 0 or more.

    ``Table.of(function, updates)`` asks a function for them. Files keep the factors, and a trainer
    8 bytes for each. The momentum is the optimizer's. The repr of many factors names the first and
    the last.

    >>> factors(fastbp.schedules.Table([1.0, 0.1, 0.01]), 3)
    [1.0, 0.1, 0.01]
    """

    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        check_fields(self, factors=_factors)

    @classmethod
    def of(cls, function: Callable[[int], float], updates: int) -> Self:
        """The factors function(t) for t = 0 to updates - 1, the number of updates made before.

        function: a Python or an njit function. It is called here, and never in training.

        >>> table = fastbp.schedules.Table.of(lambda t: 1 / (1 + t), updates=4)
        >>> factors(table, 4)
        [1.0, 0.5, 0.333, 0.25]
        """
        if not callable(function):
            raise TypeError(
                f"function is {function!r}, expected a function of the number of updates made "
                f"before, {EXAMPLE}"
            )
        return cls(tuple(_called(function, t) for t in range(checks.count(updates, "updates"))))

    def __repr__(self) -> str:
        if len(self.factors) <= SHOWN:
            return super().__repr__()
        first, last = self.factors[0], self.factors[-1]
        return f"<{self.public_path}.Table: {self.total_updates} factors, {first:g} to {last:g}>"

    @property
    def total_updates(self) -> int:
        """The number of factors."""
        return len(self.factors)

    @property
    def largest_factor(self) -> float:
        """The largest of the factors."""
        return max(self.factors)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        count = len(self.factors)
        encoded = encode(codes.TABLE, COUNT=count, PLACE=codes.N_SCHEDULE)
        return np.concatenate([encoded, self.factors])


@dataclass(frozen=True, repr=False)
class Warmup(Schedule):
    """A linear rise over ``updates`` updates, followed by another schedule from its beginning.

    (start_factor + (1 - start_factor) t / updates) times the first factor of ``then`` while
    t < updates: torch's LinearLR, followed by the other in a SequentialLR. start_factor lies in
    (0, 1].

    >>> warmup = fastbp.schedules.Warmup(2, start_factor=0.2, then=fastbp.schedules.Cosine(2))
    >>> factors(warmup, 4)
    [0.2, 0.6, 1.0, 0.5]
    >>> warmup.total_updates
    4
    """

    updates: int
    then: Schedule = Constant()
    start_factor: float = 1 / 3

    def __post_init__(self) -> None:
        check_fields(self, updates=checks.count, start_factor=checks.above_zero_to_one)
        check(self.then, "Warmup: then")
        if isinstance(self.then, Warmup):
            raise TypeError(f"Warmup: then is {self.then!r}: it must be a schedule without Warmup")

    @property
    def total_updates(self) -> int | None:
        """``updates``, and those of ``then``; None where that never ends."""
        rest = self.then.total_updates
        return None if rest is None else self.updates + rest

    @property
    def largest_factor(self) -> float:
        """That of ``then``."""
        return self.then.largest_factor

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        encoded = self.then.encoded()
        encoded[[codes.WARMUP, codes.START_FACTOR]] = self.updates, self.start_factor
        return encoded


SCHEDULES = {
    kind.__name__: kind
    for kind in (
        Constant,
        StepDecay,
        ExponentialDecay,
        InverseScaling,
        Cosine,
        FlatCosine,
        LogCosine,
        OneCycle,
        Table,
        Warmup,
    )
}


explain_constructors("fastbp.schedules", SCHEDULES)


def check(schedule: object, argument: str = "schedule") -> Schedule:
    """``schedule`` itself if it is one of the specifications, else TypeError."""
    if isinstance(schedule, Schedule):
        if type(schedule) not in SCHEDULES.values():
            raise TypeError(
                f"{argument} is of the class {type(schedule).__name__}, which the kernels do not "
                f"know: a schedule of your own is a table of factors, {EXAMPLE}"
            )
        return schedule
    known = ", ".join(SCHEDULES)
    if callable(schedule) and not isinstance(schedule, type):
        raise TypeError(
            f"{argument} is the function {schedule!r}: say for how many updates it is, {EXAMPLE}. "
            "It gets the number of updates made before, and returns a factor on the rate"
        )
    raise TypeError(
        f"{argument} is {schedule!r}: it must be an instance of one of fastbp.schedules' {known}, "
        "for example Cosine(updates=1000)"
    )


def check_momentum(schedule: Schedule, optimizer: Optimizer) -> None:
    """ValueError where the schedule gives a momentum that the optimizer cannot take."""
    if _cycles_momentum(schedule) and not optimizer.has_momentum:
        raise ValueError(
            f"OneCycle cycles the momentum, but {optimizer!r} has none that could: use SGD or "
            "RMSprop with a momentum above 0 (it is replaced), Adam or AdamW; or "
            "OneCycle(..., cycle_momentum=False)"
        )


def check_no_momentum(schedule: Schedule, argument: str) -> Schedule:
    """``schedule`` itself; ValueError where it gives a momentum, and not a factor alone."""
    if _cycles_momentum(schedule):
        raise ValueError(
            f"{argument} is {schedule!r}, which cycles the momentum, too: that belongs to the "
            "schedule of the learning rate. Use OneCycle(..., cycle_momentum=False)"
        )
    return schedule


def _cycles_momentum(schedule: Schedule) -> bool:
    inner = schedule.then if isinstance(schedule, Warmup) else schedule
    return isinstance(inner, OneCycle) and inner.cycle_momentum


def check_length(schedule: Schedule, made: int, more: int, argument: str = "schedule") -> None:
    """ValueError where ``made`` and ``more`` updates exceed its ``total_updates``."""
    total = schedule.total_updates
    if total is not None and made + more > total:
        raise ValueError(
            f"{schedule!r} is for {total} updates, but {made} have been made and {more} more are "
            "asked for: train less, or go on with a longer one, trainer = "
            f"trainer.replace({argument}=...). An epoch has ceil(rows / batch_size) updates"
        )


def _factors(values: Any, name: str) -> tuple[float, ...]:
    array = np.asarray(values)
    if isinstance(values, str | bytes) or array.ndim != 1:
        raise TypeError(f"{name} is {values!r:.80}, expected a sequence of numbers, one an update")
    if not len(array):
        raise ValueError(f"{name} is empty, expected one number for each update, at least one")
    return tuple(checks.not_negative(one, f"{name}[{i}]") for i, one in enumerate(values))


def _called(function: Callable[[int], float], t: int) -> float:
    try:
        factor = function(t)
    except Exception as error:
        error.add_note(f"while a schedule asked for its factor after {t} updates")
        raise
    return checks.not_negative(factor, f"the factor that the function returned for t = {t}")
