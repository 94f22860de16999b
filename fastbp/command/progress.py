"""How far the training is, on stderr."""

import sys
import time
from contextlib import suppress
from threading import Lock
from typing import Any

from .messages import number

SECONDS_OF_A_LINE, SECONDS_OF_A_CHANGE = 10.0, 0.2
"""Seconds between two lines of a log, and between two changes of the line of a terminal."""


class Progress:
    """Shows epochs as they end: one line that changes on a terminal, else a line now and then.

    Networks that are trained side by side may report at once.

    Args:
        ranks: that share the networks; the lines are of those of this one.

    """

    def __init__(self, ranks: int = 1) -> None:
        self._ranks = ranks
        self._lock = Lock()
        self._epochs: dict[int, int] = {}
        self._width = 0
        self._start = self._shown = time.monotonic()
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, state: Any) -> None:
        """Take note of an epoch; state: ``fastbp.tabular``'s Progress."""
        with self._lock:
            self._epochs[state.member] = state.epoch
            now = time.monotonic()
            wait = SECONDS_OF_A_CHANGE if self._is_terminal else SECONDS_OF_A_LINE
            if now - self._shown >= wait:
                self._shown = now
                self._write(self._line(state, now - self._start))

    def end(self) -> None:
        """Clear the line of the terminal."""
        with self._lock:
            if self._is_terminal and self._width:
                self._write("")
                _put("\r")

    def _line(self, state: Any, seconds: float) -> str:
        done = sum(self._epochs.values())
        total = -(-state.members // self._ranks) * state.epochs  # the first rank has no fewer
        values = ", ".join(
            f"{key} {number(value)}"
            for key, value in state.values.items()
            if key.startswith("val_") or key == "loss"
        )
        network = f"network {state.member + 1}"
        where = f" on the first of {self._ranks} ranks" if self._ranks > 1 else ""
        return f"{done:,} of {total:,} epochs{where}, {seconds:.0f} s; {network}: {values}"

    def _write(self, line: str) -> None:
        if self._is_terminal:
            _put("\r" + line[:120].ljust(self._width))
            self._width = len(line[:120])
        else:
            _put(line + "\n")


def _put(text: str) -> None:
    with suppress(OSError, ValueError):  # stderr was closed
        sys.stderr.write(text)
        sys.stderr.flush()
