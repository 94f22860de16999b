"""The main job: train 784-512-256-10 on MNIST; say what it reached, and how fast.

``scripts/run --help`` lists the options.
"""

import argparse
import itertools
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median

import mnist_data
import numpy as np

import fastbp

sys.path.append(str(Path(__file__).parents[1]))
from bench.baseline import MOMENTUM, Baseline
from bench.race import Racer

HIDDEN = (512, 256)
BATCH = 128
LR = 0.1
LR_DECAY = 0.75
"""Factor of the learning rate from epoch to epoch: without it the last epochs wander about."""

WINDOWS = 15
WINDOW_BATCHES = 8


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/run", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="a folder with the four IDX files of MNIST")
    add("--epochs", type=int, default=10, metavar="N", help="default: 10")
    add("--seed", type=int, default=0, metavar="N", help="of weights and shuffling (default: 0)")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"--epochs {options.epochs}: it must be 1 or more")
    return options


def scaled(images):
    """Pixels as float32 in [0, 1]."""
    return images / np.float32(255)


def split(X, y):
    """The rows to train on, and the last sixth of all to validate: 10,000 of MNIST's 60,000."""
    n = len(X) - len(X) // 6
    return (X[:n], y[:n]), (X[n:], y[n:])


def network_for(X, seed):
    sizes = [X.shape[1], *HIDDEN, mnist_data.CLASSES]
    return fastbp.Network(sizes, activation="relu", output="softmax", seed=seed)


def trainer_for(network, seed):
    rule = fastbp.SGD(lr=LR, momentum=MOMENTUM)
    return fastbp.Trainer(
        network, loss="cross_entropy", optimizer=rule, batch_size=BATCH, seed=seed
    )


def warm_up(X, y, seed):
    """Compile the kernels, or fetch them from their cache, by a fit; returns the seconds taken."""
    start = time.perf_counter()
    rows = X[: 2 * BATCH], y[: 2 * BATCH]
    trainer = trainer_for(network_for(X, seed), seed)
    trainer.fit(*rows, epochs=1, validation_data=rows, progress=False)
    return time.perf_counter() - start


def line(epoch, epochs, values):
    """One epoch's numbers: ``epoch 3/10  loss 0.0912  val_loss 0.0950  ...``."""
    rate = values["samples_per_second"]
    shown = [f"{key} {value:.4f}" for key, value in values.items() if key != "samples_per_second"]
    return "  ".join([f"epoch {epoch}/{epochs}", *shown, f"{rate:,.0f} samples/s"])


def train(trainer, rows, validation, epochs):
    """Fit with a learning rate that falls from epoch to epoch, and print the figures of each."""

    def report(state):
        print(line(state.epoch, epochs, state.values), flush=True)
        trainer.lr = LR * LR_DECAY**state.epoch

    callbacks = [fastbp.LambdaCallback(on_epoch_end=report)]
    options = {"validation_data": validation, "callbacks": callbacks, "progress": False}
    trainer.fit(*rows, epochs=epochs, **options)


def race(X, y, seed):
    """(fastbp's samples/s, the NumPy baseline's, median ratio) of training in alternating windows.

    Both begin with the same weights, and get the same batches.
    """
    network = network_for(X, seed)
    baseline = Baseline(network.weights, network.biases, "cross_entropy", "sgd", LR, BATCH)
    n = min(BATCH * WINDOW_BATCHES, len(X))
    parts = [(X[i : i + n], y[i : i + n]) for i in range(0, len(X) - n + 1, n)]
    fits = {
        "fastbp": partial(trainer_for(network, seed).fit, epochs=1, progress=False),
        "numpy": partial(baseline.fit, epochs=1),
    }
    racers = [Racer(name, fit, itertools.cycle(parts)) for name, fit in fits.items()]
    ours, theirs = zip(*([racer.window() for racer in racers] for _ in range(WINDOWS)), strict=True)
    ratio = median(slow / fast for fast, slow in zip(ours, theirs, strict=True))
    return n / median(ours), n / median(theirs), ratio


def main(arguments=None):
    options = parse(arguments)
    data = mnist_data.load(options.data)
    rows, validation = split(scaled(data.train_images), data.train_labels)
    test = scaled(data.test_images), data.test_labels
    network = network_for(rows[0], options.seed)
    trainer = trainer_for(network, options.seed)
    sizes = "-".join(map(str, [rows[0].shape[1], *HIDDEN, mnist_data.CLASSES]))
    print(
        f"{data.name}: {len(rows[0])} images to train {sizes} ({network.n_parameters:,} parameters)"
        f", {len(validation[0])} to validate, {len(test[0])} to test",
        flush=True,
    )
    print(f"kernels ready after {warm_up(*rows, options.seed):.1f} s", flush=True)
    train(trainer, rows, validation, options.epochs)
    print(f"test accuracy {100 * trainer.evaluate(*test)['accuracy']:.2f}%", flush=True)
    ours, theirs, ratio = race(*rows, options.seed)
    print(
        f"fastbp {ours:,.0f} samples/s, the NumPy baseline {theirs:,.0f}: {ratio:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
