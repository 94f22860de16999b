"""Short training runs whose every number is made exactly, for tests of bits.

Initial parameters and data come from integer arithmetic and are exact in float32: no generator of
NumPy's, whose streams may change from one version to the next.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

import fastbp
from fastbp import schedules
from fastbp.components import losses
from fastbp.kernels.base import codes
from support.internals import core
from support.jacobians import jacobian_by


def numbers(count, salt):
    """float32 in [-1, 1), multiples of 2^-15: the high bits of a multiplicative hash (Knuth)."""
    mixed = (np.arange(1, count + 1, dtype=np.uint64) + np.uint64(1000 * salt)) * 2654435761
    return ((mixed >> np.uint64(8)) % 65536).astype(np.float32) / np.float32(32768) - np.float32(1)


@dataclass(frozen=True)
class Run:
    """A network, its loss and optimizer, and what else a trainer may have."""

    hidden: tuple[str, ...]
    loss: str
    output: str
    optimizer: object
    kinds: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    sizes: tuple[int, ...] = (9, 21, 21, 4)
    rows: int = 37
    divisor: int = 4
    """Of the initial weights; a power of two."""
    along: str = ""
    """What derivatives are known along: "inputs", "directions"; "" for none."""
    jacobians: bool = False
    """Whether the digest has Jacobians of the trained network, of many rows and of few."""

    def trainer(self, dtype="float32"):
        sizes = self.sizes
        net = fastbp.Network(sizes, self.hidden, self.output, dtype=dtype, seed=0, **self.kinds)
        weights = [
            numbers(W.size, salt).reshape(W.shape) / np.float32(self.divisor)
            for salt, W in enumerate(net.weights)
        ]
        if net.number_embedding is not None:
            shapes = [part.shape for part in net.embedding_parameters]
            parts = [numbers(np.prod(s), 30 + i).reshape(s) for i, s in enumerate(shapes)]
            net.set_embedding_parameters(*parts)
        net.set_parameters(weights, [numbers(n, n) / np.float32(8) for n in sizes[1:]])
        options = {"batch_size": 8, "seed": 5} | self.options
        return fastbp.Trainer(net, loss=self.loss, optimizer=self.optimizer, **options)

    def batch(self):
        rows, n_in, n_out = self.rows, self.sizes[0], self.sizes[-1]
        X = numbers(rows * n_in, 50).reshape(rows, -1)
        loss = losses.lookup(self.loss)
        if loss.targets == codes.CLASS:
            return X, np.arange(rows) * 7 % n_out
        y = numbers(rows * n_out, 60).reshape(rows, -1)
        if loss.targets != codes.REAL:
            y = np.abs(y)
        return X, y[:, : loss.n_targets(n_out)]

    def known(self):
        """Derivatives of the rows, as arguments; a seventh of them are not known."""
        rows, n_in, n_out = self.rows, self.sizes[0], self.sizes[-1]
        if not self.along:
            return {}
        shape = (rows, n_out, n_in) if self.along == "inputs" else (rows, n_out)
        jacobian = numbers(np.prod(shape), 70)
        jacobian[3::7] = np.nan
        given = {"jacobian": jacobian.reshape(shape)}
        if self.along == "directions":
            given["directions"] = numbers(rows * n_in, 80).reshape(rows, -1)
        return given

    def digest(self, workers=0):
        """Of parameters, moments, losses and predictions after two epochs and a step."""
        trainer, (X, y), known = self.trainer(), self.batch(), self.known()
        core(trainer).workers = workers
        rows = min(8, trainer.batch_size)
        losses = [*trainer.fit(X, y, epochs=2, **known)["loss"]]
        known = {name: array[:rows] for name, array in known.items()}
        losses.append(trainer.step(X[:rows], y[:rows], **known))
        net = trainer.net
        arrays = (*net.weights, *net.biases, *net.gains, *net.shifts, core(trainer).arrays.moments)
        if trainer.input_scale is not None:
            arrays += (trainer.input_scale,)
        if net.number_embedding is not None:
            arrays += net.embedding_parameters
        if self.jacobians:
            arrays += tuple(jacobian_by(net, some, max(1, workers)) for some in (X, X[:2]))
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

RATES = {
    "dropout": 0.25,
    "dropout_schedule": schedules.StepDecay(2, 0.5),
    "bias_lr_factor": 0.25,
    "weight_decay_on": "weights",
    "weight_decay_factors": [2.0, 0.0, 0.5],
    "weight_decay_schedule": schedules.StepDecay(3, 0.5),
}
"""Options of rates, which came after the runs with every option were recorded."""


def long_sums(batch_size, kinds=None, options=None):
    """A network whose sums run over more units and rows than one block of the kernels takes."""
    return Run(
        ("relu",),
        "cross_entropy",
        "softmax",
        fastbp.Adam(0.001),
        kinds or {},
        {"batch_size": batch_size} | (options or {}),
        sizes=(1100, 600, 20),
        rows=337,
        divisor=32,
    )


def many_rows(kinds=None, options=None, along=""):
    """A network whose batch has more rows than a gradient's chain of additions."""
    return Run(
        ("tanh",),
        "mse",
        "identity",
        fastbp.Adam(0.001),
        kinds or {},
        {"batch_size": 2100} | (options or {}),
        sizes=(17, 12, 5),
        rows=2500,
        along=along,
    )


def jacobians(sizes, kinds=None):
    """A network that is trained, and then differentiated by its inputs."""
    sgd = fastbp.SGD(0.05)
    return Run(("tanh", "gelu"), "mse", "silu", sgd, kinds or {}, sizes=sizes, jacobians=True)


NUMBERS = fastbp.NumberEmbedding([0, 3, 8], frequencies=18, width=4)
SCALED = EVERY_OPTION | {"lr_factors": [0.5, 1.0, 2.0], "input_scaling": 6.0}
FEW_ROWS = SCALED | {"batch_size": 2}
LONG_OPTIONS = EVERY_OPTION | {"lr_factors": [0.5, 2.0]}

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
    "selu": Run(("selu", "relu"), "mse", "selu", fastbp.SGD(0.05)),
    "mish": Run(("mish", "tanh"), "mae", "mish", fastbp.Adam(0.01)),
    "radam": Run(("relu", "tanh"), "cross_entropy", "softmax", fastbp.RAdam(0.01)),
    "log_cosh": Run(("tanh", "elu"), "log_cosh", "identity", fastbp.SGD(0.05)),
    "beta_nll": Run(("tanh", "silu"), "beta_nll", "identity", fastbp.Adam(0.01)),
    "long sums, batch 37": long_sums(37),
    "long sums, batch 300": long_sums(300),
    "long sums, batch 37, extended": long_sums(37, {"layer_norm": True}, LONG_OPTIONS),
    "long sums, batch 300, extended": long_sums(300, {"layer_norm": True}, LONG_OPTIONS),
    "input scaling": Run(
        ("selu", "mish"), "mse", "identity", fastbp.Adam(0.01), options={"input_scaling": 6.0}
    ),
    "input scaling, few rows": Run(
        ("mish", "selu"), "cross_entropy", "softmax", fastbp.RAdam(0.01), {}, FEW_ROWS
    ),
    "input scaling, options": Run(
        ("silu", "tanh"), "cross_entropy", "softmax", fastbp.SGD(0.05, 0.9), EVERY_KIND, SCALED
    ),
    "long sums, input scaling": long_sums(37, {}, {"input_scaling": 6.0}),
    "many rows": many_rows(),
    "rates of parts": Run(
        ("silu", "relu"), "mse", "identity", fastbp.AdamW(0.01), EVERY_KIND, RATES
    ),
    "many rows, extended": many_rows({"layer_norm": True}, {"dropout": 0.25}),
    "derivatives": Run(("tanh", "silu"), "mse", "identity", fastbp.Adam(0.01), along="inputs"),
    "derivatives, more outputs": Run(
        ("tanh", "silu"), "mse", "identity", fastbp.Adam(0.01), along="inputs", sizes=(4, 21, 21, 9)
    ),
    "derivatives, fewer outputs": Run(
        ("softplus", "gelu"), "mse", "tanh", fastbp.Adam(0.01), {}, RATES, along="inputs"
    ),
    "derivatives, options": Run(
        ("gelu", "mish"),
        "mse",
        "softplus",
        fastbp.SGD(0.05, 0.9),
        EVERY_KIND,
        RATES,
        along="inputs",
    ),
    "derivatives, classes": Run(
        ("tanh", "sigmoid"), "cross_entropy", "softmax", fastbp.Adam(0.01), along="inputs"
    ),
    "derivatives along directions": Run(
        ("softplus", "tanh"), "mse", "tanh", fastbp.Adam(0.01), along="directions"
    ),
    "derivatives along directions, layers": Run(
        ("gelu", "tanh"), "mse", "silu", fastbp.Adam(0.01), EVERY_KIND, along="directions"
    ),
    "many rows, derivatives": many_rows(along="inputs"),
    "jacobians, outputs back": jacobians((9, 21, 21, 4)),
    "jacobians, inputs forward": jacobians((4, 21, 21, 9)),
    "jacobians, layers back": jacobians((9, 21, 21, 4), EVERY_KIND),
    "jacobians, layers forward": jacobians((4, 21, 21, 9), EVERY_KIND),
    "embedded numbers": Run(
        ("silu", "tanh"), "mse", "identity", fastbp.Adam(0.01), {"number_embedding": NUMBERS}
    ),
    "embedded numbers, options": Run(
        ("gelu", "relu"),
        "cross_entropy",
        "softmax",
        fastbp.AdamW(0.01),
        EVERY_KIND | {"number_embedding": NUMBERS},
        RATES,
    ),
}
"""Every activation, loss and optimizer, every option, long sums, derivatives and embeddings."""


def digests(workers=0):
    """Of all runs, by name."""
    return {name: run.digest(workers) for name, run in RUNS.items()}
