"""What fastbp does when an internal of Numba has changed: go on without it, and say so once.

The special compiler (inner_compiler.py) and the special cache (kernel_cache.py) build on internals
of Numba. pyproject.toml names the versions that were tested. With another version either may fail;
then Numba's own compiler is used, or no cache. The bits are the same.
"""

import numba

from . import caution

MISSING = (AttributeError, ImportError, TypeError)
"""What the use of an internal that has changed raises."""

SLOWER = "kernels compile more slowly"
NO_CACHE = "kernels are compiled again in every process"


_said: set[str] = set()


def warn(consequence: str, error: Exception) -> None:
    """Say, once a process, that ``error`` has this consequence: SLOWER or NO_CACHE."""
    if consequence not in _said:
        _said.add(consequence)
        caution.warn(
            f"fastbp does not fit numba {numba.__version__} ({type(error).__name__}: {error}): "
            f"{consequence}. Results are the same. Install a version of numba that fastbp names in "
            "its dependencies",
            RuntimeWarning,
            stacklevel=3,
        )
