"""How far the outputs of a network may be off, by the rounding of each operation in its dtype.

To first order, for any order of the terms of a sum. Two programs are at most twice as far apart.
"""

from dataclasses import dataclass

import numpy as np

from fastbp.data import scaling
from fastbp.kernels import reference

SLOPE = 1.76
"""No activation is steeper (selu at 0)."""
ULP = 8
"""How many units in the last place of 1 + |z| an activation may be off: exp and tanh of fastbp and
of runtimes by some, and what is added to and subtracted from them."""
EPSILON = 1e-5
"""Of layer normalization."""


@dataclass
class Rounded:
    """Numbers in float64, and how far they may be off. unit: of rounding, half of eps."""

    numbers: np.ndarray
    off: np.ndarray
    unit: float

    def then(self, numbers, off):
        return Rounded(numbers, off, self.unit)

    def shifted_and_scaled(self, mean, scale):
        numbers = (self.numbers - mean) / scale
        off = (self.off + self.unit * (abs(mean) + abs(self.numbers - mean))) / scale
        return self.then(numbers, off + 4 * self.unit * abs(numbers))

    def times_plus(self, factor, shift):
        numbers = self.numbers * factor
        off = self.off * abs(factor) + 3 * self.unit * (abs(numbers) + abs(shift))
        return self.then(numbers + shift, off)

    def linear(self, W, b):
        terms = len(W) + 2
        size = abs(self.numbers) @ abs(W) + abs(b)
        return self.then(self.numbers @ W + b, self.off @ abs(W) + terms * self.unit * size)

    def normalized(self, gain, shift):
        """The variance may be the mean square minus the square of the mean."""
        z, u, terms = self.numbers, self.unit, self.numbers.shape[1] + 4
        d = z - z.mean(1, keepdims=True)
        of_mean = (self.off + terms * u * abs(z)).mean(1, keepdims=True)
        d_off = self.off + of_mean + u * (abs(d) + 2 * abs(z))
        variance = (d * d).mean(1, keepdims=True) + EPSILON
        squares = (2 * abs(d) * d_off + terms * u * z * z).mean(1, keepdims=True)
        share = squares / (2 * variance) + 4 * u
        numbers = d / np.sqrt(variance)
        off = d_off / np.sqrt(variance) + abs(numbers) * share
        return self.then(numbers, off).times_plus(gain, shift)

    def activated(self, code):
        z, a = self.numbers, reference.activation(code, self.numbers)
        return self.then(a, SLOPE * self.off + 2 * ULP * self.unit * (1 + abs(z)))

    def softmax(self, code):
        z, p = self.numbers, reference.activation(code, self.numbers)
        below = z.max(1, keepdims=True) - z
        share = 2 * self.off.max(1, keepdims=True)
        share = share + self.unit * (2 * ULP + z.shape[1] + below + below.max(1, keepdims=True))
        return self.then(p, p * share + np.finfo(np.float32).tiny)

    def plus(self, other):
        numbers = self.numbers + other.numbers
        return self.then(numbers, self.off + other.off + self.unit * abs(numbers))


def outputs_of(net, X):
    """The outputs of a network (n, n_out), and how far they may be off."""
    value = Rounded(X.astype(np.float64), np.zeros(X.shape), np.finfo(net.dtype).eps / 2)
    spec = net.arrays.spec
    if net.input_mean is not None:
        value = value.shifted_and_scaled(net.input_mean, net.input_scale)
    layers = [[part.astype(np.float64) for part in layer] for layer in net.arrays.layers()]
    for i, (layer, activation) in enumerate(zip(layers, net.arrays.activations, strict=True)):
        given, value = value, value.linear(*layer[:2])
        if spec.normalized[i]:
            value = value.normalized(*layer[2:])
        if activation.name == "softmax":
            value = value.softmax(activation.code)
        elif activation.name != "identity":
            value = value.activated(activation.code)
        if spec.adds_inputs[i]:
            value = value.plus(given)
    if net.target_mean is not None:
        value = value.times_plus(*scaling.of_outputs(net.arrays.scaling, net.sizes[-1]))
    return value


def assert_as_close_as_rounding_lets(actual, net, X):
    """Another program's outputs are those of the network."""
    expected, bound = net.predict(X), 2 * outputs_of(net, X).off
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    far = np.abs(actual.astype(np.float64) - expected)
    assert (far <= bound).all(), (far / bound).max()
