"""The stages of fastbp.kernels as functions of NumPy arrays, for tests to compare with their twins.

One compiled function for each group: every function more is seconds of compilation.
"""

import numpy as np

from fastbp.kernels.base import codes, width
from fastbp.kernels.base.jit import entry
from fastbp.kernels.ir.simd import address, lanes, load, store
from fastbp.kernels.primitives import (
    elementwise,
    gather,
    gemm,
    gemv,
    shuffle,
)
from fastbp.kernels.stages import losses, update_rules
from fastbp.kernels.tables import arenas, settings

DERIVATIVE, RAW, SECOND_DERIVATIVE = 100, 200, 300
"""Added to the code of an activation: its slope; to one of the following: that function; to a
smooth one: its second derivative."""

EXP, EXPM1, LOG, LOG1P, ERF = range(RAW, RAW + 5)


@entry
def elementwise_stage(stage, z, a, out):
    """out = activation, slope or function of z (and a), whole vectors."""
    p, q, r = address(z), address(a), address(out)
    for i in range(0, len(z), lanes(p)):
        x = load(p, i)
        if stage < DERIVATIVE:
            y = elementwise.activation(stage, x)
        elif stage < RAW:
            y = elementwise.derivative(stage - DERIVATIVE, x, load(q, i))
        elif stage >= SECOND_DERIVATIVE:
            y = elementwise.second_derivative(stage - SECOND_DERIVATIVE, x, load(q, i))
        elif stage == EXP:
            y = elementwise.exp(x)
        elif stage == EXPM1:
            y = elementwise.expm1(x)
        elif stage == LOG:
            y = elementwise.log(x)
        elif stage == LOG1P:
            y = elementwise.log1p(x)
        else:
            y = elementwise.erf(x)
        store(r, i, y)


DOWN, ACROSS, ACROSS_TIMES = range(3)
"""Ways of ``multiply``."""


@entry
def multiply(way, a, a_stride, b, b_stride, c, c_stride, rows, vectors, steps, bias):
    """A product of gemm.py, on one-dimensional arrays.

    For ACROSS_TIMES bias holds panels of factors, the first of one vector, the others of two.
    """
    p, q, r = address(a), address(b), address(c)
    if way == ACROSS_TIMES:
        factors = address(bias), len(bias) // (vectors // 2 + 1), 1, 2
        gemm.multiply_across_times(
            p, a_stride, q, b_stride, r, c_stride, rows, vectors, steps, factors
        )
    elif way == ACROSS:
        gemm.multiply_across(p, a_stride, q, b_stride, r, c_stride, rows, vectors, steps)
    else:
        gemm.multiply_down(
            p, a_stride, q, b_stride, r, c_stride, rows, vectors, steps, address(bias)
        )


@entry
def multiply_rows(back, rows, a, a_stride, w, w_stride, c, c_stride, first, last, steps):
    """``gemv.multiply_rows`` of ``last`` panels, or ``multiply_rows_back`` of first to last.

    Back, a holds deltas, and there are ``steps`` panels of them.
    """
    p, q, r = address(a), address(w), address(c)
    if back:
        gemv.multiply_rows_back(rows, q, w_stride, p, a_stride, steps, r, c_stride, first, last)
    else:
        gemv.multiply_rows(rows, p, q, w_stride, r, c_stride, last, steps)


SOFTMAX, LOSS_AND_DELTA, HITS, INVALID_TARGET = range(4)


@entry
def loss_stage(stage, loss, output, z, p, y, labels, delta, units, valid, rows, row_values):
    """One stage of losses.py; softmax writes p, the others row_values (lanes,).

    loss: the code; for INVALID_TARGET the kind of targets.
    """
    a, q = address(p), address(row_values)
    padded = len(p) // lanes(a)
    if stage == SOFTMAX:
        losses.softmax(address(z), a, units, padded)
    elif stage == LOSS_AND_DELTA:
        places = (address(z), a, address(y), address(delta), q)
        losses.loss_and_delta(loss, output, places, labels, (units, padded, valid), rows, None)
    elif stage == HITS:
        store(q, 0, losses.n_correct(loss, a, address(y), labels, units))
    else:
        invalid = losses.invalid_target(loss, address(y), labels, valid, units)
        row_values[:] = 1.0 if invalid else 0.0


@entry
def update_stage(optimizer, hyper, w, g, m, v):
    """``update_extended`` of whole vectors; hyper (settings.py) has the updates made before."""
    rates = hyper[codes.LR], update_rules.momentum_of(hyper), hyper[codes.WEIGHT_DECAY]
    hyper[settings.STEP_MOMENTUM] = rates[1]
    update_rules.set_powers(optimizer, hyper)
    k = update_rules.extended_coefficients_of(optimizer, hyper, *rates)
    moments = address(m), address(v)
    update_rules.update_extended(optimizer, k, address(w), address(g), *moments, len(w))


@entry
def gather_stage(job, data, order, first, valid, target, scratch):
    """``gather`` into one-dimensional arrays; order is an address."""
    return gather.gather(job, data, order, first, valid, address(target), address(scratch))


@entry
def gather_rows_stage(job, data, order, first, rows, target):
    """``gather_rows`` into a one-dimensional array; order is an address."""
    return gather.gather_rows(job, data, order, first, rows, address(target))


@entry
def shuffle_stage(given, seed, epoch, order):
    """``shuffle``, or with ``given`` rows ``reorder``."""
    if given:
        shuffle.reorder(seed, epoch, address(order), len(order))
    else:
        shuffle.shuffle(seed, epoch, address(order), len(order))


def vector_lanes(dtype):
    """Elements of this type in a vector."""
    return width.lanes(np.dtype(dtype).itemsize)


def blank(count, dtype, value=np.nan):
    """An aligned vector of ``value``, by default what no kernel may let pass."""
    array = arenas.allocate(count, dtype)
    array[:] = value
    return array


def to_panels(matrix, dtype, gap=0):
    """A matrix (R, C) as lane panels, with ``gap`` elements of NaN after each: (panels, stride)."""
    w = vector_lanes(dtype)
    count, rows = -(-matrix.shape[1] // w), len(matrix)
    panels = blank(count * (rows * w + gap), dtype).reshape(count, -1)
    for p, panel in enumerate(panels):
        columns = matrix[:, p * w : (p + 1) * w]
        panel[: rows * w].reshape(rows, w)[:, : columns.shape[1]] = columns
    return panels


def from_panels(panels, rows, columns):
    """The matrix (rows, columns) that lane panels (panels, stride) hold."""
    w = vector_lanes(panels.dtype)
    wide = panels[:, : rows * w].reshape(len(panels), rows, w).transpose(1, 0, 2)
    return wide.reshape(rows, -1)[:, :columns]


def to_vector(rows, dtype):
    """Up to ``lanes`` rows (B, O) as one block (padded O, lanes), flat; the rest is NaN."""
    w = vector_lanes(dtype)
    block = blank(-(-rows.shape[1] // w) * w * w, dtype)
    block.reshape(-1, w)[: rows.shape[1], : len(rows)] = rows.T
    return block
