"""The scalars of an update, such as powers of beta, by rank 0: the libm of another may differ."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..common.types import Floats, Ints
from ..kernels.tables import schedules, settings
from .group import Group

COUNT = settings.ARE_GIVEN - settings.STEP_DROPOUT


class Scalars:
    """The scalars in a vector of hyperparameters, worked out here, or taken from rank 0.

    Args:
        group: the ranks.
        hyper: of this rank (settings.py).
        work_out: lets the kernels prepare an update, which works them out unless they are given.

    """

    def __init__(self, group: Group, hyper: Floats, work_out: Callable[[], None]) -> None:
        self._group, self._hyper, self._work_out = group, hyper, work_out
        self._bits = hyper[settings.STEP_DROPOUT : settings.ARE_GIVEN].view("i8")

    @contextmanager
    def given(self) -> Iterator[None]:
        """The context of updates whose scalars are those of ``begin`` and ``take``."""
        try:
            yield
        finally:
            self._hyper[settings.ARE_GIVEN] = 0.0

    def begin(self) -> None:
        """Work them out for the next update; a rate of dropout, by a schedule, is rank 0's.

        The rows of an update need that rate before the ranks meet, and the others afterwards.
        """
        self._hyper[settings.ARE_GIVEN] = 0.0
        self._work_out()
        self._hyper[settings.ARE_GIVEN] = 1.0
        if self._hyper[settings.DROPOUT_SCHEDULE + schedules.CODE] != schedules.CONSTANT:
            rate = float(self._hyper[settings.STEP_DROPOUT])
            self._hyper[settings.STEP_DROPOUT] = self._group.first(rate)

    def told(self) -> list[int]:
        """Their bits, for a message: COUNT numbers."""
        bits: list[int] = self._bits.tolist()
        return bits

    def take(self, bits: Ints) -> None:
        """Go on with those that another rank has told."""
        self._bits[:] = bits
