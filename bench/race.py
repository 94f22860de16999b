"""Races: all sides do the same work in short windows by turns, with the FMA peak in between.

The clock of a machine varies, so only windows of the same second are compared: a ratio is the
median of the ratios of neighboring windows.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

WINDOW_SECONDS = 0.02
REST_SECONDS = 0.01
SETTLE_SECONDS = 0.5
"""Seconds of a rest, and of all rests before a window at most."""

PATIENCE_SECONDS = 30.0
"""After so long a race goes on with cores that have moved apart, as they are."""


def check_fields():
    """Rest until no thread of this process is busy.

    After a product the threads of OpenBLAS spin for a tenth of a second, waiting for the next one
    (those of libgomp for 2 ms). They would take CPUs from the side that comes next.
    """
    end = time.perf_counter() + SETTLE_SECONDS
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(REST_SECONDS)
        if time.process_time() - before < REST_SECONDS / 10:
            return


@dataclass
class Racer:
    """One competitor: a lap is its work on the next batch, and laps have no end."""

    name: str
    lap: Callable
    batches: Iterator
    enter: Callable = lambda: None
    latest: float = 0.0

    def run(self, seconds):
        """Run laps for a number of seconds, at least one lap; return the seconds a lap."""
        lap, batches, clock = self.lap, self.batches, time.perf_counter
        laps, elapsed, start = 0, 0.0, clock()
        while not laps or elapsed < seconds:
            lap(*next(batches))
            laps += 1
            elapsed = clock() - start
        self.latest = elapsed / laps
        return self.latest

    def window(self):
        """Seconds a lap in one window. A lap that is longer than many windows needs no warm-up."""
        check_fields()
        self.enter()
        if self.latest < 10 * WINDOW_SECONDS:
            self.run(WINDOW_SECONDS / 4)
        return self.run(WINDOW_SECONDS)


def windows(racers, rounds):
    """Seconds a lap of each window, a list for each racer."""
    order, seconds = list(enumerate(racers)), [[] for _ in racers]
    for _ in range(rounds):
        for i, racer in order:
            seconds[i].append(racer.window())
        order.reverse()
    return seconds


def run(racers, pairs, threads):
    """({name: seconds a lap of each window}, FMA peaks of ``threads`` threads, round trips).

    Peaks and round trips between cores (distance.py) are measured before each round. A round after
    which the cores are farther apart is run again.
    """
    from bench import distance, peak

    order, peaks, trips = list(racers), [], []
    seconds = {racer.name: [] for racer in racers}
    watch = distance.Watch(PATIENCE_SECONDS)
    while len(peaks) < pairs:
        check_fields()
        trip = watch.wait()
        top = peak.measure(threads)
        windows = [(racer.name, racer.window()) for racer in order]
        if not watch.stayed():
            continue
        peaks.append(top)
        trips += [] if trip is None else [trip]
        for name, took in windows:
            seconds[name].append(took)
        order.reverse()  # the effect of going first cancels
    return seconds, peaks, trips
