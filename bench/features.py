"""Cost of each feature of training: time of a step with it over one without, interleaved.

``python -m bench.features`` races one trainer for each feature against a plain one on medium and
large, on all threads, and prints the median of the ratios of neighboring windows. The ratio of two
plain trainers is the noise.
"""

import argparse
import os
from functools import cache
from itertools import pairwise
from statistics import median

import numpy as np

from bench import environment, table
from bench.cases import CASES, LEARNING_RATES


@cache
def own_relu():
    """relu as a user would write it."""
    import numba

    @numba.njit
    def relu(z):
        return (z, 1.0) if z > 0 else (0.0, 0.0)

    return relu


@cache
def custom_loss():
    """Cross-entropy as a user would write it."""
    import numba

    @numba.njit
    def cross_entropy(p, y, dloss_dp):
        loss = 0.0
        for i in range(len(p)):
            dloss_dp[i] = -y[i] / p[i]
            loss -= y[i] * np.log(p[i])
        return loss

    return cross_entropy


def long_schedule():
    from fastbp.schedules import Cosine, Warmup

    return Warmup(100, Cosine(10**9))


def number_embedding():
    """Of twenty columns."""
    import fastbp

    return fastbp.NumberEmbedding(range(20))


FEATURES = {
    "plain again": {},
    "l1 and l2": {"l1": 1e-6, "l2": 1e-5},
    "dropout 0.5": {"dropout": 0.5},
    "label_smoothing": {"label_smoothing": 0.1},
    "clip_value": {"clip_value": 0.1},
    "clip_norm": {"clip_norm": 1.0},
    "ema_decay": {"ema_decay": 0.999},
    "class_weight": {"class_weight": {0: 2.0}},
    "sample_weight": {"sample_weight": 2.0},
    "lr_factors": {"lr_factors": 0.5},
    "rates": {"bias_lr_factor": 0.1, "weight_decay_on": "weights", "weight_decay_factors": 2.0},
    "schedule": {"schedule": long_schedule},
    "dropout_schedule": {"dropout": 0.5, "dropout_schedule": long_schedule},
    "input_scaling": {"input_scaling": 6.0},
    "scaling": {"input_scale": 2.0},
    "layer_norm": {"layer_norm": True},
    "residual": {"residual": True},
    "own activation": {"activation": own_relu},
    "number_embedding": {"number_embedding": number_embedding},
}
ALL = {name: value for options in FEATURES.values() for name, value in options.items()}
FEATURES |= {"own loss": {"loss": custom_loss}, "all but an own loss": ALL}
"""Options of each feature. A function makes an option that needs fastbp or numba."""

PLAIN = "plain"
OF_NETWORK = ("activation", "layer_norm", "residual", "number_embedding")


def trainer(case, optimizer, threads, options):
    import fastbp

    options = {k: v() if callable(v) else v for k, v in options.items() if k != "sample_weight"}
    scale, loss = options.pop("input_scale", None), options.pop("loss", "cross_entropy")
    network = {name: options.pop(name) for name in OF_NETWORK if name in options}
    net = fastbp.Network(case.sizes, output="softmax", seed=0, **network)
    if scale is not None:
        net.set_scaling(input_scale=scale)
    rates = {"sgd": fastbp.SGD(lr=1e-3, momentum=0.9), "adam": fastbp.Adam(lr=1e-4)}
    return fastbp.Trainer(
        net,
        loss=loss,
        optimizer=rates[optimizer],
        batch_size=case.batch,
        threads=threads,
        seed=0,
        **options,
    )


def features_of(case):
    """The features that fit the case: residual needs two hidden layers of one width."""
    hidden = case.sizes[:-1]
    if any(one == other for one, other in pairwise(hidden)):
        return FEATURES
    without = {k: {n: v for n, v in o.items() if n != "residual"} for k, o in FEATURES.items()}
    del without["residual"]
    return without


def batches_for(case, options):
    """Arguments of a step: X, y and, for a feature that weighs rows, the weights."""
    batches = [(X.astype("f4"), y) for X, y in case.batches(8)]
    if "loss" in options:
        batches = [(X, np.eye(case.sizes[-1], dtype="f4")[y]) for X, y in batches]
    if "sample_weight" in options:
        batches = [(*batch, np.full(case.batch, options["sample_weight"])) for batch in batches]
    return batches


def racers(case, optimizer, threads):
    import itertools

    from bench.race import Racer

    for name, options in ({PLAIN: {}} | features_of(case)).items():
        step = trainer(case, optimizer, threads, options).step
        yield Racer(name, step, itertools.cycle(batches_for(case, options)))


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
        for name in features_of(case)
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
    rows += [
        [name, *(f"{c[name]:.3f}x" if name in c else "-" for c in columns.values())]
        for name in FEATURES
    ]
    print(table.plain(rows))


if __name__ == "__main__":
    main()
