"""Trainings of which each rank has rows of its own."""

import numpy as np

import fastbp
from support.rank_runs import digest

CELLS = 150


def data(rank, ranks):
    """X and y of a rank: different numbers of rows, none on the last of several."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(CELLS, 6))
    y = np.sin(X[:, :2]) + 0.1 * X[:, 2:4]
    ends = [round(CELLS * (i / max(1, ranks - 1)) ** 1.5) for i in range(ranks)]
    first, last = (0, CELLS) if ranks == 1 else (ends[rank], [*ends, CELLS][rank + 1])
    return X[first:last], y[first:last]


def new_trainer(comm, **options):
    """A trainer, and this rank's X and y."""
    net = fastbp.Network([6, 20, 17, 2], "tanh", seed=3, dtype=options.pop("dtype", "float32"))
    given = {"loss": "mse", "optimizer": fastbp.Adam(0.01), "batch_size": 40, "seed": 8} | options
    trainer = fastbp.Trainer(net, comm=comm, data="local", **given)
    return trainer, *data(comm.Get_rank(), comm.Get_size())


def fingerprint(comm):
    """Of a training by fit, step, and a stream."""
    trainer, X, y = new_trainer(comm, dropout=0.2, l2=1e-3, clip_norm=1.0)
    history = trainer.fit(X, y, 3, validation_fraction=0.2, progress=False)
    values = [*history["loss"], *history["val_loss"], trainer.step(X[:9], y[:9])]
    values += [*trainer.evaluate(X, y).values()]
    batches = [(X[:8], y[:8]), (X[8:12], y[8:12])]
    values += trainer.fit_batches(batches, 2, progress=False)["loss"]
    return digest(values, *trainer.net.weights)
