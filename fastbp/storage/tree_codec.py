"""Nested dicts and lists with arrays in them, as JSON and tensors: the content of a checkpoint."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..common.types import Array
from . import safetensors_format

TENSOR = "$tensor"
"""The key of the JSON object that stands for an array, or for a float that is not finite."""


def pack(tree: Any, place: str, tensors: dict[str, Array]) -> Any:
    """The tree as JSON. Its arrays go into ``tensors``, under their place in the tree.

    tree: dicts with strings as keys, lists, tuples, arrays, strings, ints, floats, bools, None.
    Tuples come back as lists, and arrays without dimensions as numbers. TypeError for anything
    else.
    """
    if isinstance(tree, dict):
        _check_keys(tree, place)
        return {key: pack(value, f"{place}.{key}", tensors) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [pack(value, f"{place}.{i}", tensors) for i, value in enumerate(tree)]
    if isinstance(tree, np.ndarray) or (isinstance(tree, float) and not math.isfinite(tree)):
        while place in tensors:  # a key with a dot looks like two keys
            place += "'"
        tensors[place] = _storable(np.asarray(tree), place)
        return {TENSOR: place}
    if tree is None or isinstance(tree, bool | str | int | float):
        return tree
    raise TypeError(
        f"{place} is {tree!r:.80}, of type {type(tree).__name__}, expected what JSON has, or a "
        "NumPy array"
    )


def _check_keys(tree: dict[Any, Any], place: str) -> None:
    strange = [key for key in tree if not isinstance(key, str) or tree.keys() == {TENSOR}]
    if strange:
        raise TypeError(
            f"{place} has the key {strange[0]!r:.80}, expected strings, and not {TENSOR!r} alone"
        )


def _storable(array: Array, place: str) -> Array:
    try:
        safetensors_format.dtype_name(array)
    except TypeError as error:
        raise TypeError(f"{place} cannot be written: {error}") from None
    return array


def unpack(packed: Any, tensors: dict[str, Array]) -> Any:
    """The tree that ``pack`` was given. ValueError for a tensor that is missing.

    Removes from ``tensors`` what it uses.
    """
    if isinstance(packed, list):
        return [unpack(value, tensors) for value in packed]
    if not isinstance(packed, dict):
        return packed
    if packed.keys() != {TENSOR}:
        return {key: unpack(value, tensors) for key, value in packed.items()}
    array = tensors.pop(str(packed[TENSOR]), None)
    if array is None:
        raise ValueError(f"tensor {packed[TENSOR]!r:.80} is used and not there, or used twice")
    return array if array.ndim else array.item()


def get(tree: Any, key: str, fits: type | Callable[[Any], bool]) -> Any:
    """The value of a key. ValueError where it is missing, of another type, or does not fit.

    fits: a type, or a function that returns whether the value fits.
    """
    if not isinstance(tree, dict) or key not in tree:
        raise ValueError(f"{key!r} is missing")
    value = tree[key]
    of_type = type(value) is fits if isinstance(fits, type) else fits(value)
    if not of_type:
        raise ValueError(f"{key!r} is {value!r:.80}, which it cannot be")
    return value
