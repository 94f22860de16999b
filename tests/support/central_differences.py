"""Gradients by central differences of the loss."""

import numpy as np
import pytest

from fastbp.components import losses
from support.cases import flat

H = 2.0**-17


TOLERANCE = 1e-8
"""Of a difference, as a share of 1 + the loss. What a central difference misses is h^2/6 = 1e-11
times the third derivative along a unit direction, which stays below 1,000 for weights and inputs
of order 1; and roundings in the loss, which are a few 1e-16 / h = 1e-11 of it."""


class Probe:
    """A trainer seen as a loss of one vector of parameters."""

    def __init__(self, case, batch_size=None):
        self.trainer = case.trainer(batch_size=batch_size)
        self.batch = case.batch()
        net = self.trainer.net
        layers = list(zip(net.weights, net.biases, strict=True))
        self.shapes = [part.shape for layer in layers for part in layer]
        self.start = flat(layers)
        self.weights = self._weights()

    def loss(self, parameters):
        ends = np.cumsum([np.prod(shape) for shape in self.shapes])[:-1]
        parts = [
            part.reshape(shape)
            for part, shape in zip(np.split(parameters, ends), self.shapes, strict=True)
        ]
        self.trainer.net.set_parameters(parts[0::2], parts[1::2])
        if self.weights is None:
            return self.trainer.evaluate(*self.batch)["loss"]
        mean, s, y = self._means_and_logarithms()
        return float((self.weights * (s + (mean - y) ** 2 * np.exp(-s)) / 2).mean())

    def _weights(self):
        """Those of beta_nll, which stay what they are at the start; None for other losses."""
        loss = losses.lookup(self.trainer.loss)
        if not loss.weighs_gradient:
            return None
        return np.exp(loss.parameter * self._means_and_logarithms()[1])

    def _means_and_logarithms(self):
        X, y = self.batch
        return *np.split(self.trainer.predict(X), 2, axis=1), y

    def directions(self, each=3):
        """Unit vectors: along some entries of every weight matrix and bias, and across them all."""
        rng, begin = np.random.default_rng(3), 0
        for shape in self.shapes:
            size = int(np.prod(shape))
            for entry in {0, size - 1, *rng.integers(0, size, each)}:
                yield np.arange(len(self.start)) == begin + entry
            begin += size
        across = rng.normal(size=len(self.start))
        yield across / np.linalg.norm(across)

    def check(self):
        loss, layers = self.trainer.loss_and_gradients(*self.batch)
        assert all(dW.any() for dW, _ in layers)
        gradient = flat(layers)
        assert loss == pytest.approx(self.trainer.evaluate(*self.batch)["loss"], rel=1e-14)
        for direction in self.directions():
            above, below = (self.loss(self.start + step * direction) for step in (H, -H))
            difference = (above - below) / (2 * H)
            assert abs(difference - gradient @ direction) <= TOLERANCE * (1 + abs(loss))
