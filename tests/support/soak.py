"""For a given time: training, predicting, saving and loading at many sizes, and nothing grows.

Every round does the same to networks of the same sizes, in another
order, so that memory after a round is memory after any other.
"""

import argparse
import gc
import os
import random
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import fastbp
from fastbp import embed
from support import internals
from support.cases import CASES, Case
from support.features import CLASSES, EVERY, Feature

GROWTH = 0.02
"""Of the resident memory after warm-up, at most."""

WARM_UP = 0.3
"""Share of the time, in which memory finds its size: the largest that it has then counts, because a
system may take back pages that lie idle."""

FEWEST = 3
"""Rounds of it, at least."""

SIZES = {
    **CASES,
    "tiny": Case((2, 4, 1), 4, "tanh", "sigmoid", "bce"),
    "medium": Case((784, 256, 128, 10), 128, "relu", **CLASSES),
    "large": Case((300, 1024, 1024, 10), 256, "relu", **CLASSES),
}


def use(case, feature, engine, folder):
    """What a user does with a trainer, from its making to its file."""
    trainer = feature.trainer(case, "float32", engine, fastbp.Adam(1e-3))
    X, y, weights = feature.batch(case)
    trainer.step(X, y, weights)
    some = weights if weights is None or weights.any() else None  # fit needs a row with weight
    trainer.fit(X, y, epochs=2, sample_weight=some, validation_data=(X, y), progress=False)
    trainer.loss_and_gradients(X, y)
    trainer.evaluate(X, y)
    path = folder / "trainer.safetensors"
    trainer.save(path)
    functions = internals.functions(trainer)
    loaded = fastbp.Trainer.load(path, functions=functions)
    trainer.net.save(folder / "model.safetensors")
    net = fastbp.load(folder / "model.safetensors", functions=functions)
    p = trainer.predict(X)
    for other in (loaded.predict(X), trainer.net.predict(X), net.predict(X)):
        assert np.array_equal(p, other) or engine == "numpy"
    if engine == "numba":
        embed.step(trainer.compiled(), X.astype("f4")[:1], _rows(y, case)[:1])


def _rows(y, case):
    """Targets as embed.step takes them."""
    return np.eye(case.sizes[-1], dtype="f4")[y] if case.labels else y.astype("f4")


class Drift:
    """Linear regression by the engine and by its twin, on the same batches, for ever.

    The loss is 1/2 |Z w - y|^2 / B + l2 / 2 |w|^2, with Z = [X 1] and the last w, the bias, not in
    the penalty. An update takes an error e of w to (1 - lr H) e, H = Z'Z / B + l2 D, and adds
    roundings of its own: those of sums of B and of I + 1 products, in units of eps,
    (B + I + 9) (lr |Z| (|Z| |w| + |y|) / B + |w|), with Frobenius norms. Two engines may be twice
    as far apart.
    """

    LR, L2 = 0.1, 0.5
    CASE = Case((12, 3), 40, loss="squared_error")

    def __init__(self):
        self.pair = [
            self.CASE.trainer("float64", engine, fastbp.SGD(self.LR), l2=self.L2)
            for engine in ("numba", "numpy")
        ]
        self.updates, self.bound = 0, 0.0

    def go_on(self, count=20):
        """So many updates of both; AssertionError where they are further apart than they can be."""
        for _ in range(count):
            self.updates += 1
            X, y = self.CASE.batch(self.updates)
            for trainer in self.pair:
                trainer.step(X, y)
            one, other = (_flat(trainer) for trainer in self.pair)
            self._follow(X, y, np.linalg.norm(one))
            apart = np.linalg.norm(one - other)
            assert apart <= self.bound, f"{apart} apart after {self.updates}, not {self.bound}"

    def _follow(self, X, y, w):
        rows, inputs = X.shape
        Z = np.hstack([X, np.ones((rows, 1))])
        penalty = np.append(np.full(inputs, self.L2), 0.0)
        rates = 1 - self.LR * np.linalg.eigvalsh(Z.T @ Z / rows + np.diag(penalty))
        z, y = np.linalg.norm(Z), np.linalg.norm(y)
        added = (rows + inputs + 9) * (self.LR * z * (z * w + y) / rows + w)
        self.bound = np.abs(rates).max() * self.bound + 2 * np.finfo("f8").eps * added


def _flat(trainer):
    return np.concatenate([a.ravel() for a in (*trainer.net.weights, *trainer.net.biases)])


def resident():
    """Bytes of the process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _entries(kind):
    return sum(1 for _ in Path(f"/proc/self/{kind}").iterdir())


def handles():
    """Open files, and threads of Python and of others."""
    return {
        "open files": _entries("fd"),
        "threads": _entries("task"),
        "threads of Python": threading.active_count(),
    }


def one_round(order, drift, folder):
    """Everything once."""
    for name, engine, feature in order:
        use(SIZES[name], feature, engine, folder)
    drift.go_on()
    gc.collect()


def works():
    """(size, engine, feature): all sizes plain, and some with every option and by the twins."""
    rich = {"odd", "batch of one", "wide"}
    yield from ((name, "numba", Feature()) for name in SIZES)
    yield from ((name, "numpy", Feature()) for name in ("odd", "tiny"))
    for name in rich:
        SIZES[f"{name}, every"] = replace(SIZES[name], sizes=_of_three(name), **CLASSES)
        yield f"{name}, every", "numba", EVERY


def _of_three(name):
    """Its sizes as a network of three layers with 5 outputs: what EVERY is for."""
    first, *hidden, _ = SIZES[name].sizes
    return (first, *hidden[:2], 5)


def main(seconds, seed=0):
    """Soak for so long; prints what it saw. AssertionError where something grew or drifted."""
    rng, work, drift = random.Random(seed), list(works()), Drift()
    began, rounds, warm = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        while (elapsed := time.monotonic() - began) < seconds or rounds <= FEWEST:
            rng.shuffle(work)
            one_round(work, drift, Path(folder))
            rounds += 1
            if elapsed < WARM_UP * seconds or rounds <= FEWEST:
                warm, before = max(warm, resident()), handles()
                continue
            grown = resident() / warm - 1
            assert grown <= GROWTH, f"memory grew by {grown:.1%} after warm-up, in {rounds} rounds"
            assert handles() == before, f"{handles()}, and {before} after warm-up"
    print(
        f"{rounds} rounds, {warm / 1e6:.0f} MB and {grown:+.2%}, {drift.updates} updates: no drift"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    main(asked.seconds, asked.seed)
