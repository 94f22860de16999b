"""Means and standard deviations of columns, estimated in one pass over parts of their rows."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..common.types import Array, Floats, Ints
from . import names
from .csr import CsrRows
from .frames import column_names
from .scaling import Scaling, Units, check_output, target_counts
from .sources import are_none, as_array, as_source, parts, stand_in
from .tables import Table, as_input_parts, as_inputs, check_inputs

CHUNK = 2**18
"""Elements that an estimate reads at a time: a few copies of 2 MB each."""

STEPS = 8
"""How many steps of the network's dtype a standard deviation must span."""


class Moments:
    """Mean and sum of squares of each column so far, in float64.

    They are about the first row, and parts are combined as in Chan, Golub and LeVeque (1983).
    columns: how many. rows: so far. name: of the data, in messages. first: what is taken off each
    row. mean: of the rest. noise: of the coarsest dtype.
    """

    def __init__(self, columns: int, name: str) -> None:
        self.columns, self.rows, self.name = columns, 0, name
        self.first = np.zeros(columns)
        self.mean, self.squares = np.zeros(columns), np.zeros(columns)
        self.noise = 0.0

    def add(self, table: Table, name: str) -> None:
        """Take more rows. name: of them, in messages. ValueError for a value not finite."""
        array = table.array
        if array.dtype.kind == "f":
            self.noise = max(self.noise, float(np.finfo(array.dtype).eps))
        if isinstance(array, CsrRows):
            self._add_sparse(table, array, name)
            return
        if not self.rows:
            self.first = array[0].astype(np.float64)
        rows, columns = array.shape
        at_once = max(1, CHUNK // columns)
        for start in range(0, rows, at_once):
            self._add(table, start, min(rows, start + at_once), name)

    def _add(self, table: Table, start: int, stop: int, name: str) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            x = table.array[start:stop].astype(np.float64) - self.first
            own = x.mean(axis=0)
            if not np.isfinite(own).all():
                check_inputs(table, range(start, stop), np.float64, name)
            x -= own
            self._combine(stop - start, own, np.square(x, out=x).sum(axis=0))

    def _add_sparse(self, table: Table, array: CsrRows, name: str) -> None:
        """Rows of a sparse matrix, at the cost of what they store."""
        rows, columns = array.shape
        at_once = max(1, max(CHUNK, columns) * rows // max(1, array.n_stored))
        for start in range(0, rows, at_once):
            numbers = range(start, min(rows, start + at_once))
            check_inputs(table, numbers, np.float64, name)
            _, places, values = array.stored(numbers)
            mean = _sums(places, values, columns) / len(numbers)
            apart = np.square(values.astype(np.float64) - mean[places])
            zeros = len(numbers) - np.bincount(places, minlength=columns)
            squares = _sums(places, apart, columns) + zeros * np.square(mean)
            self._combine(len(numbers), mean - self.first, squares)

    def _combine(self, rows: int, own: Floats, squares: Floats) -> None:
        """Take rows with this mean about the first row, and this sum of squares about the mean."""
        before, self.rows = self.rows, self.rows + rows
        rise, share = own - self.mean, rows / self.rows
        self.squares += squares + rise * rise * (before * share)
        self.mean += rise * share

    def join(self, other: "Moments") -> None:
        """Take the rows of another one."""
        if not self.rows:
            self.first = other.first
        self.noise = max(self.noise, other.noise)
        mean = other.mean + (other.first - self.first)
        self._combine(other.rows, mean, other.squares)

    def units(self, dtype: np.dtype[Any]) -> Units:
        """Mean and standard deviation (over n) of each column; 1 where it is constant.

        ValueError for less than two rows, and for a column whose spread ``dtype``, the network's,
        is too coarse for.
        """
        if self.rows < 2:
            raise ValueError(
                f"{self.name} has {self.rows} row, expected at least 2: one has no spread; pass "
                "the data to train on, or set what you know by net.set_scaling"
            )
        mean, scale = self.first + self.mean, np.sqrt(self.squares / self.rows)
        constant = scale <= self.noise * np.abs(mean)
        coarse = ~constant & (STEPS * np.finfo(dtype).eps * np.abs(mean) > scale)
        if coarse.any():
            i = int(coarse.argmax())
            raise ValueError(
                f"{self.name} has mean {mean[i]:.9g} and standard deviation {scale[i]:.3g} in "
                f"column {i}, values that {dtype} can hardly tell apart: subtract an offset from "
                "this column, drop it, or make the network with dtype='float64'"
            )
        return Units(mean, np.where(constant, 1.0, scale))


def _sums(places: Ints, values: Array, columns: int) -> Floats:
    """The sum of the values of each column."""
    return np.bincount(places, values, columns).astype(np.float64, copy=False)


class Estimate:
    """The scaling by the moments of inputs, and of targets where there are any.

    n_in, n_out, output: of the network, the last the code of the activation of its outputs.
    columns: the names that its columns have; the first rows with names
    give those that it has not. takes_none: whether there may be no rows, because others have some.
    """

    def __init__(
        self, n_in: int, n_out: int, output: int, columns: names.Names, takes_none: bool = False
    ) -> None:
        self.columns, self._takes_none = columns, takes_none
        self._n_in, self._n_out, self._output = n_in, n_out, output
        self._inputs = Moments(n_in, "X")
        self._targets: Moments | None = None

    def add(self, X: Any, y: Any = None, called: tuple[str, str] = ("X", "y")) -> None:
        """Take the rows of X, and of y. called: their names in messages.

        ValueError or TypeError for what does not fit.
        """
        if self._takes_none and are_none(X):
            return
        if self._inputs.rows and (y is None) != (self._targets is None):
            have = "no y" if y is None else "y"
            raise ValueError(f"{called[0]} comes with {have}, unlike those before: pass y with all")
        x, inputs = as_input_parts(X, self._n_in, called[0], self.columns)
        rows = len(x.array)
        targets = () if y is None else self._target_parts(y, rows, called[1])
        for table in inputs:
            self._inputs.add(table, called[0])
        for table in targets:
            self._of_targets(table).add(table, called[1])
        self.columns = self.columns or column_names(X)

    def _of_targets(self, table: Table) -> Moments:
        if self._targets is None:
            self._targets = Moments(table.array.shape[1], "y")
        return self._targets

    def _target_parts(self, y: Any, rows: int, name: str) -> Iterable[Table]:
        """Targets part by part. ValueError for a shape that no scalable loss takes."""
        source = as_source(y, name)
        like = as_array(y, name) if source is None else stand_in(source)
        check_output(self._output, like, name)
        flat, counts = like.ndim == 1, target_counts(self._n_out)
        if self._targets is not None:
            counts = (self._targets.columns,)
        shapes = [(rows, count) for count in counts]
        columns = like[:, None] if flat else like
        if columns.shape not in shapes:
            expected = " or ".join(map(str, shapes))
            raise ValueError(
                f"{name} has shape {like.shape}, expected {expected}, numbers to standardize; "
                "class labels are none: leave y out"
            )
        count = columns.shape[1]
        table = as_inputs(columns, count, name)  # refuses what is no number
        if source is None:
            return (table,)
        return (
            as_inputs(part[:, None] if flat else part, count, name)._replace(first=first)
            for first, (part,) in parts(source)
        )

    def join(self, of_all: Callable[[Any], list[Any]]) -> None:
        """Take the rows of all ranks. of_all: gives what each rank has, in their order.

        ValueError where they do not go together.
        """
        told = of_all((self.columns, self._inputs, self._targets))
        parts = [part for part in told if part[1].rows]
        self.columns = next((columns for columns, _, _ in parts if columns), self.columns)
        for columns, _, _ in parts:
            names.check(self.columns, columns, "X of another rank")
        self._inputs = _joined([inputs for _, inputs, _ in parts], self._inputs)
        targets = [targets for _, _, targets in parts if targets is not None]
        if targets and len(targets) < len(parts):
            raise ValueError("y is given on some ranks only: pass it on all, or on none")
        if len({each.columns for each in targets}) > 1:
            raise ValueError(
                f"y has {targets[0].columns} columns on one rank and others on another: the ranks "
                "must have the same targets"
            )
        self._targets = _joined(targets, targets[0]) if targets else None

    def scaling(self, dtype: np.dtype[Any], targets: Units | None) -> Scaling:
        """The scaling. dtype: the network's. targets: their units where there were none."""
        if self._targets is not None:
            targets = self._targets.units(dtype)
        return Scaling(self._inputs.units(dtype), targets)


def _joined(parts: Sequence[Moments], like: Moments) -> Moments:
    """The moments of the rows of all parts, in their order."""
    whole = Moments(like.columns, like.name)
    for part in parts:
        whole.join(part)
    return whole


def of_batches(batches: Any, estimate: Estimate) -> None:
    """Add each batch of an iterable, or of a function that returns one: X, or (X, y, ...).

    TypeError where it is neither; ValueError where it has no batch, or one does not fit.
    """
    found = batches() if callable(batches) else batches
    try:
        iterator = iter(found)
    except TypeError:
        raise TypeError(
            f"batches is a {type(found).__name__}, expected an iterable of X or of (X, y), or a "
            "function that returns one"
        ) from None
    count = 0
    for count, batch in enumerate(iterator, 1):
        name = f"batches[{count - 1}]"
        if isinstance(batch, tuple | list) and len(batch) in (2, 3) and _is_table(batch[0]):
            estimate.add(batch[0], batch[1], (f"{name}[0]", f"{name}[1]"))
        else:
            estimate.add(batch, None, (name, "y"))
    if count == 0:
        raise ValueError(
            "batches had no batch: where it is an iterator that has been read, pass a new one, or "
            "a function that returns one"
        )


def _is_table(data: Any) -> bool:
    """Whether it has two dimensions; a row of a list of lists has one."""
    return len(getattr(data, "shape", ()) or np.shape(data)) == 2
