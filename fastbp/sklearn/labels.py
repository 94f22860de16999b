"""The classes of labels, and the place of each label among them.

Whole numbers of a small range are counted and text is hashed, in one pass; scikit-learn, which
takes all other labels, sorts them several times.
"""

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import unique_labels

from ..common.types import Array, Ints

LARGEST_WHOLE = 2.0**53
"""Whole numbers up to this size are all of a float64's."""


def distinct(y: Array) -> Array:
    """``unique_labels(y)``: the labels that there are, ascending; its errors for what is none."""
    found = None
    if y.ndim == 1 and len(y):
        if y.dtype.kind in "biu":
            found = _counted(y)
        elif y.dtype.kind == "f":
            found = _counted_floats(y)
        elif y.dtype.kind in "OU":
            found = _hashed(y)
    return unique_labels(y) if found is None else found


def binarizer_of(y: Array) -> LabelBinarizer:
    """``LabelBinarizer().fit(y)``, without checks that take ten times as long for few labels."""
    if y.ndim > 1:
        return LabelBinarizer().fit(y)
    binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.sparse_input_ = distinct(y), False
    binarizer.y_type_ = "multiclass" if len(binarizer.classes_) > 2 else "binary"
    return binarizer


def _counted(y: Array) -> Array | None:
    """Of integers or bool, whose range is no larger than their number."""
    low, high = y.min(), y.max()
    if int(high) - int(low) > len(y):
        return None
    there = np.zeros(int(high) - int(low) + 1, bool)
    there[y.astype(np.int64) - low.astype(np.int64)] = True
    found: Array = np.flatnonzero(there).astype(y.dtype) + low
    return found


def _counted_floats(y: Array) -> Array | None:
    """Of finite floats that are whole numbers."""
    if not max(-y.min(), y.max()) < LARGEST_WHOLE:
        return None
    whole = y.astype(np.int64)
    found = _counted(whole) if (whole == y).all() else None
    return None if found is None else found.astype(y.dtype)


def _hashed(y: Array) -> Array | None:
    """Of text."""
    found = set(y.tolist())
    return np.array(sorted(found)) if all(isinstance(label, str) for label in found) else None


def places(y: Array, classes: Array) -> Ints:
    """The place of each label of y (n,) in ``classes``, which has them all, ascending."""
    if y.dtype.kind in "OU":
        known = {label: place for place, label in enumerate(classes.tolist())}
        return np.fromiter(map(known.__getitem__, y.tolist()), np.int64, len(y))
    return np.searchsorted(classes, y)
