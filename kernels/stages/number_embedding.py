"""Learned embeddings of numbers: how the other stages ask for them.

A column x of X that is embedded has E further inputs of layer 1, behind all columns of X: the sums
over H frequencies of V cos(2 pi w x + b), and a bias c for each. With x itself this is PBLD
("periodic bias linear DenseNet") of RealMLP (Holzmueller et al., Better by default, 2024). w, b, V
and c of each column are parameters (layout.py).

The code is a C function of its own (embedded_numbers.py, entry/embedding_run.py), whose address is
in the plan: steps of other networks, and their compilation, know nothing of it. A network with
embeddings takes batches of all sizes by rows.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.llvm_ir import I64
from ..tables import layout as P

FORWARD, TO_INPUTS, MEASURE, APPLY, GRADIENT = map(np.int64, range(5))
"""Requests to the code. FORWARD: the inputs that embeddings add, of the vectors of rows ``a`` to
``b``. TO_INPUTS: what goes through them is added to the error of the columns of X, of these rows.
MEASURE: the sum of the squares of the final gradient of number ``a``, by worker ``c``. APPLY:
number ``a`` is updated by its stored gradient. GRADIENT + a mode (update.py): the gradient of
number ``a`` over ``b`` vectors of rows, used by that mode, by worker ``c``."""

_ZERO = np.int64(0)  # a Python constant would compile its callee once more


@intrinsic
def _call(
    typingctx: Any, code: Any, plan: Any, arenas: Any, hyper: Any, request: Any,
    a: Any, b: Any, c: Any,
) -> Any:  # fmt: skip
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        values = [args[1], *cgutils.unpack_tuple(builder, args[2]), *args[3:]]
        kind = ir.FunctionType(I64, [value.type for value in values])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)

    n = types.int64
    return n(n, plan, arenas, hyper, n, n, n, n), codegen


@kernel
def ask(plan, arenas, hyper, request, a, b, c):
    """Send a request to the code. arenas: three pointers; embedded_numbers.py says to what."""
    return _call(plan[0, P.EMBEDDING_CODE], plan, arenas, hyper, request, a, b, c)


@kernel
def _embed(plan, params, work, first, last):
    if plan[0, P.NUMBERS] > 0:
        ask(plan, (params, work, work), work, FORWARD, first, last, _ZERO)


embed_numbers = by_plan(None, _embed)
"""Add the embeddings to the inputs IN of layer 1: (plan, params, work, first, last).

For the vectors of rows ``first`` to ``last``. Twin: same name.
"""


@kernel
def add_to_error(plan, params, work, first, last):
    """Add what goes through embeddings to the error of X, in the place of a delta of layer 0.

    plan, params, work: layout.py. For the vectors of rows ``first`` to ``last``. Twin:
    ``error_through_numbers``.
    """
    ask(plan, (params, work, work), work, TO_INPUTS, first, last, _ZERO)
