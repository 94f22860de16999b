"""A user's own loss and activations, called by their addresses from kernels compiled already."""

import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
from numba import carray, types
from numba.core.registry import CPUDispatcher

from ..kernels.base import jit, no_jit

STEP, TOLERANCE = 1e-6, 1e-4
"""Step of the central differences in float64, and the tolerance of a comparison with them. Their
error is about 1e-10 of the loss over STEP: 1e-4 of a gradient as large as the loss."""

MOST_Z = 4.0
"""Largest |z| at which an activation is tried."""


def is_compiled(function: object) -> bool:
    """Whether it is an njit function."""
    return isinstance(function, CPUDispatcher)


LOSS = """loss(p, y, dloss_dp) -> float, of one row:

    @numba.njit
    def squared(p, y, dloss_dp):
        loss = 0.0
        for i in range(len(p)):
            dloss_dp[i] = 2 * (p[i] - y[i])
            loss += (p[i] - y[i]) ** 2
        return loss"""
"""What a loss of the user's own is: the end of a message. A loop, because expressions of
whole arrays take half a minute to compile."""

ACTIVATION = """f(z) -> (a, da/dz), of one number:

    @numba.njit
    def softsign(z):
        size = 1 + abs(z)
        return z / size, 1 / size**2"""
"""What an activation of the user's own is: the end of a message."""


def not_compiled(known: Iterable[str], function: object, argument: str, form: str) -> str:
    """The error message for a function that njit has not compiled. form: LOSS or ACTIVATION."""
    return (
        f"{argument} is {function!r}, of type {type(function).__name__}: it must be one of "
        f"{', '.join(map(repr, known))}, or a function that numba.njit has compiled"
        f"{' (NUMBA_DISABLE_JIT is set: it compiles none)' if no_jit.IS_SET else ''}, {form}"
    )


def _check_parameters(function: Any, what: str, form: str, count: int) -> None:
    """TypeError unless the function can be called with ``count`` arguments."""
    signature = inspect.signature(function.py_func)
    try:
        signature.bind(*range(count))
    except TypeError:
        name = function.__name__
        raise TypeError(f"{what} is {name}{signature}: it must be an njit {form}") from None


def _element(itemsize: int) -> types.Float:
    return types.float32 if itemsize == 4 else types.float64


@lru_cache(maxsize=64)
def loss_address(function: Callable[..., float], itemsize: int) -> int:
    """Address of the C function (p, y, dloss_dp, units) -> loss that calls the user's."""
    pointer = types.CPointer(_element(itemsize))

    def custom_loss(p, y, dloss_dp, units):  # type: ignore[no-untyped-def]
        loss = np.nan  # an exception would be lost, and the loss would be 0
        try:  # noqa: SIM105 - compiled code knows no contextlib
            loss = function(carray(p, units), carray(y, units), carray(dloss_dp, units))
        except Exception:  # noqa: BLE001
            pass
        return loss

    signature = types.float64(pointer, pointer, pointer, types.int64)
    return jit.custom_c_function(custom_loss, signature)


def check_loss(function: Callable[..., float], n_out: int, softmax: bool) -> None:
    """Raise ValueError unless dloss_dp is the derivative of the loss, at some rows of float64."""
    _check_parameters(function, "loss", LOSS, 3)
    rng = np.random.default_rng(0)
    for _ in range(3):
        p, y = rng.uniform(0.1, 0.9, n_out), rng.uniform(0.1, 0.9, n_out)
        if softmax:
            p, y = p / p.sum(), y / y.sum()
        given = np.zeros(n_out)
        loss = _first_call(function, p, y, given)
        differences = np.array([_difference(function, p, y, i) for i in range(n_out)])
        off = np.abs(given - differences)
        if not (off <= TOLERANCE * (1 + np.abs(differences))).all():  # false for NaN
            i = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
            raise ValueError(
                f"loss {function.__name__!r} wrote dloss_dp[{i}] = {given[i]:.6g} where central "
                f"differences give {differences[i]:.6g} (loss {loss:.6g} at p = {p[i]:.6g}, y = "
                f"{y[i]:.6g}): it must fill dloss_dp with the derivative of what it returns"
            )


def _first_call(function: Any, p: Any, y: Any, dloss_dp: Any) -> float:
    try:
        return _call(function, p, y, dloss_dp)
    except Exception as error:
        error.add_note(
            f"while the loss {function.__name__!r} was tried out: it must be an njit function that "
            "takes one row of outputs, one of targets and one to fill in, in float32 and in "
            f"float64, {LOSS}"
        )
        raise


def _call(function: Any, p: Any, y: Any, dloss_dp: Any) -> float:
    return float(function(p, y, dloss_dp))


def _difference(function: Any, p: Any, y: Any, i: int) -> float:
    values = []
    for sign in (1, -1):
        moved = p.copy()
        moved[i] += sign * STEP
        values.append(_call(function, moved, y, np.zeros(len(p))))
    return (values[0] - values[1]) / (2 * STEP)


@lru_cache(maxsize=64)
def activation_address(function: Callable[..., Any], itemsize: int) -> int:
    """Address of the C function (z, a, count): it fills a (count,) and replaces z by da/dz.

    The loop is inside the C function, so that LLVM inlines the user's function and vectorizes the
    loop where it can.
    """
    pointer = types.CPointer(_element(itemsize))

    def custom_activation(z, a, count):  # type: ignore[no-untyped-def]
        places, outputs = carray(z, count), carray(a, count)
        try:  # an exception would be lost
            for i in range(count):
                x = places[i]
                value, derivative = function(x)
                # NaN where the derivative is not finite, too: then no update is made.
                outputs[i] = value + derivative * 0.0 if x == x else x
                places[i] = derivative
        except Exception:  # noqa: BLE001
            for i in range(count):
                outputs[i] = np.nan

    return jit.custom_c_function(custom_activation, types.void(pointer, pointer, types.int64))


def check_activation(function: Callable[..., Any]) -> None:
    """Raise ValueError unless f(z) is (a, da/dz), by central differences in float64 at some z.

    They are such as no function has a kink at. At 0, where many have one, both must be finite: it
    is the z of units that are padding.
    """
    _check_parameters(function, "activation", ACTIVATION, 1)
    name = function.__name__
    for z in (0.0, *np.random.default_rng(0).uniform(-MOST_Z, MOST_Z, 16)):
        a, derivative = _value_and_derivative(function, z)
        if not np.isfinite([a, derivative]).all():
            raise ValueError(
                f"activation {name!r} returned a = {a:.6g} and da/dz = {derivative:.6g} at "
                f"z = {z:.6g}: "
                "both must be finite for every z that is"
            )
        above, below = (_value_and_derivative(function, z + step)[0] for step in (STEP, -STEP))
        difference = (above - below) / (2 * STEP)
        if z and not abs(derivative - difference) <= TOLERANCE * (1 + abs(difference)):
            raise ValueError(
                f"activation {name!r} returned da/dz = {derivative:.6g} at z = {z:.6g}, where "
                f"central differences give {difference:.6g}: the second number that it returns "
                "must be the derivative of the first"
            )


def _value_and_derivative(function: Any, z: float) -> tuple[float, float]:
    try:
        returned = function(np.float64(z))
    except Exception as error:
        error.add_note(
            f"while the activation {function.__name__!r} was tried out at z = {z:.6g}: it must be "
            f"an njit function of one number, in float32 and in float64, {ACTIVATION}"
        )
        raise
    if isinstance(returned, tuple) and len(returned) == 2:
        a, derivative = returned
        if isinstance(a, Real) and isinstance(derivative, Real):
            return float(a), float(derivative)
    raise TypeError(
        f"activation {function.__name__!r} returned {returned!r} at z = {z:.6g}, expected two "
        f"numbers, {ACTIVATION}"
    )
