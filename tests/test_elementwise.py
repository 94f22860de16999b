"""Errors of the elementwise functions in units in the last place (ULP)."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import stages
from cases import each_dtype
from stages import blank, vector_lanes

from fastbp.kernels import codes

STRIDE = 1009
"""Every so many of the float32 numbers are tried: some four million of them all."""

_erf, _erfc = (np.frompyfunc(function, 1, 1) for function in (math.erf, math.erfc))


def gelu(x):
    return 0.5 * x * _erfc(x * -math.sqrt(0.5)).astype(float)


EVERYWHERE = (-np.inf, np.inf)
LARGEST = float(np.finfo(np.float32).max)

SINGLE = {  # stage, the same in double precision, range, bound of the error in ULP
    "exp": (stages.EXP, np.exp, EVERYWHERE, 1.0),
    "expm1": (stages.EXPM1, np.expm1, (-np.inf, 0), 1.0),
    "log": (stages.LOG, np.log, (1, LARGEST), 1.0),
    "log1p": (stages.LOG1P, np.log1p, (0, 1), 1.5),
    "tanh": (codes.TANH, np.tanh, EVERYWHERE, 2.6),
    "erf": (stages.ERF, lambda x: _erf(x).astype(float), EVERYWHERE, 1.0),
    "sigmoid": (codes.SIGMOID, lambda x: 1 / (1 + np.exp(-x)), EVERYWHERE, 2.5),
    "softplus": (codes.SOFTPLUS, lambda x: np.logaddexp(0, x), EVERYWHERE, 2.0),
    "silu": (codes.SILU, lambda x: x / (1 + np.exp(-x)), (-LARGEST, np.inf), 3.0),
}


def run(stage, x):
    """The function of an array of any length."""
    w = vector_lanes(x.dtype)
    padded = blank(-(-len(x) // w) * w, x.dtype, 1)
    padded[: len(x)] = x
    out = blank(len(padded), x.dtype)
    stages.elementwise_stage(stage, padded, padded, out)
    return out[: len(x)]


def ulps(actual, expected, smallest=None):
    """Errors in ULP of the actual's type; a result smaller than ``smallest`` may also be 0."""
    limits = np.finfo(actual.dtype)
    smallest = limits.tiny if smallest is None else smallest
    size = np.abs(expected)
    expected = np.where(size > limits.max, np.copysign(np.inf, expected), expected)
    unit = np.spacing(np.clip(size, limits.tiny, limits.max).astype(actual.dtype)).astype(float)
    same = (actual == expected) | ((size < smallest) & (actual == 0))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0, np.abs(actual - expected) / unit)


def singles(low, high, stride=STRIDE, start=0):
    """Every so many of the float32 numbers of a range, and its ends."""
    bits = np.arange(start, 0x7F800000, stride, np.uint32)
    x = np.concatenate([bits.view(np.float32), -bits.view(np.float32)])
    ends = np.array([low, high, 0, -0.0, 0.5, -0.5], np.float32)
    x = np.concatenate([x, ends])
    return x[(x >= low) & (x <= high)]
