"""``python -m fastbp.capi [c | fortran]``: prints the arguments of a compiler (README.md)."""

import sys

from .compiling import flags

try:
    print(*flags(*sys.argv[1:]))  # type: ignore[arg-type]
except (TypeError, ValueError) as error:
    sys.exit(f"python -m fastbp.capi: {error}")
