"""The measures: the work of a lap for each, and how its sides are made."""

import itertools
import math
import sys
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench import machine, race, sharing
from bench.cases import CASES, ONE_ROW, Case
from bench.peers import PREDICT_ONLY, MissingError, load
from bench.results import Result

SAME_STEPS = 3
SAME_LOSS = 1e-3
"""Largest relative difference of losses and outputs between sides that do the same work."""

PREDICT_BLOCKS = 8
STREAM_ROWS = 256


def owned(side, batches):
    return [tuple(side.own(array) for array in batch) for batch in batches]


def step(side):
    """Laps of one update each; of one whole fit, if the case is trained full-batch."""
    case = side.case
    lap = partial(side.fit, epochs=case.epochs) if case.epochs else side.step
    return lap, owned(side, case.batches()), case.epochs or 1


def epoch(side):
    """One shuffled pass over a data set."""
    return side.epoch, owned(side, [side.case.data(side.case.epoch_batches)]), 1


def predict(side):
    """The outputs of one batch, or of as many rows as the case says."""
    rows = side.case.predict_rows
    n = rows or side.case.batch
    blocks = PREDICT_BLOCKS if rows else 32
    X, _ = side.case.rows(n * blocks)
    return side.predict, owned(side, [(X[i : i + n],) for i in range(0, len(X), n)]), 1


def online(side):
    """Updates by one row each, one after the other."""
    return side.stream, owned(side, [side.case.rows(STREAM_ROWS)]), STREAM_ROWS


def row_by_row(side):
    """Predictions of one row each, one after the other."""
    return side.predict_rows, owned(side, [side.case.rows(STREAM_ROWS)[:1]]), STREAM_ROWS


def losses(side):
    """Losses of steps on one batch, as in a lap: each shows the effect of the update before."""
    X, y = map(side.own, side.case.rows(side.case.batch))
    if side.case.epochs:
        return [float(loss) for loss in side.fit(X, y, SAME_STEPS)]
    return [float(side.step(X, y)) for _ in range(SAME_STEPS)]


def outputs(side):
    """Outputs of one batch."""
    X, _ = side.case.rows(side.case.batch)
    return np.asarray(side.predict(side.own(X))).ravel()


def outputs_by_row(side):
    """Outputs of the rows of a lap."""
    X, _ = side.case.rows(STREAM_ROWS)
    return np.concatenate([np.ravel(p) for p in side.predict_rows(side.own(X))])


def outputs_after_stream(side):
    """Outputs of one batch after the updates of a lap."""
    side.stream(*map(side.own, side.case.rows(STREAM_ROWS)))
    return outputs(side)


@dataclass(frozen=True)
class Measure:
    """A timed unit of work, and the evidence that all sides do the same work.

    laps: side -> (lap, batches without end, units in a lap). evidence: side -> numbers that are
    equal for all sides that do the same work.
    """

    laps: object
    unit: str
    cases: tuple[Case, ...]
    evidence: object
    trains: bool = True

    def flops(self, case):
        """FLOPs of one unit."""
        if self.trains:
            return case.flops * (case.epoch_batches if self.unit == "epoch" else 1)
        return 2 * (case.predict_rows or case.batch) * case.weights


MEASURES = {
    "step": Measure(step, "step", tuple(CASES.values()), losses),
    "epoch": Measure(epoch, "epoch", tuple(CASES.values()), losses),
    "predict": Measure(predict, "call", tuple(CASES.values()), outputs, trains=False),
    "online": Measure(online, "row", (ONE_ROW,), outputs_after_stream),
    "one row": Measure(predict, "call", (ONE_ROW,), outputs, trains=False),
    "row by row": Measure(row_by_row, "row", (ONE_ROW,), outputs_by_row, trains=False),
}
"""online, row by row and one row stand for loops of a user's program. In the first two the loop is
compiled: @njit for fastbp, a scan for JAX. In the last it is a Python loop."""


@dataclass(frozen=True)
class Task:
    """One race."""

    measure: str
    case: Case
    optimizer: str

    def __str__(self):
        return f"{self.measure} {self.case.name} {self.optimizer}"


def tasks(measures, cases, optimizers):
    """Every race of these measures, cases and optimizers; predictions run without an optimizer."""
    for name in measures:
        measure = MEASURES[name]
        for case in measure.cases:
            if case in CASES.values() and case.name not in cases:
                continue
            for optimizer in optimizers if measure.trains else optimizers[:1]:
                yield Task(name, case, optimizer)


def racer_of(side, name, laps):
    """(the racer of a side, units in its lap)."""
    lap, batches, units = laps(side)
    return race.Racer(name, lap, itertools.cycle(batches), side.enter), units


@dataclass
class Entry:
    """A side in a race."""

    name: str
    side: object
    racer: race.Racer
    units: int
    evidence: object


def enter(task, name, threads, laps=None):
    """One side on a number of threads, compiled and warm. laps: replaces that of the measure."""
    side = load(name)(task.case, task.optimizer, threads)
    side.enter()
    shown = MEASURES[task.measure].evidence(side)
    racer, units = racer_of(side, name, laps or MEASURES[task.measure].laps)
    racer.run(race.WINDOW_SECONDS)
    return Entry(name, side, racer, units, shown)


def best(task, name, threads, laps=None):
    """The side on one thread or all, whichever is faster, if the library lets one choose."""
    counts = {1, threads} if load(name).choose_threads else {threads}
    entries = [enter(task, name, count, laps) for count in sorted(counts)]
    return min(entries, key=trial) if len(entries) > 1 else entries[0]


def trial(entry):
    """Seconds a lap, from a short run; a long lap was timed in its warm-up."""
    if entry.racer.latest > 10 * race.WINDOW_SECONDS:
        return entry.racer.latest
    return min(entry.racer.window() for _ in range(2))


def entries_of(task, names, threads):
    """The sides that can run this task; stderr says why another cannot."""
    entries = []
    for name in names:
        if MEASURES[task.measure].trains and name in PREDICT_ONLY:
            continue
        try:
            entries.append(best(task, name, threads))
        except MissingError as error:
            print(error, file=sys.stderr)
        except Exception as error:
            if name != "torch.compile":
                raise
            reason = str(error).strip().splitlines()[0]
            print(f"{name} is left out of {task}: {reason}", file=sys.stderr)
    check_same_work(task, entries)
    return entries


def check_same_work(task, entries):
    """Raise RuntimeError unless all sides computed the same as the first."""
    first = entries[0].evidence
    for entry in entries[1:]:
        close = partial(math.isclose, rel_tol=SAME_LOSS, abs_tol=SAME_LOSS / 10)
        if not all(map(close, first, entry.evidence)):
            raise RuntimeError(
                f"{task}: {entry.name} computes {entry.evidence[:SAME_STEPS]} where "
                f"{entries[0].name} computes {first[:SAME_STEPS]}"
            )


def measure(task, names, threads, pairs=None):
    """Run one race; return its Result."""
    kind = MEASURES[task.measure]
    entries = entries_of(task, names, threads)
    before = sharing.ticks()
    racers = [entry.racer for entry in entries]
    laps, peaks, trips = race.run(racers, pairs or task.case.pairs, threads)
    return Result(
        measure=task.measure,
        case=task.case.name,
        optimizer=task.optimizer if kind.trains else "",
        flops=kind.flops(task.case),
        seconds={e.name: [s / e.units for s in laps[e.name]] for e in entries},
        peaks=peaks,
        round_trips=trips,
        threads={e.name: e.side.threads for e in entries},
        kernels=machine.kernels(),
        steal=sharing.steal_since(before),
    )
