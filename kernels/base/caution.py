"""Warnings that never end a computation because stderr cannot be written to.

A daemon has closed it, and a host with windows may have put anything in its place: Python's own
``warnings.warn`` lets most of what these raise through.
"""

import warnings


def warn(message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
    """``warnings.warn``, which raises only what the user's filter turns into an error."""
    try:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
    except Warning:
        raise
    except Exception:  # noqa: BLE001 - whatever the object in the place of stderr raises
        return
