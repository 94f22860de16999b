"""Trainings on several ranks that tests compare."""

import hashlib

import numpy as np
from scipy import sparse

import fastbp
from fastbp.schedules import Cosine
from support.internals import core
from support.trainers import training_state

ROWS = 203
"""Batches of 100 rows, 100, and 3, which are too few to be cut."""

SIZES = (11, 21, 21, 3)

_CLASSES = {"loss": "cross_entropy", "output": "softmax"}

VARIANTS = {
    "plain": {},
    "float64": {"dtype": "float64"},
    "dropout": {"dropout": 0.3, "schedule": Cosine(9), "ema_decay": 0.9},
    "clipped": {"clip_norm": 0.2, "l1": 1e-3, "l2": 1e-2},
    "weights": {"sample_weight": True, "class_weight": "balanced", **_CLASSES},
    "norm": {"layer_norm": True, "residual": True, "optimizer": fastbp.SGD(0.1, momentum=0.9)},
    "frozen": {"lr_factors": [1.0, 0.0, 1.0]},
    "scaled": {"input_scaling": 6, "standardize": True},
    "sparse": {"sparse": True, "dropout": 0.1},
    "many": {"batch_size": 203, "optimizer": fastbp.AdamW(lr=0.01)},
}
"""Options of networks, trainers and fits."""

OF_NETWORK = ("dtype", "layer_norm", "residual", "output")


def data(options):
    """X, y and the keyword arguments of fit."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(ROWS, SIZES[0]))
    y = rng.integers(0, 3, ROWS) if "loss" in options else rng.normal(size=(ROWS, 3))
    if options.get("sparse"):
        X = sparse.csr_matrix(X * (rng.random(X.shape) < 0.2))
    weights = rng.uniform(0, 2, ROWS) if options.get("sample_weight") else None
    return X, y, {"sample_weight": weights, "progress": False}


def new_trainer(comm, threads=1, workers=0, **options):
    """A trainer, and X, y and the keyword arguments of fit."""
    X, y, how = data(options)
    of_network = {name: options[name] for name in OF_NETWORK if name in options}
    net = fastbp.Network(SIZES, "silu", seed=2, **of_network)
    if options.get("standardize"):
        net.standardize(X, y)
    rest = set(options) - set(of_network) - {"sample_weight", "standardize", "sparse"}
    defaults = {"loss": "mse", "optimizer": fastbp.Adam(lr=0.01), "batch_size": 100, "seed": 4}
    given = defaults | {name: options[name] for name in rest}
    trainer = fastbp.Trainer(net, threads=threads, comm=comm, **given)
    core(trainer).workers = workers
    return trainer, X, y, how


def digest(*items):
    """A hash of arrays and numbers, bit by bit."""
    found = hashlib.sha256()
    for item in items:
        found.update(np.ascontiguousarray(item).tobytes())
    return found.hexdigest()


def fingerprint(comm, threads=1, workers=0, **options):
    """Of all that a training computes: losses, validation, parameters, moments, outputs."""
    trainer, X, y, how = new_trainer(comm, threads, workers, **options)
    history = trainer.fit(X, y, 2, validation_fraction=0.2, **how)
    history2 = trainer.fit(X, y, 1, shuffle=False, **how)
    values = [*history["loss"], *history["val_loss"], *history2["loss"]]
    values += [trainer.step(X[:77], y[:77]), *trainer.evaluate(X, y).values()]
    averaged = [trainer.predict(X, averaged=True)] if "ema_decay" in options else []
    arrays = [np.frombuffer(part, "u1") for part in training_state(trainer)[0]]
    return digest(values, trainer.predict(X), *averaged, *arrays)
