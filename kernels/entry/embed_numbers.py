"""Embeddings of numbers in an embedded model: their parameters in natural shapes, and whose."""

import numpy as np
from numba import types

from ..base.jit import kernel
from ..ir.simd import get, lanes, offset, put
from ..ir.typed_pointers import typed_pointer_at
from ..tables import layout as P

_ZERO = np.int64(0)  # a Python constant would compile its callee once more


@kernel
def length_of_numbers(plan):
    """The number of all parameters of embeddings."""
    outputs = plan[0, P.EMBEDDED]
    return plan[0, P.NUMBERS] * ((2 + outputs) * plan[0, P.FREQUENCIES] + outputs)


@kernel
def _rows(plan, arena, out, words, start, count):
    """Copy ``count`` words from ``start`` on of each number to out (numbers, count)."""
    stride = plan[0, P.EMBEDDING_STRIDE] * words
    for number in range(plan[0, P.NUMBERS]):
        own = offset(arena, plan[0, P.EMBEDDING] * words + number * stride + start)
        for i in range(count):
            put(out, number * count + i, get(own, i))


@kernel
def _weights(plan, arena, out, words, start, wide):
    """Copy the weights (outputs, wide) of each number to out (numbers, frequencies, outputs)."""
    frequencies, outputs = plan[0, P.FREQUENCIES], plan[0, P.EMBEDDED]
    stride, at = plan[0, P.EMBEDDING_STRIDE] * words, 0
    for number in range(plan[0, P.NUMBERS]):
        own = offset(arena, plan[0, P.EMBEDDING] * words + number * stride + start)
        for h in range(frequencies):
            for o in range(outputs):
                for word in range(words):
                    put(out, at, get(own, o * wide + h * words + word))
                    at += 1


@kernel
def write_numbers(plan, arena, out, words):
    """Copy the embeddings in an arena to out: frequencies, phases, weights, biases of all numbers.

    arena, out: pointers to words, ``words`` for each element.
    """
    n_lanes, count = lanes(arena), plan[0, P.FREQUENCIES] * words
    wide, outputs = -(-count // n_lanes) * n_lanes, plan[0, P.EMBEDDED]
    numbers = plan[0, P.NUMBERS]
    _rows(plan, arena, out, words, _ZERO, count)
    _rows(plan, arena, offset(out, numbers * count), words, wide, count)
    _weights(plan, arena, offset(out, 2 * numbers * count), words, 2 * wide, wide)
    behind = offset(out, (2 + outputs) * numbers * count)
    _rows(plan, arena, behind, words, (2 + outputs) * wide, outputs * words)


@kernel
def same_numbers(plan, other):
    """Whether two networks embed the same columns of X in the same way."""
    numbers = plan[0, P.NUMBERS]
    if numbers != other[0, P.NUMBERS] or plan[0, P.X_COLUMNS] != other[0, P.X_COLUMNS]:
        return False
    if plan[0, P.FREQUENCIES] != other[0, P.FREQUENCIES]:
        return False
    if plan[0, P.EMBEDDED] != other[0, P.EMBEDDED]:
        return False
    one = typed_pointer_at(plan[0, P.NUMBER_COLUMNS], types.int64)
    two = typed_pointer_at(other[0, P.NUMBER_COLUMNS], types.int64)
    for i in range(numbers):
        if one[i] != two[i]:
            return False
    return True
