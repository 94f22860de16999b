"""The losses of extended plans, label smoothing, and the weights of rows."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import codes, settings
from .elementwise import exp, log, slope
from .jit import kernel
from .llvm_ir import I64
from .losses import clear_padding, delta_from_output, loss_and_delta
from .simd import fabs, get, lanes, load, offset, put, select, splat, store

POISSON_EPS = 1e-8
"""What is added to a rate before its logarithm is taken (torch's default)."""


@kernel
def _value_and_slope(loss, parameter, is_log, p, y):
    """One output's loss l and dl/dp, for each lane; NaN in l survives."""
    d = p - y
    if loss == codes.MAE:
        return fabs(d), select(d > 0.0, 1.0, select(d < 0.0, d * 0.0 - 1.0, d * 0.0))
    if loss == codes.HUBER:
        size = fabs(d)
        small = size <= parameter
        far = select(d > 0.0, d * 0.0 + parameter, d * 0.0 - parameter)
        return select(small, d * d * 0.5, (size - 0.5 * parameter) * parameter), select(
            small, d, far
        )
    if loss == codes.QUANTILE:
        rate = select(d > 0.0, d * 0.0 + (1.0 - parameter), d * 0.0 - parameter)
        return d * rate, select(d == 0.0, 0.0, rate)
    if is_log:
        rate = exp(p)
        return rate - y * p, rate - y
    rate = p + POISSON_EPS
    return p - y * log(rate), 1.0 - y / rate


@kernel
def _by_output(loss, parameter, code, z, p, y, delta, units, scale):
    """The mean over outputs of a loss that treats each by itself, and its delta."""
    w = lanes(z)
    total, is_log = splat(z, 0.0), code == codes.IDENTITY
    for i in range(0, units * w, w):
        a = load(p, i)
        value, rate = _value_and_slope(loss, parameter, is_log, a, load(y, i))
        total = total + value
        store(delta, i, rate * slope(code, load(z, i), a) * (scale / units))
    return total / units


@kernel
def _gaussian(p, y, delta, units, scale):
    """1/2 mean of s + (m - y)^2 e^-s; m the first half of the outputs, s the second."""
    w, half = lanes(p), units // 2
    total, scale = splat(p, 0.0), scale / half
    for i in range(0, half * w, w):
        s, d = load(p, half * w + i), load(p, i) - load(y, i)
        precision = exp(-s)
        excess = d * d * precision
        total = total + (s + excess)
        store(delta, i, d * precision * scale)
        store(delta, half * w + i, (1.0 - excess) * (0.5 * scale))
    return total * (0.5 / half)


@intrinsic
def _call_own(typingctx: Any, code: Any, p: Any, y: Any, dloss: Any, units: Any) -> Any:
    """Call the user's loss, a C function at an address, on one row."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(ir.DoubleType(), [*(a.type for a in args[1:4]), I64])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.float64(types.int64, p, p, p, types.int64), codegen


@kernel
def own_loss_and_delta(own, code, z, p, y, v, rows_of, delta, units, padded, valid, rows, row_loss):
    """As ``losses.loss_and_delta`` for the user's own loss, row by row.

    own: its address. v: (padded, lanes), takes dLoss/dp. rows_of: (3 units,), one row of p, y and
    dloss_dp. Twin: the function itself.
    """
    w = lanes(p)
    of_y, of_v = offset(rows_of, units), offset(rows_of, 2 * units)
    for i in range(0, padded * w, w):
        store(v, i, splat(v, 0.0))
    for r in range(valid):
        for u in range(units):
            put(rows_of, u, get(p, u * w + r))
            put(of_y, u, get(y, u * w + r))
            put(of_v, u, 0.0)
        value = _call_own(own, rows_of, of_y, of_v, units)
        for u in range(units):
            put(v, u * w + r, get(of_v, u) / rows)
            value += get(of_v, u) * 0.0  # NaN, where the gradient is not finite
        put(delta, r, value)
    value = load(delta, 0)
    delta_from_output(code, z, p, v, delta, units, padded, row_loss)
    clear_padding(value, delta, units, padded, valid, row_loss)


@kernel
def extended_loss_and_delta(
    loss, parameter, smoothing, code, z, p, y, labels, delta, units, padded, valid, rows, row_loss
):
    """As ``losses.loss_and_delta``, for all losses but OWN_LOSS, with label smoothing."""
    if loss < codes.MAE:
        middle = 1.0 / units if loss == codes.CROSS_ENTROPY else 0.5
        smooth = (1.0 - smoothing, smoothing * middle)
        loss_and_delta(
            loss, code, z, p, y, labels, delta, units, padded, valid, rows, row_loss, smooth
        )
        return
    if loss == codes.GAUSSIAN_NLL:
        value = _gaussian(p, y, delta, units, 1.0 / rows)
    else:
        value = _by_output(loss, parameter, code, z, p, y, delta, units, 1.0 / rows)
    clear_padding(value, delta, units, padded, valid, row_loss)


@kernel
def times_class_weights(hyper, layers, y, labels, units, weight):
    """weight (lanes,) *= the weight of each row's class, or the mean of them by y."""
    w, first = lanes(y), settings.class_weights(layers)
    for lane in range(w):
        if labels:
            own = hyper[first + int(get(y, lane))]
        elif units == 1:
            own = hyper[first] + (hyper[first + 1] - hyper[first]) * get(y, lane)
        else:
            own = 0.0
            for u in range(units):
                own += hyper[first + u] * get(y, u * w + lane)
        put(weight, lane, get(weight, lane) * own)


@kernel
def weigh_rows(weight, delta, units, row_loss):
    """delta (units, lanes) and row_loss (lanes,) times each row's weight (lanes,)."""
    w = lanes(delta)
    factor = load(weight, 0)
    store(row_loss, 0, load(row_loss, 0) * factor)
    for i in range(0, units * w, w):
        store(delta, i, load(delta, i) * factor)
