"""What layers do beside their activations, as C99: products, layer norm, softmax.

Arrays of units are padded to whole panels by numbers that are finite wherever the inputs are; the
weights of the padding are 0 (packing.py).
"""

from . import c_math
from .c_math import Function
from .packing import PANEL

_PANELS = f"""
/* z += x W for panels of {PANEL} outputs, whose sums stay in registers. Two chains of sums, of two
 * inputs at a time, hide the latency of additions. W (panels, inputs, {PANEL}) */
NOINLINE void add_panels(real *restrict z, const real *restrict W, const real *restrict x,
                         size_t inputs, size_t panels)
{{
    for (; panels > 0; panels--) {{
        real one[{PANEL}], two[{PANEL}] = {{0}};
        const size_t fours = inputs - inputs % 4;
        size_t i, j;
        for (j = 0; j < {PANEL}; j++)
            one[j] = z[j];
        for (i = 0; i < fours; i += 4) {{
            const real *restrict w = W + {PANEL} * i;
            for (j = 0; j < {PANEL}; j++)
                one[j] += x[i] * w[j] + x[i + 1] * w[{PANEL} + j];
            for (j = 0; j < {PANEL}; j++)
                two[j] += x[i + 2] * w[{2 * PANEL} + j] + x[i + 3] * w[{3 * PANEL} + j];
        }}
        for (i = fours; i < inputs; i++)
            for (j = 0; j < {PANEL}; j++)
                one[j] += x[i] * W[{PANEL} * i + j];
        for (j = 0; j < {PANEL}; j++)
            z[j] = one[j] + two[j];
        W += {PANEL} * inputs;
        z += {PANEL};
    }}
}}
"""

_TOTAL = f"""
static real total(const real *restrict sum)
{{
    real part[4] = {{0}};
    size_t i, j;
    for (i = 0; i < {PANEL}; i += 4)
        for (j = 0; j < 4; j++)
            part[j] += sum[i + j];
    return (part[0] + part[1]) + (part[2] + part[3]);
}}
"""

_DOT = f"""
/* the sum of x[i] y[i]; count: a multiple of {PANEL} */
static real dot(const real *restrict x, const real *restrict y, size_t count)
{{
    real sum[{PANEL}] = {{0}};
    size_t i, j;
    for (i = 0; i < count; i += {PANEL})
        for (j = 0; j < {PANEL}; j++)
            sum[j] += x[i + j] * y[i + j];
    return total(sum);
}}
"""

_DOTS = """
/* z += x W for few outputs; W (outputs, inputs), count: of the inputs with their padding */
static void add_dots(real *restrict z, const real *restrict W, const real *restrict x, size_t count,
                     size_t outputs)
{
    size_t o;
    for (o = 0; o < outputs; o++)
        z[o] += dot(x, W + o * count, count);
}
"""

_SUM = f"""
/* the sum of x; count: a multiple of {PANEL}, the padding is 0 */
static real sum_of(const real *restrict x, size_t count)
{{
    real sum[{PANEL}] = {{0}};
    size_t i, j;
    for (i = 0; i < count; i += {PANEL})
        for (j = 0; j < {PANEL}; j++)
            sum[j] += x[i + j];
    return total(sum);
}}
"""

_NORM = """
/* z = (z - mean) / sqrt(variance + 1e-5); NaN where the variance is infinite; returns the factor */
static real normalize(real *restrict z, size_t units, size_t count)
{
    real mean = sum_of(z, count) / (real)units, rest, variance, factor;
    size_t j;
    for (j = 0; j < units; j++)
        z[j] -= mean;
    rest = sum_of(z, count) / (real)units; /* the rounding error of the mean */
    variance = dot(z, z, count) / (real)units - rest * rest;
    factor = 1.0R / SQRT((variance < 0.0R ? 0.0R : variance) + 1e-5R) + (variance - variance);
    for (j = 0; j < units; j++)
        z[j] = (z[j] - rest) * factor;
    return factor;
}
"""

_NORM_BACK = """
/* delta: from the gradient by the normalized units to that by z; normal, factor: of normalize */
static void normalize_back(real *restrict delta, const real *restrict normal,
                           const real *restrict gain, real factor, size_t units, size_t count)
{
    real mean, along;
    size_t j;
    for (j = 0; j < units; j++)
        delta[j] *= gain[j];
    mean = sum_of(delta, count) / (real)units;
    along = dot(delta, normal, count) / (real)units;
    for (j = 0; j < units; j++)
        delta[j] = (delta[j] - mean - normal[j] * along) * factor;
}
"""

_ELEMENTWISE = {
    "standardize": (
        "z = (z - mean) factor",
        ("mean", "factor"),
        "z[j] = (z[j] - mean[j]) * factor[j]",
    ),
    "scale_and_shift": (
        "z = z gain + shift",
        ("gain", "shift"),
        "z[j] = z[j] * gain[j] + shift[j]",
    ),
    "add": ("z += x", ("x",), "z[j] += x[j]"),
    "times": ("z *= x", ("x",), "z[j] *= x[j]"),
}

_SOFTMAX = """
static void softmax(real *restrict z, size_t units)
{
    real top = z[0], sum = 0.0R;
    size_t j;
    for (j = 1; j < units; j++)
        top = z[j] > top ? z[j] : top;
    for (j = 0; j < units; j++)
        z[j] = exp_of(z[j] - top);
    for (j = 0; j < units; j++)
        sum += z[j];
    for (j = 0; j < units; j++)
        z[j] *= 1.0R / sum;
}
"""

_SOFTMAX_BACK = """
/* delta: the gradient by z, from error, that by the outputs p of softmax */
static void softmax_back(real *restrict delta, const real *restrict error,
                         const real *restrict p, size_t units)
{
    real mean = 0.0R;
    size_t j;
    for (j = 0; j < units; j++)
        mean += p[j] * error[j];
    for (j = 0; j < units; j++)
        delta[j] = p[j] * (error[j] - mean);
}
"""

_OVERLAP = """
static int overlap(const real *one, size_t one_count, const real *other, size_t other_count)
{
    uintptr_t a = (uintptr_t)one, b = (uintptr_t)other;
    return a < b + other_count * sizeof(real) && b < a + one_count * sizeof(real);
}
"""

_CRC = """
/* CRC-32, as of zlib, half a byte at a time */
static uint32_t crc32_of(const unsigned char *bytes, size_t count)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
        0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
        0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu};
    uint32_t crc = 0xffffffffu;
    for (; count > 0; count--) {
        crc ^= *bytes++;
        crc = table[crc & 15u] ^ (crc >> 4);
        crc = table[crc & 15u] ^ (crc >> 4);
    }
    return crc ^ 0xffffffffu;
}
"""


def _elementwise_text(name: str, about: str, others: tuple[str, ...], body: str) -> str:
    """The function that changes z by other arrays, element by element."""
    arrays = ", ".join(f"const real *restrict {other}" for other in others)
    return f"""
/* {about} */
static void {name}(real *restrict z, {arrays}, size_t count)
{{
    size_t j;
    for (j = 0; j < count; j++)
        {body};
}}
"""


def _units_text(name: str, value: str) -> str:
    """The function that replaces z of many units by a."""
    return f"""
static void {name}_units(real *restrict units, size_t count)
{{
    size_t j;
    for (j = 0; j < count; j++) {{
        const real z = units[j];
        units[j] = {value};
    }}
}}
"""


def _slopes_text(name: str, value: str, slope: str) -> str:
    """The function that replaces z of many units by a, and fills in da/dz."""
    return f"""
static void {name}_slopes(real *restrict units, real *restrict slopes, size_t count)
{{
    size_t j;
    for (j = 0; j < count; j++) {{
        const real z = units[j], a = {value};
        slopes[j] = {slope};
        units[j] = a;
    }}
}}
"""


_LAYERS = {
    "add_panels": Function(_PANELS),
    "total": Function(_TOTAL),
    "dot": Function(_DOT, ("total",)),
    "add_dots": Function(_DOTS, ("dot",)),
    "sum_of": Function(_SUM, ("total",)),
    "normalize": Function(_NORM, ("sum_of", "dot")),
    "normalize_back": Function(_NORM_BACK, ("sum_of", "dot")),
    "softmax": Function(_SOFTMAX, ("exp",)),
    "softmax_back": Function(_SOFTMAX_BACK),
    "overlap": Function(_OVERLAP),
    "crc32_of": Function(_CRC),
}


def functions(itemsize: int) -> dict[str, Function]:
    """All functions that the code of a network may call, by name.

    For each activation there is NAME_units, and NAME_slopes, which also fills in da/dz.
    """
    table = c_math.FUNCTIONS[itemsize] | _LAYERS
    table |= {name: Function(_elementwise_text(name, *of)) for name, of in _ELEMENTWISE.items()}
    for name, (value, slope, needs, more) in c_math.ACTIVATIONS.items():
        table[f"{name}_units"] = Function(_units_text(name, value), needs)
        table[f"{name}_slopes"] = Function(_slopes_text(name, value, slope), needs + more)
    return table
