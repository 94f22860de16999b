"""Means and scales that standardize inputs and targets."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.types import Array, Floats
from ..components.losses import LOSSES, Loss
from ..kernels.base import codes
from ..kernels.tables import arenas
from .sources import as_array


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
        scales.target_mean[: len(mean)], scales.target_factor[: len(mean)] = mean, 1 / scale
        factor, shift = of_outputs(scaling, len(scales.output_shift))
        scales.output_factor[:], scales.output_shift[:] = factor, shift


def of_outputs(scaling: Scaling, n_out: int) -> tuple[Floats, Floats]:
    """(factor, shift), each (n_out,): outputs in raw units are p factor + shift; see ``fill``."""
    factor, shift = np.ones(n_out), np.zeros(n_out)
    if scaling.targets is not None:
        mean, scale = scaling.targets.mean, scaling.targets.scale
        n = len(mean)
        factor[:n], shift[:n] = scale, mean
        if n < n_out:
            shift[n:] = 2 * np.log(scale)
    return factor, shift


def check_output(activation: int, y: Array, name: str) -> None:
    """ValueError where y, only its shape and dtype, are no targets to scale for these outputs."""
    if activation == codes.SOFTMAX:
        raise ValueError(
            f"{name} is given, but output 'softmax' does not go with scaled targets: its outputs "
            f"would be probabilities no more; leave {name} out"
        )
    if activation == codes.SIGMOID and y.dtype.kind in "biu":
        raise ValueError(
            f"{name} has dtype {y.dtype}, as labels have, and output 'sigmoid' would give "
            f"probabilities no more with scaled targets: leave {name} out; if they are quantities "
            f"pass {name}.astype(np.float64)"
        )


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
