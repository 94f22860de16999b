"""The networks that all commands of bench/ run, and their data."""

from dataclasses import dataclass
from functools import lru_cache

N_BATCHES = 32
"""A single repeated batch would be memorized; Adam's moments then decay into denormals, and it is
denormal arithmetic, not training, that gets timed."""

LEARNING_RATES = {"sgd": 1e-2, "adam": 1e-3}
MOMENTS = {"sgd": 1, "adam": 2}
"""Moments that each optimizer keeps. SGD has momentum everywhere."""


@dataclass(frozen=True)
class Case:
    """A network of ReLU layers with its batch and loss."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    loss: str
    epochs: int = 0
    """Epochs of one full-batch `fit` call; 0: the case is trained by steps."""
    predict_rows: int = 0
    """Rows of a prediction; 0: one batch."""
    pairs: int = 15
    """Windows of each side in a race."""
    epoch_batches: int = N_BATCHES
    """Batches of an epoch."""
    lr_factor: float = 1.0
    """Factor on the learning rates. Updates of single rows, and of very many weights, need a
    smaller step: otherwise the weights diverge, and where an output is 0 scikit-learn reports a
    smaller loss than the one it descends."""

    def lr(self, optimizer):
        """The learning rate of every side."""
        return self.lr_factor * LEARNING_RATES[optimizer]

    @property
    def output(self):
        """The output activation that goes with the loss."""
        return "softmax" if self.loss == "cross_entropy" else "identity"

    @property
    def layers(self):
        """(inputs, outputs) of each layer."""
        return list(zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def weights(self):
        """Number of weights, without biases."""
        return sum(n_in * n_out for n_in, n_out in self.layers)

    @property
    def flops(self):
        """Floating-point operations of one step in its matrix products.

        Forward, backward and gradient cost 2 B I O each; the first layer has no backward.
        """
        return 6 * self.batch * self.weights - 2 * self.batch * self.sizes[0] * self.sizes[1]

    def bytes_moved(self, optimizer):
        """Bytes of weights, moments and activations that a step reads or writes, in float32.

        Forward and backward read each weight (backward not those of the first layer); the update
        reads and writes each weight and moment. Each activation is written once, and read by the
        next layer and by the gradient; each delta likewise. The gather reads and writes X once.
        """
        first = self.sizes[0] * self.sizes[1]
        weights = (4 + 2 * MOMENTS[optimizer]) * self.weights - first
        units = 6 * sum(self.sizes[1:]) + 4 * self.sizes[0]
        return 4 * (weights + self.batch * units)

    def parameters(self, seed=0):
        """He's initial weights (n_in, n_out) and biases (n_out,), the same for every side."""
        import numpy as np  # not before the environment is settled

        rng = np.random.default_rng(seed)
        weights = [
            rng.standard_normal(shape, np.float32) * np.float32((2 / shape[0]) ** 0.5)
            for shape in self.layers
        ]
        return weights, [np.zeros(n_out, np.float32) for n_out in self.sizes[1:]]

    def data(self, n_batches=N_BATCHES, seed=0):
        """Rows of ``count`` batches: X float32 (n, n_in), y int64 (n,) or float32 (n, n_out)."""
        return self.rows(n_batches * self.batch, seed)

    @lru_cache(maxsize=2)  # noqa: B019, cases live as long as the process
    def rows(self, n, seed=0):
        """``n`` rows, as ``data`` gives them; every class occurs if there are enough rows."""
        import numpy as np

        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, self.sizes[0]), dtype=np.float32)
        if self.loss == "cross_entropy":
            return X, rng.permutation(n) % self.sizes[-1]
        return X, rng.random((n, self.sizes[-1]), dtype=np.float32)

    def batches(self, n_batches=N_BATCHES, seed=0):
        """The same rows as a list of (X, y), one entry a batch."""
        X, y = self.data(n_batches, seed)
        starts = range(0, len(X), self.batch)
        return [(X[i : i + self.batch], y[i : i + self.batch]) for i in starts]


CASES = {
    case.name: case
    for case in (
        Case("tiny", (2, 4, 1), 4, "mse", epochs=1000),
        Case("small", (8, 64, 64, 1), 32, "mse"),
        Case("medium", (784, 256, 128, 10), 128, "cross_entropy"),
        Case(
            "large",
            (784, 1024, 1024, 1024, 10),
            256,
            "cross_entropy",
            predict_rows=4096,
            lr_factor=0.1,
        ),
        Case(
            "xlarge",
            (1024, 4096, 4096, 1000),
            512,
            "cross_entropy",
            pairs=5,
            epoch_batches=8,
            lr_factor=0.1,
        ),
    )
}

ONE_ROW = Case("one row", (8, 64, 64, 1), 1, "mse", lr_factor=0.02)
"""A case of single rows, as in the loop of a simulation."""
