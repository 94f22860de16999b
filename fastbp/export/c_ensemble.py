"""The mean of several networks as C: a .h and a .c over the files of each network."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..common.types import Array, Floats
from ..model.network import Network
from . import c_header, c_layers, c_source, content, rounding, self_test
from .c_math import typed
from .c_numbers import array_text
from .design import LAYOUT, Design, design


class Members(NamedTuple):
    """Networks for the same inputs and outputs, whose mean becomes C.

    name: of the files; all public names begin with it. Those of network k begin with name_k.
    """

    name: str
    designs: tuple[Design, ...]

    @property
    def upper(self) -> str:
        """The name in upper case, with which constants begin."""
        return self.name.upper()

    @property
    def real(self) -> str:
        """The type of an element in C."""
        return self.designs[0].real

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.designs[0].inputs

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.designs[0].outputs

    @property
    def in_file(self) -> bool:
        """Whether the numbers lie in a file: they never do."""
        return False

    @property
    def derivatives(self) -> bool:
        """Whether there are functions for derivatives: there never are."""
        return False

    @property
    def model(self) -> int:
        """A number below 2**63 that differs for other layouts of contexts, as ``Design.model``."""
        facts = LAYOUT, *(one.model for one in self.designs)
        return int.from_bytes(hashlib.sha256(repr(facts).encode()).digest()[:8], "little") >> 1


def members(name: str, nets: Sequence[Network]) -> Members:
    """What is written of networks; ValueError and RuntimeError as ``content.of_network``."""
    copies = [content.of_network(net) for net in nets]
    found = (design(f"{name}_{i}", one, False, False) for i, one in enumerate(copies, 1))
    return Members(name, tuple(found))


def files(of: Members) -> dict[str, bytes]:
    """The content of the files by what follows the name: of the mean, and of each network."""
    texts = {".h": _header(of), ".c": _source(of)}
    for i, one in enumerate(of.designs, 1):
        texts |= {f"_{i}.h": c_header.text(one), f"_{i}.c": c_source.text(one)}
    return {ending: text.encode("ascii") for ending, text in texts.items()}


def self_test_files(of: Members) -> dict[str, bytes]:
    """The program that tests the mean, as ``files``."""
    return {"_test.c": _test(of).encode("ascii")}


def expected(of: Members, X: Array, error: Floats | None = None) -> rounding.Sized:
    """The mean for X (rows, inputs) in float64, and how far another program may be from it.

    error: how far the X of another program may be from this one; None for 0.
    """
    passes = [rounding.forward(one.content, X, error)[0] for one in of.designs]
    u = rounding.roundoff(of.designs[0].content)
    size = np.max([np.abs(one.value) for one in passes], axis=0)
    off = np.mean([one.error for one in passes], axis=0) + (len(passes) + 1) * u * size
    tiny = float(np.finfo(of.designs[0].content.dtype).tiny)
    return rounding.Sized(np.mean([one.value for one in passes], axis=0), 2 * off + tiny)


def _header(of: Members) -> str:
    name, upper, real, count = of.name, of.upper, of.real, len(of.designs)
    includes = "".join(f'#include "{one.name}.h"\n' for one in of.designs)
    fields = "".join(f"    {one.name}_context member_{i};\n" for i, one in enumerate(of.designs, 1))
    return f"""\
/* The mean of {count} perceptrons of {real}. Written by fastbp.
 *
 *         {name}_context context;
 *         {real} x[{upper}_INPUTS], out[{upper}_OUTPUTS];
 *         status = {name}_init(&context, sizeof context, {upper}_MODEL);
 *         status = {name}_predict(&context, 1, x, out);
 *
 * Nothing is allocated, and nothing is kept but in the context: each thread has its own. Arrays
 * are contiguous, row after row. NaN in a row of X makes its results NaN. Compile {name}.c and
 * {name}_1.c to {name}_{count}.c with -O3 -march=native -ffp-contract=fast, and link with -lm.
 */
#ifndef {upper}_H
#define {upper}_H

{includes}
#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_INPUTS {of.inputs}
#define {upper}_OUTPUTS {of.outputs}

/* The layout of contexts, for init. */
#define {upper}_MODEL {of.model:#x}u

{c_header.enum(upper, in_file=False)}
/* Scratch memory of one thread; its content is private. */
typedef struct {name}_context {{
    uint64_t model;
{fields}    {real} outputs[{of.outputs}];
}} {name}_context;

/* Make a context ready: size is sizeof(context), model {upper}_MODEL. */
int {name}_init({name}_context *context, size_t size, uint64_t model);

/* Fill out (rows, outputs) with the means of the outputs for X (rows, inputs). */
int {name}_predict({name}_context *context, size_t rows, const {real} *X, {real} *out);

#ifdef __cplusplus
}}
#endif

#endif
"""


def checks_of_models(of: Members) -> str:
    """What refuses files of different networks."""
    models = {of.upper: of.model} | {one.upper: one.model for one in of.designs}
    different = " || ".join(f"{upper}_MODEL != {model:#x}u" for upper, model in models.items())
    return f"""\
#if {different}
#error "the files of {of.name} are of different networks: write them again"
#endif
"""


def _source(of: Members) -> str:
    name, upper, real, first = of.name, of.upper, of.real, of.designs[0]
    inits = "".join(
        f"""\
    if (status == {upper}_OK)
        status = {one.name}_init(&context->member_{i}, sizeof context->member_{i},
            {one.upper}_MODEL);
"""
        for i, one in enumerate(of.designs, 1)
    )
    code = f"""\
/* The mean of {name}.h. Written by fastbp. */
#include "{name}.h"

#include <string.h>

{checks_of_models(of)}
typedef {real} real;
{c_layers.functions(first.content.dtype.itemsize)["overlap"].text}
int {name}_init({name}_context *context, size_t size, uint64_t model)
{{
    int status = {upper}_OK;
    if (context == NULL)
        return {upper}_NULL_POINTER;
    if (size != sizeof *context || model != {upper}_MODEL)
        return {upper}_WRONG_CONTEXT;
    memset(context, 0, sizeof *context);
{inits}\
    context->model = status == {upper}_OK ? model : 0;
    return status;
}}
{_predict(of)}"""
    return typed(code, first.content.dtype.itemsize)


def _predict(of: Members) -> str:
    name, upper, first = of.name, of.upper, of.designs[0]
    more = "".join(
        f"""\
        if (status == {upper}_OK)
            status = {one.name}_predict(&context->member_{i}, 1, X, context->outputs);
        for (j = 0; j < {of.outputs}; j++)
            out[j] += context->outputs[j];
"""
        for i, one in enumerate(of.designs[1:], 2)
    )
    return f"""
int {name}_predict({name}_context *context, size_t rows, const real *X, real *out)
{{
    int status = {upper}_OK;
    size_t j;
    if (context == NULL)
        return {upper}_NULL_POINTER;
    if (context->model != {upper}_MODEL)
        return {upper}_WRONG_CONTEXT;
    if (rows > SIZE_MAX / sizeof(real) / {max(of.inputs, of.outputs)})
        return {upper}_TOO_MANY_ROWS;
    if (rows == 0)
        return {upper}_OK;
    if (X == NULL || out == NULL)
        return {upper}_NULL_POINTER;
    if (overlap(X, rows * {of.inputs}, out, rows * {of.outputs}))
        return {upper}_OVERLAP;
    for (; rows > 0 && status == {upper}_OK; rows--, X += {of.inputs}, out += {of.outputs}) {{
        status = {first.name}_predict(&context->member_1, 1, X, out);
{more}\
        for (j = 0; j < {of.outputs}; j++)
            out[j] *= 1.0R / {len(of.designs)}.0R;
    }}
    return status;
}}
"""


def _test(of: Members) -> str:
    name, upper = of.name, of.upper
    X, _ = self_test.rows(of.designs[0].content)
    found = expected(of, X)
    arrays = {"real X[ROWS * INPUTS]": X, "double expected[ROWS * OUTPUTS]": found.value}
    arrays["double bounds[ROWS]"] = found.error.max(axis=1)
    texts = "".join(array_text(f"static const {h}", [("", array)]) for h, array in arrays.items())
    return f"""\
/* Tests {name}.c: compile it with those of its networks, run, and see that it returns 0. Written by
 * fastbp. */
#include "{name}.h"

#include <math.h>
#include <stdio.h>

{checks_of_models(of)}
enum {{ ROWS = {self_test.ROWS}, INPUTS = {upper}_INPUTS, OUTPUTS = {upper}_OUTPUTS }};
typedef {of.real} real;

{texts}
{self_test.CLOSE}
static {name}_context context;

int main(void)
{{
    int r, j;
    expect({name}_predict(&context, 1, X, alone) == {upper}_WRONG_CONTEXT, "no init");
    expect({name}_init(&context, sizeof context, {upper}_MODEL) == {upper}_OK, "init");
    expect({name}_predict(&context, ROWS, X, out) == {upper}_OK, "predict");
    for (r = 0; r < ROWS; r++) {{
        expect({name}_predict(&context, 1, X + r * INPUTS, alone) == {upper}_OK, "one row");
        for (j = 0; j < OUTPUTS; j++) {{
            close_to(out[r * OUTPUTS + j], expected[r * OUTPUTS + j], bounds[r], "all rows");
            close_to(alone[j], expected[r * OUTPUTS + j], bounds[r], "one row");
        }}
    }}
    printf("{name}: %d failures; the largest error is %.2g of its bound\\n", failures, worst);
    return failures > 0;
}}
"""
