"""Short training runs whose every number is made exactly, for tests of bits.

Initial parameters and data come from integer arithmetic and are exact in float32: no generator of
NumPy's, whose streams may change from one version to the next.
"""

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

import fastbp
from fastbp import schedules

SIZES, ROWS = (9, 21, 21, 4), 37


def numbers(count, salt):
    """float32 in [-1, 1), multiples of 2^-15: the high bits of a multiplicative hash (Knuth)."""
    mixed = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(1000 * salt)) * 2654435761
    return ((mixed >> np.uint64(8)) % 65536).astype(np.float32) / np.float32(32768) - np.float32(1)


@dataclass(frozen=True)
class Run:
    """A network, its loss and optimizer, and what else a trainer may have."""

    hidden: tuple[str, str]
    loss: str
    output: str
    optimizer: object
    kinds: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)

    def trainer(self, dtype="float32"):
        net = fastbp.Network(SIZES, self.hidden, self.output, dtype=dtype, seed=0, **self.kinds)
        weights = [
            numbers(a * b, salt).reshape(a, b) / np.float32(4)
            for salt, (a, b) in enumerate(pairwise(SIZES))
        ]
        net.set_parameters(weights, [numbers(n, n) / np.float32(8) for n in SIZES[1:]])
        options = {"batch_size": 8, "seed": 5} | self.options
        return fastbp.Trainer(net, loss=self.loss, optimizer=self.optimizer, **options)

    def batch(self):
        X, n_out = numbers(ROWS * SIZES[0], 50).reshape(ROWS, -1), SIZES[-1]
        if self.loss == "cross_entropy":
            return X, np.arange(ROWS) * 7 % n_out
        y = numbers(ROWS * n_out, 60).reshape(ROWS, -1)
        if self.loss in ("bce", "poisson"):
            y = np.abs(y)
        return X, y[:, : n_out // 2] if self.loss == "gaussian_nll" else y

    def digest(self, shares=0):
        """Of parameters, moments, losses and predictions after two epochs and a step."""
        trainer, (X, y) = self.trainer(), self.batch()
        trainer._shares = shares
        losses = [*trainer.fit(X, y, epochs=2)["loss"], trainer.step(X[:8], y[:8])]
        net = trainer.net
        arrays = (*net.weights, *net.biases, *net.gains, *net.shifts, trainer._state.moments)
        digest = hashlib.sha256()
        for array in (*arrays, np.array(losses), trainer.predict(X)):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


EVERY_OPTION = {
    "l1": 0.01,
    "l2": 0.05,
    "dropout": 0.25,
    "label_smoothing": 0.125,
    "clip_value": 0.5,
    "clip_norm": 0.25,
    "ema_decay": 0.75,
    "class_weight": {0: 0.5, 3: 4.0},
    "schedule": schedules.Warmup(2, schedules.StepDecay(4, 0.5)),
    "lr_factors": [0.5, 0.0, 2.0],
}
EVERY_KIND = {"layer_norm": True, "residual": True}

RUNS = {
    "sgd": Run(("relu", "sigmoid"), "mse", "identity", fastbp.SGD(0.1)),
    "momentum": Run(
        ("tanh", "leaky_relu"), "squared_error", "tanh", fastbp.SGD(0.05, 0.9, nesterov=True)
    ),
    "adam": Run(("elu", "softplus"), "cross_entropy", "softmax", fastbp.Adam(0.01)),
    "adamw": Run(("silu", "gelu"), "bce", "sigmoid", fastbp.AdamW(0.01)),
    "rmsprop": Run(("relu", "tanh"), "mae", "softplus", fastbp.RMSprop(0.002, momentum=0.5)),
    "adagrad": Run(("gelu", "silu"), "huber", "gelu", fastbp.Adagrad(0.02)),
    "nadam": Run(("identity", "relu"), "quantile", "elu", fastbp.NAdam(0.01)),
    "poisson": Run(("tanh", "tanh"), "poisson", "identity", fastbp.SGD(0.02)),
    "rates": Run(("elu", "elu"), "poisson", "softplus", fastbp.SGD(0.02)),
    "gaussian_nll": Run(("silu", "tanh"), "gaussian_nll", "identity", fastbp.Adam(0.01)),
    "layers": Run(("gelu", "relu"), "mse", "silu", fastbp.Adam(0.01), EVERY_KIND),
    "options": Run(
        ("silu", "tanh"), "cross_entropy", "softmax", fastbp.Adam(0.01), EVERY_KIND, EVERY_OPTION
    ),
}
"""Every activation, loss and optimizer, and every option."""


def digests(shares=0):
    """Of all runs, by name."""
    return {name: run.digest(shares) for name, run in RUNS.items()}
