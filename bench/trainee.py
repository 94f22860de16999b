"""A training in a process of its own, which goes on when it is told to: ``Trainee``.

Its process, ``python -m bench.trainee SIDE THREADS``, reads one order a line. A task and a number
of seconds are answered by the updates, or the batches predicted, a second. ``pin`` confines it to
one CPU. It ends with its input. The process of "fastbp after torch" imports torch first.
"""

import argparse
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.cases import CASES
from bench.peers import load

CASE, OPTIMIZER, BATCHES = "medium", "adam", 16
READY, PIN = "ready", "pin"
TRAIN, PREDICT, PREDICT_BETWEEN = "train", "predict", "predict-between"
"""Tasks. PREDICT_BETWEEN: a product of NumPy before each prediction, which does not count."""
AFTER = " after "
PRODUCT = 256
"""Columns of the product: it takes as many operations as the first layer."""


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

    def begin(self, seconds, task=TRAIN):
        self.order(f"{task} {seconds}")

    def end(self):
        """What it has done a second since ``begin``."""
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
            task, seconds = order.split()
            say(RATES[task](side, X, y, float(seconds)))


def rate(side, X, y, seconds):
    """Updates a second of at least one epoch."""
    epochs, elapsed, start = 0, 0.0, time.perf_counter()
    while not epochs or elapsed < seconds:
        side.epoch(X, y)
        epochs += 1
        elapsed = time.perf_counter() - start
    return BATCHES * epochs / elapsed


def predictions(side, X, _y, seconds):
    """Batches a second."""
    return _predictions(side, X, seconds, lambda: None)


def predictions_between(side, X, _y, seconds):
    """Batches a second, each after a product of NumPy that does not count."""
    batch, W = np.asarray(X)[: side.case.batch], np.ones((X.shape[1], PRODUCT), np.float32)
    return _predictions(side, X, seconds, lambda: batch @ W)


def _predictions(side, X, seconds, before):
    n = side.case.batch
    parts = [side.own(np.ascontiguousarray(X[i : i + n])) for i in range(0, n * BATCHES, n)]
    taken, begun = [], time.perf_counter()
    while not taken or time.perf_counter() - begun < seconds:
        for part in parts:
            before()
            start = time.perf_counter()
            side.predict(part)
            taken.append(time.perf_counter() - start)
    return len(taken) / max(sum(taken), 1e-9)


RATES = {TRAIN: rate, PREDICT: predictions, PREDICT_BETWEEN: predictions_between}


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
