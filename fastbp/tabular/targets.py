"""Targets as networks learn them: labels as codes, numbers in units of their deviation."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import numpy as np

from ..common.types import Array, Floats, Ints
from ..data.frames import package_of
from ..data.sources import as_array
from ..data.tables import as_row_weights
from ..storage.tree_codec import get
from . import text_labels

MISSING = ("NAType", "NaTType")
"""The classes of pandas' missing values."""

DTYPES = {"b": bool, "i": int, "f": float, "U": str}
"""What labels may be, by NumPy's letters."""


# Labels


def as_labels(y: Any, name: str = "y") -> tuple[Array, Array]:
    """(labels of the rows that have one, whether each row has one).

    y: (n,), or (n, 1), of any package: integers, text, bool, missing values. Labels come as bool,
    int64, float64 or text; those of several types become text. ValueError for another shape, and
    for numbers that are not whole, which are no labels.
    """
    values = _column(y, name)
    known = ~_is_missing(values)
    labels = _plain(values[known])
    if labels.dtype.kind == "f":
        _check_whole(labels, np.flatnonzero(known), name)
    return labels, known


def _distinct(y: Any, name: str = "y") -> tuple[Array, Ints, Array]:
    """(the labels, ascending, the place of each row's among them, whether each row has one)."""
    text = text_labels.coded(y)
    if text is not None:
        return text
    labels, known = as_labels(y, name)
    found, places = np.unique(labels, return_inverse=True)
    return found, places.astype(np.int64), known


@dataclass(frozen=True)
class Labels:
    """The classes of a classifier, in ascending order; networks learn their places."""

    classes: Array

    @classmethod
    def of(cls, y: Any) -> tuple[Self, Ints, Array]:
        """(the classes of y, the code of each row that has a label, whether each row has one).

        ValueError unless there are at least two classes.
        """
        classes, codes, known = _distinct(y)
        if not len(classes):
            raise ValueError(f"y is missing in all {len(known)} rows: there is nothing to learn")
        if len(classes) == 1:
            raise ValueError(
                f"y has one class, {_listed(classes)}, in every row: a classifier needs rows of at "
                "least two classes"
            )
        return cls(classes), codes, known

    @property
    def n_outputs(self) -> int:
        """An output for each class."""
        return len(self.classes)

    def encode(self, y: Any, name: str) -> tuple[Ints, Array]:
        """(the code of each row that has a label, whether each row has one).

        ValueError for a label that is not among the classes.
        """
        labels, places, known = _distinct(y, name)
        own = {label: place for place, label in enumerate(self.classes.tolist())}
        codes = np.array([own.get(label, -1) for label in labels.tolist()], np.int64)[places]
        strange = np.flatnonzero(codes < 0)
        if len(strange):
            row, label = np.flatnonzero(known)[strange[0]], labels[places[strange[0]]].item()
            raise ValueError(
                f"{name} has the label {label!r:.80} at row {row}, and the y "
                f"of fit had none: the model can tell {_listed(self.classes)}"
            )
        return codes, known

    def to_dict(self) -> dict[str, Any]:
        """What a file keeps."""
        return {"dtype": self.classes.dtype.kind, "classes": self.classes.tolist()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What ``to_dict`` returned; ValueError for what it cannot have returned."""
        kind = DTYPES[get(saved, "dtype", lambda value: isinstance(value, str) and value in DTYPES)]
        classes = get(saved, "classes", list)
        if len(classes) < 2 or not all(type(one) is kind for one in classes):
            raise ValueError(
                f"'classes' is {classes!r:.80}, expected two or more of {kind.__name__}"
            )
        try:
            return cls(np.array(classes, kind))
        except OverflowError:
            raise ValueError("'classes' has an integer beyond 64 bits") from None


def _listed(classes: Array) -> str:
    shown = ", ".join(repr(label) for label in classes[:5].tolist())
    return shown if len(classes) <= 5 else f"{shown} and {len(classes) - 5} more"


def _column(y: Any, name: str) -> Array:
    """Y as an array (n,), of any dtype."""
    if isinstance(y, np.ma.MaskedArray):
        y = _unmasked(y)
    # NumPy would make text of a list of text and NaN.
    values = np.array(y, object) if isinstance(y, list | tuple) else _from_package(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}, expected (n,), a label for each row")
    return values


def _unmasked(y: "np.ma.MaskedArray[Any, Any]") -> Array:
    """A masked array with None for what is masked."""
    values = np.ma.getdata(y).astype(object)
    values[np.ma.getmaskarray(y)] = None
    return values


def _from_package(y: Any) -> Array:
    """Y as an array; a table of pyarrow column by column."""
    if hasattr(y, "column_names") and package_of(type(y)) is not None:
        return np.stack([np.asarray(column) for column in y.columns], axis=1)
    return np.asarray(y)


def _is_missing(values: Array) -> Array:
    kind = values.dtype.kind
    if kind in "fc":
        return np.isnan(values)
    if kind in "mM":
        return np.isnat(values)
    if kind != "O":
        return np.zeros(values.shape, bool)
    return np.array([_is_none(value) for value in values.flat], bool).reshape(values.shape)


def _is_none(value: Any) -> bool:
    if value is None or type(value).__name__ in MISSING:
        return True
    return isinstance(value, float | np.floating) and bool(value != value)


def _plain(values: Array) -> Array:
    """Labels, none missing, as bool, int64, float64 or text."""
    kinds = {_kind_of(value) for value in values} if values.dtype.kind == "O" else set()
    for kind, dtype in (("b", np.bool_), ("iu", np.int64), ("iuf", np.float64)):
        if values.dtype.kind in kind or (kinds and kinds <= set(kind)):
            return values.astype(dtype)
    if values.dtype.kind == "O":
        return np.array([str(value) for value in values], np.str_)
    return values.astype(np.str_)


def _kind_of(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "b"
    if isinstance(value, Integral):
        return "i" if -(2**63) <= int(value) < 2**63 else "f"
    return "f" if isinstance(value, Real) else "O"


def _check_whole(labels: Floats, rows: Ints, name: str) -> None:
    broken = np.flatnonzero(labels != np.round(labels))
    if len(broken):
        first = broken[0]
        raise ValueError(
            f"{name} has {labels[first]} at row {rows[first]}, which is no label: use "
            f"TabularRegressor for numbers, or pass them as text, {name}.astype(str)"
        )


# Numbers


def as_numbers(y: Any, name: str = "y") -> tuple[Floats, Array, bool]:
    """(the rows (k, targets) that are known, whether each row is, whether y has one dimension).

    y: (n,) or (n, targets), numbers or bool. A row with a missing target is not known. ValueError
    for another shape and for infinity, TypeError for what is no number.
    """
    values = _as_floats(y, name)
    flat = values.ndim == 1
    table = values[:, None] if flat else values
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"{name} has shape {values.shape}, expected (n,) or (n, targets)")
    known = ~np.isnan(table).any(axis=1)
    endless = np.flatnonzero(np.isinf(table).any(axis=1))
    if len(endless):
        raise ValueError(
            f"{name} has infinity at row {endless[0]}, expected finite numbers: drop the row, or "
            "replace the value"
        )
    return table[known], np.asarray(known), flat


def _as_floats(y: Any, name: str) -> Floats:
    if isinstance(y, np.ma.MaskedArray):
        y = _unmasked(y)
    array = np.array(y, object) if isinstance(y, list | tuple) else as_array(y, name)
    if array.dtype.kind != "O":
        if array.dtype.kind not in "biuf":
            raise TypeError(
                f"{name} has dtype {array.dtype}, expected numbers: use TabularClassifier for "
                "labels"
            )
        return array.astype(np.float64)
    return _floats_of_objects(array, name)


def _floats_of_objects(array: Array, name: str) -> Floats:
    missing = _is_missing(array)
    for place in zip(*np.nonzero(~missing), strict=True):
        if isinstance(array[place], str | bytes) or not hasattr(array[place], "__float__"):
            raise TypeError(
                f"{name} has {array[place]!r:.80} at row {place[0]}, expected a number: use "
                "TabularClassifier for labels"
            )
    floats = np.full(array.shape, np.nan)
    floats[~missing] = [float(value) for value in array[~missing]]
    return floats


@dataclass(frozen=True)
class Units:
    """The units of numeric targets, and their range in training.

    mean, scale, low, high: (targets,) each. flat: whether y had one dimension.
    """

    mean: Floats
    scale: Floats
    low: Floats
    high: Floats
    flat: bool

    @classmethod
    def of(cls, y: Any, sample_weight: Any = None) -> tuple[Self, Floats, Array]:
        """(the units of y, its standardized rows that are known, whether each row is).

        Rows of weight 0 have no say in the units; of others each has the same. A constant target
        has the scale 1. ValueError where no row is known.
        """
        values, known, flat = as_numbers(y)
        if not len(values):
            raise ValueError(f"y is missing in all {len(known)} rows: there is nothing to learn")
        weights = as_row_weights(sample_weight, len(known))
        counted = values
        if weights is not None and weights[known].any():  # where all are 0, rows.read says so
            counted = values[weights[known] > 0]
        scale = counted.std(axis=0)
        scale[scale == 0] = 1.0
        low, high = counted.min(axis=0), counted.max(axis=0)
        units = cls(counted.mean(axis=0), scale, low, high, flat)
        return units, units._standardized(values), known

    @property
    def n_outputs(self) -> int:
        """An output for each target."""
        return len(self.mean)

    def encode(self, y: Any, name: str) -> tuple[Floats, Array]:
        """(the standardized rows (k, targets) that are known, whether each row is).

        ValueError for another number of targets.
        """
        values, known, _ = as_numbers(y, name)
        if values.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} has {values.shape[1]} targets, and the y of fit had {self.n_outputs}"
            )
        return self._standardized(values), known

    def _standardized(self, values: Floats) -> Floats:
        return (values - self.mean) / self.scale

    def restored(self, outputs: Array) -> Floats:
        """Outputs (..., targets) of networks in units of y, within the range of training."""
        return self.clamped(outputs * self.scale + self.mean)

    def clamped(self, values: Floats) -> Floats:
        """Values (..., targets) within the range of training."""
        return np.clip(values, self.low, self.high)

    def shaped(self, values: Floats) -> Floats:
        """Values (n, targets) in the shape of y."""
        return values[:, 0] if self.flat else values

    def to_dict(self) -> dict[str, Any]:
        """What a file keeps."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What ``to_dict`` returned; ValueError for what it cannot have returned."""
        arrays = {name: get(saved, name, _is_floats) for name in ("mean", "scale", "low", "high")}
        if len({array.shape for array in arrays.values()}) > 1:
            raise ValueError("the units of its targets differ in number")
        return cls(**arrays, flat=get(saved, "flat", bool))


def _is_floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim == 1
