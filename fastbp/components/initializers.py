"""The initial weights by name. Biases start at 0.

he: variance 2 / n_in (He et al., 2015); glorot: 2 / (n_in + n_out) (Glorot and Bengio, 2010);
lecun: 1 / n_in (LeCun et al., 1998); each as a normal and as a centered uniform distribution of
that variance. normal is the standard normal distribution, uniform is U[0, 1).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..common import registry

Weights: TypeAlias = npt.NDArray[np.float64]
Draw: TypeAlias = Callable[[np.random.Generator, int, int], Weights]
Variance: TypeAlias = Callable[[int, int], float]


@dataclass(frozen=True)
class Initializer:
    """A rule for initial weights: ``draw(rng, n_in, n_out)`` gives (n_in, n_out) of them."""

    name: str
    draw: Draw


def _he(n_in: int, _n_out: int) -> float:
    return 2 / n_in


def _glorot(n_in: int, n_out: int) -> float:
    return 2 / (n_in + n_out)


def _lecun(n_in: int, _n_out: int) -> float:
    return 1 / n_in


def _normal(variance: Variance) -> Draw:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> Weights:
        return rng.normal(0.0, math.sqrt(variance(n_in, n_out)), (n_in, n_out))

    return draw


def _uniform(variance: Variance) -> Draw:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> Weights:
        limit = math.sqrt(3 * variance(n_in, n_out))
        return rng.uniform(-limit, limit, (n_in, n_out))

    return draw


INITIALIZERS = {
    initializer.name: initializer
    for initializer in (
        Initializer("he_normal", _normal(_he)),
        Initializer("he_uniform", _uniform(_he)),
        Initializer("glorot_normal", _normal(_glorot)),
        Initializer("glorot_uniform", _uniform(_glorot)),
        Initializer("lecun_normal", _normal(_lecun)),
        Initializer("lecun_uniform", _uniform(_lecun)),
        Initializer("normal", lambda rng, n_in, n_out: rng.standard_normal((n_in, n_out))),
        Initializer("uniform", lambda rng, n_in, n_out: rng.random((n_in, n_out))),
        # A view of one zero: where a file is loaded there is no memory for another copy.
        Initializer("zeros", lambda _rng, n_in, n_out: np.broadcast_to(0.0, (n_in, n_out))),
    )
}


def lookup(name: object, rectifier: bool, argument: str = "init") -> Initializer:
    """The initializer called ``name``. ValueError if none is.

    "auto" is he_normal for layers whose activation is of the relu family, a ``rectifier``, and
    glorot_uniform for the others.
    """
    auto = INITIALIZERS["he_normal" if rectifier else "glorot_uniform"]
    return registry.lookup({"auto": auto} | INITIALIZERS, name, argument)


def initial_weights(
    init: str, rectifier: bool, n_in: int, n_out: int, rng: np.random.Generator
) -> Weights:
    """Weights (n_in, n_out), float64, of a layer."""
    return lookup(init, rectifier).draw(rng, n_in, n_out)
