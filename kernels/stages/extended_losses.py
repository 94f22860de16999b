"""The losses of extended plans, and label smoothing."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base import codes
from ..base.jit import kernel
from ..ir.llvm_ir import I64
from ..ir.simd import (
    differs,
    fabs,
    fma,
    get,
    lanes,
    load,
    offset,
    pointer_to,
    put,
    select,
    splat,
    store,
)
from ..ir.typed_pointers import typed_pointer_at
from ..primitives.elementwise import derivative, exp, expm1, log, log1p, tanh
from ..tables import job_table as J
from ..tables import layout as P
from ..tables import settings as H
from .backward import delta_of
from .batch import has_labels
from .forward import padded
from .losses import clear_padding, delta_from_output, loss_and_delta

POISSON_EPS = 1e-8
"""What is added to a rate before its logarithm is taken (torch's default)."""

LN2 = 0.6931471805599453


@kernel
def _value_and_derivative(loss, parameter, is_log, p, y):
    """One output's loss l and dl/dp, for each lane. A NaN stays a NaN in l."""
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
    if loss == codes.LOG_COSH:
        size = fabs(d)
        e = expm1(-size)
        sinh = (e + e / (e + 1.0)) * 0.5  # of -size; far from 0 not used
        near = log1p(select(size < 0.75, sinh * sinh, 0.0)) * 0.5
        return select(size < 0.75, near, size - LN2 + log1p(exp(size * -2.0))), tanh(d)
    if is_log:
        rate = exp(p)
        return rate - y * p, rate - y
    rate = p + POISSON_EPS
    return p - y * log(rate), 1.0 - y / rate


@kernel
def _by_output(loss, parameter, code, z, p, y, delta, units, scale):
    """The mean over outputs of a loss that treats each by itself, and its delta."""
    n_lanes = lanes(z)
    total, is_log = splat(z, 0.0), code == codes.IDENTITY
    for i in range(0, units * n_lanes, n_lanes):
        a = load(p, i)
        value, rate = _value_and_derivative(loss, parameter, is_log, a, load(y, i))
        total = total + value
        store(delta, i, rate * derivative(code, load(z, i), a) * (scale / units))
    return total / units


@kernel
def _gaussian(p, y, delta, units, scale, beta):
    """1/2 mean of s + (m - y)^2 e^-s, and its delta times e^(beta s).

    m: the first half of the outputs, s the second. A target that is NaN has no loss.
    """
    n_lanes, half = lanes(p), units // 2
    total, scale = splat(p, 0.0), scale / half
    for i in range(0, half * n_lanes, n_lanes):
        s, m, t = load(p, half * n_lanes + i), load(p, i), load(y, i)
        unknown = differs(t, t)
        d = select(unknown, m * 0.0, m - t)  # a NaN of m stays
        precision, weight = exp(-s), splat(p, 1.0)
        excess = d * d * precision
        value = select(unknown, (s + d) * 0.0, s + excess)
        if beta > 0.0:
            weight = exp(s * beta)
            value = value + weight * 0.0  # NaN, where the gradient is not finite
        total = total + value
        store(delta, i, select(unknown, 0.0, d * precision * scale * weight))
        by_s = (1.0 - excess) * (0.5 * scale) * weight
        store(delta, half * n_lanes + i, select(unknown, 0.0, by_s))
    return total * (0.5 / half)


@intrinsic
def _call_custom(typingctx: Any, code: Any, p: Any, y: Any, dloss: Any, units: Any) -> Any:
    """Call the user's loss, a C function at an address, on one row."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(ir.DoubleType(), [*(a.type for a in args[1:4]), I64])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.float64(types.int64, p, p, p, types.int64), codegen


@kernel
def custom_loss_and_delta(plan, work, vector, valid, rows):
    """``output_loss`` of a custom loss, row by row. Twin: the function itself."""
    n_lanes, last = lanes(work), plan[0, P.LAST]
    block, units = offset(work, vector * plan[0, P.BLOCK]), plan[last, P.OUTPUTS]
    p, y = offset(block, plan[last, P.A]), offset(block, plan[0, P.TARGET])
    delta, v = delta_of(plan, work, vector, last), delta_of(plan, work, vector, last - 1)
    row_p = offset(block, plan[0, P.CUSTOM_ROWS])
    row_y, row_v = offset(row_p, units), offset(row_p, 2 * units)
    whole, row_loss = padded(units, n_lanes), offset(block, plan[0, P.ROW_LOSS])
    for i in range(0, whole * n_lanes, n_lanes):
        store(v, i, splat(v, 0.0))
    for r in range(valid):
        for u in range(units):
            put(row_p, u, get(p, u * n_lanes + r))
            put(row_y, u, get(y, u * n_lanes + r))
            put(row_v, u, 0.0)
        value = _call_custom(plan[0, P.CUSTOM_LOSS], row_p, row_y, row_v, units)
        for u in range(units):
            put(v, u * n_lanes + r, get(row_v, u) / rows)
            value += get(row_v, u) * 0.0  # NaN, where the gradient is not finite
        put(delta, r, value)
    value, z = load(delta, 0), offset(block, plan[last, P.Z])
    delta_from_output(plan[last, P.ACTIVATION], z, p, v, delta, units, whole, row_loss)
    clear_padding(value, delta, units, whole, valid, row_loss)


@kernel
def weighs_entries(plan):
    """Whether each entry of y, and not each row, has a weight, 0 where it is NaN: bce alone."""
    last = plan[0, P.LAST]
    many = plan[last, P.OUTPUTS] > 1 and plan[0, P.CLASSES] == 1
    return plan[0, P.LOSS] == codes.BCE and (many or plan[last, P.TARGET_KIND] == P.UNIT_OR_NAN)


@kernel
def weight_unit(plan, job):
    """The part of MEAN_WEIGHT, a power of two, that divides weights of entries; rows have the rest.

    Weights of entries may be of any scale, and are rounded before those of the rows multiply them.
    """
    if job[J.MEAN_WEIGHT] == 0 or plan[0, P.CLASSES] == 0 or not weighs_entries(plan):
        return 1.0
    return get(pointer_to(job[J.MEAN_WEIGHT], types.float64), 1)


@kernel
def _bce_of_entries(hyper, first, places, units, scale, smooth, divisor):
    """The mean over outputs of bce times the weight of each entry, and its delta.

    hyper: from ``first`` on the weights of 0 and 1 of each output; first is 0 for none. places: (z,
    p, y, delta). divisor: what divides the weights. An entry of y that is NaN has no loss.
    Twin: same name.
    """
    z, p, y, delta = places
    n_lanes = lanes(z)
    loss = splat(z, 0.0)
    for unit in range(units):
        i = unit * n_lanes
        x, t = load(z, i), load(y, i)
        unknown = differs(t, t)
        t = select(unknown, 0.0, t)
        weight = splat(z, 1.0)
        if first > 0:
            of_0 = hyper[first + 2 * unit] / divisor
            of_1 = hyper[first + 2 * unit + 1] / divisor
            weight = (1.0 - t) * of_0 + t * of_1
        aim = fma(t, smooth[0], smooth[1])
        value = select(x < 0.0, 0.0, x) - x * aim + log1p(exp(-fabs(x)))
        loss = loss + select(unknown, x * 0.0, value * weight)  # a NaN of x stays
        store(delta, i, select(unknown, 0.0, (load(p, i) - aim) * scale * weight))
    return loss / units


@kernel
def extended_loss_and_delta(plan, work, job, vector, valid, rows):
    """``output_loss`` of extended plans: of all losses, with label smoothing."""
    loss, last = plan[0, P.LOSS], plan[0, P.LAST]
    if loss == codes.CUSTOM_LOSS:
        custom_loss_and_delta(plan, work, vector, valid, rows)
        return
    block, units = offset(work, vector * plan[0, P.BLOCK]), plan[last, P.OUTPUTS]
    z, p = offset(block, plan[last, P.Z]), offset(block, plan[last, P.A])
    y, delta = offset(block, plan[0, P.TARGET]), delta_of(plan, work, vector, last)
    code, row_loss = plan[last, P.ACTIVATION], offset(block, plan[0, P.ROW_LOSS])
    whole, hyper = padded(units, lanes(work)), typed_pointer_at(job[J.HYPER], types.float64)
    if weighs_entries(plan):
        trains = job[J.TASK] != J.INFER
        smoothing = hyper[H.SMOOTHING] if trains else 0.0
        first = H.class_weights(last) if trains and plan[0, P.CLASSES] == 1 else 0
        smooth, scale = (1.0 - smoothing, smoothing * 0.5), 1.0 / rows / units
        places, by = (z, p, y, delta), weight_unit(plan, job)
        value = _bce_of_entries(hyper, first, places, units, scale, smooth, by)
        clear_padding(value, delta, units, whole, valid, row_loss)
        return
    plain = loss == codes.MSE or loss == codes.SQUARED_ERROR or loss == codes.BCE
    if plain or loss == codes.CROSS_ENTROPY:
        smoothing = 0.0 if job[J.TASK] == J.INFER else hyper[H.SMOOTHING]
        middle = 1.0 / units if loss == codes.CROSS_ENTROPY else 0.5
        smooth = (1.0 - smoothing, smoothing * middle)
        labels = has_labels(plan, job)
        places, counts = (z, p, y, delta, row_loss), (units, whole, valid)
        loss_and_delta(loss, code, places, labels, counts, rows, smooth)
        return
    if loss == codes.GAUSSIAN_NLL:
        value = _gaussian(p, y, delta, units, 1.0 / rows, 0.0)
    elif loss == codes.BETA_NLL:
        value = _gaussian(p, y, delta, units, 1.0 / rows, hyper[H.LOSS_PARAMETER])
    else:
        value = _by_output(loss, hyper[H.LOSS_PARAMETER], code, z, p, y, delta, units, 1.0 / rows)
    clear_padding(value, delta, units, whole, valid, row_loss)
