"""What is chosen by measurement on each machine: how the tile of a matrix product reads memory.

A processor of AVX-512 needs software prefetches in the innermost loop; on a Zen 3 they cost an
eighth of a step. No table of processors is complete, so the candidates are timed when kernels are
first compiled on a machine (primitives/trial.py). The choice is kept beside the compiled kernels,
and is part of their file names (kernel_cache.py). No choice changes a bit.

``FASTBP_TILE`` overrides: "default" measures nothing; "plain:1024,prefetch:512" is a choice itself,
down panels and across panels.
"""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from . import cache_folder, width


class Walk(NamedTuple):
    """How a product walks through memory.

    prefetches: each step of a sum asks for the operands of a later one. steps: of a sum between two
    visits of its tile of C, a multiple of the lanes.
    """

    prefetches: bool
    steps: int

    def __str__(self) -> str:
        return f"{'prefetch' if self.prefetches else 'plain'}:{self.steps}"


class Choice(NamedTuple):
    """How products walk down panels (forward), and across panels (backward, gradients)."""

    down: Walk
    across: Walk

    def __str__(self) -> str:
        return f"{self.down},{self.across}"


CANDIDATES = {
    "down": [Walk(p, steps) for p in (False, True) for steps in (256, 1024)],
    "across": [Walk(p, steps) for p in (False, True) for steps in (128, 512)],
}
"""What is timed, by the direction."""

DEFAULT = Choice(Walk(width.BITS == 512, 1024), Walk(width.BITS == 512, 512))
"""Where nothing is measured. 256 x 1024 x 1024 with AVX-512, prefetched: down 95 and 99% of the
peak in L1 with 512 and 1024 steps, without prefetch 87%; across 95 and 91%, without prefetch 84%.
On a Zen 3 a large step takes 1.14 times as long with prefetches."""

FILE = "tile.json"
"""Where the choice is kept, in the folder of the kernels."""

_WALK = r"(plain|prefetch):(\d{1,6})"


def parse(text: str) -> Choice:
    """The choice that ``str`` wrote; ValueError for another text."""
    found = re.fullmatch(f"{_WALK},{_WALK}", text)
    steps = [int(found[2]), int(found[4])] if found else [0]
    if not found or any(n == 0 or n % 16 for n in steps):
        raise ValueError(
            f"FASTBP_TILE is {text!r}: it must be 'default', or a choice such as {str(DEFAULT)!r}, "
            "with steps that are multiples of 16"
        )
    return Choice(Walk(found[1] == "prefetch", steps[0]), Walk(found[3] == "prefetch", steps[1]))


Trial = Callable[[], tuple[Choice, dict[str, Any]]]
"""Times the candidates: the choice, and what was measured."""

_trial: Trial = lambda: (DEFAULT, {})  # noqa: E731 - until gemm.py says how


def measure_by(trial: Trial) -> None:
    """Say how candidates are timed. The first compilation of a machine calls it."""
    global _trial
    _trial = trial


def current() -> Choice:
    """The choice of this process; measures, where none is known."""
    return _found()[0]


def file_name() -> str:
    """``current`` as a part of the names of files."""
    return re.sub("[^0-9a-z]", "_", str(current()))


def reason() -> str:
    """Where the choice comes from, for ``show_config``."""
    return _found()[1]


@cache
def _found() -> tuple[Choice, str]:
    setting = os.environ.get("FASTBP_TILE", "")
    if setting == "default":
        return DEFAULT, f"default for {width.BITS} bits"
    if setting:
        return parse(setting), "FASTBP_TILE"
    path = cache_folder.path_of(FILE)
    if path is None:  # each process would measure anew
        return DEFAULT, f"default for {width.BITS} bits: there is no folder to keep a choice in"
    known = _read(path)
    if known is None:
        chosen, measured = _trial()
        record = {"choice": str(chosen), "measured": measured}
        cache_folder.write(path, json.dumps(record, indent=1).encode("ascii"))
        known = _read(path) or (chosen, "measured on this machine, and not kept")
    return known


def _read(path: Path) -> tuple[Choice, str] | None:
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        record = json.loads(path.read_text(encoding="ascii"))
        figures = ", ".join(f"{name} {text}" for name, text in record["measured"].items())
        return parse(record["choice"]), f"measured on this machine: {figures}"
    return None
