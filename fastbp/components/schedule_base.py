"""What every schedule is: a factor on a rate, and how the kernels read it."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ..common.call_repr import CallRepr
from ..common.types import Floats
from ..kernels.tables import schedules as codes


class Schedule(CallRepr, ABC):
    """The base class of all schedules, which is not derived from: see ``Table`` for your own.

    >>> isinstance(fastbp.schedules.Cosine(updates=10), fastbp.schedules.Schedule)
    True
    """

    public_path: ClassVar[str] = "fastbp.schedules"

    @property
    def total_updates(self) -> int | None:
        """Number of updates of the whole schedule, warm-up included; None where it never ends."""
        return None

    @property
    def largest_factor(self) -> float:
        """The largest factor that it can give."""
        return 1.0

    @abstractmethod
    def encoded(self) -> Floats:
        """The schedule as the kernels read it: N_SCHEDULE float64, and after them a table."""


def encode(code: int, **parameters: float) -> Floats:
    """N_SCHEDULE float64: a code, and parameters by their names in kernels/tables/schedules.py."""
    encoded = np.zeros(codes.N_SCHEDULE)
    encoded[codes.CODE] = code
    for name, value in parameters.items():
        encoded[getattr(codes, name)] = value
    return encoded
