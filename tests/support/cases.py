"""The table of networks that drives the tests, and how each and its data are made."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import fastbp
from fastbp.components import activations, losses
from fastbp.kernels.base import codes

DTYPES = ("float32", "float64")
ENGINES = ("numba", "numpy")
HIDDEN = tuple(activations.HIDDEN)
PAIRS = tuple((loss.name, output) for loss in losses.LOSSES.values() for output in loss.outputs)
"""Every (loss, output activation) that go together."""


@dataclass(frozen=True)
class Case:
    """A network, its loss, and a batch of so many rows."""

    sizes: tuple[int, ...]
    rows: int
    hidden: str | tuple[str, ...] = "tanh"
    output: str = "identity"
    loss: str = "mse"
    labels: bool = False
    """For cross_entropy: integer labels and not rows of probabilities."""
    layer_norm: bool = False
    residual: bool = False
    number_embedding: fastbp.NumberEmbedding | None = None

    def network(self, dtype="float64", seed=1):
        """The network, with biases, gains and shifts above 0: no relu is 0 for every row."""
        kinds = {"layer_norm": self.layer_norm, "residual": self.residual}
        kinds["number_embedding"] = self.number_embedding
        net = fastbp.Network(self.sizes, self.hidden, self.output, seed=seed, dtype=dtype, **kinds)
        rng = np.random.default_rng(seed)
        biases = [rng.uniform(0.2, 0.8, n) for n in self.sizes[1:]]
        norms = [[rng.uniform(0.2, 0.8, len(g)) for g in net.gains] for _ in range(2)]
        net.set_parameters(net.weights, biases, *(norms if self.layer_norm else ()))
        return net

    def trainer(self, dtype="float64", engine="numba", optimizer=None, batch_size=None, **options):
        """A trainer of a network of its own; its batch_size is the case's rows."""
        return fastbp.Trainer(
            self.network(dtype),
            loss=self.loss,
            optimizer=optimizer or fastbp.SGD(lr=0.1),
            batch_size=batch_size or self.rows,
            seed=0,
            engine=engine,
            **options,
        )

    def batch(self, seed=2):
        """(X, y)."""
        rng = np.random.default_rng(seed)
        return rng.normal(size=(self.rows, self.sizes[0])), self._targets(rng)

    def _targets(self, rng):
        shape = (self.rows, self.sizes[-1])
        if self.labels:
            return rng.integers(0, self.sizes[-1], self.rows)
        loss = losses.lookup(self.loss)
        if loss.targets == codes.CLASS:
            off = rng.uniform(0.9995, 1.0005, (self.rows, 1))  # sums may be a little off 1
            return rng.dirichlet(np.ones(self.sizes[-1]), self.rows) * off
        if loss.targets == codes.COUNT:
            return rng.poisson(2.0, shape).astype(float)
        shape = self.rows, loss.n_targets(self.sizes[-1])
        return rng.random(shape) if loss.targets == codes.UNIT else rng.normal(size=shape)


_CLASSES = {"output": "softmax", "loss": "cross_entropy"}

THREE_CLASSES = Case((4, 9, 3), 20, "tanh", **_CLASSES, labels=True)
"""A network that trains in no time."""

CASES = {
    "1-1-1": Case((1, 1, 1), 1),
    "no hidden layer": Case((5, 3), 7, **_CLASSES),
    "batch of one": Case((7, 13, 5, 3), 1, ("relu", "tanh"), **_CLASSES, labels=True),
    "odd": Case((17, 33, 31, 5), 37, ("silu", "gelu"), **_CLASSES),
    "one input": Case((1, 19, 2), 23, "sigmoid", "sigmoid", "squared_error"),
    "one output": Case((9, 21, 1), 29, "elu", "sigmoid", "bce"),
    "one unit between": Case((6, 1, 6, 4), 3, "softplus", "gelu"),
    "whole vectors": Case((16, 32, 16, 16), 32, "leaky_relu", "silu", "squared_error"),
    # more than one block of each of the products takes
    "many inputs": Case((1100, 21, 3), 5, "silu"),
    "wide": Case((5, 270, 530, 3), 5, "relu", **_CLASSES, labels=True),
    "many rows": Case((4, 6, 2), 531, "identity", "sigmoid", "bce"),
    "deep": Case((3, *(5,) * 9, 2), 11, "tanh", "tanh", "squared_error"),
}


LAYER_KINDS = {
    "plain": {},
    "layer_norm": {"layer_norm": True},
    "residual": {"residual": True},
    "both": {"layer_norm": True, "residual": True},
}
"""Options of networks that change their layers."""


def each_case(test):
    """Run the test for every case of the table."""
    return pytest.mark.parametrize("case", CASES.values(), ids=CASES)(test)


def each_pair(test):
    """Run the test for every loss with every output activation that it goes with."""
    return pytest.mark.parametrize("pair", PAIRS, ids="-".join)(test)


def each_hidden(test):
    """Run the test for every activation of hidden layers."""
    return pytest.mark.parametrize("hidden", HIDDEN)(test)


def each_hidden_and_pair(test):
    """Run the test for all activations with all pairs.

    A quarter of them is not slow, in which every activation and every pair occurs.
    """
    return pytest.mark.parametrize(
        ("hidden", "pair"),
        [
            pytest.param(
                hidden,
                pair,
                id=f"{hidden}-{'-'.join(pair)}",
                marks=[] if (i + j) % 4 == 0 else [pytest.mark.slow],
            )
            for j, pair in enumerate(PAIRS)
            for i, hidden in enumerate(HIDDEN)
        ],
    )(test)


def each_dtype(test):
    """Run the test in both precisions."""
    return pytest.mark.parametrize("dtype", DTYPES)(test)


def each_engine(test):
    """Run the test with the compiled kernels and with their twins."""
    return pytest.mark.parametrize("engine", ENGINES)(test)


def with_pair(case, hidden, pair):
    """The same sizes with these activations and this loss."""
    loss, output = pair
    if losses.LOSSES[loss].outputs_per_target == 2:
        case = replace(case, sizes=(*case.sizes[:-1], 2 * case.sizes[-1]))
    return replace(case, hidden=hidden, loss=loss, output=output, labels=False)


def flat(layers):
    """One vector of the numbers of [(W, b), ...]."""
    return np.concatenate([part.ravel() for layer in layers for part in layer])
