"""Trainers that several tests train, and all that a trainer holds, to the bit."""

import hashlib

import numpy as np

import fastbp
from fastbp.kernels.base import codes
from fastbp.kernels.tables import settings
from fastbp.training import input_scaling
from support.cases import Case
from support.internals import core

LARGE = Case((40, 300, 200, 10), 600, "silu", "sigmoid", "squared_error")
"""Work for four threads, in whatever a trainer does."""


OPTIMIZERS = (
    fastbp.Adam(lr=0.01),
    fastbp.SGD(lr=0.001, momentum=0.9),
    fastbp.SGD(lr=0.02),
    fastbp.RMSprop(lr=0.001, momentum=0.5),
)


def trainer_in_thirds(case, dtype="float32", **options):
    """A trainer whose epochs have three batches, the last a partial one."""
    defaults = {
        "loss": case.loss,
        "optimizer": OPTIMIZERS[sum(case.sizes) % len(OPTIMIZERS)],
        "batch_size": case.rows // 3 + 1,
        "seed": 11,
    }
    return fastbp.Trainer(case.network(dtype), **defaults | options)


def adam_trainer(case, engine="numba", batch_size=8, lr=0.01, **options):
    """A trainer of several batches an epoch, in single precision."""
    return case.trainer("float32", engine, fastbp.Adam(lr=lr), batch_size, **options)


def flat_parameters(net):
    """One vector of all weights, then all biases."""
    return np.concatenate([part.ravel() for part in (*net.weights, *net.biases)])


def _parameters(net):
    parts = (*net.weights, *net.biases, *net.gains, *net.shifts)
    return (*parts, *(net.embedding_parameters or ()))


def bits(trainer):
    """Parameters, moments, and the learned scale of the inputs."""
    net, scale = trainer.net, trainer.input_scale
    arrays = (*_parameters(net), core(trainer).arrays.moments)
    return [a.tobytes() for a in (*arrays, *([] if scale is None else [scale]))]


def fingerprint(trainer, X, y):
    """Of all that a trainer computes, bit by bit."""
    loss, gradients = trainer.loss_and_gradients(X, y)
    numbers = [
        *trainer.fit(X, y, epochs=2)["loss"],
        trainer.step(X[: trainer.batch_size], y[: trainer.batch_size]),
        loss,
        *trainer.evaluate(X, y).values(),
    ]
    arrays = [a for pair in gradients for a in pair] + [trainer.predict(X), np.array(numbers)]
    digest = hashlib.sha256()
    for part in bits(trainer) + [a.tobytes() for a in arrays]:
        digest.update(part)
    return digest.hexdigest()


LASTING = [codes.LR, settings.UPDATES, settings.OPTIMIZER_STATE]


def training_state(trainer):
    """All that a later update depends on."""
    state, net = core(trainer).arrays, trainer.net
    classes = state.hyper[settings.class_weights(len(net.sizes) - 1) :]
    kept = state.moments[: state.spec.moments + state.spec.averages]
    scaling = input_scaling.state(core(trainer)) or []
    arrays = (*_parameters(net), kept, classes, *scaling)
    return [a.tobytes() for a in arrays], state.hyper[LASTING].tolist(), core(trainer).epoch
