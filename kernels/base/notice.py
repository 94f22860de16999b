"""One line on a terminal when kernels begin to compile: nothing else moves on it meanwhile."""

import sys

from . import caution

_said: list[str] = []


def compiling(seconds: str) -> None:
    """Say, once a process and to a terminal only, that kernels compile, and for how long."""
    if _said or not caution.is_terminal():
        return
    _said.append(seconds)
    try:
        sys.stderr.write(
            f"fastbp compiles its kernels, about {seconds}: later processes find them in the cache "
            "(fastbp.warmup() does it ahead)\n"
        )
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - whatever the object in the place of stderr raises
        return
