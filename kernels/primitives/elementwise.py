"""exp, tanh, erf and related functions on vectors; the activations and their derivatives.

float32 uses polynomials, because a libm call for each lane costs more than the product before it;
float64 calls libm lane by lane. Every clamp is written so that NaN passes. The largest errors, in
units in the last place (tests/unit/test_elementwise.py measures them again):

===================  =======  =======
function             float32  float64
===================  =======  =======
exp                     1.02     0.51
expm1, x <= 0           0.95     0.76
log, x >= 1             1.09     0.52
log1p on [0, 1]         1.44     0.83
tanh                    2.50     2.11
erf                     1.16     2
sigmoid                 2.49     2.32
softplus                1.69     1.48
silu, z >= -87          2.87     2.61
gelu, in ULP of z       1.52     2
===================  =======  =======
"""

import math
from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import overload

from ..base.codes import (
    CUSTOM_ACTIVATION,
    ELU,
    GELU,
    IDENTITY,
    LEAKY_RELU,
    LEAKY_SLOPE,
    MISH,
    RELU,
    SELU,
    SELU_ALPHA,
    SELU_SCALE,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
)
from ..base.jit import INNER_OPTIONS, inlined, kernel
from ..base.sizes import SUM_ROWS
from ..ir.simd import (
    exponent,
    fabs,
    fma,
    lanes,
    lanewise,
    load,
    mantissa,
    power_of_two,
    select,
    splat,
    store,
)

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # ln 2; the high part times 2**7 is exact
_LN2 = 0.6931471805599453
_SQRT2 = 1.4142135623730951
_ROUND = 1.5 * 2.0**23  # x + _ROUND - _ROUND is the integer nearest to a float32 x


def _by_dtype(single: Any, function: Any) -> Callable[..., Any]:
    """A function on vectors: ``single`` for float32, libm's ``function`` for float64 lanes."""
    double = lanewise(function)

    def stub(x: Any) -> Any:
        raise NotImplementedError("only inside kernels")

    @overload(stub, jit_options={"forceinline": True, **INNER_OPTIONS})
    def choose(x):
        if x.dtype == types.float32:
            return lambda x: single(x)  # noqa: PLW0108 - overload wants a function
        return lambda x: double(x)  # noqa: PLW0108

    return stub


@inlined
def _reduced(x):
    """n and expm1(r) with x = n ln 2 + r, |r| <= ln 2 / 2 (Cephes' expf)."""
    n = fma(x, _LOG2_E, _ROUND) - _ROUND
    r = fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, x))
    p = fma(r, 1.9875691500e-4, 1.3981999507e-3)
    p = fma(p, r, 8.3334519073e-3)
    p = fma(p, r, 4.1665795894e-2)
    p = fma(p, r, 1.6666665459e-1)
    p = fma(p, r, 5.0000001201e-1)
    return n, fma(p, r * r, r)


@inlined
def _exp32(x):
    n, p = _reduced(select(x > 89.0, 89.0, select(x < -104.0, -104.0, x)))
    half = fma(n, 0.5, _ROUND) - _ROUND
    return (p + 1.0) * power_of_two(half) * power_of_two(n - half)


@inlined
def _expm1_32(x):
    """For x <= 0; far below 0 it is -1."""
    n, p = _reduced(select(x < -87.0, -87.0, x))
    scale = power_of_two(n)
    return fma(p, scale, scale - 1.0)


@inlined
def _log1p32(u):
    """ln(1 + u) for u in [0, 1] (Cephes' logf)."""
    large = u > _SQRT2 - 1.0
    t = select(large, fma(u, 0.5, -0.5), u)
    p = fma(t, 7.0376836292e-2, -1.1514610310e-1)
    p = fma(p, t, 1.1676998740e-1)
    p = fma(p, t, -1.2420140846e-1)
    p = fma(p, t, 1.4249322787e-1)
    p = fma(p, t, -1.6668057665e-1)
    p = fma(p, t, 2.0000714765e-1)
    p = fma(p, t, -2.4999993993e-1)
    p = fma(p, t, 3.3333331174e-1)
    square = t * t
    tail = fma(p, t * square, square * -0.5)
    return select(large, (t + tail) + _LN2, t + tail)


@inlined
def _log32(x):
    result = fma(exponent(x), _LN2, _log1p32(mantissa(x) - 1.0))
    return fma(x, 0.0, result)  # NaN and infinity stay: their bits would be read as a number


@inlined
def _tanh32(x):
    e = _expm1_32(fabs(x) * -2.0)
    t = -e / (e + 2.0)
    return select(x < 0.0, -t, t)


@inlined
def _erf32(x):
    """A polynomial near 0, 1 - exp(polynomial) beyond 0.92 (after N. Juffa's erff)."""
    a, s = fabs(x), x * x
    p = fma(a, -1.72853470e-5, 3.83197126e-4)
    p = fma(p, s, fma(a, -3.88396438e-3, 2.42546219e-2))
    p = fma(p, a, -1.06777877e-1)
    p = fma(p, a, -6.34846687e-1)
    p = fma(p, a, -1.28717512e-1)
    far = -_expm1_32(fma(p, a, -a))
    q = fma(s, -5.96761703e-4, 4.99119423e-3)
    q = fma(q, s, -2.67681349e-2)
    q = fma(q, s, 1.12819925e-1)
    q = fma(q, s, -3.76125336e-1)
    q = fma(q, s, 1.28379166e-1)
    near = fma(q, x, x)
    return select(a > 0.921875, select(x < 0.0, -far, far), near)


exp = _by_dtype(_exp32, math.exp)
expm1 = _by_dtype(_expm1_32, math.expm1)
log = _by_dtype(_log32, math.log)
log1p = _by_dtype(_log1p32, math.log1p)
tanh = _by_dtype(_tanh32, math.tanh)
erf = _by_dtype(_erf32, math.erf)


@inlined
def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 1.0 / (exp(-x) + 1.0)


@inlined
def softplus(x):
    """ln(1 + e^x), without overflow."""
    return select(x < 0.0, 0.0, x) + log1p(exp(-fabs(x)))


@inlined
def _normal_cdf(x):
    return fma(erf(x * (1.0 / _SQRT2)), 0.5, 0.5)


@inlined
def _normal_density(x):
    return exp(x * x * -0.5) * 0.3989422804014327


@inlined
def _mish_parts(z):
    """n, e and x = min(z, 40), where e = e^x and n = e (e + 2).

    tanh(softplus(z)) = ((1 + e)^2 - 1) / ((1 + e)^2 + 1) = n / (n + 2), which is 1 from z = 40 on.
    """
    x = select(z > 40.0, 40.0, z)
    e = exp(x)
    return e * (e + 2.0), e, x


@inlined
def _tanh_derivative(a):
    return fma(-a, a, 1.0)


@inlined
def _tanh_second_derivative(a):
    return a * -2.0 * fma(-a, a, 1.0)


@inlined
def _relu(z):
    return select(z < 0.0, 0.0, z)


@inlined
def _relu_derivative(a):
    return select(a > 0.0, 1.0, a * 0.0)


@kernel
def activation(code, z):
    """a of one vector z. SOFTMAX, which couples units, is in losses.py. Twin: same name."""
    if code == RELU:
        return _relu(z)
    if code == SIGMOID:
        return sigmoid(z)
    if code == TANH:
        return tanh(z)
    if code == LEAKY_RELU:
        return select(z < 0.0, z * LEAKY_SLOPE, z)
    if code == ELU:
        return select(z < 0.0, expm1(z), z)
    if code == SOFTPLUS:
        return softplus(z)
    if code == SILU:
        return z * sigmoid(z)
    if code == GELU:
        return z * _normal_cdf(z)
    if code == SELU:
        return select(z < 0.0, expm1(z) * (SELU_SCALE * SELU_ALPHA), z * SELU_SCALE)
    if code == MISH:
        n, _, _ = _mish_parts(z)
        return z * (n / (n + 2.0))
    return z


@kernel
def derivative(code, z, a):
    """da/dz of one vector. SILU, GELU and MISH read z. For CUSTOM_ACTIVATION z holds da/dz.

    Twin: same name.
    """
    if code == RELU:
        return _relu_derivative(a)
    if code == SIGMOID:
        return a * (1.0 - a)
    if code == TANH:
        return _tanh_derivative(a)
    if code == LEAKY_RELU:
        return select(a > 0.0, 1.0, fma(a, 0.0, LEAKY_SLOPE))
    if code == ELU:
        return select(a > 0.0, 1.0, a + 1.0)
    if code == SOFTPLUS:
        return -expm1(-a)
    if code == SILU:
        s = sigmoid(z)
        return fma(z * s, 1.0 - s, s)
    if code == GELU:
        return fma(z, _normal_density(z), _normal_cdf(z))
    if code == SELU:
        return select(a > 0.0, fma(a, 0.0, SELU_SCALE), a + SELU_SCALE * SELU_ALPHA)
    if code == MISH:
        n, e, x = _mish_parts(z)
        return n / (n + 2.0) + (x * e * 4.0 / (n + 2.0)) * ((e + 1.0) / (n + 2.0))
    if code == CUSTOM_ACTIVATION:
        return z
    return fma(a, 0.0, 1.0)


@kernel
def second_derivative(code, z, a):
    """d2a/dz2 of one vector, of smooth activations; see ``derivative``. Twin: same name."""
    if code == SIGMOID:
        return a * (1.0 - a) * fma(a, -2.0, 1.0)
    if code == TANH:
        return _tanh_second_derivative(a)
    if code == SOFTPLUS:
        return -expm1(-a) * exp(-a)
    if code == SILU:
        s = sigmoid(z)
        return s * (1.0 - s) * fma(z, fma(s, -2.0, 1.0), 2.0)
    if code == GELU:
        density = _normal_density(z)
        return fma(density * z, -z, density * 2.0)  # z^2 alone may overflow
    if code == MISH:
        n, e, x = _mish_parts(z)
        first = (e * 4.0 / (n + 2.0)) * ((e + 1.0) / (n + 2.0))  # of tanh(softplus(z))
        return first * fma(x, fma(n / (n + 2.0) * e, -2.0, 1.0) / (e + 1.0), 2.0)
    return a * 0.0


_PART = SUM_ROWS
"""Vectors of a partial sum, which are rows in the gradient of a bias. Rounding grows with the
longest chain."""


@kernel
def sum_of_vectors(x, count):
    """The sum of ``count`` contiguous vectors, two chains at a time."""
    n_lanes = lanes(x)
    total = splat(x, 0.0)
    for start in range(0, count, _PART):
        stop = min(count, start + _PART)
        even = odd = splat(x, 0.0)
        for i in range(start * n_lanes, (start + (stop - start) // 2 * 2) * n_lanes, 2 * n_lanes):
            even = even + load(x, i)
            odd = odd + load(x, i + n_lanes)
        if (stop - start) % 2 == 1:
            even = even + load(x, (stop - 1) * n_lanes)
        total = total + (even + odd)
    return total


@kernel
def activate(code, z, a, units, padded):
    """Activations of one vector of rows, and zeros in the padded units.

    z, a: (padded, lanes), may be the same. relu costs less than a call for each vector; tanh is
    the usual one of simulations.
    """
    n_lanes = lanes(z)
    if code == RELU:
        for i in range(0, units * n_lanes, n_lanes):
            store(a, i, _relu(load(z, i)))
    elif code == TANH:
        for i in range(0, units * n_lanes, n_lanes):
            store(a, i, tanh(load(z, i)))
    else:
        for i in range(0, units * n_lanes, n_lanes):
            store(a, i, activation(code, load(z, i)))
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(a, i, splat(a, 0.0))


@kernel
def times_derivative(code, delta, z, a, units, padded):
    """delta *= da/dz for one vector of rows, and zeros in the padded units.

    delta, z, a: (padded, lanes); delta aliases none of them.
    """
    n_lanes = lanes(z)
    if code == RELU:
        for i in range(0, units * n_lanes, n_lanes):
            store(delta, i, load(delta, i) * _relu_derivative(load(a, i)))
    elif code != IDENTITY:
        for i in range(0, units * n_lanes, n_lanes):
            store(delta, i, load(delta, i) * derivative(code, load(z, i), load(a, i)))
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(delta, i, splat(delta, 0.0))


@kernel
def derivatives(code, z, a, first, count):
    """da/dz of ``count`` vectors; relu and tanh cost less than a call for each of them.

    z, a, first: (count, lanes); first may be z or a. Twin: ``derivative``.
    """
    n_lanes = lanes(z)
    if code == RELU:
        for i in range(0, count * n_lanes, n_lanes):
            store(first, i, _relu_derivative(load(a, i)))
    elif code == TANH:
        for i in range(0, count * n_lanes, n_lanes):
            store(first, i, _tanh_derivative(load(a, i)))
    else:
        for i in range(0, count * n_lanes, n_lanes):
            store(first, i, derivative(code, load(z, i), load(a, i)))


@kernel
def both_derivatives(code, z, a, first, second, count):
    """da/dz and d2a/dz2 of ``count`` vectors of a smooth activation, as ``derivatives``.

    z, a, first, second: (count, lanes); first and second alias nothing. Twins: ``derivative``,
    ``second_derivative``.
    """
    derivatives(code, z, a, first, count)
    n_lanes = lanes(z)
    if code == TANH:
        for i in range(0, count * n_lanes, n_lanes):
            store(second, i, _tanh_second_derivative(load(a, i)))
    else:
        for i in range(0, count * n_lanes, n_lanes):
            store(second, i, second_derivative(code, load(z, i), load(a, i)))
