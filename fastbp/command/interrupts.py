"""Ctrl-C while a model is trained."""

import signal
from types import FrameType
from typing import Any


class CtrlC:
    """A context in which Ctrl-C raises KeyboardInterrupt, as ever, and is remembered.

    A fit may end at Ctrl-C as if it were done, with what it has.

    Args:
        is_on: False to leave it to another handler.

    """

    pressed = False
    _before: Any = None

    def __init__(self, is_on: bool = True) -> None:
        self._is_on = is_on

    def __enter__(self) -> "CtrlC":
        if not self._is_on:
            return self
        try:
            self._before = signal.signal(signal.SIGINT, self._remember)
        except ValueError:  # another thread than the main one, to which Ctrl-C does not come
            self._before = None
        return self

    def __exit__(self, kind: object, _error: object, _at: object) -> None:
        self.pressed = self.pressed or kind is KeyboardInterrupt
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _remember(self, _number: int, _frame: FrameType | None) -> None:
        self.pressed = True
        raise KeyboardInterrupt
