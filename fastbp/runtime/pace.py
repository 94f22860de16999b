"""How many workers pay, found out while they work: other programs take processors, and leave them.

Now and then another number of workers takes turns with the present one (turns.py). The faster one
goes on; in doubt it is the larger. The bits do not depend on it.
"""

import threading
from statistics import median

from .turns import TURN_SECONDS, Trial

FASTER, FIRST_FASTER = 0.95, 0.8
"""Another number of workers is faster where it takes less than this share of the time. A larger one
stays at once. A smaller one stays after a second trial in a row, and after the very first where it
takes less than the second share: a fit may be over soon, but wrongly fewer workers cost most."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 1.0
"""Seconds of work before the next trial. They grow by half with every trial that changes nothing. A
number that has just become smaller is tried against larger ones after ``SHORTEST_PAUSE``: what took
the processors may be a library's threads, which spin for a moment after their work."""

SHORTEST_PAUSE, SURPRISE, GROWTH = 0.03, 1.5, 1.5
"""Where work takes ``SURPRISE`` times as long as it did by the same number of workers, the next
trial comes sooner: after this pause, which grows likewise until work takes its usual time."""

LOST, LOST_BY_FEWER = 0.005, 0.05
"""The shares of the time that trials may lose: with all workers, whom a surprise tells of company,
and with fewer, whom nothing but a trial tells that the others pay again. A first trial that changes
nothing may lose twice as much: what took the processors is often gone soon."""

IDLE_SECONDS = 0.0025
"""After so long a break work is cold: other programs' threads may still spin, caches are lost."""

LATELY, SOONER, SOONER_SECONDS = 7, 3, 0.1
"""Pieces of work whose median is the cost: one of them may have waited for a processor. Fewer do
where they take so long."""

RECENT_SECONDS = 1.0
"""For so long what is known of some work is that with which other work of the process begins."""

WARM_UP = 2
"""Calls that do not count: they may load or compile code, and touch memory for the first time."""

LONGEST_PIECE = 1.0
"""The longest time of a piece of work, in seconds."""


class Pace:
    """The numbers of workers of one kind of work, such as the steps of a trainer.

    Work that may have other numbers of workers, and work after a break, is found out on its own.
    """

    def __init__(self) -> None:
        self._regimes: dict[tuple[int, bool], Regime] = {}
        self._ended = 0.0

    def regime(self, most: int, now: float) -> "Regime":
        """What is known of work that begins now, in seconds, with at most so many workers."""
        key = most, now - self._ended > IDLE_SECONDS
        found = self._regimes.get(key)
        if found is None:
            known, when = _recent.get(most, (None, now))
            begun = Regime(most, most)
            if known is not None and now - when < RECENT_SECONDS:
                begun = known.renewed()
            found = self._regimes.setdefault(key, begun)
        return found

    def note(self, regime: "Regime", workers: int, work: float, began: float, ended: float) -> None:
        """Take note of ``work`` units that ``workers`` did between two times, in seconds."""
        self._ended = ended
        regime.note(workers, work, ended - began)
        _recent[regime.most] = regime, ended


class Regime:
    """One number of workers, and what it costs. Ask before each piece of work; tell its time.

    most: the largest number. begin: the first one. The first trial comes at once, after short
    pieces: a fit may be over soon.
    """

    def __init__(self, most: int, begin: int) -> None:
        self.cost = 0.0
        """Seconds for a unit of work, lately; 0 before it is known."""
        self.most, self.number = most, begin
        self._calls = 0
        self._costs: list[float] = []
        self._usual = 0.0  # the lowest cost since the number changed
        self._watched = self._since = 0.0  # seconds of work since the last cost, and trial
        self._pause, self._short_pause = 0.0, SHORTEST_PAUSE
        self._trial: Trial | None = None
        self._is_first = True  # the next trial
        self._next = self._promising = 0
        self._lock = threading.RLock()

    def renewed(self) -> "Regime":
        """The regime of other work, a moment later. It begins with the same number.

        Where that is all of them, the next trial comes when it would have come here: a trial of
        each short fit, as in a search, would take a tenth of its time.
        """
        other = Regime(self.most, self.number)
        if self.number == self.most:
            other._usual, other._since = self._usual, self._since
            other._pause, other._short_pause = self._pause, self._short_pause
        return other

    def workers(self) -> tuple[int, float]:
        """(the number of workers of the next piece of work, its longest time in seconds)."""
        trial = self._trial
        if trial is not None:
            return trial.workers, TURN_SECONDS / 2
        until_trial = max(TURN_SECONDS, self._pause - self._since)
        return self.number, min(until_trial, LONGEST_PIECE)

    def note(self, workers: int, work: float, seconds: float) -> None:
        """Take note of ``work`` units that ``workers`` did."""
        if self.most == 1 or work <= 0:
            return
        try:  # see locking.py
            if self._lock.acquire(blocking=False):
                self._note(workers, work, seconds)
        finally:
            try:  # noqa: SIM105
                self._lock.release()
            except RuntimeError:
                pass

    def _note(self, workers: int, work: float, seconds: float) -> None:
        self._calls += 1
        if self._calls <= WARM_UP:
            if workers == self.number:
                self.cost = seconds / work  # better than nothing
        elif self._trial is not None:
            if self._trial.note(workers, seconds, work):
                self._decide(self._trial)
        elif workers == self.number:
            self._watch(seconds, seconds / work)

    def _watch(self, seconds: float, cost: float) -> None:
        """Look at the cost, and begin a trial where it is time."""
        self._since += seconds
        self._watched += seconds
        self._costs.append(cost)
        is_long = self._watched >= SOONER_SECONDS
        if len(self._costs) < (SOONER if is_long else LATELY) and self._since < self._pause:
            return
        self.cost = median(self._costs)
        self._forget_costs()
        self._usual = min(self._usual, self.cost) if self._usual else self.cost
        is_usual = self.cost <= SURPRISE * self._usual
        if is_usual:
            self._short_pause = SHORTEST_PAUSE
        if self._since > (self._pause if is_usual else self._short_pause):
            self._trial = Trial(self.number, self._other())

    def _forget_costs(self) -> None:
        self._costs.clear()
        self._watched = 0.0

    def _other(self) -> int:
        """The next number to try: one less, half, one, one more, twice as many, or all."""
        count = self.number
        if self._promising:
            return self._promising
        numbers = (count - 1, count // 2, 1, count + 1, 2 * count, self.most)
        others = [n for n in dict.fromkeys(numbers) if 1 <= n <= self.most and n != count]
        self._next += 1
        return others[self._next % len(others)]

    def _decide(self, trial: Trial) -> None:
        faster = trial.ratio() < FASTER
        is_sure = trial.other > trial.present or trial.other == self._promising
        changes = faster and (is_sure or (self._is_first and trial.ratio() < FIRST_FASTER))
        self._is_first = False
        self._promising = trial.other if faster and not changes else 0
        if changes:
            self.number = trial.other
        self.cost = trial.cost(of_other=changes)
        self._usual = self.cost if changes else min(self._usual, self.cost)
        if changes and trial.other < trial.present:
            self._pause = self._short_pause = SHORTEST_PAUSE
        else:
            self._set_pauses(faster, trial.lost())
        self._since, self._trial = 0.0, None
        self._forget_costs()

    def _set_pauses(self, faster: bool, lost: float) -> None:
        """After a trial. lost: the seconds that the next one like it will lose."""
        least = lost / (LOST if self.number == self.most else LOST_BY_FEWER)
        if faster:
            self._pause, self._short_pause = max(least, FIRST_PAUSE), SHORTEST_PAUSE
        else:
            longest = max(least, LONGEST_PAUSE)
            self._pause = max(least / 2, min(GROWTH * self._pause, longest))
            self._short_pause = min(GROWTH * self._short_pause, longest)


_recent: dict[int, tuple[Regime, float]] = {}
"""By the most workers of some work: what was known of the last one, and when. Short fits of many
trainers, as in a grid search, learn from one another."""
