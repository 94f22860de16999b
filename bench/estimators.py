"""fastbp.sklearn beside scikit-learn's own perceptrons: ``python -m bench.estimators``.

Both sides get the same hyperparameters and the same data, and take turns: whole fits by SGD with
momentum and by Adam, batches of 200, in float32 and in float64; ``predict_proba``, or ``predict``
of a regression, of one row and of many; a grid search of 24 small fits. Every fit makes all its
epochs. scikit-learn has the threads of its BLAS that fit a part of the data fastest, and float32
data where fastbp has them. Prints medians of the times and of the ratios of neighbors.
"""

import argparse
import os
import sys
import time
import warnings
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median

import numpy as np

from bench import environment, race, table

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
import mnist_data
import tabular_data

ROUNDS, BATCH, MANY = 3, 200, 10_000
REST_SECONDS = 0.1
"""Before each window: threads of the other side's BLAS spin for a while after their work."""

PREDICT_SECONDS = 0.2
"""Of the calls in one window of predictions."""


@dataclass(frozen=True)
class Problem:
    """Data, and the network for them."""

    load: object
    """() -> (X, y)"""
    classifies: bool
    hidden: tuple[int, ...]
    epochs: int


def digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X / 16, y


def mnist():
    data = mnist_data.load()
    images, labels = data.train_images[:20_000], data.train_labels[:20_000]
    return images.reshape(len(images), -1) / 255, labels


def rows_of(load):
    """The rows of a table that are for training."""
    parts = tabular_data.parts(load())
    return parts.X, parts.y


def prices():
    X, y = rows_of(tabular_data.diamonds)
    center, scale = tabular_data.moments(y)
    return X, (y - center) / scale


def lateness():
    X, y = rows_of(tabular_data.flights)
    return X, y.astype(int)


PROBLEMS = {
    "digits 64-100-10": Problem(digits, True, (100,), epochs=40),
    "diamonds 26-128-64-1": Problem(prices, False, (128, 64), epochs=4),
    "flights 146-128-64-1": Problem(lateness, True, (128, 64), epochs=1),
    "MNIST 784-256-128-10": Problem(mnist, True, (256, 128), epochs=2),
}


@cache
def data_of(problem, dtype):
    X, y = problem.load()
    return X.astype(dtype), y if problem.classifies else y.astype(dtype)


def modules():
    """The estimators of both sides."""
    import sklearn.neural_network

    import fastbp.sklearn

    return fastbp.sklearn, sklearn.neural_network


def estimator(module, problem, solver):
    kind = module.MLPClassifier if problem.classifies else module.MLPRegressor
    return kind(
        hidden_layer_sizes=problem.hidden,
        solver=solver,
        batch_size=BATCH,
        learning_rate_init=1e-3,
        tol=0.0,
        random_state=0,
        max_iter=problem.epochs,
        n_iter_no_change=problem.epochs,
    )


def outputs_of(model, rows):
    return getattr(model, "predict_proba", model.predict)(rows)


def seconds(call):
    """Seconds of a call."""
    race.check_fields()
    time.sleep(REST_SECONDS)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def window(call):
    """Seconds of a call, of as many as take ``PREDICT_SECONDS``."""
    once = seconds(call)
    count = max(1, int(PREDICT_SECONDS / once))
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def turns(calls, timed):
    """(median seconds of fastbp, of scikit-learn, the median ratio) of two calls in turns."""
    rounds = [[timed(call) for call in calls] for _ in range(ROUNDS)]
    ours, theirs = zip(*rounds, strict=True)
    return median(ours), median(theirs), median(b / a for a, b in rounds)


def choose_threads(problem, X, y, threads):
    """Give the BLAS of scikit-learn one thread or all, whichever fits some rows faster."""
    from threadpoolctl import threadpool_limits

    some, taken = slice(40 * BATCH), {}
    _, theirs = modules()
    for count in sorted({1, threads}):
        threadpool_limits(count, user_api="blas")
        model = estimator(theirs, problem, "adam")
        taken[count] = min(seconds(lambda m=model: m.fit(X[some], y[some])) for _ in range(2))
    threadpool_limits(min(taken, key=taken.get), user_api="blas")


def compare_fits(problem, solver, dtype, threads):
    """Cells of the table: seconds of fits, and the ratios of fits and predictions."""
    X, y = data_of(problem, dtype)
    choose_threads(problem, X, y, threads)
    models = [estimator(module, problem, solver) for module in modules()]
    few = slice(2 * BATCH)
    for model in models:
        model.fit(X[few], y[few])
    ours, theirs, ratio = turns([lambda m=m: m.fit(X, y) for m in models], seconds)
    many = np.resize(X, (MANY, X.shape[1]))
    cells = [f"{ours:.2f}", f"{theirs:.2f}", f"{ratio:.1f}x"]
    for rows in (X[:1], many):
        calls = [partial(outputs_of, model, rows) for model in models]
        cells.append(f"{turns(calls, window)[2]:.1f}x")
    return cells


GRID = {
    "alpha": [1e-5, 1e-4, 1e-3],
    "learning_rate_init": [1e-3, 1e-2],
    "hidden_layer_sizes": [(32,), (64,)],
}
FOLDS = 2


def compare_searches(jobs):
    """Cells of the table: seconds of a grid search of 24 fits on digits, by n_jobs."""
    from sklearn.model_selection import GridSearchCV

    problem = PROBLEMS["digits 64-100-10"]
    X, y = data_of(problem, "float32")
    searches = [
        GridSearchCV(estimator(module, problem, "adam"), GRID, cv=FOLDS, n_jobs=jobs, refit=False)
        for module in modules()
    ]
    searches[0].fit(X[: 2 * BATCH], y[: 2 * BATCH])  # compiles, and starts processes
    ours, theirs, ratio = turns([lambda s=s: s.fit(X, y) for s in searches], seconds)
    return [
        f"{ours:.2f}",
        f"{theirs:.2f}",
        f"{ratio:.1f}x",
        f"{24 / ours:.1f}",
        f"{24 / theirs:.1f}",
    ]


def boosting(problem):
    """Seconds of scikit-learn's gradient boosting, for orientation."""
    from sklearn import ensemble

    kind = "Classifier" if problem.classifies else "Regressor"
    model = getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=0)
    X, y = data_of(problem, "float32")
    return f"{seconds(lambda: model.fit(X, y)):.2f}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.estimators", description=__doc__)
    parser.parse_args(arguments)
    threads = environment.available_cpus()
    environment.run_in(environment.fair(os.environ, threads), "bench.estimators")
    warnings.simplefilter("ignore")  # that the fits have not converged
    head = ["", "dtype", "solver", "fastbp s", "scikit-learn s", "fit", "1 row", f"{MANY} rows"]
    fits = [head]
    for name, problem in PROBLEMS.items():
        for dtype in ("float32", "float64"):
            for solver in ("sgd", "adam"):
                fits.append([name, dtype, solver, *compare_fits(problem, solver, dtype, threads)])
                print(*fits[-1], flush=True)
    searches = [["n_jobs", "fastbp s", "scikit-learn s", "ratio", "fastbp nets/s", "their nets/s"]]
    searches += [[str(jobs), *compare_searches(jobs)] for jobs in (1, threads)]
    trees = [["", "HistGradientBoosting s"]]
    trees += [[name, boosting(problem)] for name, problem in PROBLEMS.items()]
    print(*map(table.plain, (fits, searches, trees)), sep="\n\n")


if __name__ == "__main__":
    main()
