"""The .c file of a network."""

from . import c_layers, c_math, c_numbers
from .c_calls import calls
from .c_math import Function
from .c_network import backward, forward
from .design import Design


def text(design: Design) -> str:
    """The .c file: the functions that are needed, the numbers, and the network itself."""
    itemsize = design.content.dtype.itemsize
    own = _passes(design) + calls(design)
    needs = [need for function in own for need in function.needs]
    called = c_math.in_order(needs, c_layers.functions(itemsize))
    functions = "".join(function.text for function in own)
    numbers = "" if design.in_file else c_numbers.in_source(design)
    before, after = (c_math.typed(part, itemsize) for part in (called, functions))
    return _head(design) + before + numbers + after


def _passes(design: Design) -> list[Function]:
    found = [forward(design, slopes=False)]
    if design.derivatives:
        found += [forward(design, slopes=True), backward(design)]
    return found


def _head(design: Design) -> str:
    name, upper, real = design.name, design.upper, design.real
    size = {"float": 32, "double": 64}[real]
    bias, mantissa = {"float": (127, 23), "double": (1023, 52)}[real]
    includes = ["#include <math.h>\n", "#include <stdio.h>\n" * design.in_file]
    magic = f"#define FILE_MAGIC {c_numbers.MAGIC:#x}u\n" * design.in_file
    return f"""\
/* The network of {name}.h. Written by fastbp. */
#include "{name}.h"

{"".join(includes)}#include <string.h>

#if {upper}_MODEL != {design.model:#x}u
#error "{name}.h and {name}.c are of different networks: write them again"
#endif
{magic}
typedef {real} real;
typedef uint{size}_t bits;
enum {{ EXPONENT_BIAS = {bias}, MANTISSA_BITS = {mantissa} }};

/* What is inlined decides whether loops become vectors: gcc inlines too little of the functions of
 * one number, and where it inlines a product into a layer, that takes twice as long. */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define ALIGNED __attribute__((aligned(64)))
#else
#define INLINE static inline
#define NOINLINE static
#define ALIGNED
#endif
"""
