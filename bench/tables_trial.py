"""One result of ``python -m bench.tables``, in a process of its own: fits a peer and scores it.

    python -m bench.tables_trial TABLE SPLIT PEER FILE

writes what it measured as JSON to FILE. Imports are not timed, nor is the compilation of fastbp,
which comes once on a machine.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from bench import elsewhere, race, tables_data
from bench.tables_peers import PEERS

FEW = 500
"""Rows of the fit that compiles."""

PREDICTED, ROUNDS = 10_000, 3
"""Rows whose prediction is timed, and how often."""

LEAST = float(np.finfo(np.float32).eps)
"""A probability below counts as this: one certain mistake does not make the log loss infinite."""


def scores(outputs, y, classifies):
    """By name; the first is what ranks are made of, and the less of each, the better."""
    outputs = np.asarray(outputs, np.float64)
    if not classifies:
        return {"RMSE": float(np.sqrt(np.mean((outputs - y) ** 2)))}
    p = np.clip(outputs[np.arange(len(y)), y] / outputs.sum(axis=1), LEAST, 1)
    return {
        "error": float(np.mean(outputs.argmax(axis=1) != y)),
        "log loss": float(-np.mean(np.log(p))),
    }


def timed(function, *arguments):
    """(seconds, what it returned)."""
    race.check_fields()
    start = time.perf_counter()
    returned = function(*arguments)
    return time.perf_counter() - start, returned


def predict_seconds(model, X):
    """Seconds to predict PREDICTED rows, the median of ROUNDS: those of X over and over."""
    X = X.iloc[np.resize(np.arange(len(X)), PREDICTED)]
    return median(timed(model.outputs, X)[0] for _ in range(ROUNDS))


def trial(task, table, seed, peer):
    """Scores, seconds and bytes."""
    train, test = tables_data.split(len(table.y), seed)
    X, y = table.X.iloc[train].reset_index(drop=True), table.y[train]
    if peer.compiles:
        peer.make(task, seed).fit(X[:FEW], y[:FEW])
    model = peer.make(task, seed)
    watch = elsewhere.Watch()
    seconds, _ = timed(model.fit, X, y)
    others = watch.processors()
    X_test, y_test = table.X.iloc[test].reset_index(drop=True), table.y[test]
    return {
        "scores": scores(model.outputs(X_test), y_test, task.classifies),
        "train_seconds": seconds,
        "predict_seconds": predict_seconds(model, X_test),
        "others": others,
        "bytes": model.size(),
        "rows": [len(train), len(test)],
    }


def main(arguments):
    name, seed, peer, file = arguments
    task = tables_data.TASKS[name]
    found = trial(task, tables_data.load(task), int(seed), PEERS[peer])
    Path(file).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
