"""Ctrl-C, kept until the ranks meet: one that left an exchange would leave the others waiting."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """Whether Ctrl-C has come to this rank.

    came: it has, and no meeting has told the others. again: a second one has, which waits for no
    meeting: this rank leaves, wherever it is, and cannot meet the others any more.
    """

    def __init__(self) -> None:
        self.came = self.again = False
        self._usual: Callable[[int, Any], Any] = signal.default_int_handler

    def _handle(self, number: int, frame: Any) -> None:
        """Do what the program's own handler does, but keep its KeyboardInterrupt."""
        try:
            self._usual(number, frame)
        except KeyboardInterrupt:
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

    def take(self) -> None:
        """KeyboardInterrupt where it has come and no meeting has told the others."""
        if self.came:
            self.came = False
            raise KeyboardInterrupt
