"""Checks of numbers, flags and seeds that a user passes."""

import math
import operator
import os
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np


def integer(value: Any, name: str, least: int) -> int:
    """``value`` as an int of at least ``least``; else TypeError or ValueError."""
    number = as_integer(value)
    if number is None:
        raise TypeError(
            f"{name} is {value!r}, of type {type(value).__name__}, expected an integer >= {least}"
        )
    if number < least:
        raise ValueError(f"{name} is {number}, expected an integer >= {least}")
    return number


def path(value: Any, name: str) -> Any:
    """``value`` if it is the path of a file; else TypeError: ``open`` takes an int or bool, too."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{name} is {value!r}, of type {type(value).__name__}, expected the path of a file: "
            "'run.safetensors'"
        )
    return value


def as_integer(value: Any) -> int | None:
    """``value`` as an int; None if it is not an integer."""
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        return None
    try:
        return operator.index(value)
    except TypeError:  # every array has __index__; it raises unless the array is a single integer
        return None


def count(value: Any, name: str) -> int:
    """``value`` as an int in [1, 2**63)."""
    number = integer(value, name, 1)
    if number >= 2**63:
        raise ValueError(f"{name} is 2**63 or more, expected an integer in [1, 2**63)")
    return number


def positive(value: Any, name: str) -> float:
    """``value`` as a finite float above 0."""
    return _in_range(value, name, "above 0", lambda number: number > 0)


def not_negative(value: Any, name: str) -> float:
    """``value`` as a finite float of at least 0."""
    return _in_range(value, name, "0 or more", lambda number: number >= 0)


def from_zero_below_one(value: Any, name: str) -> float:
    """``value`` as a float in [0, 1)."""
    return _in_range(value, name, "in [0, 1)", lambda number: 0 <= number < 1)


def between_zero_and_one(value: Any, name: str) -> float:
    """``value`` as a float above 0 and below 1."""
    return _in_range(value, name, "above 0 and below 1", lambda number: 0 < number < 1)


def from_zero_to_one(value: Any, name: str) -> float:
    """``value`` as a float in [0, 1]."""
    return _in_range(value, name, "in [0, 1]", lambda number: 0 <= number <= 1)


def above_zero_to_one(value: Any, name: str) -> float:
    """``value`` as a float above 0 and at most 1."""
    return _in_range(value, name, "above 0 and at most 1", lambda number: 0 < number <= 1)


def _in_range(value: Any, name: str, range_: str, fits: Callable[[float], bool]) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"{name} is {value!r}, of type {type(value).__name__}, expected a number {range_}"
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and fits(number)):
        raise ValueError(f"{name} is {number}, expected a finite number {range_}")
    return number


def flag(value: Any, name: str) -> bool:
    """``value`` if it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r:.80}, of type {type(value).__name__}, expected a bool")
    return bool(value)


def seed(value: Any) -> int:
    """``value`` as a seed in [0, 2**63); None draws one."""
    if value is None:
        import secrets

        return secrets.randbits(63)
    number = integer(value, "seed", 0)
    if number >= 2**63:
        raise ValueError(f"seed is {number}, expected None or an integer in [0, 2**63)")
    return number
