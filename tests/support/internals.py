"""Internals of trainers and networks that tests look at, and no user can reach otherwise."""

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


def checked_outputs(net, X):
    """``net.predict(X)`` without its fast path."""
    return net._checked_outputs(X, None)


def fast_path(net):
    """(code, address of a header, the header) of ``net.predict``."""
    return net._fast_path
