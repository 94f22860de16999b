"""The encodings of numbers that ``python -m bench.tables_encodings`` compares.

Two of them are those of fastbp.tabular. The others lie here: they were tried, and the estimators do
without them. So do they without "pbld", learned embeddings (fastbp.NumberEmbedding), whose results
are of the day when they had them.
"""

import zlib
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

from bench.tables_peers import Fastbp, numbers_and_categories

PRESET = "fast"
TAIL = 1e-7
FREQUENCIES, SIGMA = 16, 0.1
LEAVES, LEAST_ROWS, LEAST_GAIN = 48, 64, 1e-4


class Quantile:
    """To a normal distribution by as many quantiles as TabM takes (arXiv 2410.24210).

    A number that several quantiles share has their mean level, where TabM's noise puts it on
    average.
    """

    width = 1

    def __init__(self, x):
        levels = np.linspace(0, 1, max(10, min(1000, len(x) // 30)))
        self.knots, place = np.unique(np.quantile(x, levels), return_inverse=True)
        self.levels = np.bincount(place, levels) / np.bincount(place)

    fit = classmethod(lambda cls, x: cls(x))

    def names(self, column):
        return [column]

    def fill(self, x, out):
        from scipy import special

        share = np.interp(x, self.knots, self.levels)
        out[:, 0] = special.ndtri(np.clip(share, TAIL, 1 - TAIL))

    def state(self):
        return {"knots": self.knots, "levels": self.levels}


class Periodic:
    """The robust number and cosines of it, of 16 fixed frequencies of N(0, 0.1) and phases."""

    width = 1 + FREQUENCIES

    def __init__(self, x):
        from fastbp.tabular.scales import Robust

        random = np.random.default_rng(zlib.crc32(np.ascontiguousarray(x)))
        self.robust = Robust.fit(x)
        self.frequencies = random.normal(0, SIGMA, FREQUENCIES)
        self.phases = random.random(FREQUENCIES)

    fit = classmethod(lambda cls, x: cls(x))

    def names(self, column):
        return [column, *(f"{column} cos {i}" for i in range(FREQUENCIES))]

    def fill(self, x, out):
        s = self.robust.scaled(x)
        out[:, 0] = s
        out[:, 1:] = np.cos(2 * np.pi * (self.frequencies * s[:, None] + self.phases))

    def state(self):
        return {"frequencies": self.frequencies, "phases": self.phases}


def tree_of(X, y):
    """A scale: piecewise-linear encoding by bins of a decision tree on y, as TabM's authors offer.

    X, y: the rows of a fit. The scale is fitted to the finite numbers of one of the columns.
    """
    from fastbp.tabular.scales import Piecewise

    known = {}
    for name in numbers_and_categories(X)[0]:
        x = X[name].to_numpy(np.float64)
        known[zlib.crc32(x[np.isfinite(x)])] = y[np.isfinite(x)]

    class Tree(Piecewise):
        @classmethod
        def fit(cls, x):
            return cls(edges_by_tree(x, known[zlib.crc32(np.ascontiguousarray(x))]))

    return Tree


def edges_by_tree(x, y):
    """The thresholds of a tree that predicts y from the places of x in order, and x's ends."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    ordered, place = np.unique(x, return_inverse=True)
    kind = DecisionTreeRegressor if y.dtype.kind == "f" else DecisionTreeClassifier
    tree = kind(
        max_leaf_nodes=LEAVES,
        min_samples_leaf=min(LEAST_ROWS, max(1, len(x) // 20)),
        min_impurity_decrease=LEAST_GAIN,
        random_state=0,
    )
    targets = (y - y.mean()) / (y.std() or 1) if y.dtype.kind == "f" else y
    found = tree.fit(place[:, None], targets).tree_
    left = np.floor(found.threshold[found.children_left != found.children_right]).astype(int)
    middle = ordered[left] + 0.5 * (ordered[left + 1] - ordered[left])
    return np.unique(np.concatenate([middle, ordered[[0, -1]]]))


LEFT_OUT = {
    "quantile": lambda *_: Quantile,
    "periodic": lambda *_: Periodic,
    "tree": tree_of,
}
ENCODINGS = ("robust", "piecewise", *LEFT_OUT)
SHOWN = ("robust", "pbld", "piecewise", *LEFT_OUT)
"""Those that the page has."""


@contextmanager
def chosen(encoding, X, y):
    """The preset has this encoding meanwhile. X, y: the rows of a fit."""
    from fastbp.tabular import recipe, scales

    changed = recipe.PRESETS[PRESET] | {"numbers": encoding}
    more = {name: make(X, y) for name, make in LEFT_OUT.items() if name == encoding}
    with patch.dict(recipe.PRESETS, {PRESET: changed}), patch.dict(scales.SCALES, more):
        yield


class Encoded(Fastbp):
    """fastbp.tabular with one encoding of numbers."""

    def __init__(self, task, seed, encoding):
        super().__init__(task, seed, PRESET)
        self.encoding = encoding

    def fit(self, X, y):
        with chosen(self.encoding, X, y):
            super().fit(X, y)

    def size(self):
        return 0
