"""fastbp beside scikit-learn's perceptron on sparse rows: ``python -m bench.sparse``.

The rows are made, of the size of 20 newsgroups: 20,000 of 50,000 columns, 100 words in each, in
CSR format, float32. Words are drawn by Zipf's law, or all alike. Both sides have a hidden layer of
100 ReLUs, 20 classes, batches of 200, and the same rate, momentum and penalty. They take turns with
epochs and with predictions of all rows. Prints medians of the times and of the ratios of neighbors;
the last column is fastbp with batches that are made dense.
"""

import argparse
import os
import warnings
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench import environment, table
from bench.tabular import timed

ROWS, COLUMNS, STORED, CLASSES, HIDDEN, BATCH = 20_000, 50_000, 100, 20, 100, 200
ROUNDS = 3


@dataclass(frozen=True)
class Solver:
    """A rule of updates, in scikit-learn's words."""

    solver: str
    momentum: float = 0.0
    alpha: float = 1e-4
    lr: float = 1e-3


SOLVERS = {
    "Adam": Solver("adam"),
    "SGD, Nesterov 0.9": Solver("sgd", momentum=0.9),
    "SGD": Solver("sgd", alpha=0.0),
}


def rows_of(words):
    """(X, y). words: "zipf" or "alike"."""
    import scipy.sparse

    rng = np.random.default_rng(0)
    chances = 1 / np.arange(1, COLUMNS + 1) if words == "zipf" else np.ones(COLUMNS)
    ends = np.cumsum(chances / chances.sum())
    columns = np.searchsorted(ends[:-1], rng.random((ROWS, STORED)))
    columns = rng.permutation(COLUMNS)[columns]  # a word's rank says nothing of its column
    starts = np.arange(0, ROWS * STORED + 1, STORED)
    counts = np.ones(ROWS * STORED, np.float32)
    X = scipy.sparse.csr_matrix((counts, columns.ravel(), starts), (ROWS, COLUMNS))
    X.sum_duplicates()
    return X, rng.integers(0, CLASSES, ROWS)


class OurEpoch:
    """fastbp's."""

    def __init__(self, solver):
        import fastbp

        net = fastbp.Network(
            [COLUMNS, HIDDEN, CLASSES], output="softmax", init="glorot_uniform", seed=0
        )
        rule = fastbp.SGD(solver.lr, solver.momentum, nesterov=solver.momentum > 0)
        if solver.solver == "adam":
            rule = fastbp.Adam(solver.lr)
        self.trainer = fastbp.Trainer(
            net,
            loss="cross_entropy",
            optimizer=rule,
            batch_size=BATCH,
            l2=solver.alpha / BATCH,
            seed=0,
        )

    def fit(self, X, y):
        self.trainer.fit(X, y, progress=False)

    def predict(self, X):
        self.trainer.predict(X)


class TheirEpoch:
    """scikit-learn's."""

    def __init__(self, solver):
        from sklearn.neural_network import MLPClassifier

        self.model = MLPClassifier(
            (HIDDEN,),
            solver=solver.solver,
            momentum=solver.momentum,
            alpha=solver.alpha,
            learning_rate_init=solver.lr,
            batch_size=BATCH,
            max_iter=1,
            warm_start=True,
            random_state=0,
        )

    def fit(self, X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(X, y)

    def predict(self, X):
        self.model.predict_proba(X)


class _Prediction:
    """A model whose prediction is timed as a fit."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, _y):
        self.model.predict(X)


class _DenseBatches:
    """fastbp without the way by nonzeros."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        from fastbp.runtime import nonzeros

        way, nonzeros.way = nonzeros.way, lambda *_: nonzeros.DENSE
        try:
            self.model.fit(X, y)
        finally:
            nonzeros.way = way


def compare(solver, X, y):
    """A row of the table, from its third column on."""
    ours, theirs = OurEpoch(solver), TheirEpoch(solver)
    sides = [ours, theirs, _Prediction(ours), _Prediction(theirs), _DenseBatches(OurEpoch(solver))]
    for model in sides:  # compiles, allocates, and draws the weights
        model.fit(X[: 2 * BATCH], y[: 2 * BATCH])
    rounds = [[timed(model, X, y) for model in sides] for _ in range(ROUNDS)]
    fit, their_fit, predict, their_predict, dense = zip(*rounds, strict=True)
    return [
        *(f"{median(times):.2f}" for times in (fit, their_fit)),
        f"{median(b / a for a, b in zip(fit, their_fit, strict=True)):.1f}x",
        f"{median(b / a for a, b in zip(predict, their_predict, strict=True)):.1f}x",
        f"{median(dense):.2f}",
    ]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.sparse", description=__doc__)
    parser.parse_args(arguments)
    threads = environment.available_cpus()
    environment.run_in(environment.fair(os.environ, threads), "bench.sparse")
    head = ["words", "solver", "fastbp s", "scikit-learn s", "ratio", "predict", "made dense s"]
    rows = [head]
    for words in ("zipf", "alike"):
        X, y = rows_of(words)
        for name, solver in SOLVERS.items():
            rows.append([words, name, *compare(solver, X, y)])
            print(*rows[-1], flush=True)
    print(table.plain(rows))


if __name__ == "__main__":
    main()
