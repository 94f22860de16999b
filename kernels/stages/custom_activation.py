"""A custom activation: a C function called by its address.

fastbp/components/user_functions.py compiles it. It takes contiguous z, writes a, and leaves da/dz
in the place of z: value and derivative share expensive subexpressions. It must be finite at 0, the
z of padded units. Padded rows repeat the first row, because their z could be any number.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base.codes import CUSTOM_ACTIVATION
from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.llvm_ir import I64
from ..ir.simd import (
    get,
    lane_index,
    lanes,
    load,
    select,
    splat,
    store,
)
from ..primitives.elementwise import activate
from ..tables import layout as P


@intrinsic
def _call(typingctx: Any, code: Any, z: Any, a: Any, count: Any) -> Any:
    """Call the C function at an address on ``count`` elements."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(ir.VoidType(), [args[1].type, args[2].type, I64])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, z, a, types.int64), codegen


@kernel
def _activate_by_code(plan, layer, z, a, units, padded):
    activate(plan[layer, P.ACTIVATION], z, a, units, padded)


@kernel
def activate_any(plan, layer, z, a, units, padded):
    """As ``elementwise.activate`` for a layer's activation. Twin: ``activation``.

    With a custom activation z and a are not the same, and z becomes da/dz.
    """
    if plan[layer, P.ACTIVATION] != CUSTOM_ACTIVATION:
        activate(plan[layer, P.ACTIVATION], z, a, units, padded)
        return
    n_lanes = lanes(a)
    _call(plan[layer, P.FUNCTION], z, a, units * n_lanes)
    for i in range(units * n_lanes, padded * n_lanes, n_lanes):
        store(a, i, splat(a, 0.0))


activate_layer = by_plan(_activate_by_code, activate_any)
"""``activate_any`` where the plan may be a plain one: (plan, layer, z, a, units, padded)."""


@kernel
def _fill_lanes(plan, x, vectors, used):
    n_lanes = lanes(x)
    if used >= n_lanes:
        return
    exists = lane_index(x) < splat(x, used)
    for i in range(0, vectors * n_lanes, n_lanes):
        store(x, i, select(exists, load(x, i), get(x, i)))


fill_lanes = by_plan(None, _fill_lanes)
"""Copy lane 0 of x to the lanes from ``used`` on: (plan, x, vectors, used)."""
