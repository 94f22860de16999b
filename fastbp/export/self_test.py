"""The self-test of a network's C code: rows, and what fastbp's formulas give for them."""

from typing import NamedTuple

import numpy as np

from ..common.types import Array, Floats
from . import rounding
from .c_numbers import array_text
from .content import Content
from .design import Design

ROWS, DRAWN = 10, 5


class Expected(NamedTuple):
    """Rows, and the results in float64 with how far another program may be from them.

    X, v: of the network's dtype. p, gradient: (rows, outputs), (rows, inputs). The others have a
    number for each row; of_jacobian bounds the error of sum over o of v[o] J[o].
    """

    X: Array
    v: Array
    p: Floats
    of_p: Floats
    gradient: Floats
    of_gradient: Floats
    of_jacobian: Floats


def expected(content: Content, X: Array, v: Array, jacobian: bool = True) -> Expected:
    """The results for these rows. The bounds are twice the error of one program, plus the tiny.

    jacobian: whether the bound for it is worked out, in a pass for each output; else it is tiny.
    """
    p, passed = rounding.forward(content, X)
    gradient = rounding.gradient(content, passed, v)
    summed = np.zeros(X.shape)
    for o in range(content.sizes[-1] * jacobian):
        one_hot = np.zeros(v.shape)
        one_hot[:, o] = 1
        summed += np.abs(v[:, [o]]) * rounding.gradient(content, passed, one_hot).error
    bounds = (_of_rows(content, error) for error in (p.error, gradient.error, summed))
    of_p, of_gradient, of_jacobian = bounds
    return Expected(X, v, p.value, of_p, gradient.value, of_gradient, of_jacobian)


def _of_rows(content: Content, errors: Floats) -> Floats:
    bounds: Floats = 2 * errors.max(axis=1) + float(np.finfo(content.dtype).tiny)
    return bounds


def rows(content: Content) -> tuple[Array, Array]:
    """Rows of X like those that the network was standardized by, and of v.

    Of several times as many, those whose gradients are the surest: where a unit is so near to a
    kink that rounding decides its slope, a test says little.
    """
    rng, count = np.random.default_rng(0), DRAWN * ROWS
    X = rng.standard_normal((count, content.sizes[0]))
    if content.inputs is not None:
        mean, factor = map(rounding.double, content.inputs)
        X = X / factor + mean
    X = X.astype(content.dtype)
    v = rng.standard_normal((count, content.sizes[-1])).astype(content.dtype)
    _, passed = rounding.forward(content, X)
    sure = np.argsort(rounding.gradient(content, passed, v).error.max(axis=1), kind="stable")[:ROWS]
    return X[sure], v[sure]


def text(design: Design) -> str:
    """The .c file of the test, which returns 0 where all is well."""
    name, upper = design.name, design.upper
    found = expected(design.content, *rows(design.content), design.derivatives)
    return f"""\
/* Tests {name}.c: compile both, run, and see that it returns 0. Written by fastbp. */
#include "{name}.h"

#include <math.h>
#include <stdio.h>

#if {upper}_MODEL != {design.model:#x}u
#error "{name}.h and {name}_test.c are of different networks: write them again"
#endif

enum {{ ROWS = {ROWS}, INPUTS = {upper}_INPUTS, OUTPUTS = {upper}_OUTPUTS }};
typedef {design.real} real;

{_arrays(design, found)}
{CLOSE}
{_main(design)}"""


def _arrays(design: Design, found: Expected) -> str:
    """The rows, and for each row the results and bounds."""
    arrays = {"real X[ROWS * INPUTS]": found.X, "double expected[ROWS * OUTPUTS]": found.p}
    arrays["double bounds[ROWS]"] = found.of_p
    if design.derivatives:
        arrays["real v[ROWS * OUTPUTS]"] = found.v
        arrays["double gradient[ROWS * INPUTS]"] = found.gradient
        arrays["double gradient_bounds[ROWS]"] = found.of_gradient
        arrays["double jacobian_bounds[ROWS]"] = found.of_jacobian
    return "".join(
        array_text(f"static const {head}", [("", array)]) for head, array in arrays.items()
    )


CLOSE = """\
static real out[ROWS * OUTPUTS], alone[OUTPUTS];
static double worst;
static int failures;

static void expect(int holds, const char *what)
{
    if (!holds) {
        failures++;
        printf("FAILED: %s\\n", what);
    }
}

static void close_to(double found, double wanted, double bound, const char *what)
{
    double share = fabs(found - wanted) / bound;
    expect(share <= 1.0, what); /* false for NaN */
    worst = share > worst ? share : worst;
}
"""


def _main(design: Design) -> str:
    name, upper = design.name, design.upper
    more = ", &weights" if design.in_file else ""
    weights = f"static {name}_weights weights;\n" if design.in_file else ""
    load = f"""\
    const char *path = argc > 1 ? argv[1] : "{name}.bin";
    expect({name}_load(&weights, sizeof weights, path) == {upper}_OK, "load");
"""
    arguments = "int argc, char **argv" if design.in_file else "void"
    return f"""\
static {name}_context context;
{weights}\
{_TEST_DERIVATIVES.replace("NAME", name).replace("UPPER", upper) if design.derivatives else ""}
int main({arguments})
{{
    int r, j;
{load if design.in_file else ""}\
    expect({name}_predict(&context, 1, X, alone) == {upper}_WRONG_CONTEXT, "no init");
    expect({name}_init(&context, sizeof context, {upper}_MODEL{more}) == {upper}_OK, "init");
    expect({name}_predict(&context, ROWS, X, out) == {upper}_OK, "predict");
    for (r = 0; r < ROWS; r++) {{
        expect({name}_predict(&context, 1, X + r * INPUTS, alone) == {upper}_OK, "one row");
        for (j = 0; j < OUTPUTS; j++) {{
            close_to(out[r * OUTPUTS + j], expected[r * OUTPUTS + j], bounds[r], "all rows");
            close_to(alone[j], expected[r * OUTPUTS + j], bounds[r], "one row");
        }}
    }}
{"    test_derivatives();" + chr(10) if design.derivatives else ""}\
    printf("{name}: %d failures; the largest error is %.2g of its bound\\n", failures, worst);
    return failures > 0;
}}
"""


_TEST_DERIVATIVES = """
static real by_inputs[ROWS * INPUTS], jacobian[OUTPUTS * INPUTS];

static void test_derivatives(void)
{
    int r, j, i;
    expect(NAME_input_gradient(&context, ROWS, X, v, by_inputs) == UPPER_OK, "input_gradient");
    for (r = 0; r < ROWS; r++) {
        expect(NAME_jacobian(&context, 1, X + r * INPUTS, jacobian) == UPPER_OK, "jacobian");
        for (i = 0; i < INPUTS; i++) {
            double sum = 0.0, wanted = gradient[r * INPUTS + i];
            for (j = 0; j < OUTPUTS; j++)
                sum += (double)v[r * OUTPUTS + j] * jacobian[j * INPUTS + i];
            close_to(by_inputs[r * INPUTS + i], wanted, gradient_bounds[r], "input_gradient");
            close_to(sum, wanted, jacobian_bounds[r], "jacobian");
        }
    }
}
"""
