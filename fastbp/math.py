"""exp and tanh for your own activations and losses: LLVM vectorizes a loop that calls them.

``math.exp`` in njit code is a call of libm for one number at a time. These are arithmetic alone,
which the compiler runs for a whole vector of numbers. They take and return one number: float32
stays float32, and other numbers become float64. From Python, they are NumPy's.

>>> from numba import njit
>>> @njit(error_model="numpy")
... def sigmoid(z):
...     a = 1 / (1 + fastbp.math.exp(-z))
...     return a, a * (1 - a)
>>> net = fastbp.Network([3, 8, 1], activation=sigmoid)

``error_model="numpy"`` matters where a function divides: else Numba asks at each division whether
it raises ZeroDivisionError, and nothing is vectorized.

The largest errors, in units in the last place (tests/unit/test_math.py measures them again):

========  =======  =======
function  float32  float64
========  =======  =======
exp       1.02     1.49
tanh      2.5      1.9
========  =======  =======
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import overload

from .kernels.base.flags import FLAGS

__all__ = ["exp", "tanh"]


def _compiled(function: Callable[..., Any]) -> None:
    """Let njit code that calls ``function`` run the ones of scalar_math.py of its name."""

    @overload(function, jit_options={**FLAGS, "forceinline": True})
    def choose(x):  # type: ignore[no-untyped-def]
        from .kernels.primitives import scalar_math  # late: rare

        if not isinstance(x, types.Number | types.Boolean) or isinstance(x, types.Complex):
            raise TypingError(f"x is {x}, expected one real number: call it for each of an array")
        if x == types.float32:
            single = getattr(scalar_math, f"{function.__name__}32")
            return lambda x: single(x)  # noqa: PLW0108 - overload wants a function
        double = getattr(scalar_math, f"{function.__name__}64")
        return lambda x: double(np.float64(x))


def exp(x: float) -> Any:
    """e**x of one number.

    >>> fastbp.math.exp(0.0)
    1.0
    """
    return _in_python(np.exp, x)


def tanh(x: float) -> Any:
    """The hyperbolic tangent of one number.

    >>> fastbp.math.tanh(0.0)
    0.0
    """
    return _in_python(np.tanh, x)


def _in_python(function: Callable[..., Any], x: Any) -> Any:
    if np.ndim(x):
        raise TypeError(f"x has shape {np.shape(x)}, expected one number: NumPy's takes arrays")
    with np.errstate(over="ignore", under="ignore"):
        value = function(x)
    return value if type(x) is np.float32 else float(value)


_compiled(exp)
_compiled(tanh)
