"""Known derivatives of the targets, of each row, as ``fit`` and others take them.

They are in the user's units: those of y divided by those of X.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ..common.types import Array, Floats, Rows
from .dtypes import CODES
from .sources import as_array
from .tables import Table, as_inputs, check_inputs


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of the outputs along D directions of the inputs, of each row.

    jacobian: (rows, n_out, D), real numbers of any dtype and strides, NaN where not known. weights:
    of each of them, float64 (n_out, D). directions: the one of each row, (rows, n_in); None for
    the axes of the inputs.
    """

    jacobian: Array
    weights: Floats
    directions: Table | None = None

    @property
    def count(self) -> int:
        """Directions of each row."""
        return int(self.jacobian.shape[2])

    @property
    def code(self) -> int:
        """The code of the dtype of the derivatives."""
        return CODES[self.jacobian.dtype]

    def part(self, start: int, stop: int) -> "Derivatives":
        """Those of the rows ``start`` to ``stop``."""
        directions = self.directions and self.directions.part(start, stop)
        return Derivatives(self.jacobian[start:stop], self.weights, directions)

    def take(self, rows: Rows) -> "Derivatives":
        """A copy of those of these rows."""
        directions = self.directions and self.directions.take(rows)
        return Derivatives(self.jacobian[rows], self.weights, directions)

    def of_rows(self, rows: Rows, dtype: npt.DTypeLike) -> Array:
        """Those of these rows in ``dtype``, (rows, n_out, D): infinite where they overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            values: Array = self.jacobian[rows].astype(dtype)
            return values

    def check(self, rows: Rows, dtype: npt.DTypeLike) -> None:
        """ValueError for the first number among ``rows`` that does not fit ``dtype``."""
        values = self.of_rows(rows, dtype)
        bad = np.argwhere(np.isinf(values))
        if len(bad):
            i, output, d = (int(index) for index in bad[0])
            value = self.jacobian[rows[i], output, d]
            place = f"row {rows[i]}, output {output}"
            place += f", input {d}" if self.directions is None else ""
            remedy = "expected finite numbers, or NaN for a derivative that is not known"
            if np.isfinite(value):
                remedy = f"which is too large for {values.dtype}: scale the data"
            raise ValueError(f"jacobian has {value} at {place}, {remedy}")
        if self.directions is not None:
            check_inputs(self.directions, rows, dtype, "directions")


def as_derivatives(
    jacobian: Any, weight: Any, directions: Any, sizes: tuple[int, int, int]
) -> Derivatives | None:
    """The arguments jacobian, jacobian_weight and directions, checked; None without jacobian.

    sizes: (rows, n_in, n_out). ValueError for wrong shapes and weights, TypeError for wrong dtypes.
    """
    rows, n_in, n_out = sizes
    if jacobian is None:
        _check_none(weight, directions)
        return None
    array = as_array(jacobian, "jacobian")
    if array.dtype not in CODES:
        raise TypeError(
            f"jacobian has dtype {array.dtype}, expected real numbers in native byte order"
        )
    shape = (rows, n_out, n_in) if directions is None else (rows, n_out)
    flat = n_out == 1 and array.shape == (rows, *shape[2:])  # as y (n,) for one output
    if array.shape != shape and not flat:
        _refuse_shape(array.shape, shape, directions is not None)
    along = None
    if directions is not None:
        along = as_inputs(directions, n_in, "directions")
        if along.is_sparse:
            raise TypeError("directions is a sparse matrix, expected a dense array of numbers")
        if len(along.dense) != rows:
            raise ValueError(
                f"directions has {len(along.dense)} rows, expected {rows}, one direction for each "
                "row of X"
            )
    whole = array.reshape(rows, n_out, -1) if flat or along is not None else array
    return Derivatives(whole, _weights(weight, n_out, whole.shape[2], along is None), along)


def _check_none(weight: Any, directions: Any) -> None:
    """ValueError for an argument that says something of a Jacobian that is not there."""
    if directions is not None:
        raise ValueError(
            "directions is given, but jacobian is not: pass the derivatives of the outputs along "
            "them, (n, n_out), as jacobian"
        )
    if not isinstance(weight, int | float) or weight != 1:
        raise ValueError(
            f"jacobian_weight is {weight!r:.80}, but jacobian is not given: pass the derivatives "
            "of y by X, or leave jacobian_weight out"
        )


def _refuse_shape(found: tuple[int, ...], expected: tuple[int, ...], along: bool) -> NoReturn:
    rows, n_out, *_ = expected
    axes = "rows, outputs" if along else "rows, outputs, inputs"
    said = f"jacobian has shape {found}, expected {expected} ({axes})"
    if along:
        raise ValueError(
            f"{said}: with directions it holds the derivative of each output along the row's "
            "direction, J v"
        )
    if found == (*expected[1:], rows):
        raise ValueError(f"{said}: the rows come last, pass np.moveaxis(jacobian, -1, 0)")
    if found == (rows, expected[2], n_out):
        raise ValueError(f"{said}: pass np.swapaxes(jacobian, 1, 2)")
    raise ValueError(f"{said}: the derivative of each output by each input, NaN where not known")


def _weights(weight: Any, n_out: int, count: int, of_inputs: bool) -> Floats:
    """``jacobian_weight`` as float64 (n_out, count)."""
    array = as_array(weight, "jacobian_weight")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"jacobian_weight has dtype {array.dtype}, expected real numbers")
    shapes = [(), (n_out, count), (n_out, 1), (1, count)] if of_inputs else [(), (n_out,)]
    if array.shape not in shapes:
        expected = " or ".join(map(str, dict.fromkeys(shapes[1:])))
        raise ValueError(
            f"jacobian_weight has shape {array.shape}, expected one number or {expected}: a weight "
            f"for each output{' and input' if of_inputs else ''}"
        )
    numbers = array.astype(np.float64)
    bad = ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        raise ValueError(
            f"jacobian_weight has {numbers[bad].flat[0]}, expected finite numbers of 0 or more"
        )
    if not numbers.any():
        raise ValueError(
            "jacobian_weight is 0 for every derivative: leave jacobian out to train on y alone"
        )
    if numbers.ndim == 1:
        numbers = numbers[:, None]
    return np.broadcast_to(numbers, (n_out, count)).copy()
