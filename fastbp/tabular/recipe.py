"""What the presets are: the networks, their training, how many there are.

From RealMLP-TD and RealMLP-TD-S (Holzmüller et al., Better by default, NeurIPS 2024), which were
tuned on 118 tables: three layers of 256, selu or mish, weights in NTK parametrization, a learned
scale of each input, Adam with four cosine cycles, label smoothing, the best epoch kept; and with
"best" dropout and weight decay that end with the training. Numbers are piecewise instead of robust:
6% better on one of four tables, within 1% on the others (python -m bench.tables_encodings).

NTK parametrization means z = x W / sqrt(m) + b with W and b of variance 1. Here the weights are
W / sqrt(m) themselves: their variance is 1 / m, and their learning rate that of W over sqrt(m). For
the other layers m is the number of units before. For the first one it is the mean square of a row
of inputs, so that z has variance 1 for columns of any kind, one-hot ones too. Biases, the scales of
inputs and weight decay go by the learning rate itself, not over sqrt(m).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..common import registry
from ..components.annealing import FlatCosine, LogCosine
from ..components.optimizers import AdamW
from ..model.network import Network
from ..training.trainer import Trainer

CYCLES = 4
"""Of the learning rate: no fit has fewer epochs."""

BIAS_RATE, SCALE_RATE = 0.1, 6.0
"""Factors on the learning rate of biases, and of the scales of inputs."""

ROWS, MOST_EPOCHS = 20_000, 256
"""A preset's epochs are those for so many rows. They go with the inverse square root of the rows,
up to RealMLP's 256: the updates of a fit then go with the square root."""

MANY_ROWS = 500_000
"""Of more rows each number has one robust input in place of up to 48 piecewise ones, which would
take 200 bytes of memory."""


@dataclass(frozen=True)
class Task:
    """What networks are made for, and the rows that each epoch trains on.

    n_in, n_out: inputs and outputs. square: the mean over rows of the sum of x^2. rows: of an
    epoch.
    """

    n_in: int
    n_out: int
    square: float
    rows: int


@dataclass(frozen=True)
class Recipe:
    """How the networks of an estimator are made and trained.

    numbers: the encoding of numbers, as for ``TableEncoder``. members: how many networks. epochs:
    of each. dropout, weight_decay: in the first half of the training. activation: of the hidden
    layers. output, loss: of the networks. lr: the learning rate of weights of variance 1.
    """

    numbers: str
    members: int
    epochs: int
    dropout: float
    weight_decay: float
    activation: Any
    output: Any
    loss: Any
    lr: float
    label_smoothing: float
    hidden: tuple[int, ...] = (256, 256, 256)
    betas: tuple[float, float] = (0.9, 0.95)
    batch_size: int = 256

    def given(self, members: int | None, epochs: int | None) -> Self:
        """The recipe with the numbers of members and epochs that are not None."""
        return replace(
            self, members=int(members or self.members), epochs=int(epochs or self.epochs)
        )

    def network(self, task: Task, seed: int) -> Network:
        """A new network. Its last layer is 0: before the first update all outputs are alike."""
        net = Network(
            [task.n_in, *self.hidden, task.n_out],
            self.activation,
            self.output,
            init="zeros",
            seed=seed,
        )
        random, weights, biases = np.random.default_rng(seed), net.weights, net.biases
        for k, m in enumerate(self._fan_ins(task)[:-1]):
            weights[k] = random.standard_normal(weights[k].shape) / math.sqrt(m)
            biases[k] = random.standard_normal(len(biases[k]))
        net.set_parameters(weights, biases)
        return net

    def trainer(self, task: Task, epochs: int, seed: int, threads: int) -> Trainer:
        """A trainer of a new network, with a schedule for so many epochs."""
        updates = epochs * -(-task.rows // self.batch_size)
        roots = [math.sqrt(m) for m in self._fan_ins(task)]
        flat = FlatCosine(updates)
        return Trainer(
            self.network(task, seed),
            loss=self.loss,
            optimizer=AdamW(self.lr, self.betas, weight_decay=self.weight_decay),
            batch_size=self.batch_size,
            threads=threads,
            seed=seed,
            dropout=self.dropout,
            dropout_schedule=flat,
            label_smoothing=self.label_smoothing,
            schedule=LogCosine(updates, CYCLES),
            lr_factors=[1 / root for root in roots],
            bias_lr_factor=[BIAS_RATE * root for root in roots],
            input_scaling=SCALE_RATE * roots[0],
            weight_decay_on="weights",
            weight_decay_factors=roots,
            weight_decay_schedule=flat,
        )

    def _fan_ins(self, task: Task) -> list[float]:
        """The m of each layer."""
        return [max(1.0, task.square), *map(float, self.hidden)]


CLASSES: Mapping[str, Any] = {
    "activation": "selu",
    "output": "softmax",
    "loss": "cross_entropy",
    "lr": 0.04,
    "label_smoothing": 0.1,
}
NUMBERS: Mapping[str, Any] = {
    "activation": "mish",
    "output": "identity",
    "loss": "mse",
    "lr": 0.07,
    "label_smoothing": 0.0,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {
        "numbers": "piecewise",
        "members": 2,
        "epochs": 64,
        "dropout": 0.0,
        "weight_decay": 0.0,
    },
    "best": {
        "numbers": "piecewise",
        "members": 8,
        "epochs": 128,
        "dropout": 0.15,
        "weight_decay": 0.02,
    },
}


def recipe_of(preset: str, goal: Mapping[str, Any], rows: int) -> Recipe:
    """The recipe of a preset. goal: ``CLASSES`` or ``NUMBERS``. rows: to train on."""
    recipe = Recipe(**registry.lookup(PRESETS, preset, "preset"), **goal)
    epochs = round(recipe.epochs * math.sqrt(ROWS / rows))
    numbers = recipe.numbers if rows <= MANY_ROWS else "robust"
    return replace(recipe, numbers=numbers, epochs=min(max(epochs, CYCLES), MOST_EPOCHS))
