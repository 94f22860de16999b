"""Networks to train on derivatives, and derivatives for their batches."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from fastbp.components import activations
from support.cases import Case

CLASSES = {"output": "softmax", "loss": "cross_entropy", "labels": True}
BOTH = {"layer_norm": True, "residual": True}

SMOOTH = tuple(name for name, one in activations.HIDDEN.items() if one.smooth)

NETWORKS = {
    "1-1-1": Case((1, 1, 1), 1),
    "odd": Case((5, 33, 31, 3), 37, ("silu", "gelu")),
    "classes": Case((4, 9, 3), 20, "tanh", **CLASSES),
    "no hidden layer": Case((5, 3), 7, output="sigmoid", loss="squared_error"),
    "one output": Case((6, 16, 1), 64, "sigmoid", "sigmoid", "bce"),
    "normalized": Case((5, 19, 17, 3), 11, ("mish", "softplus"), layer_norm=True),
    "residual": Case((13, 13, 13, 2), 19, ("gelu", "tanh"), "silu", residual=True),
    "both": Case((7, 18, 18, 2), 19, ("tanh", "silu"), "mish", "huber", **BOTH),
    "one unit": Case((6, 1, 1, 4), 5, "softplus", "gelu", **BOTH),
    "many rows": Case((2, 8, 2), 1100, "tanh"),
    "fewer outputs": Case((9, 17, 6, 2), 37, ("gelu", "mish"), "tanh"),
    "more outputs": Case((3, 9, 18, 5), 19, ("silu", "tanh"), "softplus"),
    "wide": Case((3, 270, 530, 2), 9, "tanh", "softplus", "log_cosh"),
    "deep": Case((3, *(5,) * 9, 2), 11, "tanh", "tanh"),
}

each_network = pytest.mark.parametrize("case", NETWORKS.values(), ids=NETWORKS)


@dataclass(frozen=True)
class Known:
    """What is known of the derivatives of a case: along the inputs, or along a direction a row."""

    along: bool = False

    def of(self, case, seed=5):
        """The arguments of a call: a fifth of the derivatives are not known."""
        rng, (n_in, *_, n_out) = np.random.default_rng(seed), case.sizes
        shape = (case.rows, n_out) if self.along else (case.rows, n_out, n_in)
        jacobian = rng.normal(size=shape)
        jacobian[rng.random(shape) < 0.2] = np.nan
        jacobian.flat[0] = 1.0  # one at least is known
        weight = rng.uniform(0.5, 2, n_out if self.along else (n_out, n_in))
        arguments = {"jacobian": jacobian, "jacobian_weight": weight}
        if self.along:
            arguments["directions"] = rng.normal(size=(case.rows, n_in))
        return arguments


KNOWN = {"jacobian": Known(), "directions": Known(along=True)}

each_known = pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)


def rows_of(arguments, rows):
    """The arguments for some of the rows."""
    kept = {name: value[rows] for name, value in arguments.items() if name != "jacobian_weight"}
    return arguments | kept


def with_hidden(case, hidden):
    return replace(case, hidden=hidden)
