"""A user's own loss, called by its address from the kernels that are compiled already."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import carray, types
from numba.core.registry import CPUDispatcher

from .kernels import jit

STEP, TOLERANCE = 1e-6, 1e-4
"""Of the central differences in float64 that an own gradient is compared with. Their error is some
1e-10 of the loss over STEP, 1e-4 of a gradient that is as large as the loss."""


def is_compiled(function: object) -> bool:
    """Whether it is an njit function."""
    return isinstance(function, CPUDispatcher)


@lru_cache(maxsize=64)
def loss_address(function: Callable[..., float], itemsize: int) -> int:
    """Address of the C function (p, y, dloss_dp, units) -> loss that calls the user's."""
    dtype = types.float32 if itemsize == 4 else types.float64
    pointer = types.CPointer(dtype)

    def own_loss(p, y, dloss_dp, units):  # type: ignore[no-untyped-def]
        loss = np.nan  # what it raises would be lost, and the loss 0
        try:  # noqa: SIM105 - compiled code knows no contextlib
            loss = function(carray(p, units), carray(y, units), carray(dloss_dp, units))
        except Exception:  # noqa: BLE001
            pass
        return loss

    signature = types.float64(pointer, pointer, pointer, types.int64)
    return jit.own_c_function(own_loss, signature)


def check_loss(function: Callable[..., float], n_out: int, softmax: bool) -> None:
    """Raise ValueError unless dloss_dp is the derivative of the loss, at some rows of float64."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        p, y = rng.uniform(0.1, 0.9, n_out), rng.uniform(0.1, 0.9, n_out)
        if softmax:
            p, y = p / p.sum(), y / y.sum()
        given = np.zeros(n_out)
        loss = _first_call(function, p, y, given)
        differences = np.array([_difference(function, p, y, i) for i in range(n_out)])
        off = np.abs(given - differences)
        if not np.isfinite(loss) or not (off <= TOLERANCE * (1 + np.abs(differences))).all():
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
            f"while the loss {function.__name__!r} was tried out: it must be an njit function "
            "loss(p, y, dloss_dp) -> float that takes one row of outputs, one of targets and one "
            "to fill in, in float32 and in float64"
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
