"""Learned embeddings of numbers: which columns of X have one, how wide it is, how it begins."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..common import checks
from ..common.call_repr import CallRepr
from ..common.signatures import explain_constructors
from ..common.specs import check_fields
from ..common.types import Array

ALL = "all"
MOST = 4096
"""Frequencies, and outputs, of a column."""


class EmbeddingParameters(NamedTuple):
    """The parameters of the embeddings of k columns of X, with H frequencies and E outputs each."""

    frequencies: Array
    """w (k, H)."""
    phases: Array
    """b (k, H)."""
    weights: Array
    """V (k, H, E)."""
    biases: Array
    """c (k, E)."""


@dataclass(frozen=True, repr=False)
class NumberEmbedding(CallRepr):
    """Learned embeddings of columns of X, which see each number by cosines of it.

    A column x becomes (x, V cos(2 pi w x + b) + c): ``width`` inputs of the first layer in place of
    one. Each column has frequencies w, phases b, weights V and biases c of its own, and all are
    learned. This is PBLD of RealMLP (Holzmueller et al., Better by default, NeurIPS 2024): with it
    a network bends more sharply along a single number. Give it numbers of about size 1
    (``Network.standardize`` scales first), and no one-hot columns.

    w begins normal with standard deviation ``sigma``, b uniform in [-pi, pi), V and c uniform in
    +-1 / sqrt(frequencies).

    Args:
        columns: the places in X of the columns that are embedded, different ones, from 0; or "all".
            The others pass through.
        frequencies: cosines of a column, 1 to 4096.
        width: inputs that a column becomes, itself among them, 2 to 4096.
        sigma: of the frequencies, above 0. A larger one makes sharper bends.

    Raises:
        ValueError, TypeError: an argument is not as above.

    >>> net = fastbp.Network([3, 8, 1], number_embedding=fastbp.NumberEmbedding([0, 2]), seed=0)
    >>> net.weights[0].shape
    (9, 8)
    >>> net.embedding_parameters.weights.shape
    (2, 16, 3)

    """

    columns: str | Sequence[int] = ALL
    frequencies: int = 16
    width: int = 4
    sigma: float = 0.1

    def __post_init__(self) -> None:
        check_fields(
            self, columns=_columns, frequencies=_frequencies, width=_width, sigma=checks.positive
        )

    def places(self, n_in: int) -> tuple[int, ...]:
        """The columns of X (n, n_in) that are embedded. ValueError where X lacks one."""
        if isinstance(self.columns, str):
            return tuple(range(n_in))
        largest = max(self.columns)
        if largest >= n_in:
            raise ValueError(
                f"number_embedding: columns has {largest}, but the network has {n_in} inputs: "
                f"expected places in [0, {n_in})"
            )
        return tuple(self.columns)

    @property
    def square(self) -> float:
        """What a column's new inputs add to the mean square of a row, before training."""
        return (self.width - 1) * (1 / 6 + 1 / (3 * self.frequencies))

    def initial(self, count: int, seed: int) -> EmbeddingParameters:
        """The first parameters of ``count`` columns, float64."""
        random, outputs = np.random.default_rng((seed, count)), self.width - 1
        bound = 1 / math.sqrt(self.frequencies)
        return EmbeddingParameters(
            self.sigma * random.standard_normal((count, self.frequencies)),
            random.uniform(-math.pi, math.pi, (count, self.frequencies)),
            random.uniform(-bound, bound, (count, self.frequencies, outputs)),
            random.uniform(-bound, bound, (count, outputs)),
        )


def check(value: Any) -> NumberEmbedding | None:
    """``value`` if it is a NumberEmbedding or None, else TypeError."""
    if value is not None and not isinstance(value, NumberEmbedding):
        raise TypeError(
            f"number_embedding is {value!r:.80}, of type {type(value).__name__}, expected a "
            "fastbp.NumberEmbedding, such as fastbp.NumberEmbedding(columns=[0, 1]), or None"
        )
    return value


def _columns(value: Any, name: str) -> str | tuple[int, ...]:
    if isinstance(value, str):
        if value != ALL:
            raise ValueError(f"{name} is {value!r}, expected 'all', or places such as [0, 1]")
        return value
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise TypeError(
            f"{name} is {value!r:.80}, of type {type(value).__name__}, expected 'all', or places "
            "such as [0, 1]"
        )
    places = tuple(checks.integer(one, f"{name}[{i}]", 0) for i, one in enumerate(value))
    if not places or len(set(places)) < len(places):
        raise ValueError(f"{name} is {list(places)!r:.80}, expected different places, at least one")
    return places


def _frequencies(value: Any, name: str) -> int:
    return _at_most(checks.integer(value, name, 1), name)


def _width(value: Any, name: str) -> int:
    return _at_most(checks.integer(value, name, 2), name)


def _at_most(number: int, name: str) -> int:
    if number > MOST:
        raise ValueError(f"{name} is {number}, expected at most {MOST}")
    return number


explain_constructors("fastbp", {"NumberEmbedding": NumberEmbedding})
