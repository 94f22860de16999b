"""Errors of the elementwise functions in units in the last place (ULP)."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from fastbp.kernels.base import codes
from support import kernel_stages
from support.cases import each_dtype
from support.kernel_stages import blank, vector_lanes

STRIDE = 4001
"""One of so many float32 numbers is tried: about a million of them all."""

_erf, _erfc = (np.frompyfunc(function, 1, 1) for function in (math.erf, math.erfc))


def gelu(x):
    return 0.5 * x * _erfc(x * -math.sqrt(0.5)).astype(float)


EVERYWHERE = (-np.inf, np.inf)
LARGEST = float(np.finfo(np.float32).max)

SINGLE = {  # stage, the same in double precision, range, largest error in ULP
    "exp": (kernel_stages.EXP, np.exp, EVERYWHERE, 1.1),
    "expm1": (kernel_stages.EXPM1, np.expm1, (-np.inf, 0), 1.0),
    "log": (kernel_stages.LOG, np.log, (1, LARGEST), 1.1),
    "log1p": (kernel_stages.LOG1P, np.log1p, (0, 1), 1.5),
    "tanh": (codes.TANH, np.tanh, EVERYWHERE, 2.6),
    "erf": (kernel_stages.ERF, lambda x: _erf(x).astype(float), EVERYWHERE, 1.2),
    "sigmoid": (codes.SIGMOID, lambda x: 1 / (1 + np.exp(-x)), EVERYWHERE, 2.6),
    "softplus": (codes.SOFTPLUS, lambda x: np.logaddexp(0, x), EVERYWHERE, 1.8),
    "silu": (codes.SILU, lambda x: x / (1 + np.exp(-x)), (-87, np.inf), 3.0),
    "mish": (codes.MISH, lambda x: x * np.tanh(np.logaddexp(0, x)), (-87, np.inf), 4.0),
}
"""The bounds hold with fused multiply-add and without."""

GELU_ULP = 1.6
"""Of z, not of gelu(z): below zero 1 + erf cancels, as it does in torch."""


def run(stage, x):
    """The function of an array of any length."""
    w = vector_lanes(x.dtype)
    padded = blank(-(-len(x) // w) * w, x.dtype, 1)
    padded[: len(x)] = x
    out = blank(len(padded), x.dtype)
    kernel_stages.elementwise_stage(stage, padded, padded, out)
    return out[: len(x)]


def ulps(actual, expected):
    """Errors in ULP of the actual's type, in which a result below its normal numbers may be 0."""
    limits, size = np.finfo(actual.dtype), np.abs(expected)
    expected = np.where(size > limits.max, np.copysign(np.inf, expected), expected)
    unit = np.spacing(np.clip(size, limits.tiny, limits.max).astype(actual.dtype)).astype(float)
    same = (actual == expected) | ((size < limits.tiny) & (actual == 0))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0, np.abs(actual - expected) / unit)


def singles(low, high, stride=STRIDE, start=0):
    """Every so many of the float32 numbers of a range, and its ends."""
    bits = np.arange(start, 0x7F800000, stride, np.uint32)
    ends = np.array([low, high, 0, -0.0], np.float32)
    x = np.concatenate([bits.view(np.float32), -bits.view(np.float32), ends])
    return x[(x >= low) & (x <= high)]


@pytest.mark.parametrize(("stage", "function", "limits", "bound"), SINGLE.values(), ids=SINGLE)
def test_error_in_single_precision(stage, function, limits, bound):
    x = singles(*limits)
    with np.errstate(over="ignore", under="ignore"):
        error = ulps(run(stage, x), function(x.astype(float)))
    worst = error.argmax()
    assert error[worst] <= bound, f"at {x[worst]!r}"


def test_error_of_gelu_in_single_precision():
    x = singles(-1e30, 1e30)
    error = np.abs(run(codes.GELU, x) - gelu(x.astype(float)))
    assert (error <= GELU_ULP * np.maximum(np.spacing(np.abs(x)), np.finfo(np.float32).tiny)).all()


def test_silu_fades_out_where_sigmoid_is_below_the_normal_numbers():
    x = np.array([-87.5, -88.6, -91, -104, -1e4, -1e38], np.float32)
    assert (np.abs(run(codes.SILU, x)) < 2e-36).all()


# Double precision, against sixty decimal digits.


def decimal_erf(x):
    """Its Taylor series; beyond 7, 1 - 1e-22."""
    if abs(x) > 7:
        return Decimal(1).copy_sign(x)
    total, power, n = Decimal(0), x, 0
    while abs(power) > Decimal("1e-55"):
        total += power / (2 * n + 1)
        n += 1
        power *= -x * x / n
    return total * 2 / PI.sqrt()


def decimal_softplus(x):
    small = x.exp()
    return small - small * small / 2 if x < -60 else (1 + small).ln()


PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")

DOUBLE = {  # stage, the exact function, range, largest error in ULP
    "exp": (kernel_stages.EXP, Decimal.exp, (-708, 709), 2),
    "expm1": (kernel_stages.EXPM1, lambda x: x.exp() - 1, (-708, 0), 2),
    "log": (kernel_stages.LOG, Decimal.ln, (1, 1e300), 2),
    "log1p": (kernel_stages.LOG1P, lambda x: (1 + x).ln(), (0, 1), 2),
    "tanh": (codes.TANH, lambda x: 1 - 2 / ((2 * x).exp() + 1), (-700, 700), 3),
    "erf": (kernel_stages.ERF, decimal_erf, (-10, 10), 2),
    "sigmoid": (codes.SIGMOID, lambda x: 1 / (1 + (-x).exp()), (-708, 700), 3),
    "softplus": (codes.SOFTPLUS, decimal_softplus, (-700, 700), 2),
    "silu": (codes.SILU, lambda x: x / (1 + (-x).exp()), (-700, 700), 3),
    "gelu": (codes.GELU, lambda x: x * (1 + decimal_erf(x / Decimal(2).sqrt())) / 2, (-10, 10), 2),
}
"""libm's functions stay within 2, but its tanh; sigmoid and silu add roundings to its exp."""


def doubles(low, high, count=300):
    """Numbers of all sizes from 1e-10 up, of both signs, and the ends of a range."""
    size = 10 ** np.random.default_rng(7).uniform(-10, math.log10(max(-low, high)), count)
    x = np.concatenate([size, -size, [low, high]])
    return x[(x >= low) & (x <= high)]


@pytest.mark.parametrize(("stage", "function", "limits", "bound"), DOUBLE.values(), ids=DOUBLE)
def test_error_in_double_precision(stage, function, limits, bound):
    x = doubles(*limits)
    with localcontext(prec=60):
        exact = [function(Decimal(float(value))) for value in x]
        actual = [Decimal(float(value)) for value in run(stage, x)]
        error = np.array([float(abs(a - b)) for a, b in zip(actual, exact, strict=True)])
    size = np.abs(x) if stage == codes.GELU else np.abs([float(value) for value in exact])
    error /= np.spacing(size)
    worst = error.argmax()
    assert error[worst] <= bound, f"at {x[worst]!r}"


# What is no number, and what is too large

inf = math.inf
LIMITS = {
    "exp": (kernel_stages.EXP, {inf: inf, -inf: 0, 1000: inf, -1000: 0, 0: 1}),
    "expm1": (kernel_stages.EXPM1, {-inf: -1, -1000: -1, 0: 0}),
    "log": (kernel_stages.LOG, {1: 0}),
    "log1p": (kernel_stages.LOG1P, {0: 0}),
    "tanh": (codes.TANH, {inf: 1, -inf: -1, 1000: 1, -1000: -1, 0: 0}),
    "erf": (kernel_stages.ERF, {inf: 1, -inf: -1, 1000: 1, -1000: -1, 0: 0}),
    "sigmoid": (codes.SIGMOID, {inf: 1, -inf: 0, 1000: 1, -1000: 0, 0: 0.5}),
    "softplus": (codes.SOFTPLUS, {inf: inf, -inf: 0, 1000: 1000, -1000: 0}),
    "silu": (codes.SILU, {inf: inf, 1000: 1000, -1000: 0, 0: 0}),
    "mish": (codes.MISH, {inf: inf, 1000: 1000, -1000: 0, 0: 0}),
    "selu": (codes.SELU, {inf: inf, 0: 0}),
    "gelu": (codes.GELU, {inf: inf, 1000: 1000, -1000: 0, 0: 0}),
    "relu": (codes.RELU, {inf: inf, -inf: 0, 0: 0}),
}


@each_dtype
@pytest.mark.parametrize(("stage", "expected"), LIMITS.values(), ids=LIMITS)
def test_limits_and_nan(stage, expected, dtype):
    x = np.array([math.nan, *expected], dtype)
    np.testing.assert_array_equal(run(stage, x), np.array([math.nan, *expected.values()], dtype))
