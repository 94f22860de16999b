"""What a trainer can be asked for beside loss and optimizer, alone and in pairs, for tests."""

from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pytest
from numba import njit

import fastbp
from fastbp.schedules import Cosine, InverseScaling, StepDecay, Warmup
from support.cases import Case

CLASSES = {"output": "softmax", "loss": "cross_entropy", "labels": True}

MANY, FEW, WIDE = (
    Case((17, 33, 31, 5), 37, ("silu", "tanh"), **CLASSES),
    Case((17, 33, 31, 5), 3, ("relu", "sigmoid"), **CLASSES),
    Case((200, 500, 510, 5), 17, ("relu", "gelu"), **CLASSES),
)
"""By rows; few rows; and, in several shares, layer by layer."""

ROUTES = {"many": MANY, "few": FEW, "wide": WIDE}


@njit
def softsign(z):
    """z / (1 + |z|) and its slope."""
    scale = 1 / (1 + abs(z))
    return z * scale, scale * scale


@dataclass(frozen=True)
class Feature:
    """options: of the trainer. weights: whether rows have them. own: an own activation."""

    options: dict = field(default_factory=dict)
    weights: bool = False
    own: bool = False

    def __or__(self, other):
        options = self.options | other.options
        return Feature(options, self.weights or other.weights, self.own or other.own)

    def trainer(self, case, dtype="float64", engine="numba", optimizer=None, **more):
        if self.own:
            case = replace(case, hidden=softsign)
        return case.trainer(dtype, engine, optimizer, **self.options, **more)

    def batch(self, case, seed=2):
        """X, y and sample_weight, with a 0 in it."""
        X, y = case.batch(seed)
        weights = np.random.default_rng(seed).uniform(0, 2, len(X)) if self.weights else None
        if self.weights:
            weights[0] = 0
        return X, y, weights


FEATURES = {
    "l1": Feature({"l1": 0.01}),
    "l2": Feature({"l2": 0.05}),
    "dropout": Feature({"dropout": [0.3, 0.5]}),
    "label_smoothing": Feature({"label_smoothing": 0.2}),
    "clip_value": Feature({"clip_value": 0.01}),
    "clip_norm": Feature({"clip_norm": 0.1}),
    "ema": Feature({"ema_decay": 0.9}),
    "class_weight": Feature({"class_weight": {0: 0.5, 3: 4.0}}),
    "sample_weight": Feature(weights=True),
    "lr_factors": Feature({"lr_factors": [0.5, 0.0, 2.0]}),
    "schedule": Feature({"schedule": Warmup(2, Cosine(8))}),
    "rates": Feature(
        {
            "bias_lr_factor": 0.25,
            "weight_decay_on": "weights",
            "weight_decay_factors": [2.0, 0.5, 1.5],
            "weight_decay_schedule": InverseScaling(),
        }
    ),
    "dropout_schedule": Feature({"dropout": [0.3, 0.5], "dropout_schedule": StepDecay(2, 0.5)}),
    "input_scaling": Feature({"input_scaling": 2.0}),
    "custom_activation": Feature(own=True),
}

OF_THE_LOSS = (
    "l1",
    "l2",
    "dropout",
    "dropout_schedule",
    "label_smoothing",
    "class_weight",
    "sample_weight",
    "custom_activation",
)
"""Features that change the loss and its gradient, and not only the update."""

EVERY = Feature()
for _one in FEATURES.values():
    EVERY = EVERY | _one

PAIRS = {f"{a}-{b}": FEATURES[a] | FEATURES[b] for a, b in combinations(FEATURES, 2)}

SETS = FEATURES | PAIRS | {"every": EVERY}

OPTIMIZERS = {
    "sgd": fastbp.SGD(lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": fastbp.Adam(lr=0.01, eps=1e-4),
}
"""eps far above the rounding of gradients: else a weight whose gradient is nearly 0 moves as far as
any other, and where to is up to rounding."""

OTHERS = {
    "sgd_plain": fastbp.SGD(lr=0.1),
    "nesterov": fastbp.SGD(lr=0.05, momentum=0.8, nesterov=True),
    "adamw": fastbp.AdamW(lr=0.01),
    "rmsprop": fastbp.RMSprop(lr=0.002, momentum=0.5),
    "adagrad": fastbp.Adagrad(lr=0.02),
    "nadam": fastbp.NAdam(lr=0.01),
    "radam": fastbp.RAdam(lr=0.01),
}

each_route = pytest.mark.parametrize("case", ROUTES.values(), ids=ROUTES)
SLOW = {"wide": FEATURES | PAIRS}
"""Wide layers have 360,000 parameters, and take 0.7 s a set: every feature at once is enough."""


def _sets(routes):
    """Every set of features on these routes; those with a slow one are slow."""
    for name, feature in SETS.items():
        slow = any(name in SLOW.get(route, ()) for route in routes)
        yield name, feature, [pytest.mark.slow] if slow else []


each_set = pytest.mark.parametrize(
    "feature", [pytest.param(f, id=name, marks=marks) for name, f, marks in _sets(ROUTES)]
)
"""For tests that try all routes."""

each_set_by_each_route = pytest.mark.parametrize(
    ("case", "feature"),
    [
        pytest.param(case, feature, id=f"{route}-{name}", marks=marks)
        for route, case in ROUTES.items()
        for name, feature, marks in _sets([route])
    ],
)
each_feature = pytest.mark.parametrize("feature", FEATURES.values(), ids=FEATURES)


@njit
def square(z):
    return z * z, 2 * z
