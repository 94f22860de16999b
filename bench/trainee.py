"""A training in a process of its own, which goes on when it is told to: ``Trainee``.

Its process, ``python -m bench.trainee SIDE THREADS``, reads one order a line: a number of seconds
to train for, answered by the updates a second, or ``pin``, which confines it to one CPU. It ends
with its input. The process of "fastbp after torch" imports torch first.
"""

import argparse
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.cases import CASES
from bench.peers import load

CASE, OPTIMIZER, BATCHES = "medium", "adam", 16
READY, PIN = "ready", "pin"
AFTER = " after "


class Trainee:
    """The process of a side. threads: 0 for as many as the library chooses."""

    def __init__(self, side, threads):
        self.name = side
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.trainee", side, str(threads)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.expect(READY)

    def begin(self, seconds):
        self.order(str(seconds))

    def end(self):
        """Updates a second since ``begin``."""
        return float(self.answer())

    def pin(self):
        self.order(PIN)
        self.expect(PIN)

    def order(self, text):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def expect(self, text):
        answer = self.answer()
        if answer != text:
            raise RuntimeError(f"the process of {self.name} answers {answer!r}, and not {text!r}")

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} has ended: stderr says why")
        return line.strip()

    def close(self):
        self.process.kill()
        self.process.communicate()


def serve(side, orders, say):
    """Answer each order of the iterable ``orders``."""
    X, y = map(side.own, side.case.data(BATCHES))
    side.epoch(X, y)
    say(READY)
    for order in map(str.strip, orders):
        if order == PIN:
            pin()
            say(PIN)
        else:
            say(rate(side, X, y, float(order)))


def rate(side, X, y, seconds):
    """Updates a second of at least one epoch."""
    epochs, elapsed, start = 0, 0.0, time.perf_counter()
    while not epochs or elapsed < seconds:
        side.epoch(X, y)
        epochs += 1
        elapsed = time.perf_counter() - start
    return BATCHES * epochs / elapsed


def pin():
    """Confine every thread of this process to its first CPU."""
    cpu = min(os.sched_getaffinity(0))
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), [cpu])


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.trainee", description=__doc__)
    parser.add_argument("side")
    parser.add_argument("threads", type=int)
    options = parser.parse_args()
    name, _, first = options.side.partition(AFTER)
    if first:
        importlib.import_module(first)
    side = load(name)(CASES[CASE], OPTIMIZER, options.threads)
    serve(side, sys.stdin, lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
