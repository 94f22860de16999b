"""Calls inside compiled loops beside peers: ``python -m bench.embedding``.

One row predicted and one trained inside njit code, one row by exported C, and Jacobians, each with
the peer that a user would call instead. All sides of all groups take turns in one run. Prints the
median time of our call, the median ratio of neighboring windows to it, and the goal of that ratio.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import c_export, environment, jacobian, measures, race, table
from bench.cases import ONE_ROW

FASTBP = "fastbp"
MEASURES = {"row by row": ("predict", "onnxruntime", 18.0), "online": ("step", "torch", 100.0)}
"""Of one row in a loop: what it does, the peer, and the goal."""

C_NETWORK = "small"
C_GOALS = {c_export.OWN: 0.5, c_export.SCALAR: 3.0}
JACOBIAN_GOALS = {jacobian.SMALL: 5.0, jacobian.LARGE: 1.25}


@dataclass
class Group:
    """Sides that do the same work, ours first, and the least ratio to it that each should have."""

    title: str
    racers: list[race.Racer]
    units: int
    goals: dict[str, float]

    def lines(self, seconds):
        """The rows of the table. seconds: of each of the racers, a lap in each window."""
        ours, *others = seconds
        microseconds = f"{1e6 * median(ours) / self.units:.2f}"
        for racer, theirs in zip(self.racers[1:], others, strict=True):
            ratio = median(a / b for a, b in zip(theirs, ours, strict=True))
            goal = f">= {self.goals[racer.name]:g}x"
            yield [self.title, microseconds, racer.name, f"{ratio:.2f}x", goal]


def of_measure(name):
    """fastbp's call in an njit loop, and a peer's in one of Python."""
    does, peer, goal = MEASURES[name]
    task = measures.Task(name, ONE_ROW, "adam")
    entries = measures.entries_of(task, [FASTBP, peer], environment.available_cpus())
    racers, title = [entry.racer for entry in entries], f"{does}, {_sizes(ONE_ROW.sizes)}"
    return Group(title, racers, measures.STREAM_ROWS, {peer: goal})


def of_c(activation, folder):
    """Exported C, fastbp's own kernels, and scalar C."""
    net = c_export.network(c_export.NETWORKS[C_NETWORK], activation)
    racers = {racer.name: racer for racer in c_export.racers(folder, net, "gcc")}
    ordered = [racers[name] for name in (c_export.EXPORTED, *C_GOALS)]
    return Group(f"exported C, {activation}, {_sizes(net.sizes)}", ordered, c_export.ROWS, C_GOALS)


def of_jacobians():
    """The groups of bench.jacobian. A row at a time is an njit loop of ``embed.jacobian``."""
    for sizes, title, sides in jacobian.contests():
        goals = dict.fromkeys(sides, JACOBIAN_GOALS[sizes])
        yield Group(f"Jacobian, {title}", jacobian.racers(sides), 1, goals)


def _sizes(sizes):
    return "-".join(map(str, sizes))


def groups(folder):
    """All groups; folder: for the C programs of each activation."""
    found = [of_measure(name) for name in MEASURES]
    for activation in c_export.ACTIVATIONS:
        own = Path(folder) / activation
        own.mkdir()
        found.append(of_c(activation, own))
    return [*found, *of_jacobians()]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.embedding", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of all sides in turns")
    options = parser.parse_args(arguments)
    cpus = environment.available_cpus()
    environment.run_in(environment.fair(os.environ, cpus), "bench.embedding")
    lines = [["call", "our µs", "peer", "over it", "goal"]]
    with tempfile.TemporaryDirectory() as folder:
        found = groups(folder)
        seconds = race.windows([racer for group in found for racer in group.racers], options.rounds)
    for group in found:
        lines += group.lines([seconds.pop(0) for _ in group.racers])
    print(table.plain(lines))


if __name__ == "__main__":
    main()
