"""Serves a call from C (fastbp/capi/fastbp.h): checks what C cannot promise, asks embed_server.

A *C model* is int64 (C_MODEL,), the struct ``fastbp_model``. It outlives its trainer, so that a
call after the trainer's end finds that out. A programming language without types for arrays says
the columns of each array: those that the model expects are compared with them. The shapes, overlap
and values are checked by ``embed_server``, for Jacobians by ``jacobian_server``, whose statuses
become those of C here.

One C function serves all operations and both element types. It is compiled, or loaded from the
cache, when the first C model is made.
"""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..base import jit
from ..base.jit import c_function, kernel
from ..ir.llvm_ir import I64
from ..ir.simd import pointer_to, put
from ..ir.slots import release, try_acquire
from ..ir.typed_pointers import typed_pointer_at
from ..tables import jacobian_job as D
from ..tables import job_table as J
from . import embed_server as S
from .embed_request import RESULT, emit_call
from .jacobian_server import SERVE as DERIVATIVES_SERVER

# Elements of a C model. Compiled programs know their places: another order is another INTERFACE.
(
    VERSION,  # INTERFACE
    STATE,  # OK, or CLOSED once the trainer is gone
    ITEMSIZE,  # bytes of a number: 4 or 8
    INPUTS,  # columns of X
    OUTPUTS,  # columns of the outputs
    TARGETS,  # columns of y; 0: the model only predicts
    PARAMETERS,  # length of a gradient
    MOST_ROWS,  # of one call
    HAS_LABELS,  # 1: y may be labels
    CALL,  # address of the C function
    HANDLE,  # address of the model handle
    BUSY,  # 1 while a thread is in a call that trains
    C_MODEL,  # length of a C model
) = range(13)

INTERFACE = 0x66617374_62700001
"""Marks a C model: "fastbp" in ASCII, and the version of the interface."""

LABELS = -1
"""In place of the columns of y: y is int64 labels (rows,)."""

PREDICT, STEP, STEP_FROM, GRADIENTS, INPUT_GRADIENT, JACOBIAN = range(6)
"""Tasks of a call."""

(
    OK,  # done
    NULL_POINTER,  # the model, or an array that the task needs
    NO_MODEL,  # no C model of this INTERFACE
    CLOSED,  # its trainer is gone
    STALE,  # its network has begun to scale since
    BUSY_NOW,  # another thread trains with it
    NO_TRAINER,  # it only predicts
    WRONG_TASK,  # no task of this version
    WRONG_TYPE,  # the network has the other element type
    MISALIGNED,  # an array, the loss or the model
    WRONG_ROWS,  # below 1, or above MOST_ROWS
    WRONG_X,  # columns of X
    WRONG_Y,  # columns of y, or labels where none are taken
    WRONG_OUT,  # columns of out, or length of a gradient
    OVERLAP,  # of out with another array
    INVALID_X,  # NaN or Inf in X
    INVALID_Y,  # a value of y
    NOT_FINITE,  # the loss
) = range(18)
NO_DERIVATIVES = 20  # the network embeds numbers; 18 and 19 are of fastbp.c
"""Statuses of a call. Where it is not OK, nothing has changed, but for NaN in out or loss."""

# NumPy integers, where a constant is an argument: Numba compiles anew for each Python one.
_ZERO, _ONE, _TWO, _THREE, _WORD = map(np.int64, (0, 1, 2, 3, 8))
_NOTHING = _ZERO, _TWO, _ZERO, _ZERO, _ZERO


@intrinsic
def _serve(
    typingctx: Any, server: Any, handle: Any, task: Any, labels: Any, x: Any, y: Any, out: Any
) -> Any:
    """(status, value) of a request about arrays: address, dimensions, rows, columns, depth of each.

    server: the address of ``embed_server.serve``, or of ``jacobian_server.serve``.
    """
    array = types.UniTuple(types.int64, 5)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        elements = {
            S.REQUEST_HANDLE: args[1],
            S.REQUEST_TASK: args[2],
            S.REQUEST_LABELS: args[3],
            S.REQUEST_WEIGHTS: I64(0),
        }
        places = S.REQUEST_X, S.REQUEST_Y, S.REQUEST_OUT
        for place, words in zip(places, args[4:], strict=True):
            facts = cgutils.unpack_tuple(builder, words)
            elements |= {place + i: fact for i, fact in enumerate(facts)}
        return context.make_tuple(builder, RESULT, emit_call(builder, None, elements, args[0]))

    n = types.int64
    return RESULT(n, n, n, n, array, array, array), codegen


@kernel
def _place(address, size):
    """The status of an address that is needed, of elements of so many bytes."""
    if address == 0:
        return NULL_POINTER
    return OK if address % size == 0 else MISALIGNED


@kernel
def _only_reads(task):
    """Whether many threads may run a task at once, of a network without a trainer, too."""
    return task == PREDICT or task == JACOBIAN


@kernel
def _model_status(model, task, itemsize):
    """Whether there is a C model that can do a task with arrays of this element type."""
    status = _place(model, _WORD)
    if status != OK:
        return status
    words = typed_pointer_at(model, types.int64)
    if words[VERSION] != INTERFACE:
        return NO_MODEL
    if words[STATE] != OK:
        return CLOSED
    if task < 0 or task > JACOBIAN:
        return WRONG_TASK
    if not _only_reads(task) and words[TARGETS] == 0:
        return NO_TRAINER
    return OK if itemsize == words[ITEMSIZE] else WRONG_TYPE


@kernel
def _takes_targets(task):
    """Whether y has targets or labels, and not derivatives by the outputs."""
    return task == STEP or task == GRADIENTS


@kernel
def _has_out(task):
    return task != STEP and task != STEP_FROM


@kernel
def _places_status(task, itemsize, x, y, out, loss):
    """Whether all addresses that a task needs can be ones. x, y, out: (address, columns)."""
    status = _place(x[0], itemsize)
    if status == OK and not _only_reads(task):
        status = _place(y[0], _WORD if y[1] == LABELS else itemsize)
    if status == OK and _has_out(task):
        status = _place(out[0], itemsize)
    if status == OK and loss % 8 != 0:
        status = MISALIGNED
    return status


@kernel
def _task(task):
    """The server's task."""
    if task == PREDICT:
        return J.INFER
    if task == STEP:
        return J.TRAIN
    if task == STEP_FROM:
        return J.FROM_OUTPUT
    if task == JACOBIAN:
        return D.JACOBIAN
    return J.GRADIENTS if task == GRADIENTS else J.INPUT_GRADIENT


@kernel
def _results(words, task, rows, out):
    """Out as the server takes it."""
    if task == GRADIENTS:
        return out[0], _ONE, out[1], _ONE, _ZERO
    if task == JACOBIAN:
        inputs, outputs = words[INPUTS], words[OUTPUTS]
        return out[0], _THREE, rows, outputs if out[1] == outputs * inputs else _ZERO, inputs
    return (out[0], _TWO, rows, out[1], _ZERO) if _has_out(task) else _NOTHING


@kernel
def _ask(words, task, rows, x, y, out):
    """(status, loss) of the server. x, y, out: (address, columns)."""
    handle = typed_pointer_at(words[HANDLE], types.int64)
    if handle[S.HERE] != words[HANDLE]:
        return S.NO_MODEL, math.nan
    server = handle[S.ENTRY]
    if task == JACOBIAN:
        if handle[S.DERIVATIVES] == 0:
            return S.NO_CODE, math.nan
        server = typed_pointer_at(handle[S.DERIVATIVES], types.int64)[DERIVATIVES_SERVER]
    labels = _ONE if not _only_reads(task) and y[1] == LABELS else _ZERO
    targets = _NOTHING
    if labels == 1:
        targets = y[0], _ONE, rows, _ONE, _ZERO
    elif not _only_reads(task):
        targets = y[0], _TWO, rows, y[1], _ZERO
    inputs, results = (x[0], _TWO, rows, x[1], _ZERO), _results(words, task, rows, out)
    return _serve(server, words[HANDLE], _task(task), labels, inputs, targets, results)


@kernel
def _status(answer, words, task):
    """The status of C for one of the server."""
    if answer == S.OK:
        return OK
    if answer == S.NO_MODEL:
        return STALE
    if answer == S.NO_CODE:
        return NO_DERIVATIVES
    if answer == S.BAD_X:
        return WRONG_X
    if answer == S.BAD_Y:
        return WRONG_Y
    if answer == S.BAD_OUT:
        return WRONG_OUT
    if answer == S.SHARED_OUT:
        return OVERLAP
    found = J.BAD_INPUT
    if not _only_reads(task):
        found = typed_pointer_at(words[HANDLE], types.int64)[S.TRAINING + J.STATUS]
    if found == J.BAD_INPUT:
        return INVALID_X
    return INVALID_Y if found == J.BAD_TARGET else NOT_FINITE


@kernel
def _train(model, task, rows, x, y, out, loss):
    """Serve a task that one thread at a time may run. loss: the address for it, or 0."""
    words = typed_pointer_at(model, types.int64)
    flag = pointer_to(model + 8 * BUSY, types.int64)
    if not try_acquire(flag):
        return BUSY_NOW
    answer, value = _ask(words, task, rows, x, y, out)
    status = _status(answer, words, task)
    release(flag)
    if status == OK and loss != 0:
        put(pointer_to(loss, types.float64), 0, value)
    return status


def _serve_c(model, task, itemsize, rows, X, x_columns, y, y_columns, out, out_columns, loss):
    """The function of ``fastbp_model.call``: all arguments are int64; the status."""
    if loss != 0 and loss % 8 == 0:
        put(pointer_to(loss, types.float64), 0, math.nan)
    status = _model_status(model, task, itemsize)
    if status != OK:
        return status
    x_, y_, out_ = (X, x_columns), (y, y_columns), (out, out_columns)
    status = _places_status(task, itemsize, x_, y_, out_, loss)
    if status != OK:
        return status
    words = typed_pointer_at(model, types.int64)
    if rows < 1 or rows > words[MOST_ROWS]:
        return WRONG_ROWS
    if y_columns == LABELS and not _takes_targets(task) and not _only_reads(task):
        return WRONG_Y
    if _only_reads(task):
        answer, _ = _ask(words, task, rows, x_, y_, out_)
        return _status(answer, words, task)
    return _train(model, task, rows, x_, y_, out_, loss)


_SIGNATURE = types.int64(*[types.int64] * 11)


@cache
def serve_c() -> int:
    """Address of ``_serve_c``; compiles it, or loads it."""
    return c_function(_serve_c, _SIGNATURE)


def ship(folder: Path) -> None:
    """Write what ``serve_c`` compiles into a folder (jit.py)."""
    jit.ship(folder, _serve_c, _SIGNATURE)
