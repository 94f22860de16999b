"""The fast path from Python into compiled code. Small networks need it: checks would take longer.

It takes work for one thread: arrays in the layout and dtype of the kernels, whose shapes compiled
code checks, or tables, which are described and checked here in Python. Compiled code checks the
values. What it refuses takes the checked path, which raises the errors. All give the same bits.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..common.types import Array, Floats
from ..data.tables import address
from ..kernels.entry import embed_calls
from ..kernels.tables import settings
from . import chunking, compiled_engine, threads
from .arrays import Dataset, TrainingArrays
from .compiled_model import Model
from .model_handle import inference_handle

Descriptor: TypeAlias = tuple[int, ...]


class Prediction(NamedTuple):
    """The fast path of a network. Safe from many threads at once."""

    header: int
    """The address of a header."""
    code: Callable[[int, Array, Array], bool]
    """code(header, X, out) fills out (rows, outputs) with the outputs of X; whether it has."""
    table_code: Callable[[int, Descriptor, Array], bool]
    """The same for the descriptor of a table in place of X."""
    most_rows: int
    """More rows are refused."""
    limit: int
    """The most threads of a prediction of more rows: those of "auto", which takes 2 us to find."""
    memory: object
    """The owner of the header's memory."""


class Step(NamedTuple):
    """The fast path of a trainer's step."""

    header: int
    """The address of a header."""
    code: Callable[[int, Array, Array], float]
    """code(header, X, y) makes an update and returns the loss before it; NaN if it made none."""
    table_code: Callable[[int, Descriptor, Descriptor], float]
    """The same for descriptors of tables in place of X and y, the address of the weights of the
    rows, or 0, after that of y."""
    memory: object
    """The owner of the header's memory."""


def prediction(arrays: TrainingArrays, n_parameters: int) -> Prediction:
    """The fast path of a network, for rows that one thread predicts in one chunk."""
    limit = threads.maximum("auto")
    rows = threads.max_single_thread_rows(limit, 2.0 * n_parameters)
    rows = min(rows, chunking.first_rows(arrays.spec))
    if rows == 0:
        return Prediction(0, _no_prediction, _no_prediction, 0, limit, None)
    header = inference_handle(arrays, rows, compiled_engine.inference_plan(arrays.spec, rows, 1))
    itemsize = arrays.parameters.itemsize
    codes = embed_calls.fast_predict(itemsize), embed_calls.table_predict(itemsize)
    return Prediction(address(header.array), *codes, rows, limit, header)


def step(model: Model) -> Step:
    """The fast path of a trainer's step."""
    code = embed_calls.fast_step(model.parameters.itemsize)
    return Step(address(model.header), code, embed_calls.table_step(), model)


def until(total: int, hyper: Floats, path: Step) -> Step:
    """A path that makes no update where ``total`` updates have been made."""
    header, code, table_code, memory = path
    made, place = hyper.data, int(settings.UPDATES)  # twice as fast as the array itself

    def limited(header: int, X: Array, y: Array) -> float:
        return code(header, X, y) if made[place] < total else math.nan

    def limited_table(header: int, x: Descriptor, y: Descriptor) -> float:
        return table_code(header, x, y) if made[place] < total else math.nan

    return Step(header, limited, limited_table, memory)


def step_of(path: Step, data: Dataset) -> float:
    """A step of checked rows, with weights only where the plan is extended; NaN as ``Step``.

    Sparse rows take the checked path, which has a way without making them dense.
    """
    if data.y is None or data.x.is_sparse:
        return math.nan
    weights = 0 if data.weights is None else address(data.weights)
    return path.table_code(path.header, data.x.descriptor, (*data.y.descriptor, weights))


def _no_prediction(_header: int, _X: object, _out: object) -> bool:
    return False


def _no_step(_header: int, _X: object, _y: object) -> float:
    return math.nan


NO_STEP = Step(0, _no_step, _no_step, None)
