"""The five networks that everything in bench/ runs on, and the data for them."""

from dataclasses import dataclass

N_BATCHES = 32
"""A single repeated batch would be memorized; Adam's moments then decay into denormals, and it is
denormal arithmetic, not training, that gets timed."""

LEARNING_RATES = {"sgd": 1e-2, "adam": 1e-3}


@dataclass(frozen=True)
class Case:
    """A network of ReLU layers with its batch and loss."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    loss: str
    epochs: int = 0
    """Above 0 it is trained as such networks are: full-batch `fit` calls of this many epochs."""

    @property
    def output(self):
        """The output activation that goes with the loss."""
        return "softmax" if self.loss == "cross_entropy" else "identity"

    @property
    def flops(self):
        """Floating-point operations of one step in its matrix products.

        Forward, backward and gradient cost 2 B I O each; the first layer has no backward.
        """
        weights = [n_in * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False)]
        return 6 * self.batch * sum(weights) - 2 * self.batch * weights[0]

    def data(self, n_batches=N_BATCHES, seed=0):
        """Rows for so many batches: X float32 (n, n_in), y int64 (n,) or float32 (n, n_out)."""
        import numpy as np  # not before compare.py has settled the environment

        rng = np.random.default_rng(seed)
        n = n_batches * self.batch
        X = rng.standard_normal((n, self.sizes[0]), dtype=np.float32)
        if self.loss == "cross_entropy":
            return X, rng.integers(0, self.sizes[-1], n)
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
        Case("large", (784, 1024, 1024, 1024, 10), 256, "cross_entropy"),
        Case("xlarge", (1024, 4096, 4096, 1000), 512, "cross_entropy"),
    )
}
