"""The jit flags of all kernels. No other file sets one.

``error_model="numpy"``: a division by zero gives inf, as hardware does, and needs no branch.
``nogil``: other Python threads run meanwhile. No ``fastmath``: a NaN must reach the loss, and the
bits must not depend on what a compiler chose to reassociate; where a fused multiply-add is wanted,
the code says ``fma``. ``boundscheck`` stays off: kernels work on addresses.
"""

FLAGS = {"error_model": "numpy", "nogil": True}
"""Flags of functions that Python calls, or C by address."""

INNER_FLAGS = FLAGS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Flags of functions that only kernels call."""
