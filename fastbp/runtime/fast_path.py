"""The fast path from Python into compiled code. Small networks need it: checks would take longer.

It takes work for one thread: arrays in the layout and dtype of the kernels, whose shapes compiled
code checks, or tables, which are described and checked here in Python. Compiled code checks the
values. What it refuses takes the checked path, which raises the errors. All give the same bits.
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

Rows: TypeAlias = Array | tuple[int, ...]
"""An array in the layout and dtype of the kernels, or the descriptor of a table."""

Prediction: TypeAlias = tuple[Callable[[int, Rows, Array], bool], int, object]
"""(code, address of a header, owner of the header's memory). code(header, X, out) fills out (rows,
outputs) with the outputs of X, and returns whether it has. Safe from many threads at once."""

Step: TypeAlias = tuple[Callable[[int, Rows, Rows], float], int, object]
"""(code, address of a header, owner of the header's memory). code(header, X, y) makes an update and
returns the loss before it, or NaN if nothing has changed. After the descriptor of y stands the
address of the weights of the rows, or 0."""


def prediction(arrays: TrainingArrays, n_parameters: int) -> Prediction:
    """The fast path of a network, for rows that one thread predicts in one chunk."""
    rows = threads.max_single_thread_rows(threads.maximum("auto"), 2.0 * n_parameters)
    rows = min(rows, chunking.first_rows(arrays.spec))
    if rows == 0:
        return _no_prediction, 0, None
    header = inference_handle(arrays, rows, compiled_engine.inference_plan(arrays.spec, rows, 1))
    return embed_calls.fast_predict(arrays.parameters.itemsize), address(header.array), header


def step(model: Model) -> Step:
    """The fast path of a trainer's step."""
    return embed_calls.fast_step(model.parameters.itemsize), address(model.header), model


def _no_prediction(_header: int, _X: Rows, _out: Array) -> bool:
    return False


def _no_step(_header: int, _X: Rows, _y: Rows) -> float:
    return math.nan


NO_STEP: Step = _no_step, 0, None
