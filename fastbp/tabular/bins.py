"""The edges of bins for the piecewise-linear encoding: by quantiles, or by a small tree."""

import numpy as np

from ..common.types import Array, Floats

LEAST_ROWS = 64
"""The least rows of a bin by a tree, as in rtdl_num_embeddings; a twentieth of few rows."""

LEAST_GAIN = 1e-4
"""The least decrease of impurity by a split, likewise; real targets have variance 1 here."""

TREE_ROWS = 100_000
"""So many rows are enough for a tree of some dozen leaves."""


def by_quantiles(x: Floats, n_bins: int) -> Floats:
    """The different ones of the n_bins + 1 quantiles of x (rows,): at least two."""
    return np.unique(np.quantile(x, np.linspace(0, 1, n_bins + 1)))


def by_tree(x: Floats, y: Array, n_bins: int) -> Floats:
    """The thresholds of a decision tree of n_bins leaves that predicts y from x, and x's ends.

    x: (rows,). y: (rows,) or (rows, outputs); integers are classes, floats are targets of a
    regression. The tree sees the places of x in order: its splits depend on nothing else, and it
    has float32 inside, which tells fewer numbers apart.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    step = -(-len(x) // TREE_ROWS)
    ordered, place = np.unique(x, return_inverse=True)
    is_regression = y.dtype.kind == "f"
    tree = (DecisionTreeRegressor if is_regression else DecisionTreeClassifier)(
        max_leaf_nodes=max(2, n_bins),
        min_samples_leaf=min(LEAST_ROWS, max(1, len(x[::step]) // 20)),
        min_impurity_decrease=LEAST_GAIN,
        random_state=0,
    )
    targets = _standardized(y[::step]) if is_regression else y[::step]
    found = tree.fit(place[::step, None], targets).tree_
    is_split = found.children_left != found.children_right
    left = np.floor(found.threshold[is_split]).astype(np.int64)
    middle = ordered[left] + 0.5 * (ordered[left + 1] - ordered[left])
    return np.unique(np.concatenate([middle, ordered[[0, -1]]]))


def _standardized(y: Array) -> Floats:
    scale = y.std(axis=0)
    return np.asarray((y - y.mean(axis=0)) / np.where(scale > 0, scale, 1.0))
