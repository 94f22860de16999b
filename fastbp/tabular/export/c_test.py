"""The self-test of a model's C code: rows of every kind, and what fastbp gives for them."""

from typing import Any

import numpy as np

from ...export import c_ensemble, self_test
from ...export.c_numbers import array_text
from ..categories import OneHot, Pair
from . import results, sample
from .c_design import Table
from .c_encoder import numbers
from .c_names import literal
from .fields import Field

ROWS = 20


def text(of: Table) -> str:
    """The .c file of the test, which returns 0 where all is well."""
    name, upper = of.name, of.upper
    rows = sample.rows(of.fields, ROWS)
    X = of.model.encoder_.transform(sample.table(of.fields, rows))
    found = results.expected(of.model, of.members, np.asarray(getattr(X, "toarray", lambda: X)()))
    different = f"{upper}_MODEL != {of.number:#x}u"
    check = c_ensemble.checks_of_models(of.members).replace("#if ", f"#if {different} || ", 1)
    arrays = {"expected": found.value, "bounds": found.error}
    texts = "".join(
        array_text(f"static const double {key}[ROWS * OUTPUTS]", [("", array)])
        for key, array in arrays.items()
    )
    return f"""\
/* Tests {name}.c: compile it with those of its networks, run, and see that it returns 0. Written by
 * fastbp. */
#include "{name}.h"

#include <math.h>
#include <stdio.h>

{check}
enum {{ ROWS = {ROWS}, OUTPUTS = {upper}_OUTPUTS }};
typedef double real;

static const {name}_row table[ROWS] = {{
{"".join(_row(of, row) for row in rows)}}};
{texts}
{self_test.CLOSE}
static {name}_context context;

int main(void)
{{
    int r, j;
    expect({name}_predict_row(&context, table, alone) == {upper}_WRONG_CONTEXT, "no init");
    expect({name}_init(&context, sizeof context, {upper}_MODEL) == {upper}_OK, "init");
    expect({name}_predict(&context, ROWS, table, out) == {upper}_OK, "predict");
    for (r = 0; r < ROWS; r++) {{
        expect({name}_predict_row(&context, table + r, alone) == {upper}_OK, "one row");
        for (j = 0; j < OUTPUTS; j++) {{
            const int i = r * OUTPUTS + j;
            close_to(out[i], expected[i], bounds[i], "all rows");
            close_to(alone[j], expected[i], bounds[i], "one row");
        }}
    }}
    printf("{name}: %d failures; the largest error is %.2g of its bound\\n", failures, worst);
    return failures > 0;
}}
"""


def _row(of: Table, row: sample.Row) -> str:
    values = ", ".join(_value(field, one) for field, one in zip(of.fields, row, strict=True))
    return f"    {{{values}}},\n"


def _value(field: Field, value: Any) -> str:
    """The initializer of a field."""
    if field.column.kind == "boolean":
        return "-1" if value is None else str(int(value))
    if isinstance(field.part, Pair | OneHot):
        return "NULL" if value is None else literal(f" {value}\t")
    return "NAN" if value is None else numbers(float(value))
