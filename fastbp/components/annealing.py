"""Schedules that anneal: by cosines or lines, to an end that they know."""

import math
from dataclasses import dataclass
from typing import Any

from ..common import checks, registry
from ..common.specs import check_fields
from ..common.types import Floats
from ..kernels.tables import schedules as codes
from .schedule_base import Schedule, encode

MOST_CYCLES = 32
"""Of ``LogCosine``. The first of more cycles takes less than 2^-32 of the updates."""

ANNEALING = {"cos": codes.COSINE, "linear": codes.LINEAR}


class _Ending(Schedule):
    """A schedule that is for so many updates."""

    updates: int

    @property
    def total_updates(self) -> int:
        """``updates``."""
        return self.updates


@dataclass(frozen=True, repr=False)
class Cosine(_Ending):
    """Half a cosine from 1 down to end_factor (Loshchilov and Hutter, 2017).

    end_factor + (1 - end_factor) (1 + cos(pi t / updates)) / 2, as torch's CosineAnnealingLR with
    T_max = updates and eta_min = end_factor lr. end_factor lies in [0, 1).

    >>> factors(fastbp.schedules.Cosine(updates=4), 4)
    [1.0, 0.854, 0.5, 0.146]
    """

    updates: int
    end_factor: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, updates=checks.count, end_factor=checks.from_zero_below_one)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        return encode(
            codes.COSINE,
            END=self.end_factor,
            LAST=self.updates,
            MOMENTUM=math.nan,
            PEAK_MOMENTUM=math.nan,
        )


@dataclass(frozen=True, repr=False)
class FlatCosine(_Ending):
    """1 for a share of the updates, then half a cosine down to 0.

    1 while t < flat updates, then (1 + cos(pi (t - flat updates) / ((1 - flat) updates))) / 2. flat
    lies in [0, 1). RealMLP schedules dropout and weight decay like this (Holzmueller, Grinsztajn
    and Steinwart, 2024, "flat_cos").

    >>> factors(fastbp.schedules.FlatCosine(updates=8), 8)
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.854, 0.5, 0.146]
    """

    updates: int
    flat: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, updates=checks.count, flat=checks.from_zero_below_one)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        return encode(
            codes.COSINE,
            FIRST=1.0,
            PEAK=self.flat * self.updates,
            LAST=self.updates,
            MOMENTUM=math.nan,
            PEAK_MOMENTUM=math.nan,
        )


@dataclass(frozen=True, repr=False)
class LogCosine(_Ending):
    """Whole cosines from 0 to 1 and back to 0, each twice as long as the one before.

    (1 - cos(2 pi log2(1 + (2^cycles - 1) t / updates))) / 2. cycles lies in [1, 32]. The first
    update has factor 0: its gradient enters the moments alone. RealMLP trains like this
    (Holzmueller, Grinsztajn and Steinwart, 2024, "coslog4").

    >>> factors(fastbp.schedules.LogCosine(updates=6, cycles=2), 6)
    [0.0, 0.93, 0.0, 0.718, 0.93, 0.324]
    """

    updates: int
    cycles: int = 4

    def __post_init__(self) -> None:
        check_fields(self, updates=checks.count, cycles=_cycles)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        scale = self.updates / (2**self.cycles - 1)
        return encode(codes.LOG_COSINE, SCALE=scale, UPDATES=self.updates)


@dataclass(frozen=True, repr=False)
class OneCycle(_Ending):
    """Up to the optimizer's lr, then far down, and momentum the other way (Smith, 2018).

    torch's OneCycleLR with max_lr = lr, total_steps = updates and two phases. The factor rises from
    1 / div_factor to 1 at t = pct_start updates - 1, and falls to 1 / (div_factor final_div_factor)
    at t = updates - 1, by half a cosine each ("cos") or "linear". With cycle_momentum the momentum
    of SGD and RMSprop, and betas[0] of Adam and AdamW, goes from max_momentum to base_momentum and
    back, whatever the optimizer was given; the others, and SGD without momentum, refuse it.

    >>> factors(fastbp.schedules.OneCycle(updates=6, pct_start=0.5), 6)
    [0.04, 0.52, 1.0, 0.75, 0.25, 0.0]
    """

    updates: int
    pct_start: float = 0.3
    anneal_strategy: str = "cos"
    cycle_momentum: bool = True
    base_momentum: float = 0.85
    max_momentum: float = 0.95
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        registry.lookup(ANNEALING, self.anneal_strategy, "OneCycle: anneal_strategy")
        check_fields(
            self,
            updates=checks.count,
            pct_start=checks.from_zero_below_one,
            cycle_momentum=checks.flag,
        )
        check_fields(
            self, base_momentum=checks.from_zero_below_one, max_momentum=checks.from_zero_below_one
        )
        check_fields(self, div_factor=checks.positive, final_div_factor=checks.positive)
        if self._peak <= 0:
            raise ValueError(
                f"OneCycle: updates is {self.updates} and pct_start {self.pct_start}: the rise "
                "takes pct_start * updates, which must be more than 1 update"
            )

    @property
    def _peak(self) -> float:
        return self.pct_start * self.updates - 1

    @property
    def largest_factor(self) -> float:
        """1, unless div_factor is below it."""
        return max(1.0, 1 / self.div_factor, 1 / self.div_factor / self.final_div_factor)

    def encoded(self) -> Floats:
        """See ``Schedule``."""
        cycled = self.cycle_momentum
        return encode(
            ANNEALING[self.anneal_strategy],
            FIRST=1 / self.div_factor,
            PEAK=self._peak,
            END=1 / self.div_factor / self.final_div_factor,
            LAST=self.updates - 1,
            MOMENTUM=self.max_momentum if cycled else math.nan,
            PEAK_MOMENTUM=self.base_momentum if cycled else math.nan,
        )


def _cycles(value: Any, name: str) -> int:
    number = checks.integer(value, name, 1)
    if number > MOST_CYCLES:
        raise ValueError(f"{name} is {number}, expected an integer in [1, {MOST_CYCLES}]")
    return number
