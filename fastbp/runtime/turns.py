"""Two numbers of workers take turns, some milliseconds each: which one is faster.

The turns alternate, so that what comes and goes meanwhile slows both.
"""

from statistics import median

TURN_SECONDS, TURNS = 0.005, 3
"""Length and number of the turns that each gets. Before it counts, a turn warms up for half as
long: threads wake, and weights move between the caches of the processors. Of work that takes longer
than a turn that is a small part."""

CLEAR = 1.3
"""One turn of each is enough where the other number takes so many times the time, or where a larger
one takes so small a part of it. Wrongly fewer workers cost most: they need all turns."""


class Trial:
    """The turns of the present number of workers and another one."""

    def __init__(self, present: int, other: int) -> None:
        self.present, self.other = present, other
        self._costs: list[float] = []  # of the turns: present, other, present, ...
        self._spent = [0.0, 0.0]  # seconds of each
        self._begin_turn()

    def _begin_turn(self) -> None:
        self._warm_up = 0.0  # seconds of the turn that do not count
        self._seconds = self._work = 0.0  # of the turn, that count

    @property
    def _turn(self) -> int:
        """Whose turn it is: 0 for the present number, 1 for the other."""
        return len(self._costs) % 2

    @property
    def workers(self) -> int:
        """The number whose turn it is."""
        return (self.present, self.other)[self._turn]

    def note(self, workers: int, seconds: float, work: float) -> bool:
        """Add a piece of work. Returns whether the trial is over."""
        if workers != self.workers:
            return False
        self._spent[self._turn] += seconds
        if seconds < TURN_SECONDS and self._warm_up < TURN_SECONDS / 2:
            self._warm_up += seconds
            return False
        self._seconds, self._work = self._seconds + seconds, self._work + work
        if self._seconds < TURN_SECONDS:
            return False
        self._costs.append(self._seconds / self._work)
        self._begin_turn()
        pairs, half = divmod(len(self._costs), 2)
        return half == 0 and (pairs == TURNS or self._is_clear())

    def _is_clear(self) -> bool:
        """Whether what there is of the turns decides."""
        ratio = self.ratio()
        return ratio > CLEAR or (self.other > self.present and ratio < 1 / CLEAR)

    def ratio(self) -> float:
        """The time by the other number, the present one's being 1."""
        return median(b / a for a, b in zip(self._costs[::2], self._costs[1::2], strict=True))

    def cost(self, of_other: bool) -> float:
        """Seconds for a unit of work by the present number, or by the other one."""
        return median(self._costs[1::2] if of_other else self._costs[::2])

    def lost(self) -> float:
        """The seconds that the faster of the two would have saved."""
        ratio = self.ratio()
        present, other = self._spent
        return other * (1 - 1 / ratio) if ratio > 1 else present * (1 - ratio)
