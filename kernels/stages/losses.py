"""Softmax and the losses: value and delta of the output layer together, one vector of rows.

Lanes are rows, so a sum or a maximum over outputs is a chain of plain vector operations.
"""

import math

import numpy as np

from ..base import codes
from ..base.jit import kernel
from ..ir.simd import (
    any_lane,
    differs,
    fabs,
    fma,
    lane_index,
    lanes,
    load,
    select,
    splat,
    store,
)
from ..primitives.elementwise import derivative, exp, log, log1p
from ..tables.layout import REAL_OR_NAN, UNIT_OR_NAN

_ZERO = np.int64(0)  # a Python constant would compile its callee once more

SUM_TOLERANCE = 1e-3
"""How far from 1 a row of probabilities may sum."""


_PART = 64
"""Terms of a partial sum: rounding grows with the longest chain."""


@kernel
def _sum(x, units):
    """(lanes,), the sum over units of x (units, lanes)."""
    n_lanes = lanes(x)
    total = splat(x, 0.0)
    for start in range(0, units, _PART):
        part = splat(x, 0.0)
        for i in range(start * n_lanes, min(units, start + _PART) * n_lanes, n_lanes):
            part = part + load(x, i)
        total = total + part
    return total


@kernel
def softmax(z, a, units, padded):
    """Softmax over units to a, and zeros in the padded units. Twin: ``activation``.

    z, a: (padded, lanes), not the same.
    """
    n_lanes = lanes(z)
    top = load(z, 0)
    for i in range(n_lanes, units * n_lanes, n_lanes):
        x = load(z, i)
        top = select(x > top, x, top)
    for i in range(0, units * n_lanes, n_lanes):
        store(a, i, exp(load(z, i) - top))
    scale = 1.0 / _sum(a, units)
    for i in range(0, units * n_lanes, n_lanes):
        store(a, i, load(a, i) * scale)
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(a, i, splat(a, 0.0))


@kernel
def _log_sum_exp(z, units):
    n_lanes = lanes(z)
    top = load(z, 0)
    for i in range(n_lanes, units * n_lanes, n_lanes):
        x = load(z, i)
        top = select(x > top, x, top)
    total = splat(z, 0.0)
    for start in range(0, units, _PART):
        part = splat(z, 0.0)
        for i in range(start * n_lanes, min(units, start + _PART) * n_lanes, n_lanes):
            part = part + exp(load(z, i) - top)
        total = total + part
    return top + log(total)


@kernel
def _target(y, i, labels, unit):
    """Row ``unit`` of the one-hot target of ``labels``, or of the target y at element i."""
    if labels:
        return select(load(y, 0) == splat(y, unit), splat(y, 1.0), 0.0)
    return load(y, i)


@kernel
def _smoothed(t, smooth):
    """A smoothed target: t * smooth[0] + smooth[1], or t where smooth is None."""
    if smooth is not None:
        t = fma(t, smooth[0], smooth[1])
    return t


@kernel
def _cross_entropy(z, p, y, labels, delta, units, scale, smooth):
    n_lanes = lanes(z)
    level = _log_sum_exp(z, units)
    mass = splat(z, 1.0) if labels else _sum(y, units)
    if smooth is not None:
        mass = mass * smooth[0] + smooth[1] * units
    loss = splat(z, 0.0)
    for start in range(0, units, _PART):
        part = splat(z, 0.0)
        for unit in range(start, min(units, start + _PART)):
            t = _smoothed(_target(y, unit * n_lanes, labels, unit), smooth)
            part = fma(t, level - load(z, unit * n_lanes), part)
        loss = loss + part
    for unit in range(units):
        t = _smoothed(_target(y, unit * n_lanes, labels, unit), smooth)
        store(delta, unit * n_lanes, fma(load(p, unit * n_lanes), mass, -t) * scale)
    return loss


@kernel
def _bce(z, p, y, delta, units, scale, smooth):
    n_lanes = lanes(z)
    loss = splat(z, 0.0)
    for i in range(0, units * n_lanes, n_lanes):
        x, t = load(z, i), _smoothed(load(y, i), smooth)
        loss = loss + (select(x < 0.0, 0.0, x) - x * t + log1p(exp(-fabs(x))))
        store(delta, i, (load(p, i) - t) * scale)
    return loss / units


@kernel
def _squared(code, z, p, y, delta, units, weight, scale):
    """sum of weight (p - y)^2, and its delta, for any output activation but softmax."""
    n_lanes = lanes(z)
    loss = splat(z, 0.0)
    for i in range(0, units * n_lanes, n_lanes):
        a = load(p, i)
        d = a - load(y, i)
        loss = fma(d, d, loss)
        store(delta, i, d * derivative(code, load(z, i), a) * (scale * weight * 2.0))
    return loss * weight


@kernel
def loss_and_delta(loss, code, places, labels, counts, rows, smooth):
    """Loss of each row and dLoss/dz, where Loss = sum of row losses / rows.

    loss, code: codes of the loss and of the output activation. places: (z, p, y, delta, row_loss);
    z, p, delta (padded, lanes); y likewise, or (1, lanes) of labels; row_loss (lanes,). delta and
    row_loss alias nothing. labels: whether y is labels. counts: (units, padded, valid), valid being
    the rows of this vector that exist: the others get loss 0 and delta 0, and padded units delta 0.
    smooth: (factor on the targets of CROSS_ENTROPY and BCE, what is then added), or None.
    Twins: ``row_losses``, ``output_delta``.
    """
    z, p, y, delta, row_loss = places
    units, padded, valid = counts
    scale = 1.0 / rows
    if loss == codes.CROSS_ENTROPY:
        value = _cross_entropy(z, p, y, labels, delta, units, scale, smooth)
    elif loss == codes.BCE:
        value = _bce(z, p, y, delta, units, scale / units, smooth)
    else:
        weight = 0.5 if loss == codes.SQUARED_ERROR else 1.0 / units
        value = _squared(code, z, p, y, delta, units, weight, scale)
    clear_padding(value, delta, units, padded, valid, row_loss)


@kernel
def clear_padding(value, delta, units, padded, valid, row_loss):
    """row_loss (lanes,) = value; 0 for rows that do not exist, in their delta, and in padding."""
    n_lanes = lanes(delta)
    exists = lane_index(delta) < splat(delta, valid)
    store(row_loss, 0, select(exists, value, 0.0))
    if valid < n_lanes:
        for i in range(0, units * n_lanes, n_lanes):
            store(delta, i, select(exists, load(delta, i), 0.0))
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(delta, i, splat(delta, 0.0))


@kernel
def _dot(x, y, units):
    """(lanes,), the sum over units of x y, both (units, lanes)."""
    n_lanes = lanes(x)
    total = splat(x, 0.0)
    for start in range(0, units, _PART):
        part = splat(x, 0.0)
        for i in range(start * n_lanes, min(units, start + _PART) * n_lanes, n_lanes):
            part = fma(load(x, i), load(y, i), part)
        total = total + part
    return total


@kernel
def delta_from_output(code, z, p, v, delta, units, padded, row_loss):
    """dLoss/dz from v = dLoss/dp of a custom loss, through any output activation.

    code: of the output activation. z, p, v, delta: (padded, lanes); rows that do not exist have
    v = 0, and get delta 0, as padded units do. row_loss: (lanes,), the sum of p v, which is not
    finite where the outputs are not. Twin: same name.
    """
    n_lanes = lanes(z)
    total = _dot(p, v, units)
    store(row_loss, 0, total)
    for i in range(0, units * n_lanes, n_lanes):
        a, d = load(p, i), load(v, i)
        if code == codes.SOFTMAX:
            store(delta, i, a * (d - total))
        else:
            store(delta, i, d * derivative(code, load(z, i), a))
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(delta, i, splat(delta, 0.0))


@kernel
def _argmax_is_correct(p, y, labels, units):
    n_lanes = lanes(p)
    top, guess = load(p, 0), splat(p, 0.0)
    finite = top * 0.0
    best, truth = _target(y, _ZERO, labels, _ZERO), splat(p, 0.0)
    for unit in range(1, units):
        x, t = load(p, unit * n_lanes), _target(y, unit * n_lanes, labels, unit)
        guess = select(x > top, unit, guess)
        finite = fma(x, 0.0, finite)
        top = select(x > top, x, top)
        truth = select(t > best, unit, truth)
        best = select(t > best, t, best)
    return select((guess == truth) & (finite == 0.0), splat(p, 1.0), 0.0)


@kernel
def n_correct(loss, p, y, labels, units):
    """The fraction of each row that is correct, in [0, 1]; a target NaN is not. Twin: ``correct``.

    p: (units, lanes); y: likewise, or (1, lanes) of labels.
    """
    n_lanes = lanes(p)
    if loss == codes.CROSS_ENTROPY:
        return _argmax_is_correct(p, y, labels, units)
    count = splat(p, 0.0)
    for i in range(0, units * n_lanes, n_lanes):
        guess, truth = load(p, i), select(load(y, i) < 0.5, 0.0, 1.0)
        right = select(guess < 0.5, 1.0 - truth, select(guess >= 0.5, truth, 0.0))
        count = count + select(differs(load(y, i), load(y, i)), 0.0, right)
    return count / units


@kernel
def allows_nan(kind):
    """Whether NaN is a target of this kind: one that is not known."""
    return kind == UNIT_OR_NAN or kind == REAL_OR_NAN


@kernel
def invalid_target(kind, y, labels, valid, outputs):
    """Whether one of the first ``valid`` lanes of y lies outside what the loss allows.

    kind: of targets: codes.REAL, ..., or of layout.OR_NAN, which allow NaN. y: (outputs, lanes), or
    (1, lanes) of labels. The gather checks that other numbers are finite.
    """
    n_lanes = lanes(y)
    zero = splat(y, 0.0)
    if labels:
        label = load(y, 0)
        return any_lane((label < 0.0) | (label >= splat(y, outputs)))
    if kind == codes.REAL:
        return False
    bad = zero < zero
    for i in range(0, outputs * n_lanes, n_lanes):
        t = load(y, i)
        if kind == REAL_OR_NAN:
            bad = bad | (fabs(t) >= math.inf)
            continue
        bad = bad | (t < 0.0)
        if kind == codes.UNIT or kind == UNIT_OR_NAN:
            bad = bad | (t > 1.0)
    if kind == codes.CLASS:
        exists = lane_index(y) < splat(y, valid)
        bad = bad | (select(exists, fabs(_sum(y, outputs) - 1.0), 0.0) > SUM_TOLERANCE)
    return any_lane(bad)
