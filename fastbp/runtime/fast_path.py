"""The short way from Python into compiled code: in a small network the long one would be felt.

It is for arrays as the kernels want them, and for work of one thread. Compiled code checks shapes
and values; what it refuses, and all else, goes the careful way, which knows what to say. Both give
the same bits.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

from ..common.types import Array
from ..data.tables import address
from ..kernels.entry import embed_calls
from . import chunking, compiled_engine, threads
from .arrays import TrainingArrays
from .compiled_model import Model
from .model_handle import inference_handle

Prediction: TypeAlias = tuple[Callable[[int, Array, Array], bool], int, object]
"""(code, address of a header, what holds the header's memory): whether code(header, X, out) filled
out (rows, outputs) with the outputs of X. Safe from many threads at once."""

Step: TypeAlias = tuple[Callable[[int, Array, Array], float], int, object]
"""(code, address of a header, what holds its memory): code(header, X, y) is the loss of an update,
or NaN if nothing has changed."""


def prediction(arrays: TrainingArrays, n_parameters: int) -> Prediction:
    """For a network, of as many rows as are not worth a second thread, or cutting into chunks."""
    rows = threads.max_single_thread_rows(threads.maximum("auto"), 2.0 * n_parameters)
    rows = min(rows, chunking.first_rows(arrays.spec))
    if rows == 0:
        return _no_prediction, 0, None
    header = inference_handle(arrays, rows, compiled_engine.inference_plan(arrays.spec, rows, 1))
    return embed_calls.fast_predict(arrays.parameters.itemsize), address(header.array), header


def step(model: Model) -> Step:
    """For a trainer."""
    return embed_calls.fast_step(model.parameters.itemsize), address(model.header), model


def _no_prediction(_header: int, _X: Array, _out: Array) -> bool:
    return False


def _no_step(_header: int, _X: Array, _y: Array) -> float:
    return math.nan


NO_STEP: Step = _no_step, 0, None
