"""Cosine and sine of 2 pi t on vectors.

float32 takes t to its nearest quarter, exactly, and polynomials on an eighth of a turn to both
sides (Cephes' sinf and cosf). float64 calls libm lane by lane. The largest errors, absolute, up to
1,000 turns: 1.2e-7 in float32, 4e-16 in float64 (tests/unit/test_periodic.py measures them again).
From 2^20 turns on (float64: 2^50), where hardly a fraction is left, t counts as 0. NaN passes, and
infinity becomes NaN.
"""

import math
from typing import Any

from numba import types
from numba.extending import overload

from ..base.jit import INNER_OPTIONS, inlined
from ..ir.simd import fabs, fma, lanewise, select

_TURN = 2.0 * math.pi
_MOST32, _MOST64 = 2.0**20, 2.0**50
_ROUND32, _ROUND64 = 1.5 * 2.0**23, 1.5 * 2.0**52
"""x + _ROUND - _ROUND is the integer nearest to x."""

_cos64, _sin64 = lanewise(math.cos), lanewise(math.sin)


@inlined
def _both32(t):
    t = select(fabs(t) > _MOST32, t - t, t)
    n = (t * 4.0 + _ROUND32) - _ROUND32
    x = fma(n, -0.25, t) * _TURN
    square = x * x
    s = fma(square, -1.9515295891e-4, 8.3321608736e-3)
    s = fma(s, square, -1.6666654611e-1)
    s = fma(s * square, x, x)
    c = fma(square, 2.443315711809948e-5, -1.388731625493765e-3)
    c = fma(c, square, 4.166664568298827e-2)
    c = fma(c, square * square, fma(square, -0.5, 1.0))
    quarter = fma((n * 0.25 + _ROUND32) - _ROUND32, -4.0, n)  # -2 to 2
    size = fabs(quarter)
    is_odd = fabs(size - 1.0) < 0.5
    cosine = select(is_odd, s * -quarter, c * (1.0 - size))
    return cosine, select(is_odd, c * quarter, s * (1.0 - size))


@inlined
def _both64(t):
    t = select(fabs(t) > _MOST64, t - t, t)
    x = (t - ((t + _ROUND64) - _ROUND64)) * _TURN
    return _cos64(x), _sin64(x)


def cos_and_sin(t: Any) -> Any:
    """(cos(2 pi t), sin(2 pi t)) of a vector t. Twin: ``embed_numbers``."""
    raise NotImplementedError("only inside kernels")


@overload(cos_and_sin, jit_options={"forceinline": True, **INNER_OPTIONS})
def _choose(t):
    if t.dtype == types.float32:
        return lambda t: _both32(t)  # noqa: PLW0108 - overload wants a function
    return lambda t: _both64(t)  # noqa: PLW0108
