"""Internals of trainers and networks that tests look at, and no user can reach otherwise."""

import numpy as np

from fastbp.data.tables import as_inputs
from fastbp.runtime.arrays import Dataset, raise_status
from fastbp.training.datasets import as_dataset


def core(trainer):
    """The TrainerCore: arrays, epoch, workers, engine."""
    return trainer._core


def dataset(trainer, X, y):
    """X and y as the trainer's engine takes them."""
    return as_dataset(core(trainer), X, y)


def functions(trainer):
    """The user's own functions that a trainer is made with, by name."""
    return {function.__name__: function for function in core(trainer).functions()}


def checked_outputs(net, X, workers=1):
    """``net.predict(X)`` without its fast path."""
    data, inference = Dataset(as_inputs(X, net.sizes[0])), net.arrays.inference
    out = np.empty((data.rows, net.sizes[-1]), net.dtype)
    raise_status(inference.run_by(workers, data, out=out), data, inference.arrays)
    return out


def checked_step(trainer, X, y, sample_weight=None):
    """``trainer.step`` without its fast path."""
    return core(trainer).step(as_dataset(core(trainer), X, y, sample_weight))


def fast_path(net):
    """The fast path of ``net.predict``."""
    return net._fast_path
