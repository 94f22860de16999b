"""Rows held out of a file."""

import numpy as np

from ..common.types import Array
from .errors import DataError


def split(labels: Array | None, n: int, share: float, seed: int | None) -> tuple[Array, Array]:
    """The numbers of the rows to train on, and of those held out, both in their order.

    labels: (n,) the class of each row, each of which has its share of rows held out; None where
    there are none. DataError where no row is left on either side.
    """
    codes = np.zeros(n, np.int64) if labels is None else np.unique(labels, return_inverse=True)[1]
    dealt = np.random.default_rng(seed).permutation(n)
    by_class = dealt[np.argsort(codes[dealt], kind="stable")]
    counts = np.bincount(codes)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    place = np.arange(n) - first  # of each row within its class
    held = place < np.floor(share * np.repeat(counts, counts))
    if not held.any() or held.all():
        raise DataError(
            f"--split {share:g} of {n} rows leaves {int(held.sum())} rows held out and "
            f"{int((~held).sum())} to train on: give more rows, or another share"
        )
    return np.sort(by_class[~held]), np.sort(by_class[held])
