"""What each feature of training costs: a step with it over a step without, interleaved.

``python -m bench.features`` races one trainer for each feature against a plain one on medium and
large, on all threads, and prints the median of the ratios of neighboring windows, and the ratio of
two plain trainers, which says how far to trust the others.
"""

import argparse
import os
from functools import cache
from statistics import median

from bench import environment, table
from bench.cases import CASES, LEARNING_RATES

FEATURES = {
    "plain again": {},
    "l1 and l2": {"l1": 1e-6, "l2": 1e-5},
    "dropout 0.5": {"dropout": 0.5},
    "label_smoothing": {"label_smoothing": 0.1},
    "clip_value": {"clip_value": 0.1},
    "clip_norm": {"clip_norm": 1.0},
    "ema_decay": {"ema_decay": 0.999},
    "class_weight": {"class_weight": {0: 2.0}},
    "lr_factors": {"lr_factors": 0.5},
    "scaling": {"input_scale": 2.0},
    "layer_norm": {"layer_norm": True},
    "own activation": {"own_relu": True},
    "all of them": {
        "l1": 1e-6,
        "l2": 1e-5,
        "dropout": 0.5,
        "label_smoothing": 0.1,
        "clip_value": 0.1,
        "clip_norm": 1.0,
        "ema_decay": 0.999,
        "class_weight": {0: 2.0},
        "lr_factors": 0.5,
        "input_scale": 2.0,
        "layer_norm": True,
        "own_relu": True,
    },
}
PLAIN = "plain"


@cache
def own_relu():
    """relu as a user would write it."""
    import numba

    @numba.njit
    def relu(z):
        return (z, 1.0) if z > 0 else (0.0, 0.0)

    return relu


def trainer(case, optimizer, threads, options):
    import fastbp

    options = dict(options)
    normalized, scale = options.pop("layer_norm", False), options.pop("input_scale", None)
    hidden = own_relu() if options.pop("own_relu", False) else "relu"
    net = fastbp.Network(case.sizes, hidden, "softmax", seed=0, layer_norm=normalized)
    if scale is not None:
        net.set_scaling(input_scale=scale)
    rates = {"sgd": fastbp.SGD(lr=1e-3, momentum=0.9), "adam": fastbp.Adam(lr=1e-4)}
    return fastbp.Trainer(
        net,
        loss="cross_entropy",
        optimizer=rates[optimizer],
        batch_size=case.batch,
        threads=threads,
        seed=0,
        **options,
    )


def racers(case, optimizer, threads):
    import itertools

    from bench.race import Racer

    for name, options in ({PLAIN: {}} | FEATURES).items():
        step = trainer(case, optimizer, threads, options).step
        batches = [(X.astype("f4"), y) for X, y in case.batches(8)]
        yield Racer(name, step, itertools.cycle(batches))


def measure(case, optimizer, threads, rounds):
    """{feature: ratio of its step to a plain one}, medians."""
    sides = list(racers(case, optimizer, threads))
    seconds = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            seconds[side.name].append(side.window())
        sides.reverse()
    return {
        name: median(a / b for a, b in zip(seconds[name], seconds[PLAIN], strict=True))
        for name in FEATURES
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.features", description=__doc__)
    parser.add_argument("--cases", nargs="+", default=["medium", "large"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=environment.available_cpus())
    options = parser.parse_args(arguments)
    environment.run_in(environment.fair(os.environ, options.threads), "bench.features")
    columns = {
        f"{name} {optimizer}": measure(CASES[name], optimizer, options.threads, options.rounds)
        for name in options.cases
        for optimizer in LEARNING_RATES
    }
    rows = [["a step with", *columns]]
    rows += [[name, *(f"{column[name]:.3f}x" for column in columns.values())] for name in FEATURES]
    print(table.plain(rows))


if __name__ == "__main__":
    main()
