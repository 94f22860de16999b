"""exp and tanh of one number, without a branch or a call: LLVM vectorizes a loop around them.

Kernels have vectors of their own (elementwise.py), which a user's function has not. float32 goes by
the same polynomials, float64 by those of Cephes. Every clamp lets NaN pass.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from ..base.flags import FLAGS
from ..ir.llvm_ir import I32, I64, ir_call

inlined_scalar = njit(forceinline=True, **FLAGS)
"""A function that LLVM inlines into the user's, with a division that cannot raise."""


@intrinsic
def _fma(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z with one rounding where the processor has it."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return ir_call(builder, "fmuladd", *args)

    return x(x, x, x), codegen


@intrinsic
def _select(typingctx: Any, condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y, without a branch."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        return builder.select(*args)

    return x(types.boolean, x, x), codegen


@intrinsic
def _power_of_two(typingctx: Any, n: Any) -> Any:
    """2**n for an integer n as a float whose exponent can hold it. Any bits for NaN."""
    kind, bits, rounding, bias = (
        (I32, 23, _ROUND32, 127) if n == types.float32 else (I64, 52, _ROUND64, 1023)
    )

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        (value,) = args  # its last bits are n + bias, once it is as large as rounding
        shifted = builder.fadd(value, ir.Constant(value.type, float(rounding) + bias))
        return builder.bitcast(builder.shl(builder.bitcast(shifted, kind), kind(bits)), value.type)

    return n(n), codegen


def _constants(dtype: type, *values: float) -> tuple[Any, ...]:
    """Numbers of one type: Numba computes with float64 as soon as one of two is."""
    return tuple(map(dtype, values))


_ROUND32, _ROUND64 = np.float32(1.5 * 2.0**23), np.float64(1.5 * 2.0**52)
"""x + _ROUND - _ROUND is the integer nearest to x."""

_ONE, _TWO, _HALF = _constants(np.float32, 1.0, 2.0, 0.5)
_LOG2_E, _LN2_HIGH, _LN2_LOW = _constants(
    np.float32, 1.4426950408889634, 0.693359375, -2.12194440e-4
)
_LOW32, _HIGH32 = _constants(np.float32, -104.0, 89.0)
_E0, _E1, _E2, _E3, _E4, _E5 = _constants(
    np.float32,
    *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3),
    *(4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
)


@inlined_scalar
def _expm1_parts(x):
    """expm1(r), 2**i, 2**j with x = (i + j) ln 2 + r, |r| <= ln 2 / 2 (Cephes' expf)."""
    x = _select(x > _HIGH32, _HIGH32, _select(x < _LOW32, _LOW32, x))
    n = _fma(x, _LOG2_E, _ROUND32) - _ROUND32
    r = _fma(n, -_LN2_LOW, _fma(n, -_LN2_HIGH, x))
    p = _fma(_fma(r, _E0, _E1), r, _E2)
    p = _fma(_fma(_fma(p, r, _E3), r, _E4), r, _E5)
    half = (n * _HALF + _ROUND32) - _ROUND32
    return _fma(p, r * r, r), _power_of_two(half), _power_of_two(n - half)


@inlined_scalar
def exp32(x):
    """e**x in float32."""
    p, i, j = _expm1_parts(x)
    return (p + _ONE) * i * j


@inlined_scalar
def tanh32(x):
    """tanh x in float32, by expm1."""
    p, i, j = _expm1_parts(abs(x) * -_TWO)
    e = _fma(p, i * j, i * j - _ONE)
    t = -e / (e + _TWO)
    return _select(x < np.float32(0), -t, t)


@inlined_scalar
def exp64(x):
    """Cephes' exp."""
    x = _select(x > 710.0, 710.0, _select(x < -746.0, -746.0, x))
    n = _fma(x, 1.4426950408889634, _ROUND64) - _ROUND64
    r = _fma(n, -1.42860682030941723212e-6, _fma(n, -6.93145751953125e-1, x))
    s = r * r
    p = _fma(_fma(s, 1.26177193074810590878e-4, 3.02994407707441961300e-2), s, 1.0) * r
    q = _fma(s, 3.00198505138664455042e-6, 2.52448340349684104192e-3)
    q = _fma(_fma(q, s, 2.27265548208155028766e-1), s, 2.0)
    half = (n * 0.5 + _ROUND64) - _ROUND64
    return _fma(p / (q - p), 2.0, 1.0) * _power_of_two(half) * _power_of_two(n - half)


@inlined_scalar
def tanh64(x):
    """A rational function near 0, 1 - 2 / (exp(2 |x|) + 1) beyond 0.625 (Cephes' tanh)."""
    s = x * x
    p = _fma(s, -9.64399179425052238628e-1, -9.92877231001918586564e1)
    p = _fma(p, s, -1.61468768441708447952e3)
    q = _fma(s + 1.12811678491632931402e2, s, 2.23548839060100448583e3)
    q = _fma(q, s, 4.84406305325125486048e3)
    near = _fma(x * s, p / q, x)
    far = 1.0 - 2.0 / (exp64(abs(x) * 2.0) + 1.0)
    return _select(abs(x) > 0.625, _select(x < 0.0, -far, far), near)
