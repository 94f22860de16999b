"""The first layer by the nonzeros of sparse rows: how the other stages ask for it.

The code is a C function of its own (sparse_layer.py, entry/sparse_run.py), compiled when a job
first has its address: steps on dense rows, and their compilation, know nothing of it.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..base.jit import kernel
from ..ir.llvm_ir import I64
from ..ir.simd import get, put
from ..tables import job_table as J
from ..tables import layout as P

FIT, GATHER, FORWARD, UPDATE = map(np.int64, range(4))
"""Requests to the code: whether nonzeros pay, for rows that begin at ``a`` of the order, ``b`` of
them; gather one vector of rows, which begin at ``a``, into block ``b``, and return whether one was
refused; z of the blocks ``a`` to ``b`` and the units ``c`` to ``d``; worker ``a``'s part, of ``b``,
of the gradient of W, to be used by the mode ``c``."""

_ZERO = np.int64(0)  # a Python constant would compile its callee once more


@intrinsic
def _call(typingctx: Any, code: Any, job: Any, request: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        kind = ir.FunctionType(I64, [args[1].type, *[I64] * 5])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    n = types.int64
    return n(n, job, n, n, n, n, n), codegen


@kernel
def ask(job, request, a, b, c, d):
    """Send a request to the code of a job that has one."""
    return _call(job[J.NONZEROS_CODE], job, request, a, b, c, d)


@kernel
def goes_by_nonzeros(job, first, rows):
    """Whether ``rows`` rows from ``first`` on are taken by their nonzeros.

    Sizes and the numbers of nonzeros decide. The bits are those of dense rows.
    """
    return job[J.NONZEROS_CODE] != 0 and ask(job, FIT, first, rows, _ZERO, _ZERO) == 1


@kernel
def mark(plan, block, lies_as_nonzeros):
    """Note in a block how its X lies."""
    put(block, plan[0, P.ROW_STATUS] + 1, lies_as_nonzeros)


@kernel
def lies_as_nonzeros(plan, block):
    """How the X of a block lies, since it was gathered."""
    return get(block, plan[0, P.ROW_STATUS] + 1) != 0.0


@kernel
def update_by_nonzeros(plan, work, job, mode, worker, workers):
    """One worker's part of the first layer's W, where the batch lies as nonzeros; whether it does.

    mode: as of ``update_part``.
    """
    if not lies_as_nonzeros(plan, work):
        return False
    ask(job, UPDATE, worker, workers, mode, _ZERO)
    return True
