"""Time of fit beyond its compiled steps.

``python -m bench.overhead`` times fit and one bare compiled call that makes the same updates, in
turns in one process, and prints medians in microseconds an update.
"""

import argparse
import os
import timeit
from statistics import median

from bench import environment

FITS = {"tiny": (1000, 100), "small": (50, 10), "medium": (20, 1)}
"""Epochs of a fit, and fits of a window."""

BATCHES = 32


def contestants(case, epochs):
    """fit, and the bare call, as functions of no arguments; each has a trainer of its own."""
    import numpy as np

    import fastbp
    from bench.peers.fastbp import core_of
    from fastbp.kernels.tables import job_table
    from fastbp.runtime.job import Job
    from fastbp.training.datasets import as_dataset

    def trainer():
        net = fastbp.Network(case.sizes, output=case.output, seed=0)
        sgd = fastbp.SGD(1e-3, momentum=0.9)
        return fastbp.Trainer(net, loss=case.loss, optimizer=sgd, batch_size=case.batch, seed=0)

    X, y = case.data(batches(case))
    fitted, bare = trainer(), trainer()
    data = as_dataset(core_of(bare), X, y)

    engine, moments = core_of(bare).engine, core_of(bare).arrays.moments

    def run():
        job = Job(job_table.TRAIN, data.rows, case.batch, np.zeros(epochs))
        job[job_table.EPOCHS] = epochs
        engine.train(data, job, moments)

    return lambda: fitted.fit(X, y, epochs=epochs, shuffle=False, progress=False), run


def batches(case):
    """Batches of an epoch."""
    return 1 if case.epochs else BATCHES


def measure(case, epochs, fits, rounds):
    """Microseconds an update in each round: of fit, and of the bare call."""
    timers = [timeit.Timer(call) for call in contestants(case, epochs)]
    updates = fits * epochs * batches(case)
    for timer in timers:
        timer.timeit(1)
    return [[1e6 * timer.timeit(fits) / updates for timer in timers] for _ in range(rounds)]


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of both in turns (default: 15)")
    options = parser.parse_args()
    environment.run_in(environment.fair(os.environ, environment.available_cpus()), "bench.overhead")
    from bench import table
    from bench.cases import CASES

    rows = [["case", "epochs", "fit µs", "bare µs", "more µs", "more %"]]
    for name, (epochs, fits) in FITS.items():
        taken = measure(CASES[name], epochs, fits, options.rounds)
        fit, bare = map(median, zip(*taken, strict=True))
        more = median(a - b for a, b in taken)
        figures = (f"{number:.3f}" for number in (fit, bare, more, 100 * more / bare))
        rows.append([name, str(epochs), *figures])
    print(table.plain(rows))


if __name__ == "__main__":
    main()
