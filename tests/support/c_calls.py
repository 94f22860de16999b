"""The C function of a handle as a function of arrays, and programs that embed Python."""

import ctypes
import math
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from fastbp import capi
from fastbp.kernels.entry import c_calls

_INTEGER, _POINTER = ctypes.c_int64, ctypes.c_void_p
PROTOTYPE = ctypes.CFUNCTYPE(
    *(_INTEGER, _POINTER, _INTEGER, _INTEGER, _INTEGER, _POINTER, _INTEGER, _POINTER, _INTEGER),
    *(_POINTER, _INTEGER, _POINTER),
)
"""int64_t call(model, task, itemsize, rows, X, x_columns, y, y_columns, out, out_columns, loss)"""

TASKS = {
    "predict": c_calls.PREDICT,
    "step": c_calls.STEP,
    "step_from": c_calls.STEP_FROM,
    "gradients": c_calls.GRADIENTS,
    "input_gradient": c_calls.INPUT_GRADIENT,
    "jacobian": c_calls.JACOBIAN,
}
WITH_OUT = {"predict", "gradients", "input_gradient", "jacobian"}
READS = {"predict", "jacobian"}
"""The tasks without y, which need no trainer."""
CODES = {name: code for code, name in enumerate(capi.STATUSES)}


def arguments(handle, name, X, *arrays):
    """The arguments of a call by name. arrays: y if there is one, then out if there is one."""
    y = arrays[0] if name not in READS else None
    out = arrays[-1] if name in WITH_OUT else None
    labels = y is not None and y.dtype.kind == "i"
    return {
        "model": handle.address,
        "task": TASKS[name],
        "itemsize": X.itemsize,
        "rows": len(X),
        "X": X.ctypes.data,
        "x_columns": X.shape[1],
        "y": None if y is None else y.ctypes.data,
        "y_columns": c_calls.LABELS if labels else 0 if y is None else y.shape[1],
        "out": None if out is None else out.ctypes.data,
        "out_columns": 0 if out is None else math.prod(out.shape[out.ndim > 1 :]),
        "loss": None,
    }


def call(handle, name, X, /, *arrays, **changed):
    """(name of the status, loss), without the GIL."""
    loss = ctypes.c_double(77)
    given = arguments(handle, name, X, *arrays) | {"loss": ctypes.addressof(loss)} | changed
    status = PROTOTYPE(handle.function)(*given.values())
    return list(capi.STATUSES)[status], loss.value


def words(handle):
    """The struct as an array."""
    place = (ctypes.c_int64 * c_calls.C_MODEL).from_address(handle.address)
    return np.frombuffer(place, np.int64)


needs_libpython = pytest.mark.skipif(
    not Path(sysconfig.get_path("include"), "Python.h").exists()
    or not list(Path(sysconfig.get_config_var("LIBDIR") or "none").glob("libpython*")),
    reason="this Python has no headers, or no libpython",
)
