"""Means and scales that standardize inputs and targets: given by the user, or estimated."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.types import Array, Floats
from ..components.losses import LOSSES, Loss
from ..kernels.tables import arenas
from .tables import Table, as_array, check_inputs

CHUNK = 2**18
"""Elements that an estimate reads at a time: a few copies of 2 MB each."""

STEPS = 8
"""How many steps of the network's dtype a standard deviation must span."""


@dataclass(frozen=True, eq=False)
class Units:
    """The network computes with (x - mean) / scale of the user's x; both float64 (n,)."""

    mean: Floats
    scale: Floats


@dataclass(frozen=True, eq=False)
class Scaling:
    """The units of a network's inputs and targets; None where they are not scaled."""

    inputs: Units | None = None
    targets: Units | None = None

    @property
    def any(self) -> bool:
        """Whether inputs or targets are scaled."""
        return self.inputs is not None or self.targets is not None


def given(mean: Any, scale: Any, counts: tuple[int, ...], name: str) -> Units | None:
    """Units that a user sets by hand, of as many columns as one of ``counts``; None for none.

    mean, scale: one number (for as many columns as the first of ``counts``, where both are), or one
    for each column; None for 0 and 1. ValueError or TypeError for others.
    """
    if mean is None and scale is None:
        return None
    mean = _numbers(0.0 if mean is None else mean, counts, f"{name}_mean")
    scale = _numbers(1.0 if scale is None else scale, counts, f"{name}_scale")
    columns = next((len(part) for part in (mean, scale) if part.ndim), counts[0])
    if scale.shape not in ((), (columns,)):
        raise ValueError(
            f"{name}_mean has {columns} numbers and {name}_scale {len(scale)}, expected as many"
        )
    return Units(*(np.broadcast_to(part, columns).copy() for part in (mean, scale)))


def _numbers(value: Any, counts: tuple[int, ...], name: str) -> Floats:
    """A number or one for each column as float64, () or (n,)."""
    array = as_array(value, name)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.shape != () and array.shape not in [(count,) for count in counts]:
        shapes = " or ".join(f"({count},)" for count in counts)
        raise ValueError(f"{name} has shape {array.shape}, expected {shapes}, or one number")
    with np.errstate(over="ignore"):  # a long double may overflow
        return array.astype(np.float64)


def check(units: Units | None, dtype: np.dtype[Any], name: str) -> None:
    """ValueError unless means and scales are finite and normal in ``dtype``."""
    if units is None:
        return
    limits = np.finfo(dtype)
    bad = ~(np.abs(units.mean) <= limits.max)
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(
            f"{name}_mean has {units.mean[i]} at {i}, expected numbers that are finite in {dtype}"
        )
    bad = ~((units.scale >= limits.tiny) & (units.scale <= 1 / limits.tiny))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(
            f"{name}_scale has {units.scale[i]} at {i}, expected numbers above 0, from "
            f"{limits.tiny:.3g} to {1 / limits.tiny:.3g} in {dtype}: what is divided by it"
        )


def estimated(table: Table, dtype: np.dtype[Any], name: str) -> Units:
    """Mean and standard deviation (over n) of each column, in one pass; 1 where it is constant.

    In float64, about the first row, some rows at a time; their sums of squares are combined as in
    Chan, Golub and LeVeque (1983). ValueError for a value that is not finite, and for a column
    whose spread ``dtype``, the network's, is too coarse for.
    """
    mean, scale = _moments(table, name)
    kind = table.array.dtype
    noise = np.finfo(kind).eps if kind.kind == "f" else 0.0
    constant = scale <= noise * np.abs(mean)
    coarse = ~constant & (STEPS * np.finfo(dtype).eps * np.abs(mean) > scale)
    if coarse.any():
        i = int(coarse.argmax())
        raise ValueError(
            f"{name} has mean {mean[i]:.9g} and standard deviation {scale[i]:.3g} in column {i}, "
            f"values that {dtype} can hardly tell apart: subtract an offset from this column, "
            "drop it, or make the network with dtype='float64'"
        )
    return Units(mean, np.where(constant, 1.0, scale))


def _moments(table: Table, name: str) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column."""
    rows, columns = table.array.shape
    first = table.array[0].astype(np.float64)
    mean, squares = np.zeros(columns), np.zeros(columns)
    at_once = max(1, CHUNK // columns)
    for start in range(0, rows, at_once):
        stop = min(rows, start + at_once)
        with np.errstate(over="ignore", invalid="ignore"):
            x = table.array[start:stop].astype(np.float64) - first
            own = x.mean(axis=0)
            if not np.isfinite(own).all():
                check_inputs(table, range(start, stop), np.float64, name)
            x -= own
            rise, share = own - mean, (stop - start) / stop
            squares += np.square(x, out=x).sum(axis=0) + rise * rise * (start * share)
            mean += rise * share
    return first + mean, np.sqrt(squares / rows)


def fill(scaling: Scaling, scales: arenas.Scales) -> None:
    """Write a network's scales (kernels/stages/scaling.py).

    Outputs are p scale + mean where there are as many as targets. Twice as many are first means,
    and then logarithms of variances, which grow by 2 ln scale.
    """
    for array, value in zip(scales, (0, 1, 0, 1, 1, 0), strict=True):
        array[:] = value
    if scaling.inputs is not None:
        scales.input_mean[:] = scaling.inputs.mean
        scales.input_factor[:] = 1 / scaling.inputs.scale
    if scaling.targets is not None:
        mean, scale = scaling.targets.mean, scaling.targets.scale
        n = len(mean)
        scales.target_mean[:n], scales.target_factor[:n] = mean, 1 / scale
        scales.output_factor[:n], scales.output_shift[:n] = scale, mean
        scales.output_shift[n:] = 2 * np.log(scale) if n < len(scales.output_shift) else 0


def check_loss(loss: Loss, targets: Units | None, n_out: int) -> None:
    """ValueError unless ``loss`` goes with a network whose targets are scaled like this."""
    if targets is None:
        return
    if not loss.scalable:
        scalable = [name for name, known in LOSSES.items() if known.scalable]
        raise ValueError(
            f"loss {loss.name!r} does not go with scaled targets, which {', '.join(scalable)} do: "
            "leave y out of net.standardize, and target_mean and target_scale out of "
            "net.set_scaling"
        )
    given, expected = len(targets.mean), loss.n_targets(n_out)
    if given != expected:
        raise ValueError(
            f"the network scales {given} targets, but loss {loss.name!r} with {n_out} outputs has "
            f"{expected}: call net.standardize, or net.set_scaling, for {expected}"
        )


def target_counts(n_out: int) -> tuple[int, ...]:
    """How many targets a network with ``n_out`` outputs may have, by the loss."""
    ratios = sorted({loss.outputs_per_target for loss in LOSSES.values()})
    return tuple(n_out // ratio for ratio in ratios if n_out % ratio == 0)


def as_columns(y: Any, n_out: int, n_rows: int) -> Array:
    """Targets as (n, columns). ValueError for a shape that no scalable loss takes."""
    array = as_array(y, "y")
    columns = array[:, None] if array.ndim == 1 else array
    shapes = [(n_rows, count) for count in target_counts(n_out)]
    if columns.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(
            f"y has shape {array.shape}, expected {expected}, numbers to standardize; class "
            "labels are none: leave y out"
        )
    return columns
