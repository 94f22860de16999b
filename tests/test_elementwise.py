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


SINGLE = {
    "exp": (stages.EXP, np.exp, -np.inf, np.inf, 2.0),
    "expm1": (stages.EXPM1, np.expm1, -np.inf, 0, 2.0),
    "log": (stages.LOG, np.log, 1, np.finfo(np.float32).max, 2.0),
    "log1p": (stages.LOG1P, np.log1p, 0, 1, 2.0),
    "tanh": (codes.TANH, np.tanh, -np.inf, np.inf, 2.0),
    "erf": (stages.ERF, lambda x: _erf(x).astype(float), -np.inf, np.inf, 2.0),
    "sigmoid": (codes.SIGMOID, lambda x: 1 / (1 + np.exp(-x)), -np.inf, np.inf, 3.0),
    "softplus": (codes.SOFTPLUS, lambda x: np.logaddexp(0, x), -np.inf, np.inf, 3.0),
    "silu": (codes.SILU, lambda x: x / (1 + np.exp(-x)), -1e30, 1e30, 3.0),
    "gelu": (codes.GELU, gelu, -1e30, 1e30, 3.0),
}


def run(stage, x):
    """The function of an array of any length."""
    w = vector_lanes(x.dtype)
    padded = blank(-(-len(x) // w) * w, x.dtype, 1)
    padded[: len(x)] = x
    out = blank(len(padded), x.dtype)
    stages.elementwise_stage(stage, padded, padded, out)
    return out[: len(x)]


def ulps(actual, expected):
    """Largest error in ULP of the actual's type, by which a result below normal may be 0."""
    limits = np.finfo(actual.dtype)
    expected = np.where(np.abs(expected) > limits.max, np.copysign(np.inf, expected), expected)
    unit = np.maximum(np.abs(expected), limits.tiny)
    unit = np.spacing(np.minimum(unit, limits.max).astype(actual.dtype)).astype(float)
    with np.errstate(invalid="ignore"):
        error = np.abs(actual - expected)
    flushed = (np.abs(expected) < limits.tiny) & (error <= limits.tiny)
    error[flushed | (actual == expected)] = 0
    return error / unit


def singles(low, high, stride=STRIDE, start=0):
    bits = np.arange(start, 0x7F800000, stride, np.uint32)
    x = np.concatenate([bits.view(np.float32), -bits.view(np.float32)])
    return x[(x >= low) & (x <= high)]
