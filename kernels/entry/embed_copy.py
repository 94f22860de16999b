"""Parameters of one embedded model moved to those of another, for ``embed.copy``."""

from numba import types

from ..base.jit import kernel
from ..ir.simd import get, lanes, pointer_to, put
from ..ir.typed_pointers import typed_pointer_at
from ..tables import layout as P
from .embed_numbers import same_numbers


@kernel
def same_layers(plan, other):
    """Whether the parameters of two networks have the same shapes."""
    if plan[0, P.LAST] != other[0, P.LAST]:
        return False
    for layer in range(1, plan[0, P.LAST] + 1):
        inputs = plan[layer, P.INPUTS] == other[layer, P.INPUTS]
        outputs = plan[layer, P.OUTPUTS] == other[layer, P.OUTPUTS]
        if not (inputs and outputs and plan[layer, P.PER_UNIT] == other[layer, P.PER_UNIT]):
            return False
    return same_numbers(plan, other)


@kernel
def same_scaling(plan, other, itemsize):
    """Whether two networks of the same shapes have the same scales (scaling.py), bit for bit."""
    here, there = plan[0, P.SCALING], other[0, P.SCALING]
    if here == there:
        return True
    if here == 0 or there == 0:
        return False
    n_lanes = lanes(pointer_to(here, types.float32)) * 4 // itemsize
    inputs = -(-plan[0, P.X_COLUMNS] // n_lanes)
    outputs = -(-plan[plan[0, P.LAST], P.OUTPUTS] // n_lanes)
    words = (2 * inputs + 4 * outputs) * n_lanes * itemsize // 8
    one, two = typed_pointer_at(here, types.int64), typed_pointer_at(there, types.int64)
    for i in range(words):
        if one[i] != two[i]:
            return False
    return True


@kernel
def _mix(source, target, count, share):
    """Target becomes (1 - share) target + share source, in float64; the bits of source for 1."""
    if share == 1.0:
        for i in range(count):
            put(target, i, get(source, i))
        return
    for i in range(count):
        put(target, i, (1.0 - share) * get(target, i) + share * get(source, i))


@kernel
def mix(source, target, count, itemsize, share):
    """``_mix`` of arenas at two addresses, of ``count`` elements of 4 or 8 bytes."""
    if itemsize == 4:
        narrow = pointer_to(source, types.float32), pointer_to(target, types.float32)
        _mix(narrow[0], narrow[1], count, share)
    else:
        wide = pointer_to(source, types.float64), pointer_to(target, types.float64)
        _mix(wide[0], wide[1], count, share)
