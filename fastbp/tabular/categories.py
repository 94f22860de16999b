"""A column of categories as inputs: an input for each level, or one for two levels."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..common.types import Array, Ints
from ..storage import tree_codec
from . import values
from .inference import counts_of, least_rows

NO_INPUT = -1


def fit(texts: pa.DictionaryArray, most: int) -> "Pair | OneHot":
    """The inputs of texts (rows,), null where missing, as of ``values.text``.

    most: of levels with an input of their own: the most frequent ones, the first by their bytes of
    equally frequent ones. What is left, and what has too few rows, shares an input.
    """
    order = np.asarray(pc.sort_indices(texts.dictionary))  # by the bytes of the words
    levels, counts = texts.dictionary.take(pa.array(order)), counts_of(texts)[order]
    often = np.lexsort((np.arange(len(counts)), -counts))[:most]
    kept = np.sort(often[counts[often] >= least_rows(len(texts))])
    names = tuple(levels.take(pa.array(kept)).to_pylist())
    has_rare, has_missing = len(kept) < len(levels), texts.null_count > 0
    if len(names) == 2 and not has_rare:
        return Pair(names, has_missing)
    return OneHot(names, has_rare, has_missing)


def _places(texts: pa.DictionaryArray, levels: tuple[str, ...]) -> Ints:
    """The place of each text in ``levels``; NO_INPUT where it is none of them."""
    found = pc.index_in(texts.dictionary, value_set=pa.array(levels, pa.large_string()))
    of_words = np.asarray(pc.fill_null(found, NO_INPUT), np.int64)
    return np.append(of_words, NO_INPUT)[values.places(texts)]


@dataclass(frozen=True)
class Pair:
    """Two levels as -1 and 1, 0 for a missing or unknown one, as RealMLP has them.

    missing: whether the second input says that the level is missing: where some were in training.
    """

    levels: tuple[str, ...]
    missing: bool

    @property
    def width(self) -> int:
        """The number of inputs."""
        return 1 + self.missing

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        return [f"{column}={self.levels[1]}", *[f"{column} is missing"] * self.missing]

    def fill(self, texts: pa.DictionaryArray, out: Array) -> None:
        """Fill out (rows, width)."""
        places = _places(texts, self.levels)
        out[:, 0] = np.where(places == NO_INPUT, 0, 2 * places - 1)
        if self.missing:
            out[:, 1] = np.asarray(pc.is_null(texts).to_numpy(zero_copy_only=False))

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"levels": list(self.levels), "missing": self.missing}

    @classmethod
    def of(cls, state: Any) -> Self:
        """What had this state; ValueError for anything else."""
        levels = _levels(state)
        if len(levels) != 2:
            raise ValueError(f"'levels' has {len(levels)} levels, expected 2")
        return cls(levels, tree_codec.get(state, "missing", bool))


@dataclass(frozen=True)
class OneHot:
    """An input for each level, 1 for that of the row, as scikit-learn's OneHotEncoder.

    levels: those with an input of their own. rare: whether all other levels share the next input,
    those that are unknown too; without it they have zeros everywhere. missing: whether the last
    input says that the level is missing; without it a missing one has zeros everywhere.
    """

    levels: tuple[str, ...]
    rare: bool
    missing: bool

    @property
    def width(self) -> int:
        """The number of inputs."""
        return len(self.levels) + self.rare + self.missing

    def names(self, column: str) -> list[str]:
        """The names of the inputs."""
        more = [f"{column} is rare"] * self.rare + [f"{column} is missing"] * self.missing
        return [*(f"{column}={level}" for level in self.levels), *more]

    def inputs(self, texts: pa.DictionaryArray) -> Ints:
        """The input that is 1 in each row (rows,), NO_INPUT for none."""
        places = _places(texts, self.levels)
        is_missing = np.asarray(pc.is_null(texts).to_numpy(zero_copy_only=False))
        if self.rare:
            places = np.where((places == NO_INPUT) & ~is_missing, len(self.levels), places)
        return np.where(is_missing, self.width - 1, places) if self.missing else places

    def fill(self, texts: pa.DictionaryArray, out: Array) -> None:
        """Fill out (rows, width)."""
        places = self.inputs(texts)
        rows = np.flatnonzero(places != NO_INPUT)
        out[...] = 0
        out[rows, places[rows]] = 1

    def state(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"levels": list(self.levels), "rare": self.rare, "missing": self.missing}

    @classmethod
    def of(cls, state: Any) -> Self:
        """What had this state; ValueError for anything else."""
        rare, missing = tree_codec.get(state, "rare", bool), tree_codec.get(state, "missing", bool)
        return cls(_levels(state), rare, missing)


def _levels(state: Any) -> tuple[str, ...]:
    levels = tree_codec.get(state, "levels", list)
    if not all(type(level) is str for level in levels) or len(set(levels)) < len(levels):
        raise ValueError(f"'levels' is {levels!r:.80}, expected strings that differ")
    return tuple(levels)
