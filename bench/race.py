"""All sides train on the same data: short windows in turn, and the FMA peak in between.

The clock of a machine wanders, so only what ran within the same second is compared: a ratio is
the median of the ratios of neighboring windows.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import fastbp
from bench import peak
from bench.baseline import MOMENTUM, Baseline
from bench.cases import LEARNING_RATES, Case
from bench.peers import Torch

WINDOW_SECONDS = 0.02
REST_SECONDS = 0.01
SETTLE_SECONDS = 0.5
"""How long a rest is, and how long to rest at most before a window."""

SAME_STEPS = 3
SAME_LOSS = 1e-3
"""Relative difference of losses within which the sides do the same work."""


def settle():
    """Rest until no thread of this process is busy.

    After a product OpenBLAS's threads spin for a tenth of a second in wait of the next (libgomp's
    for 2 ms): they would take CPUs away from whoever comes next.
    """
    end = time.perf_counter() + SETTLE_SECONDS
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(REST_SECONDS)
        if time.process_time() - before < REST_SECONDS / 10:
            return


@dataclass
class Side:
    """One competitor: what it does with the next batch (a lap), without end."""

    name: str
    step: Callable
    lap: Callable
    batches: Iterator
    latest: float = 0.0

    def run(self, seconds):
        """Go round for so long, one lap at least; returns the seconds a lap."""
        lap, batches, clock = self.lap, self.batches, time.perf_counter
        laps, start = 0, clock()
        while (elapsed := clock() - start) < seconds:
            lap(*next(batches))
            laps += 1
        self.latest = elapsed / laps
        return self.latest

    def window(self):
        """Seconds a lap in one window. A lap of many windows' length needs no warming up."""
        settle()
        if self.latest < 10 * WINDOW_SECONDS:
            self.run(WINDOW_SECONDS / 4)
        return self.run(WINDOW_SECONDS)


@dataclass(frozen=True)
class Result:
    """The windows of one case with one optimizer: seconds a step by side, and peaks in GFLOP/s."""

    case: Case
    optimizer: str
    seconds: dict[str, list[float]]
    peaks: list[float]

    def microseconds(self, name):
        return 1e6 * median(self.seconds[name])

    def gflops(self, name):
        return median(self.case.flops / s / 1e9 for s in self.seconds[name])

    def ratio(self, other):
        """How many times as long as fastbp the other side takes."""
        pairs = zip(self.seconds[other], self.seconds["fastbp"], strict=True)
        return median(theirs / ours for theirs, ours in pairs)

    def share_of_peak(self, name):
        pairs = zip(self.seconds[name], self.peaks, strict=True)
        return median(self.case.flops / s / 1e9 / top for s, top in pairs)


def network_of(case):
    """The untrained network of a case."""
    return fastbp.Network(list(case.sizes), activation="relu", output=case.output, seed=0)


def trainer_of(case, network, optimizer, threads="auto"):
    """Its fastbp trainer."""
    lr = LEARNING_RATES[optimizer]
    rule = fastbp.Adam(lr=lr) if optimizer == "adam" else fastbp.SGD(lr=lr, momentum=MOMENTUM)
    return fastbp.Trainer(
        network, loss=case.loss, optimizer=rule, batch_size=case.batch, threads=threads
    )


def baseline_of(case, network, optimizer):
    """The NumPy baseline from the same weights."""
    lr = LEARNING_RATES[optimizer]
    return Baseline(network.weights, network.biases, case.loss, optimizer, lr, case.batch)


def sides_of(case, optimizer, threads, with_torch):
    """fastbp, NumPy and perhaps torch, from the same weights and with the same batches."""
    network, batches = network_of(case), case.batches()
    weights, biases = network.weights, network.biases
    baseline = baseline_of(case, network, optimizer)
    trainer = trainer_of(case, network, optimizer, threads)
    fit = partial(trainer.fit, shuffle=False, progress=False)
    sides = [
        side(case, "fastbp", trainer.step, fit, batches),
        side(case, "numpy", baseline.step, baseline.fit, batches),
    ]
    if with_torch:
        lr = LEARNING_RATES[optimizer]
        peer = Torch(weights, biases, case.loss, optimizer, lr, threads)
        tensors = [peer.convert(batch) for batch in batches]
        sides.append(side(case, "torch", peer.step, peer.fit, tensors))
    return sides


def side(case, name, step, fit, batches):
    """A lap is one step, or where the case is trained full-batch, one whole fit."""
    lap = partial(fit, epochs=case.epochs) if case.epochs else step
    return Side(name, step, lap, itertools.cycle(batches))


def check_same_work(case, optimizer, sides):
    """Raise RuntimeError unless the losses of a few steps agree. Compiles and warms up, too."""
    losses = {}
    for s in sides:
        X, y = next(s.batches)  # one batch for all steps: its loss shows what each update did
        losses[s.name] = [float(s.step(X, y)) for _ in range(SAME_STEPS)]
    for ours, *theirs in zip(*losses.values(), strict=True):
        if not all(math.isclose(ours, loss, rel_tol=SAME_LOSS) for loss in theirs):
            raise RuntimeError(f"{case.name} with {optimizer}: the losses differ: {losses}")


def race(case, optimizer, threads, with_torch=False, pairs=15):
    """Run one case; returns its Result."""
    sides = sides_of(case, optimizer, threads, with_torch)
    check_same_work(case, optimizer, sides)
    seconds = {s.name: [] for s in sides}
    peaks = []
    for _ in range(pairs):
        settle()
        peaks.append(peak.measure(threads))
        for s in sides:
            seconds[s.name].append(s.window() / (case.epochs or 1))
        sides.reverse()  # whatever comes of going first, each has it every other time
    return Result(case, optimizer, seconds, peaks)
