"""exp, tanh, erf and the activations as C99 that a compiler vectorizes.

The formulas are those of kernels/primitives (elementwise.py; for exp and tanh of float64
scalar_math.py); erf, expm1 and log1p of float64 are libm's. Compilers turn neither a call nor a
branch into vectors: ``choose`` picks by bits, and functions are inlined whatever their size. No
rounding is done by adding and subtracting a large number, which -ffast-math would cancel. NaN
passes everywhere. In a text ``1.0R`` is a number of the element type.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..kernels.base.codes import LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE

_CHOOSE = """
/* a where yes, else b, without a branch */
INLINE real choose(int yes, real a, real b)
{
    bits mask = (bits)0 - (bits)yes, of_a, of_b;
    memcpy(&of_a, &a, sizeof a);
    memcpy(&of_b, &b, sizeof b);
    of_a = (of_a & mask) | (of_b & ~mask);
    memcpy(&a, &of_a, sizeof a);
    return a;
}
"""

_PARTS = """
INLINE int32_t nearest(real x)
{
    real away = x + choose(x < 0.0R, -0.5R, 0.5R);
    return (int32_t)choose(away == away, away, 0.0R);
}

/* 2**n for -EXPONENT_BIAS < n <= EXPONENT_BIAS */
INLINE real power_of_two(int32_t n)
{
    bits exponent = (bits)(n + EXPONENT_BIAS) << MANTISSA_BITS;
    real power;
    memcpy(&power, &exponent, sizeof power);
    return power;
}

INLINE real clamped(real x, real low, real high)
{
    x = choose(x > high, high, x);
    return choose(x < low, low, x);
}
"""

_EXP32_PARTS = """
typedef struct {
    real p, i, j;
} exp_parts;

/* p = expm1(r), i, j with e**x = (1 + p) i j, |r| <= ln 2 / 2 (Cephes' expf) */
INLINE exp_parts parts_of_exp(real x)
{
    exp_parts found;
    real n, r, p;
    int32_t whole, half;
    x = clamped(x, -104.0R, 89.0R);
    whole = nearest(x * 1.44269504R);
    half = whole / 2;
    n = (real)whole;
    r = x - n * 0.693359375R;
    r = r + n * 2.12194440e-4R;
    p = r * 1.9875691500e-4R + 1.3981999507e-3R;
    p = p * r + 8.3334519073e-3R;
    p = p * r + 4.1665795894e-2R;
    p = p * r + 1.6666665459e-1R;
    p = p * r + 5.0000001201e-1R;
    found.p = p * (r * r) + r;
    found.i = power_of_two(half);
    found.j = power_of_two(whole - half);
    return found;
}
"""

_EXP32 = """
INLINE real exp_of(real x)
{
    exp_parts e = parts_of_exp(x);
    return (e.p + 1.0R) * e.i * e.j;
}
"""

_EXP64 = """
/* Cephes' exp */
INLINE real exp_of(real x)
{
    real n, r, s, p, q;
    int32_t whole, half;
    x = clamped(x, -746.0R, 710.0R);
    whole = nearest(x * 1.4426950408889634R);
    half = whole / 2;
    n = (real)whole;
    r = x - n * 6.93145751953125e-1R;
    r = r - n * 1.42860682030941723212e-6R;
    s = r * r;
    p = s * 1.26177193074810590878e-4R + 3.02994407707441961300e-2R;
    p = (p * s + 1.0R) * r;
    q = s * 3.00198505138664455042e-6R + 2.52448340349684104192e-3R;
    q = q * s + 2.27265548208155028766e-1R;
    q = q * s + 2.0R;
    p = p / (q - p) * 2.0R + 1.0R;
    return p * power_of_two(half) * power_of_two(whole - half);
}
"""

_EXPM1_32 = """
/* e**x - 1 for x <= 0 */
INLINE real expm1_of(real x)
{
    exp_parts e = parts_of_exp(x);
    real scale = e.i * e.j;
    return e.p * scale + (scale - 1.0R);
}
"""

_LOG1P_32 = """
/* ln(1 + u) for u in [0, 1] (Cephes' logf) */
INLINE real log1p_of(real u)
{
    int is_large = u > 0.414213562R;
    real t = choose(is_large, u * 0.5R - 0.5R, u), s = t * t;
    real p = t * 7.0376836292e-2R - 1.1514610310e-1R;
    p = p * t + 1.1676998740e-1R;
    p = p * t - 1.2420140846e-1R;
    p = p * t + 1.4249322787e-1R;
    p = p * t - 1.6668057665e-1R;
    p = p * t + 2.0000714765e-1R;
    p = p * t - 2.4999993993e-1R;
    p = p * t + 3.3333331174e-1R;
    p = p * (t * s) + s * -0.5R;
    return (t + p) + choose(is_large, 0.693147181R, 0.0R);
}
"""

_TANH32 = """
INLINE real tanh_of(real x)
{
    real e = expm1_of(fabsf(x) * -2.0R), t = -e / (e + 2.0R);
    return choose(x < 0.0R, -t, t);
}
"""

_TANH64 = """
/* a rational function near 0, 1 - 2 / (exp(2 |x|) + 1) beyond 0.625 (Cephes' tanh) */
INLINE real tanh_of(real x)
{
    real s = x * x, small, large, p, q;
    p = s * -9.64399179425052238628e-1R - 9.92877231001918586564e1R;
    p = p * s - 1.61468768441708447952e3R;
    q = (s + 1.12811678491632931402e2R) * s + 2.23548839060100448583e3R;
    q = q * s + 4.84406305325125486048e3R;
    small = x * s * (p / q) + x;
    large = 1.0R - 2.0R / (exp_of(fabs(x) * 2.0R) + 1.0R);
    large = choose(x < 0.0R, -large, large);
    return choose(fabs(x) > 0.625R, large, small);
}
"""

_ERF32 = """
/* a polynomial near 0, 1 - exp(polynomial) beyond 0.92 (after N. Juffa's erff) */
INLINE real erf_of(real x)
{
    real a = fabsf(x), s = x * x, p, q, large;
    p = a * -1.72853470e-5R + 3.83197126e-4R;
    p = p * s + (a * -3.88396438e-3R + 2.42546219e-2R);
    p = p * a - 1.06777877e-1R;
    p = p * a - 6.34846687e-1R;
    p = p * a - 1.28717512e-1R;
    large = -expm1_of(p * a - a);
    large = choose(x < 0.0R, -large, large);
    q = s * -5.96761703e-4R + 4.99119423e-3R;
    q = q * s - 2.67681349e-2R;
    q = q * s + 1.12819925e-1R;
    q = q * s - 3.76125336e-1R;
    q = q * s + 1.28379166e-1R;
    return choose(a > 0.921875R, large, q * x + x);
}
"""

_SIGMOID = """
/* without overflow, which a simulation may trap */
INLINE real sigmoid_of(real x)
{
    real e = exp_of(choose(x < 0.0R, x, -x));
    return choose(x < 0.0R, e, 1.0R) / (e + 1.0R);
}
"""

_SOFTPLUS = """
/* ln(1 + e**x), without overflow */
INLINE real softplus_of(real x)
{
    return choose(x < 0.0R, 0.0R, x) + log1p_of(exp_of(choose(x < 0.0R, x, -x)));
}
"""

_NORMAL = """
/* the distribution of a standard normal variable */
INLINE real normal_of(real x)
{
    return erf_of(x * 0.70710678118654752440R) * 0.5R + 0.5R;
}
"""

_MISH = """
/* tanh(softplus(z)) = ((1 + e)**2 - 1) / ((1 + e)**2 + 1), which is 1 from z = 40 on */
INLINE real mish_of(real z)
{
    real e = exp_of(choose(z > 40.0R, 40.0R, z)), n = e * (e + 2.0R);
    return z * (n / (n + 2.0R));
}
"""

_MISH_SLOPE = """
INLINE real mish_slope_of(real z)
{
    real x = choose(z > 40.0R, 40.0R, z), e = exp_of(x), n = e * (e + 2.0R);
    return n / (n + 2.0R) + x * e * 4.0R / (n + 2.0R) * ((e + 1.0R) / (n + 2.0R));
}
"""


class Function(NamedTuple):
    """The text of a C function, and the names of those that it calls."""

    text: str
    needs: tuple[str, ...] = ()


def _libm(name: str) -> Function:
    return Function(f"\nINLINE real {name}_of(real x)\n{{\n    return {name}(x);\n}}\n")


_OF_BOTH = {
    "choose": Function(_CHOOSE),
    "parts": Function(_PARTS, ("choose",)),
    "sigmoid": Function(_SIGMOID, ("exp",)),
    "softplus": Function(_SOFTPLUS, ("exp", "log1p")),
    "normal": Function(_NORMAL, ("erf",)),
    "mish": Function(_MISH, ("exp",)),
    "mish_slope": Function(_MISH_SLOPE, ("exp",)),
}

FUNCTIONS = {
    4: _OF_BOTH
    | {
        "exp_parts": Function(_EXP32_PARTS, ("parts",)),
        "exp": Function(_EXP32, ("exp_parts",)),
        "expm1": Function(_EXPM1_32, ("exp_parts",)),
        "log1p": Function(_LOG1P_32, ("choose",)),
        "tanh": Function(_TANH32, ("expm1",)),
        "erf": Function(_ERF32, ("expm1",)),
    },
    8: _OF_BOTH
    | {
        "exp": Function(_EXP64, ("parts",)),
        "expm1": _libm("expm1"),
        "log1p": _libm("log1p"),
        "tanh": Function(_TANH64, ("exp",)),
        "erf": _libm("erf"),
    },
}
"""The functions of one number, by itemsize and name."""


class Activation(NamedTuple):
    """C expressions: a of z; da/dz of z and a; the names of the functions that each calls."""

    value: str
    slope: str
    needs: tuple[str, ...] = ()
    slope_needs: tuple[str, ...] = ()


_SELU = f"{SELU_SCALE!r}R"
_SELU_BELOW = f"{SELU_SCALE * SELU_ALPHA!r}R"
_EXPM1 = "expm1_of(choose(z < 0.0R, z, 0.0R))"

ACTIVATIONS = {
    "identity": Activation("z", "1.0R + a * 0.0R"),
    "sigmoid": Activation("sigmoid_of(z)", "a * (1.0R - a)", ("sigmoid",)),
    "tanh": Activation("tanh_of(z)", "1.0R - a * a", ("tanh",)),
    "relu": Activation(
        "choose(z < 0.0R, 0.0R, z)", "choose(a > 0.0R, 1.0R, a * 0.0R)", ("choose",)
    ),
    "leaky_relu": Activation(
        f"choose(z < 0.0R, z * {LEAKY_SLOPE}R, z)",
        f"choose(a > 0.0R, 1.0R, {LEAKY_SLOPE}R + a * 0.0R)",
        ("choose",),
    ),
    "elu": Activation(
        f"choose(z < 0.0R, {_EXPM1}, z)", "choose(a > 0.0R, 1.0R, a + 1.0R)", ("expm1", "choose")
    ),
    "softplus": Activation("softplus_of(z)", "-expm1_of(-a)", ("softplus",), ("expm1",)),
    "silu": Activation(
        "z * sigmoid_of(z)",
        "sigmoid_of(z) + z * sigmoid_of(z) * (1.0R - sigmoid_of(z))",
        ("sigmoid",),
    ),
    "gelu": Activation(
        "z * normal_of(z)",
        "normal_of(z) + z * (exp_of(z * z * -0.5R) * 0.39894228040143267794R)",
        ("normal",),
        ("exp",),
    ),
    "selu": Activation(
        f"choose(z < 0.0R, {_EXPM1} * {_SELU_BELOW}, z * {_SELU})",
        f"choose(a > 0.0R, {_SELU} + a * 0.0R, a + {_SELU_BELOW})",
        ("expm1", "choose"),
    ),
    "mish": Activation("mish_of(z)", "mish_slope_of(z)", ("mish",), ("mish_slope",)),
}
"""The activations of single units, by name. Softmax, which couples units, is in c_layers.py."""


def in_order(names: Iterable[str], table: Mapping[str, Function]) -> str:
    """The text of these functions of a table, each after those that it calls."""
    wanted: dict[str, None] = {}

    def add(name: str) -> None:
        for needed in table[name].needs:
            add(needed)
        wanted[name] = None

    for name in names:
        add(name)
    return "".join(table[name].text for name in wanted)


def typed(text: str, itemsize: int) -> str:
    """``text`` with its numbers, and SQRT, of the element type."""
    suffix = "f" if itemsize == 4 else ""
    return re.sub(r"(?<=\d)R\b", suffix, text).replace("SQRT(", f"sqrt{suffix}(")
