"""A training step over widths, depths and batches: fastbp on all threads and on one, and peers.

``python -m bench.sweep`` takes about 15 minutes. It writes the file of this processor in
bench/sweeps as it goes, and goes on from there when it was interrupted. It begins anew where the
kernels have changed. JAX compiles anew for each point: it takes part where that
leaves at least half of the point's time.
"""

import argparse
import json
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import environment, machine
from bench.cases import N_BATCHES, Case
from bench.race import WINDOW_SECONDS
from bench.results import OURS

FOLDER = Path(__file__).parent / "sweeps"

WIDTHS = (4, 7, 33, 64, 300, 1024, 4096)
DEPTHS = (1, 3, 8)
BATCHES = (1, 3, 16, 33, 128, 1000, 4096)

MOST_FLOPS = 2e11
DATA_BYTES = 1 << 26
"""Approximate size of all batches of a point: large batches are fewer."""

ONE_THREAD = "fastbp on 1 thread"
PEERS = ("numpy", "torch", "jax")
LEAST_ROUNDS, MOST_ROUNDS = 2, 15
OWN_ROUNDS = 5
"""Windows of fastbp on one thread and on all, at least, where a step is short: they differ by less
than fastbp and its peers, and cost little, since no other library's threads spin in between."""

NOISE = 0.03
"""A smaller relative difference between the same code on one thread and on several says nothing."""

MOST_LISTED = 8
"""Points that bench/README.md lists, at most."""


@dataclass(frozen=True)
class Point:
    """One size: depth layers of width x width. seconds: of a step by side, medians.

    kernels: machine.kernels(), empty where it was not recorded.
    """

    width: int
    depth: int
    batch: int
    seconds: dict[str, float]
    rounds: int = 0
    kernels: str = ""

    @property
    def size(self):
        return self.width, self.depth, self.batch

    @property
    def ratio(self):
        """How many times as long as fastbp the best peer takes."""
        return min(self.seconds[name] for name in self.peers) / self.seconds[OURS]

    @property
    def peers(self):
        return [name for name in PEERS if name in self.seconds]

    @property
    def best_peer(self):
        return min(self.peers, key=self.seconds.__getitem__)

    @property
    def gain(self):
        """How many times as long one thread takes."""
        return self.seconds[ONE_THREAD] / self.seconds[OURS]


def case_of(width, depth, batch):
    return Case(f"{width}x{depth}", (width,) * (depth + 1), batch, "mse", lr_factor=0.01)


def grid():
    """(width, depth, batch) of every point, in an order that leaves the time of the rest even."""
    sizes = [(w, d, b) for w in WIDTHS for d in DEPTHS for b in BATCHES]
    sizes = [size for size in sizes if case_of(*size).flops <= MOST_FLOPS]
    random.Random(0).shuffle(sizes)
    return sizes


def path_of(processor):
    return FOLDER / f"{processor}.json"


def load(path):
    """The points measured so far."""
    if not path.exists():
        return []
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [Point(**point) for point in stored["points"]]


def of_kernels(points, kernels):
    """The points that were measured with these kernels."""
    return [point for point in points if point.kernels == kernels]


def save(points, path):
    fresh = path.with_suffix(".new")
    content = {"points": [vars(point) for point in points]}
    fresh.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")
    fresh.replace(path)


def laps_of(side):
    """As measures.step, with fewer batches where they are large."""
    from bench.measures import owned

    case = side.case
    n = DATA_BYTES // (8 * case.batch * case.sizes[0])
    return side.step, owned(side, case.batches(max(2, min(N_BATCHES, n)))), 1


class Sweep:
    """Measures one point after the other, each within its share of the time that is left."""

    def __init__(self, threads, seconds):
        self.threads = threads
        self.end = time.perf_counter() + seconds
        self.jax_seconds = {}

    def measure(self, size, left):
        """The Point of a size. left: the number of points to measure, with this one."""
        began = time.perf_counter()
        budget = (self.end - began) / left
        racers = self.racers(size, budget)
        seconds = {racer.name: [] for racer in racers}
        rounds = 0
        while rounds < LEAST_ROUNDS or (
            rounds < MOST_ROUNDS
            and (time.perf_counter() - began) * (rounds + 1) / max(rounds, 1) < budget
        ):
            for racer in racers:
                seconds[racer.name].append(racer.window())
            racers.reverse()
            rounds += 1
        for racer in (OWN_ROUNDS - rounds) * [r for r in racers if r.name in (OURS, ONE_THREAD)]:
            if racer.latest < WINDOW_SECONDS:
                seconds[racer.name].append(racer.window())
        medians = {name: median(s) for name, s in seconds.items()}
        return Point(*size, medians, rounds, machine.kernels())

    def racers(self, size, budget):
        from bench import measures

        task = measures.Task("step", case_of(*size), "sgd")
        entries = [measures.enter(task, OURS, self.threads, laps_of)]
        single = measures.enter(task, OURS, 1, laps_of)
        single.racer.name = ONE_THREAD
        entries.append(single)
        entries += [measures.best(task, name, self.threads, laps_of) for name in ("numpy", "torch")]
        if self.jax_seconds.get(size[1], 0.0) < budget / 2:
            entries.append(self.jax(task, size[1]))
        measures.check_same_work(task, entries)
        return [entry.racer for entry in entries]

    def jax(self, task, depth):
        from bench import measures

        began = time.perf_counter()
        entry = measures.enter(task, "jax", self.threads, laps_of)
        self.jax_seconds[depth] = time.perf_counter() - began
        return entry


def described(point, ratio):
    return f"width {point.width}, {point.depth} layers, batch {point.batch}: {ratio:.2f}x"


def slower(points):
    """Lines for every point where a peer is faster, the worst first."""
    behind = sorted((p for p in points if p.ratio < 1), key=lambda p: p.ratio)
    return [f"{described(p, p.ratio)} of {p.best_peer}" for p in behind]


def hurt_by_threads(points):
    """Lines for every point where several threads take longer than one."""
    hurt = sorted((p for p in points if p.gain < 1 - NOISE), key=lambda p: p.gain)
    return [described(p, p.gain) for p in hurt]


def report_lines(points):
    """The lines of bench/README.md on the sweep."""
    if not points:
        return []
    behind, hurt = slower(points), hurt_by_threads(points)
    lines = [
        f"- sweep: a peer is faster at {len(behind)} of {len(points)} sizes"
        + (f"; the worst are {'; '.join(behind[:MOST_LISTED])}" if behind else "")
    ]
    if hurt:
        lines.append(
            f"- sweep: several threads are over {NOISE:.0%} slower than one at {len(hurt)} sizes; "
            f"the worst are {'; '.join(hurt[:MOST_LISTED])}"
        )
    return lines


def show(points):
    with_jax = sum("jax" in p.seconds for p in points)
    print(f"{len(points)} points, JAX at {with_jax} of them (elsewhere compiling takes too long)")
    for title, lines in (
        ("Slower than a peer", slower(points)),
        (f"Several threads over {NOISE:.0%} slower than one", hurt_by_threads(points)),
    ):
        print(f"\n{title}: {len(lines)}", *lines, sep="\n")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__)
    cpus = environment.available_cpus()
    parser.add_argument("--minutes", type=float, default=12.0, help="for what is left of the grid")
    parser.add_argument("--threads", type=int, default=cpus, help=f"of every side: {cpus}")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--limit", type=int, help="measure at most this number of points")
    return parser.parse_args(arguments)


def measure(options, points):
    """Yield the points that are not measured yet."""
    import jax

    done = {point.size for point in points}
    sizes = [size for size in grid() if size not in done][: options.limit]
    sweep = Sweep(options.threads, 60 * options.minutes)
    for i, size in enumerate(sizes):
        yield sweep.measure(size, len(sizes) - i)
        jax.clear_caches()


def main(arguments=None):
    options = parse(arguments)
    environment.run_in(environment.fair(os.environ, options.threads), "bench.sweep")
    path = path_of(machine.processor())
    points = [] if options.again else of_kernels(load(path), machine.kernels())
    for point in measure(options, points):
        points.append(point)
        save(points, path)
        print(described(point, point.ratio), f"of {point.best_peer}", file=sys.stderr, flush=True)
    show(points)


if __name__ == "__main__":
    main()
