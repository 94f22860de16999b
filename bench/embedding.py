"""One row by fastbp inside njit code beside calls of other libraries, interleaved.

``python -m bench.embedding`` predicts a row of 8-64-64-1 by ``embed.predict`` in an njit loop and
by a call of onnxruntime, and updates by a row with ``embed.step`` and with a step of torch: what a
simulation pays that is compiled, or that calls a library from Python. Prints the median time of a
row, and the median of the ratios of neighboring windows.
"""

import argparse
import os
import sys
from statistics import median

from bench import environment, table
from bench.cases import LEARNING_RATES, ONE_ROW
from bench.peers import MissingError

FASTBP = "fastbp"


def contests():
    """(title, task, laps of fastbp, peer): the peer makes the laps of the task."""
    from bench import measures

    task = measures.Task("one row", ONE_ROW, "sgd")
    yield "predict", task, measures.row_by_row, "onnxruntime"
    for optimizer in LEARNING_RATES:
        task = measures.Task("step", ONE_ROW, optimizer)
        yield f"step, {optimizer}", task, measures.online, "torch"


def race(task, laps, peer, rounds):
    """(seconds a row of fastbp in each window, those of the peer)."""
    from bench import measures

    sides = [
        measures.enter(task, FASTBP, 1, laps),
        measures.best(task, peer, environment.available_cpus()),
    ]
    measures.check_same_work(task, sides)
    found = [[], []]
    for _ in range(rounds):
        for side, seconds in zip(sides, found, strict=True):
            seconds.append(side.racer.window() / side.units)
    return found


def line(title, peer, own, others):
    """A row of the table."""
    ratio = median(other / one for one, other in zip(own, others, strict=True))
    times = (f"{1e6 * median(seconds):.2f}" for seconds in (own, others))
    return [title, *times, peer, f"{ratio:.1f}x"]


HEADER = ["one row", "fastbp µs", "peer µs", "peer", "over fastbp"]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.embedding", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of both sides in turns")
    options = parser.parse_args(arguments)
    environment.run_in(environment.fair(os.environ, 1), "bench.embedding")
    lines = [HEADER]
    for title, task, laps, peer in contests():
        try:
            lines.append(line(title, peer, *race(task, laps, peer, options.rounds)))
        except MissingError as error:
            print(error, file=sys.stderr)
    print(table.plain(lines))


if __name__ == "__main__":
    main()
