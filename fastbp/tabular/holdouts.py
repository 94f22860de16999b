"""Which rows each member does not learn from: its fold, by which its best epoch is known."""

import numpy as np

from ..common.types import Array, Ints

FEWEST, MOST = 5, 10
"""Folds: a fifth of the rows validates one to five members; a tenth at least validates many."""

MOST_ROWS = 2**17
"""Of a fold. More choose an epoch no better, and every member keeps its fold in memory."""


def holdouts(n: int, members: int, seed: int, classes: Array | None = None) -> list[Ints]:
    """The rows that each member holds out, ascending; empty where none can be spared.

    n: the number of rows. classes: the class of each row, (n,), counted from 0: each fold has its
    share of every class, and the row of a class of one is always trained on. Once all folds are in
    use, the rows are dealt anew.
    """
    if classes is None:
        classes = np.zeros(n, np.uint8)
    spare = np.flatnonzero(np.bincount(classes)[classes] > 1)
    kind = classes[spare].astype(np.min_scalar_type(classes.max()))  # small ones are sorted faster
    folds = min(max(members, FEWEST), MOST, max(len(spare), 1))
    folds = max(folds, -(-len(spare) // MOST_ROWS))
    found: list[Ints] = []
    while len(found) < members:
        generator = np.random.default_rng([seed, len(found)])
        dealt = np.argsort(generator.random(len(spare)))
        order = spare[dealt[np.argsort(kind[dealt], kind="stable")]]
        wanted = range(min(folds, members - len(found)))
        found += [np.sort(order[fold::folds]) for fold in wanted]
    return found
