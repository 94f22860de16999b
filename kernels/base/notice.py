"""One line on a terminal when kernels begin to compile: nothing else moves on it meanwhile."""

import sys

from . import caution

LINE = (
    "fastbp compiles its kernels, which takes a while: later processes find them in the cache "
    "(fastbp.warmup() does it ahead)\n"
)

_said: list[str] = []


def compiling() -> None:
    """Say, once a process and to a terminal only, that kernels compile."""
    if _said or not caution.is_terminal():
        return
    _said.append(LINE)
    try:
        sys.stderr.write(LINE)
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - whatever the object in the place of stderr raises
        return
