"""How many workers pay, found out while they work: other programs take processors, and leave them.

Now and then another number of workers takes turns with the present one, for some milliseconds each.
The faster one goes on; in doubt it is the larger. The turns alternate, so that what comes and goes
meanwhile slows both. The bits do not depend on it.
"""

import threading
from statistics import median

TURN_SECONDS, TURNS = 0.005, 3
"""Length and number of the turns that each of two numbers of workers gets. Before it counts, a turn
warms up for half as long: threads wake, and weights move between the caches of the processors."""

FASTER = 0.95
"""Another number of workers is faster where it takes less than this share of the time. A larger one
stays at once, a smaller one after a second trial in a row: wrongly fewer workers cost most."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 1.0
"""Seconds of work before the next trial. They double with every trial that changes nothing."""

SHORTEST_PAUSE, SURPRISE = 0.03, 1.5
"""Where work takes ``SURPRISE`` times as long as after the last trial, the next comes sooner: after
this pause, which doubles likewise."""

IDLE_SECONDS = 0.0025
"""After so long a break short work is cold again, and other programs' threads may still spin."""

HOPELESS = 1.3
"""Another number that takes so many times the time in its first turn gets no further one."""

LATELY = 7
"""Pieces of work whose median is the cost: one of them may have waited for a processor."""

PAUSE_OF_A_TRIAL = 8
"""A pause is at least so many times the length of the trial before: one turn may be a long step."""

WARM_UP = 2
"""Calls that do not count: they may load or compile code, and touch memory for the first time."""


class Pace:
    """The number of workers of one kind of work, such as the steps of a trainer.

    ``workers`` is asked before each piece of work, ``note`` told its time.
    """

    def __init__(self) -> None:
        self.cost = 0.0
        """Seconds for a unit of work, lately; 0 before it is known."""
        self._count = self._most = 0
        self._costs: list[float] = []
        self._usual = 0.0  # the cost after the last trial
        self._since = 0.0  # seconds of work since the last trial
        self._pause, self._short_pause = FIRST_PAUSE, SHORTEST_PAUSE
        self._calls, self._ended = 0, 0.0
        self._trial: _Trial | None = None
        self._next = self._promising = 0
        self._lock = threading.RLock()

    def workers(self, most: int) -> tuple[int, float]:
        """(the number of workers of the next piece of work, its longest time in seconds)."""
        if most != self._most:
            stays = 0 < self._count < self._most and self._count <= most
            self._count, self._most = self._count if stays else most, most
            self._trial, self._promising = None, 0
        trial = self._trial
        if trial is None:
            return self._count, LONGEST_PAUSE
        return trial.workers, TURN_SECONDS / 2

    def note(self, workers: int, work: float, began: float, ended: float) -> None:
        """Take note of ``work`` units that ``workers`` did between two times, in seconds."""
        if self._most == 1 or work <= 0:
            return
        try:  # see locking.py
            if self._lock.acquire(blocking=False):
                self._note(workers, work, began, ended)
        finally:
            try:  # noqa: SIM105
                self._lock.release()
            except RuntimeError:
                pass

    def _note(self, workers: int, work: float, began: float, ended: float) -> None:
        self._calls += 1
        seconds, idle, self._ended = ended - began, began - self._ended, ended
        is_cold = idle > IDLE_SECONDS and seconds < TURN_SECONDS
        if self._calls <= WARM_UP:
            return
        trial = self._trial
        if trial is not None:
            if is_cold:
                trial.begin_turn()
            if trial.note(workers, seconds, work):
                self._decide(trial)
            return
        if is_cold or workers != self._count:
            return
        self._since += seconds
        self._costs.append(seconds / work)
        if len(self._costs) < LATELY and self._since < self._pause:
            return
        self.cost = median(self._costs)
        self._costs.clear()
        self._usual = min(self._usual, self.cost) if self._usual else self.cost
        surprised = self.cost > SURPRISE * self._usual and self._since > self._short_pause
        if surprised or self._since > self._pause:
            self._trial = _Trial(self._count, self._other())

    def _other(self) -> int:
        """The next number to try: one less, half, one, one more, twice as many, or all."""
        count = self._count
        if self._promising:
            return self._promising
        numbers = (count - 1, count // 2, 1, count + 1, 2 * count, self._most)
        others = [n for n in dict.fromkeys(numbers) if 1 <= n <= self._most and n != count]
        self._next += 1
        return others[self._next % len(others)]

    def _decide(self, trial: "_Trial") -> None:
        present, other = trial.numbers
        faster = trial.ratio() < FASTER
        changes = faster and (other > present or other == self._promising)
        self._promising = other if faster and not changes else 0
        if changes:
            self._count = other
        self.cost = self._usual = trial.cost(changes)
        self._costs.clear()
        least = PAUSE_OF_A_TRIAL * trial.seconds
        longest = max(LONGEST_PAUSE, 4 * least)
        if faster:
            self._pause, self._short_pause = max(least, FIRST_PAUSE), SHORTEST_PAUSE
        else:
            self._pause = max(least, min(2 * self._pause, longest))
            self._short_pause = min(2 * self._short_pause, longest)
        self._since, self._trial = 0.0, None


class _Trial:
    """Two numbers of workers that take turns."""

    def __init__(self, present: int, other: int) -> None:
        self.numbers = present, other
        self.seconds = 0.0
        self._costs: tuple[list[float], list[float]] = [], []
        self.begin_turn()

    def begin_turn(self) -> None:
        """Begin the present turn, or begin it anew."""
        self._warm_up = 0.0  # seconds of the turn that do not count
        self._turn = [0.0, 0.0]  # seconds and work of the turn that count

    @property
    def workers(self) -> int:
        """The number whose turn it is."""
        return self.numbers[len(self._costs[0]) - len(self._costs[1])]

    def note(self, workers: int, seconds: float, work: float) -> bool:
        """Add a piece of work. Returns whether all turns have been taken."""
        if workers != self.workers:
            return False
        self.seconds += seconds
        if self._warm_up < TURN_SECONDS / 2:
            self._warm_up += seconds
            return False
        self._turn = [self._turn[0] + seconds, self._turn[1] + work]
        if self._turn[0] >= TURN_SECONDS:
            costs = self._costs[len(self._costs[0]) - len(self._costs[1])]
            costs.append(self._turn[0] / self._turn[1])
            self.begin_turn()
        taken = len(self._costs[1])
        return taken == TURNS or (0 < taken == len(self._costs[0]) and self.ratio() > HOPELESS)

    def ratio(self) -> float:
        """The time by the other number, the present one's being 1."""
        return median(b / a for a, b in zip(*self._costs, strict=True))

    def cost(self, of_other: bool) -> float:
        """The cost of the present number, or of the other one."""
        return median(self._costs[of_other])
