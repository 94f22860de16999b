"""The .h and the .c file of a model of tables."""

from ...export import c_ensemble, c_header, c_math
from ...export.c_numbers import array_text, constants
from ..calibration import SMALLEST
from ..categories import OneHot, Pair
from .c_design import TYPES, Table
from .c_encoder import FUNCTIONS, Encoder, numbers
from .c_names import in_comment, literal
from .fields import Field

MOST_SHOWN = 6
"""Levels of a column that its comment has."""

CLASSES = {"b": "int", "i": "int64_t", "f": "double", "U": "const char *const"}
"""The type of a class in C, by NumPy's letter."""


def header(of: Table) -> str:
    """The .h file: what users read."""
    name, upper, net = of.name, of.upper, of.members.name
    count = len(of.members.designs)
    kind = "classifies" if of.is_classifier else "predicts numbers for"
    return f"""\
/* A model that {kind} rows of tables. Written by fastbp.
 *
 *         {name}_context context;
 *         {name}_row row = {{0}};
 *         double out[{upper}_OUTPUTS];
 *         status = {name}_init(&context, sizeof context, {upper}_MODEL);
 *         row.{of.names[0]} = ...;
 *         status = {name}_predict_row(&context, &row, out);
 *
 * Nothing is allocated, and nothing is kept but in the context: each thread has its own. Compile
 * {name}.c, {net}.c and {net}_1.c to {net}_{count}.c with -O3 -march=native -ffp-contract=fast, and
 * link with -lm.
 */
#ifndef {upper}_H
#define {upper}_H

#include <stddef.h>
#include <stdint.h>

#include "{net}.h"

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_INPUTS {of.inputs} /* of the networks */
#define {upper}_OUTPUTS {of.outputs} /* {"classes" if of.is_classifier else "targets"} */

/* The layout of rows and contexts, for init. */
#define {upper}_MODEL {of.number:#x}u

{c_header.enum(upper, in_file=False)}
{_declared(of)}{_declared_classes(of)}
#ifdef __cplusplus
}}
#endif

#endif
"""


def _declared(of: Table) -> str:
    """The types and functions."""
    name, upper, net = of.name, of.upper, of.members.name
    return f"""\
/* A row of a table. Categories are text in UTF-8, compared without spaces around it; NULL, empty,
 * NA and null are missing, and a level that training has not seen is no mistake. Dates are seconds
 * since 1970-01-01 00:00 by the clock of their time zone. */
typedef struct {name}_row {{
{_struct(of)}}} {name}_row;

/* Scratch memory of one thread; its content is private. */
typedef struct {name}_context {{
    uint64_t model;
    {net}_context net;
    float inputs[{of.inputs}], outputs[{of.outputs}];
}} {name}_context;

/* Make a context ready: size is sizeof(context), model {upper}_MODEL. */
int {name}_init({name}_context *context, size_t size, uint64_t model);

/* Fill out (outputs,) for a row{_what(of)}. */
int {name}_predict_row({name}_context *context, const {name}_row *row, double *out);

/* Fill out (rows, outputs) for the rows of a table. */
int {name}_predict({name}_context *context, size_t rows, const {name}_row *table, double *out);

/* Fill inputs (inputs,) with what the networks are given for a row. */
int {name}_encode(const {name}_row *row, float *inputs);
"""


def _what(of: Table) -> str:
    return ": the probability of each class" if of.is_classifier else ""


def _struct(of: Table) -> str:
    lines = []
    for field, name in zip(of.fields, of.names, strict=True):
        kind = TYPES[field.column.kind]
        gap = "" if kind.endswith("*") else " "
        lines.append(f"    {kind}{gap}{name}; /* {_about(field)} */\n")
    return "".join(lines)


def _about(field: Field) -> str:
    column, part = field.column, field.part
    about = f"{in_comment(column.name)}: {column.kind}"
    if column.kind == "category" and isinstance(part, Pair | OneHot):
        shown = ", ".join(in_comment(level[:40]) for level in part.levels[:MOST_SHOWN])
        more = f" and {len(part.levels) - MOST_SHOWN} more" * (len(part.levels) > MOST_SHOWN)
        return f"{about} with the levels {shown}{more}; NULL where missing"
    if column.kind == "boolean":
        return f"{about}, 0 or 1; -1 where missing"
    unit = ", in seconds since 1970" if column.kind == "date" else ""
    return f"{about}{unit}; NaN where missing"


def _declared_classes(of: Table) -> str:
    if not of.is_classifier:
        return ""
    kind = CLASSES[of.model.classes_.dtype.kind]
    declared = kind if kind.endswith("const") else f"const {kind}"
    return f"""
/* The classes, in the order of their probabilities. */
extern {declared} {of.name}_classes[{of.outputs}];

/* The place of the most probable class, the first one of equals. */
int {of.name}_most_probable(const double *out);
"""


def source(of: Table) -> str:
    """The .c file."""
    name, upper = of.name, of.upper
    encoder = Encoder(of.fields, of.names)
    functions = c_math.in_order(encoder.needs, FUNCTIONS)
    different = f"{upper}_MODEL != {of.number:#x}u"
    check = c_ensemble.checks_of_models(of.members).replace("#if ", f"#if {different} || ", 1)
    return f"""\
/* The model of {name}.h. Written by fastbp. */
#include "{name}.h"

#include <math.h>
#include <string.h>

{check}{functions}{"".join(encoder.tables)}
int {name}_encode(const {name}_row *row, float *inputs)
{{
    if (row == NULL || inputs == NULL)
        return {upper}_NULL_POINTER;
{"".join(encoder.lines)}\
    return {upper}_OK;
}}
{_calibrated(of) if of.is_classifier else _restored(of)}{_init(of)}{_predict(of)}"""


def _calibrated(of: Table) -> str:
    inverse, smallest = map(numbers, (1 / of.model.temperature_, SMALLEST))
    return f"""
/* Probabilities at the temperature of the calibration, from those of the networks. */
static void finish(const float *p, double *out)
{{
    double top = -HUGE_VAL, sum = 0.0;
    size_t j;
    for (j = 0; j < {of.outputs}; j++) {{
        out[j] = log(p[j] < {smallest} ? {smallest} : (double)p[j]) * {inverse};
        top = out[j] > top ? out[j] : top;
    }}
    for (j = 0; j < {of.outputs}; j++) {{
        out[j] = exp(out[j] - top);
        sum += out[j];
    }}
    for (j = 0; j < {of.outputs}; j++)
        out[j] /= sum;
}}
{_defined_classes(of)}
int {of.name}_most_probable(const double *out)
{{
    int best = 0, j;
    for (j = 1; j < {of.outputs}; j++)
        best = out[j] > out[best] ? j : best;
    return best;
}}
"""


def _defined_classes(of: Table) -> str:
    classes = of.model.classes_
    kind = CLASSES[classes.dtype.kind]
    if kind.endswith("const"):
        texts = [literal(label) for label in classes.tolist()]
    elif kind == "double":
        texts = constants(classes)
    else:
        texts = [_integer(int(label)) for label in classes.tolist()]
    declared = kind if kind.endswith("const") else f"const {kind}"
    rows = "".join(f"    {text},\n" for text in texts)
    return f"\n{declared} {of.name}_classes[{of.outputs}] = {{\n{rows}}};\n"


def _integer(value: int) -> str:
    """A constant; C has none for the least integer of 64 bits."""
    return "INT64_MIN" if value == -(2**63) else f"{value}"


def _restored(of: Table) -> str:
    units = of.model.targets_
    arrays = "".join(
        array_text(f"static const double {key}[{of.outputs}]", [("", getattr(units, key))])
        for key in ("scale", "mean", "low", "high")
    )
    return f"""
/* The units of the targets, and their range in training. */
{arrays}
static void finish(const float *p, double *out)
{{
    size_t j;
    for (j = 0; j < {of.outputs}; j++) {{
        double value = p[j] * scale[j] + mean[j];
        out[j] = value < low[j] ? low[j] : value > high[j] ? high[j] : value;
    }}
}}
"""


def _init(of: Table) -> str:
    name, upper, net = of.name, of.upper, of.members.name
    net_upper = of.members.upper
    return f"""
int {name}_init({name}_context *context, size_t size, uint64_t model)
{{
    int status;
    if (context == NULL)
        return {upper}_NULL_POINTER;
    if (size != sizeof *context || model != {upper}_MODEL)
        return {upper}_WRONG_CONTEXT;
    memset(context, 0, sizeof *context);
    status = {net}_init(&context->net, sizeof context->net, {net_upper}_MODEL);
    context->model = status == {upper}_OK ? model : 0;
    return status;
}}
"""


def _predict(of: Table) -> str:
    name, upper, net = of.name, of.upper, of.members.name
    return f"""
/* Whether out has memory of the table. */
static int overlap(const {name}_row *table, size_t rows, const double *out)
{{
    uintptr_t a = (uintptr_t)table, b = (uintptr_t)out;
    return a < b + rows * {of.outputs} * sizeof *out && b < a + rows * sizeof *table;
}}

int {name}_predict({name}_context *context, size_t rows, const {name}_row *table, double *out)
{{
    int status = {upper}_OK;
    if (context == NULL)
        return {upper}_NULL_POINTER;
    if (context->model != {upper}_MODEL)
        return {upper}_WRONG_CONTEXT;
    if (rows > SIZE_MAX / sizeof *out / {of.outputs} || rows > SIZE_MAX / sizeof *table)
        return {upper}_TOO_MANY_ROWS;
    if (rows == 0)
        return {upper}_OK;
    if (table == NULL || out == NULL)
        return {upper}_NULL_POINTER;
    if (overlap(table, rows, out))
        return {upper}_OVERLAP;
    for (; rows > 0 && status == {upper}_OK; rows--, table++, out += {of.outputs}) {{
        status = {name}_encode(table, context->inputs);
        if (status == {upper}_OK)
            status = {net}_predict(&context->net, 1, context->inputs, context->outputs);
        if (status == {upper}_OK)
            finish(context->outputs, out);
    }}
    return status;
}}

int {name}_predict_row({name}_context *context, const {name}_row *row, double *out)
{{
    return {name}_predict(context, 1, row, out);
}}
"""
