"""The public functions of a network's C code."""

from .c_math import Function
from .c_network import at, numbers
from .design import Design


def calls(design: Design) -> list[Function]:
    """The public functions, and what they have in common."""
    found = [_init(design), _refused(design), _predict(design)]
    if design.in_file:
        found.insert(0, _load(design))
    if design.derivatives:
        found += [_input_gradient(design), _jacobian(design)]
    return found


def _load(design: Design) -> Function:
    name, upper = design.name, design.upper
    return Function(
        f"""
int {name}_load({name}_weights *weights, size_t size, const char *path)
{{
    uint64_t head[3];
    FILE *file;
    int status = {upper}_WRONG_FILE;
    if (weights == NULL || path == NULL)
        return {upper}_NULL_POINTER;
    if (size != sizeof *weights)
        return {upper}_WRONG_WEIGHTS;
    weights->model = 0;
    file = fopen(path, "rb");
    if (file == NULL)
        return {upper}_NO_FILE;
    if (fread(head, sizeof head, 1, file) == 1 && head[0] == FILE_MAGIC &&
        head[1] == {upper}_MODEL) {{
        const size_t count = sizeof weights->numbers / sizeof(real);
        const unsigned char *bytes = (const unsigned char *)weights->numbers;
        status = {upper}_DAMAGED_FILE;
        if (fread(weights->numbers, sizeof(real), count, file) == count && fgetc(file) == EOF &&
            crc32_of(bytes, sizeof weights->numbers) == head[2])
            status = {upper}_OK;
    }}
    fclose(file);
    if (status == {upper}_OK)
        weights->model = {upper}_MODEL;
    return status;
}}
""",
        ("crc32_of",),
    )


def _init(design: Design) -> Function:
    name, upper = design.name, design.upper
    more = f", const {name}_weights *weights" if design.in_file else ""
    checks = f"""
    if (weights == NULL)
        return {upper}_NULL_POINTER;
    if (weights->model != {upper}_MODEL)
        return {upper}_WRONG_WEIGHTS;"""
    return Function(
        f"""
int {name}_init({name}_context *context, size_t size, uint64_t model{more})
{{
    if (context == NULL)
        return {upper}_NULL_POINTER;
    if (size != sizeof *context || model != {upper}_MODEL)
        return {upper}_WRONG_CONTEXT;{checks if design.in_file else ""}
    memset(context, 0, sizeof *context);
    context->model = model;
{"    context->weights = weights;" if design.in_file else ""}
    return {upper}_OK;
}}
"""
    )


def _refused(design: Design) -> Function:
    name, upper = design.name, design.upper
    most = design.inputs * design.outputs if design.derivatives else 0
    most = max(design.inputs, design.outputs, most)
    loaded = f"""
    if (context->weights->model != {upper}_MODEL)
        return {upper}_WRONG_WEIGHTS;"""
    return Function(
        f"""
static int refused(const {name}_context *context, size_t rows)
{{
    if (context == NULL)
        return {upper}_NULL_POINTER;
    if (context->model != {upper}_MODEL)
        return {upper}_WRONG_CONTEXT;{loaded if design.in_file else ""}
    return rows > SIZE_MAX / sizeof(real) / {most} ? {upper}_TOO_MANY_ROWS : {upper}_OK;
}}
"""
    )


def _checks(design: Design, others: str, *reads: tuple[str, int], writes: int) -> str:
    """What a call refuses. reads: (array, numbers of a row)."""
    upper = design.upper
    nulls = " || ".join(f"{array} == NULL" for array in ("X", *others.split(), "out"))
    overlaps = " ||\n        ".join(
        f"overlap({array}, rows * {count}, out, rows * {writes})" for array, count in reads
    )
    return f"""\
    int status = refused(context, rows);
    if (status != {upper}_OK || rows == 0)
        return status;
    if ({nulls})
        return {upper}_NULL_POINTER;
    if ({overlaps})
        return {upper}_OVERLAP;
"""


def _predict(design: Design) -> Function:
    name, upper, n_in, n_out = design.name, design.upper, design.inputs, design.outputs
    needs, scaled = ["overlap"], ""
    if design.content.outputs is not None:
        factor, shift = (at(numbers(design), place) for place in design.packed.outputs)
        needs.append("scale_and_shift")
        scaled = f"\n        scale_and_shift(out, {factor}, {shift}, {n_out});"
    return Function(
        f"""
int {name}_predict({name}_context *context, size_t rows, const real *X, real *out)
{{
{_checks(design, "", ("X", n_in), writes=n_out)}\
    for (; rows > 0; rows--, X += {n_in}, out += {n_out}) {{
        memcpy(out, outputs_of(context, X), {n_out} * sizeof(real));{scaled}
    }}
    return {upper}_OK;
}}
""",
        (*needs,),
    )


def _input_gradient(design: Design) -> Function:
    name, upper, n_in, n_out = design.name, design.upper, design.inputs, design.outputs
    return Function(
        f"""
int {name}_input_gradient({name}_context *context, size_t rows, const real *X, const real *v,
    real *out)
{{
{_checks(design, "v", ("X", n_in), ("v", n_out), writes=n_in)}\
    for (; rows > 0; rows--, X += {n_in}, v += {n_out}, out += {n_in}) {{
        const real *outputs = slopes_of(context, X);
        memset(context->e, 0, sizeof context->e);
        memcpy(context->e, v, {n_out} * sizeof(real));
        backward(context, outputs, out);
    }}
    return {upper}_OK;
}}
""",
        ("overlap",),
    )


def _jacobian(design: Design) -> Function:
    name, upper, n_in, n_out = design.name, design.upper, design.inputs, design.outputs
    return Function(
        f"""
int {name}_jacobian({name}_context *context, size_t rows, const real *X, real *out)
{{
{_checks(design, "", ("X", n_in), writes=n_in * n_out)}\
    for (; rows > 0; rows--, X += {n_in}) {{
        const real *outputs = slopes_of(context, X);
        size_t j;
        for (j = 0; j < {n_out}; j++, out += {n_in}) {{
            memset(context->e, 0, sizeof context->e);
            context->e[j] = 1.0R;
            backward(context, outputs, out);
        }}
    }}
    return {upper}_OK;
}}
""",
        ("overlap",),
    )
