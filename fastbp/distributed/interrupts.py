"""Ctrl-C, kept until the ranks meet: one that left an exchange would leave the others waiting."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECONDS_OF_ONE = 1.0
"""Ctrl-C comes to all ranks, to some after a meeting has ended what it was for: it is one and the
same for so long."""


class Interrupts:
    """Whether Ctrl-C has come to this rank. A second one raises KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self.came = False
        self._taken = float("-inf")

    def _handle(self, _number: int, _frame: Any) -> None:
        if time.monotonic() - self._taken < SECONDS_OF_ONE:
            return
        if self.came:
            raise KeyboardInterrupt
        self.came = True

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it, where this is the main thread and Ctrl-C raises KeyboardInterrupt."""
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def told(self) -> None:
        """A meeting has told all ranks of it."""
        self.came, self._taken = False, time.monotonic()

    def take(self) -> None:
        """KeyboardInterrupt where it has come and no meeting has told the others."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt
