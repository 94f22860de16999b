"""What is said on stderr, where that may be anything.

A daemon has closed it, and a host with windows may have put any object in its place. Python's own
``warnings.warn`` lets most of what these raise through.
"""

import sys
import warnings


def is_terminal() -> bool:
    """Whether stderr is a terminal."""
    try:
        return bool(sys.stderr.isatty())
    except Exception:  # noqa: BLE001 - whatever the object raises: closed, None, without isatty
        return False


def warn(message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
    """``warnings.warn``, which raises only what the user's filter turns into an error."""
    try:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
    except Warning:
        raise
    except Exception:  # noqa: BLE001 - whatever the object in the place of stderr raises
        return
