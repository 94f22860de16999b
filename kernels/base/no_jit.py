"""What kernels are where NUMBA_DISABLE_JIT is set: Numba hands back Python functions then.

The NumPy twins work. Kernels are vectors and addresses, which Python has not: each says so when it
is asked for.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import numba

IS_SET = bool(numba.config.DISABLE_JIT)


def refuse() -> None:
    """RuntimeError where the setting is in the way."""
    if IS_SET:
        raise RuntimeError(
            "NUMBA_DISABLE_JIT is set, so that Numba compiles nothing, and these kernels work only "
            "compiled: unset it, or make the Trainer with engine='numpy', and predict by it"
        )


def refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The Python function in place of an entry: it refuses every call, and every compilation."""

    @wraps(function)
    def called(*_arguments: Any) -> NoReturn:
        refuse()
        raise AssertionError

    called.compile = called  # type: ignore[attr-defined]
    called.disable_compile = lambda: None  # type: ignore[attr-defined]
    return called
