"""Ctrl-C, kept until the ranks meet: one that left an exchange would leave the others waiting."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS_OF_ONE = 1.0
"""Ctrl-C comes to all ranks, to some after a meeting has ended what it was for: it is one and the
same for so long."""


class Interrupts:
    """Whether Ctrl-C has come to this rank.

    came: it has, and no meeting has told the others. again: a second one has, which waits for no
    meeting: this rank leaves, wherever it is, and cannot meet the others any more.
    """

    def __init__(self) -> None:
        self.came = self.again = False
        self._taken = float("-inf")
        self._usual: Callable[[int, Any], Any] = signal.default_int_handler

    def _handle(self, number: int, frame: Any) -> None:
        """Do what the program's own handler does, but keep its KeyboardInterrupt."""
        try:
            self._usual(number, frame)
        except KeyboardInterrupt:
            if time.monotonic() - self._taken < SECONDS_OF_ONE:
                return
            if self.came:
                self.again = True
                raise
            self.came = True

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it, where this is the main thread and a function of Python's handles Ctrl-C."""
        usual = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(usual):
            yield
            return
        self._usual = usual
        signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    def told(self) -> None:
        """A meeting has told all ranks of it."""
        self.came, self._taken = False, time.monotonic()

    def take(self) -> None:
        """KeyboardInterrupt where it has come and no meeting has told the others."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt
