"""Residual connections (He et al., 2016): a hidden layer adds the a of the layer before to its own.

On the way back the error of its a goes down past the layer, too: ERROR of a block keeps it while
the layer's own delta is made of it.
"""

from .codes import GELU, SILU
from .jit import kernel
from .layout import ACTIVATION, BLOCK, DROPOUT, ERROR, IN, INPUTS, OUTPUTS, RESIDUAL, A, Z
from .simd import lanes, load, offset, store
from .variants import by_plan


@kernel
def _add_nothing(plan, work, layer, vector):
    pass


@kernel
def _add_inputs(plan, work, layer, vector):
    if plan[layer, RESIDUAL] == 0:
        return
    w, code, block = lanes(work), plan[layer, ACTIVATION], offset(work, vector * plan[0, BLOCK])
    in_place = code == SILU or code == GELU or plan[layer, DROPOUT] > 0  # hidden.py
    own = offset(block, plan[layer, A] if in_place else plan[layer, Z])
    inputs, a = offset(block, plan[layer, IN]), offset(block, plan[layer, A])
    for i in range(0, plan[layer, OUTPUTS] * w, w):
        store(a, i, load(own, i) + load(inputs, i))


add_inputs = by_plan(_add_nothing, _add_inputs)
"""a of a residual layer: what ``activate_units`` left, and its inputs.

(plan, work, layer, vector); vector: the number of a vector of rows. Twin: ``forward``.
"""


@kernel
def _carry_nothing(plan, work, layer, vector, error):
    pass


@kernel
def _carry_error(plan, work, layer, vector, error):
    takes, keeps = plan[layer, RESIDUAL] == 1, layer > 1 and plan[layer - 1, RESIDUAL] == 1
    if not takes and not keeps:
        return
    w = lanes(work)
    kept = offset(work, vector * plan[0, BLOCK] + plan[0, ERROR])
    for i in range(0, plan[layer, INPUTS] * w, w):
        e = load(error, i)
        if takes:
            e = e + load(kept, i)
            store(error, i, e)
        if keeps:
            store(kept, i, e)


carry_error = by_plan(_carry_nothing, _carry_error)
"""Add to the error below a residual layer that of its own a; keep it for the layer below.

(plan, work, layer, vector, error); error: (units below, lanes) of one vector of rows. Twin:
``backward``.
"""
