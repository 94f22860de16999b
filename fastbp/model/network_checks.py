"""Checks of the arguments of a Network, and of arrays for it."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..common import checks, registry
from ..common.types import Array
from ..components import activations
from ..data.sources import as_array
from ..data.tables import Table
from ..kernels.tables import layout

DTYPES = {name: np.dtype(name) for name in ("float32", "float64")}


_NEW = "it is fixed when the network is made: make a new Network"
_PARAMETERS = "call set_parameters"
_SCALING = "call set_scaling, or standardize"

REMEDIES = {
    **dict.fromkeys(
        ("sizes", "activation", "activations", "output", "init", "seed", "dtype"), _NEW
    ),
    **dict.fromkeys(("layer_norm", "residual", "custom_activations", "own_activations"), _NEW),
    "number_embedding": _NEW,
    "embedding_parameters": "call set_embedding_parameters",
    **dict.fromkeys(("weights", "biases", "gains", "shifts", "W", "b", "coefs_"), _PARAMETERS),
    **dict.fromkeys(("input_mean", "input_scale", "target_mean", "target_scale"), _SCALING),
}
"""Attributes of a Network that cannot be set, and what to do instead."""


def as_sizes(sizes: Any) -> tuple[int, ...]:
    """``sizes`` as integers >= 1, at least two. ValueError or TypeError for anything else."""
    try:
        units = None if isinstance(sizes, str | bytes) else iter(sizes)
    except TypeError:  # an array without dimensions has an __iter__, too
        units = None
    if units is None:
        raise TypeError(
            f"sizes is {sizes!r}, expected a sequence of integers, inputs first: [784, 512, 10]"
        )
    checked = tuple(checks.count(n, f"sizes[{i}]") for i, n in enumerate(units))
    if len(checked) < 2:
        raise ValueError(f"sizes is {list(checked)}, expected at least inputs and outputs: [4, 1]")
    return checked


def as_hidden(activation: Any, count: int) -> tuple[activations.Activation, ...]:
    """The activations of ``count`` hidden layers, from one name or function, or one per layer."""
    if isinstance(activation, str) or callable(activation):
        return (activations.lookup_hidden(activation),) * count
    if isinstance(activation, bytes) or not isinstance(activation, Sequence):
        raise TypeError(
            f"activation is {activation!r}, of type {type(activation).__name__}, expected a name "
            "or a function that numba.njit has compiled, or one of these per hidden layer"
        )
    if len(activation) != count:
        raise ValueError(
            f"activation has {len(activation)} names, expected {count}, one per hidden layer"
        )
    return tuple(
        activations.lookup_hidden(name, f"activation[{i}]") for i, name in enumerate(activation)
    )


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """``dtype`` as NumPy's. ValueError or TypeError unless it is float32 or float64."""
    name = (
        dtype
        if isinstance(dtype, str)
        else getattr(dtype, "__name__", getattr(dtype, "name", dtype))
    )
    return registry.lookup(DTYPES, name, "dtype")


def check_options(spec: layout.PlanSpec) -> None:
    """ValueError for layer_norm or residual where they would have no effect."""
    sizes = list(spec.sizes)
    if spec.layer_norm and len(sizes) == 2:
        raise ValueError(
            f"layer_norm is True, but sizes {sizes} has no hidden layer, which is what it "
            "normalizes: add one, or leave layer_norm out"
        )
    if spec.residual and not any(spec.adds_inputs):
        raise ValueError(
            f"residual is True, but in sizes {sizes} no hidden layer is as wide as the layer "
            "before: make some equal, or leave residual out"
        )


def as_threshold(threshold: Any, output: str) -> float:
    """``threshold`` of classes; ValueError unless the outputs are those of classes."""
    if output not in ("softmax", "sigmoid"):
        raise ValueError(
            f"the outputs are {output!r}, which are no probabilities of classes: make the Network "
            "with output='softmax' or 'sigmoid', or take the outputs of predict"
        )
    limit = checks.between_zero_and_one(threshold, "threshold")
    if output == "softmax" and limit != 0.5:
        raise ValueError(
            f"threshold is {limit}, but of softmax outputs the largest wins, whatever it is: leave "
            "it out, or compare the outputs of predict yourself"
        )
    return limit


def as_classes(p: Array, output: str, limit: float) -> Array:
    """The classes of outputs p, as ``Network.predict_classes`` returns them; no NaN has one."""
    if np.isnan(p).any():
        row = int(np.isnan(p).any(axis=1).argmax())
        raise ValueError(
            f"the outputs of row {row} are {p[row]}, which have no class: bring parameters back by "
            "set_parameters under which they are finite"
        )
    if output == "softmax":
        return np.asarray(p.argmax(axis=1), np.int64)
    classes = (p >= limit).astype(np.int64)
    return classes[:, 0] if classes.shape[1] == 1 else classes


def as_layers(layers: Any, count: int) -> list[int]:
    """The numbers of layers, from 1, as indices from 0. ValueError or TypeError."""
    if isinstance(layers, str | bytes) or not isinstance(layers, Iterable):
        raise TypeError(
            f"layers is {layers!r}, of type {type(layers).__name__}, expected numbers of layers, "
            "such as [1, 2]"
        )
    numbers = [checks.integer(one, f"layers[{i}]", 1) for i, one in enumerate(layers)]
    if any(number > count for number in numbers) or len(set(numbers)) < len(numbers):
        raise ValueError(f"layers is {numbers}, expected different numbers from 1 to {count}")
    return [number - 1 for number in numbers]


def as_parameters(
    arrays: Any, shapes: Sequence[tuple[int, ...]], dtype: np.dtype[Any], name: str, layer: str
) -> list[Array]:
    """Copies of ``arrays`` in ``dtype``, one for each of ``shapes``.

    name: the argument. layer: what each array belongs to, for messages. ValueError or TypeError
    where a count, shape or dtype does not fit, or a value is not finite.
    """
    try:
        count = len(arrays)
    except TypeError:
        raise TypeError(
            f"{name} is {type(arrays).__name__}, expected a sequence of {len(shapes)} arrays, "
            f"one per {layer}"
        ) from None
    if count != len(shapes):
        raise ValueError(f"{name} has {count} arrays, expected {len(shapes)}, one per {layer}")
    return [
        as_parameter(array, shape, dtype, f"{name}[{i}]")
        for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True))
    ]


def as_parameter(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Array:
    """A copy of ``value`` in ``dtype``; ValueError or TypeError as ``as_parameters``."""
    array = as_array(value, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if not np.isfinite(converted).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(converted))[0])
        raise ValueError(
            f"{name} has {array[place]} at {place}, expected numbers that are finite in {dtype}"
        )
    return converted


def as_out(out: Array | None, x: Table, n_out: int, dtype: np.dtype[Any]) -> Array:
    """The array to write the outputs of ``x`` to: ``out``, or a new one where that is None.

    ValueError or TypeError where ``out`` is no array (rows, n_out) of ``dtype``, C-contiguous and
    writeable, in memory of its own.
    """
    shape = (len(x.array), n_out)
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}, expected a NumPy array {shape}")
    array = np.asarray(out)  # a subclass may report any shape and dtype
    if array.shape != shape or array.dtype != dtype or not array.flags.carray:
        raise ValueError(
            f"out has shape {array.shape} and dtype {array.dtype}, C-contiguous and writeable: "
            f"{array.flags.carray}; expected shape {shape}, dtype {dtype}, True"
        )
    if np.ma.is_masked(out):
        raise ValueError("out has masked entries, which would stay masked: pass out.data")
    if any(np.may_share_memory(array, part) for part in x.memory):
        raise ValueError("out lies in the memory of X, expected memory of its own: pass a copy")
    return out
