"""The .h file of a network: what its users read."""

from .design import Design

STATUSES = {
    "OK": "done",
    "NULL_POINTER": "an argument is NULL",
    "WRONG_CONTEXT": "init has not been called, or was compiled with another header",
    "TOO_MANY_ROWS": "the arrays would be larger than any memory",
    "OVERLAP": "out shares memory with another array",
    "WRONG_WEIGHTS": "load has not been called, has failed, or is of another header",
    "NO_FILE": "the file cannot be opened",
    "WRONG_FILE": "the file is none of numbers of this network, or of another byte order",
    "DAMAGED_FILE": "the file was cut off or changed",
}
"""What the functions return, in the order of the codes; those after OVERLAP by files of numbers."""


def statuses(in_file: bool) -> dict[str, str]:
    """The codes that a network's functions return, and what each means."""
    count = len(STATUSES) if in_file else list(STATUSES).index("OVERLAP") + 1
    return dict(list(STATUSES.items())[:count])


def text(design: Design) -> str:
    """The .h file."""
    upper = design.upper
    return f"""\
{_about(design)}
#ifndef {upper}_H
#define {upper}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_INPUTS {design.inputs}
#define {upper}_OUTPUTS {design.outputs}

/* The layout of numbers and contexts, for init. */
#define {upper}_MODEL {design.model:#x}u

{enum(design.upper, design.in_file)}
{_structs(design)}
{_functions(design)}
#ifdef __cplusplus
}}
#endif

#endif
"""


def _about(design: Design) -> str:
    name, upper = design.name, design.upper
    layers = "\n".join(f" *     {layer.about}" for layer in design.content.layers)
    struct = f"    static {name}_weights weights;\n *         " if design.in_file else "    "
    load = (
        f' *         status = {name}_load(&weights, sizeof weights, "{name}.bin");\n'
        if design.in_file
        else ""
    )
    more = ", &weights" if design.in_file else ""
    return f"""\
/* A multilayer perceptron of {design.real}. Written by fastbp.
 *
{layers}
 *
 *     {struct}{name}_context context;
 *         {design.real} x[{upper}_INPUTS], out[{upper}_OUTPUTS];
{load}\
 *         status = {name}_init(&context, sizeof context, {upper}_MODEL{more});
 *         status = {name}_predict(&context, 1, x, out);
 *
 * Nothing is allocated, and nothing is kept but in the context: each thread has its own. Arrays
 * are contiguous, row after row. NaN in a row of X makes its results NaN. Compile {name}.c with
 * -O3 -march=native -ffp-contract=fast, and link with -lm.
 */"""


def enum(upper: str, in_file: bool) -> str:
    """The definition of the codes."""
    found = statuses(in_file).items()
    lines = [f"    {upper}_{code} = {i}, /* {what} */" for i, (code, what) in enumerate(found)]
    lines[-1] = lines[-1].replace(", /*", " /*")
    return "/* What all functions return. */\nenum {\n" + "\n".join(lines) + "\n};\n"


def _structs(design: Design) -> str:
    name, real = design.name, design.real
    fields = "".join(f"    {field};\n" for field in context_fields(design))
    weights = f"""\
/* The numbers of the network, of which any number of contexts and threads reads one copy. */
typedef struct {name}_weights {{
    uint64_t model;
    {real} numbers[{design.packed.length}];
}} {name}_weights;

"""
    return f"""\
{weights if design.in_file else ""}\
/* Scratch memory of one thread, {context_numbers(design)} numbers; its content is private. */
typedef struct {name}_context {{
    uint64_t model;
{fields}}} {name}_context;
"""


def arrays_of_context(design: Design) -> dict[str, int]:
    """The arrays in a context and their lengths, in order."""
    arrays = {"a": design.widest, "b": design.widest}
    if design.derivatives:
        arrays |= dict.fromkeys(("d", "e", "f"), design.widest) | {"slopes": design.places[-1]}
    if design.derivatives and design.is_normalized:
        arrays |= {"normal": design.places[-1], "factors": len(design.content.layers)}
    return arrays


def context_numbers(design: Design) -> int:
    """How many numbers a context has."""
    return sum(arrays_of_context(design).values())


def context_fields(design: Design) -> list[str]:
    """The fields of a context after the first."""
    weights = [f"const {design.name}_weights *weights"] if design.in_file else []
    arrays = arrays_of_context(design).items()
    return weights + [f"{design.real} {name}[{count}]" for name, count in arrays]


def _functions(design: Design) -> str:
    name, real = design.name, design.real
    parts = []
    if design.in_file:
        parts.append(f"""\
/* Read the numbers from a file. It may be a later one of the same network after more training.
 * Where it fails, calls return {design.upper}_WRONG_WEIGHTS until it succeeds. */
int {name}_load({name}_weights *weights, size_t size, const char *path);
""")
    more = f", const {name}_weights *weights" if design.in_file else ""
    kept = " It keeps the address of weights." if design.in_file else ""
    parts.append(f"""\
/* Make a context ready: size is sizeof(context), model {design.upper}_MODEL.{kept} */
int {name}_init({name}_context *context, size_t size, uint64_t model{more});

/* Fill out (rows, outputs) with the outputs of X (rows, inputs). */
int {name}_predict({name}_context *context, size_t rows, const {real} *X, {real} *out);
""")
    if design.derivatives:
        parts.append(f"""\
/* Fill out (rows, inputs) with J^T v, where J is the Jacobian of each row; v (rows, outputs). */
int {name}_input_gradient({name}_context *context, size_t rows, const {real} *X, const {real} *v,
    {real} *out);

/* Fill out (rows, outputs, inputs) with the derivatives of the outputs by the inputs. */
int {name}_jacobian({name}_context *context, size_t rows, const {real} *X, {real} *out);
""")
    return "\n".join(parts)
