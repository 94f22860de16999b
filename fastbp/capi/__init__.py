"""Predict and train from C and Fortran in the same process: ``fastbp.h``, ``fastbp.f90``.

``Handle`` makes of a trainer or network what they call; README.md has the rest. Uses every room of
the library; none uses it.
"""

from .compiling import declarations, flags, include_dir
from .handle import Handle
from .statuses import STATUSES

__all__ = ["STATUSES", "Handle", "declarations", "flags", "include_dir"]
