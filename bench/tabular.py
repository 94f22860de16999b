"""fastbp beside scikit-learn's perceptrons on real tables: ``python -m bench.tabular``.

Both have the same hidden layers of ReLUs, Adam, rate, batch size, epochs and penalty, and draw
their weights from Glorot's distribution. With each seed both are fitted, in turn, and scored on
the fifth of the rows that neither has seen. scikit-learn runs as it is fastest: on float32, on one
thread or all. Prints a table, writes bench/tabular.json, and renders bench/README.md.
"""

import argparse
import os
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from bench import environment, race, reached

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
import tabular_data

SEEDS = (0, 1, 2)
ALPHA = 1e-4
"""scikit-learn's: the loss of a batch is larger by alpha / 2 sum w^2 / rows of the batch."""


@dataclass(frozen=True)
class Problem:
    """A table, and the network for it."""

    load: object
    classifies: bool
    hidden: tuple[int, ...]
    epochs: int
    batch: int = 200
    lr: float = 1e-3


PROBLEMS = {
    "diamonds": Problem(tabular_data.diamonds, False, (128, 64), epochs=40),
    "flights": Problem(tabular_data.flights, True, (128, 64), epochs=8),
}


def parts_of(problem):
    """The rows; of a regression the targets have mean 0 and deviation 1, too."""
    parts = tabular_data.parts(problem.load())
    if problem.classifies:
        return parts
    center, scale = tabular_data.moments(parts.y)
    return parts._replace(y=(parts.y - center) / scale, y_test=(parts.y_test - center) / scale)


class OurModel:
    """fastbp's."""

    def __init__(self, problem, n_in, seed):
        import fastbp

        net = fastbp.Network(
            [n_in, *problem.hidden, 1],
            activation="relu",
            output="sigmoid" if problem.classifies else "identity",
            init="glorot_uniform",
            seed=seed,
        )
        self.trainer = fastbp.Trainer(
            net,
            loss="bce" if problem.classifies else "squared_error",
            optimizer=fastbp.Adam(lr=problem.lr),
            batch_size=problem.batch,
            l2=ALPHA / problem.batch,
            seed=seed,
        )
        self.epochs = problem.epochs

    def fit(self, X, y):
        self.trainer.fit(X, y, epochs=self.epochs, progress=False)

    def outputs(self, X):
        return self.trainer.predict(X)[:, 0]


class TheirModel:
    """scikit-learn's."""

    def __init__(self, problem, n_in, seed):  # noqa: ARG002, it learns n_in from the rows
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        self.classifies = problem.classifies
        self.model = (MLPClassifier if problem.classifies else MLPRegressor)(
            hidden_layer_sizes=problem.hidden,
            alpha=ALPHA,
            batch_size=problem.batch,
            learning_rate_init=problem.lr,
            max_iter=problem.epochs,
            n_iter_no_change=problem.epochs,  # all of them, as fastbp
            random_state=seed,
        )

    def fit(self, X, y):
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(X, y)

    def outputs(self, X):
        if self.classifies:
            return self.model.predict_proba(X)[:, 1]
        return self.model.predict(X)


MODELS = {"fastbp": OurModel, "scikit-learn": TheirModel}


def scores(problem, p, y):
    """By name; of every one the greater is the better."""
    from sklearn import metrics

    if problem.classifies:
        return {
            "accuracy": metrics.accuracy_score(y, p >= 0.5),
            "AUC": metrics.roc_auc_score(y, p),
        }
    return {"R²": metrics.r2_score(y, p)}


def timed(model, X, y):
    """Seconds of a fit."""
    race.check_fields()
    start = time.perf_counter()
    model.fit(X, y)
    return time.perf_counter() - start


def choose_threads(problem, parts, threads):
    """Give the BLAS of scikit-learn one thread or all, whichever fits some batches faster."""
    from threadpoolctl import threadpool_limits

    rows = slice(20 * problem.batch)
    taken = {}
    for count in sorted({1, threads}):
        threadpool_limits(count, user_api="blas")
        model = TheirModel(problem, parts.X.shape[1], 0)
        taken[count] = timed(model, parts.X[rows], parts.y[rows])
    best = min(taken, key=taken.get)
    threadpool_limits(best, user_api="blas")
    return best


def compare(problem, threads):
    """Fit both with every seed, in turn; what reached.tabular_rows tells."""
    parts = parts_of(problem)
    n_in = parts.X.shape[1]
    few = slice(2 * problem.batch)
    OurModel(problem, n_in, 0).fit(parts.X[few], parts.y[few])  # compiles, or loads
    found = {
        "task": "classification" if problem.classifies else "regression",
        "rows": [len(parts.X), len(parts.X_test)],
        "sizes": [n_in, *problem.hidden, 1],
        "epochs": problem.epochs,
        "batch": problem.batch,
        "threads of scikit-learn": choose_threads(problem, parts, threads),
        "seconds": {name: [] for name in MODELS},
        "scores": {name: [] for name in MODELS},
    }
    for seed in SEEDS:
        for name, make in MODELS.items():
            model = make(problem, n_in, seed)
            found["seconds"][name].append(timed(model, parts.X, parts.y))
            test_scores = scores(problem, model.outputs(parts.X_test), parts.y_test)
            found["scores"][name].append(test_scores)
            print(f"{found['task']}, seed {seed}, {name}: {test_scores}", flush=True)
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.tabular", description=__doc__)
    parser.parse_args(arguments)
    threads = environment.available_cpus()
    environment.run_in(environment.fair(os.environ, threads), "bench.tabular")
    problems = {name: compare(problem, threads) for name, problem in PROBLEMS.items()}
    reached.keep("tabular", {"problems": problems}, threads)


if __name__ == "__main__":
    main()
