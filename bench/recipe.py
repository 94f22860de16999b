"""MNIST as it is trained in practice, by fastbp and by torch: ``python -m bench.recipe``.

The recipe: 784-512-512-10 with ReLUs and dropout, AdamW by the one-cycle schedule, smoothed
labels, and early stopping on the last 5,000 of the training images, which ends with the
weights of the best epoch. Both start from the same weights. Epochs of both are timed in turn; then
both are trained with each seed. Prints a table, writes bench/recipe.json, and renders the
section of bench/README.md. Where torch is not installed, fastbp runs alone.
"""

import argparse
import itertools
import math
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import environment, race, reached
from bench.results import OURS

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
import mnist_data

SIZES = (784, 512, 512, 10)
BATCH = 128
DROPOUT = (0.2, 0.5)
"""Dropout rates of the first and the second hidden layer."""
LABEL_SMOOTHING = 0.1
LR, WEIGHT_DECAY = 1e-3, 0.2
EPOCHS, PATIENCE = 25, 8
HELD_OUT = 5_000

SEEDS = (0, 1, 2)
GOAL = 0.98
"""Validation accuracy; the time to reach it is measured."""

ROUNDS = 7
"""Epochs of each side in the race."""


class Images(NamedTuple):
    """Pairs (X, y): float32 in [0, 1], and int64."""

    train: tuple
    held_out: tuple
    test: tuple


def images_of(data):
    X, X_test = (part / np.float32(255) for part in (data.train_images, data.test_images))
    y, y_test = (part.astype(np.int64) for part in (data.train_labels, data.test_labels))
    end = len(X) - HELD_OUT
    return Images((X[:end], y[:end]), (X[end:], y[end:]), (X_test, y_test))


def updates_of(rows):
    """Number of updates of a whole training: the length of the schedule."""
    return EPOCHS * -(-rows // BATCH)


class OurSide:
    """fastbp's recipe."""

    name = OURS

    def __init__(self, seed, rows):
        import fastbp

        self.network = fastbp.Network(list(SIZES), activation="relu", output="softmax", seed=seed)
        self.trainer = fastbp.Trainer(
            self.network,
            loss="cross_entropy",
            optimizer=fastbp.AdamW(lr=LR, weight_decay=WEIGHT_DECAY),
            batch_size=BATCH,
            dropout=DROPOUT,
            label_smoothing=LABEL_SMOOTHING,
            schedule=fastbp.schedules.OneCycle(updates_of(rows)),
            seed=seed,
        )

    def own(self, pair):
        return pair

    def enter(self):
        pass

    def epoch(self, X, y):
        self.trainer.fit(X, y, progress=False)

    def fit(self, train, held_out):
        """[(seconds since the start, validation accuracy)] after each epoch."""
        import fastbp

        start, marks = time.perf_counter(), []
        stopping = fastbp.EarlyStopping("val_accuracy", PATIENCE)
        clock = fastbp.LambdaCallback(
            on_epoch_end=lambda _: marks.append(time.perf_counter() - start)
        )
        history = self.trainer.fit(
            *train,
            epochs=EPOCHS,
            validation_data=held_out,
            callbacks=[stopping, clock],
            progress=False,
        )
        return list(zip(marks, history["val_accuracy"], strict=True))

    def accuracy(self, X, y):
        return self.trainer.evaluate(X, y)["accuracy"]


def their_sides():
    """The maker of torch's side; none where torch is not installed."""
    try:
        from bench.recipe_torch import TorchSide
    except ModuleNotFoundError as error:
        print(f"torch is left out: {error.name} is not installed", file=sys.stderr)
        return []
    return [TorchSide]


def run(side, images):
    """Train a side and judge it by the test images; what reached.recipe_rows tells."""
    race.check_fields()
    side.enter()
    train, held_out, test = map(side.own, images)
    marks = side.fit(train, held_out)
    return {
        "accuracy": side.accuracy(*test),
        "epochs": len(marks),
        "seconds": marks[-1][0],
        "seconds to 98%": first_reached(marks, GOAL),
    }


def first_reached(marks, goal):
    """Seconds until the first accuracy that is not below the goal; nan where there is none."""
    return next((seconds for seconds, accuracy in marks if accuracy >= goal), math.nan)


def time_epochs(sides, train, threads):
    """{name: seconds of each epoch}, the sides in turn."""
    racers = [
        race.Racer(side.name, side.epoch, itertools.repeat(side.own(train)), side.enter)
        for side in sides
    ]
    return race.run(racers, ROUNDS, threads)[0]


def main(arguments=None):
    argparse.ArgumentParser(prog="python -m bench.recipe", description=__doc__).parse_args(
        arguments
    )
    threads = environment.available_cpus()
    environment.run_in(environment.fair(os.environ, threads), "bench.recipe")
    data = mnist_data.load()
    if data.name != "MNIST":
        raise SystemExit("The recipe and its figures are for MNIST alone.")
    images = images_of(data)
    rows = len(images.train[0])
    kinds = [OurSide, *their_sides()]
    few = tuple(part[: 2 * BATCH] for part in images.train)
    OurSide(0, rows).fit(few, few)  # compiles, or loads
    seconds = time_epochs([kind(0, rows) for kind in kinds], images.train, threads)
    print(f"seconds an epoch: {seconds}", flush=True)
    found = {"sizes": SIZES, "seconds": seconds, "runs": {kind.name: [] for kind in kinds}}
    for seed, kind in itertools.product(SEEDS, kinds):
        found["runs"][kind.name].append(run(kind(seed, rows), images))
        print(f"seed {seed}, {kind.name}: {found['runs'][kind.name][-1]}", flush=True)
    reached.keep("recipe", found, threads)


if __name__ == "__main__":
    main()
