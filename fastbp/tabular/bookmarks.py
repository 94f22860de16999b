"""How far the training of a member is, on disk: one that was killed goes on from there."""

import time
from pathlib import Path

from ..training import checkpoints
from ..training.trainer import Trainer

SECONDS = 10.0
"""Between two checkpoints of a member, each of which takes some milliseconds."""


class Bookmark:
    """A checkpoint of a member, which is complete at any time.

    Args:
        path: its file.

    """

    def __init__(self, path: Path) -> None:
        self._path, self._written = path, time.monotonic()

    def find(self) -> Path | None:
        """The file to go on from; None where there is none, and for a damaged one."""
        try:
            checkpoints.read(self._path)
        except (OSError, ValueError):
            return None
        return self._path

    def keep(self, trainer: Trainer, at_once: bool) -> None:
        """Write it, where the last one is old or it is to be written at once."""
        now = time.monotonic()
        if at_once or now - self._written >= SECONDS:
            trainer.save(self._path)
            self._written = now
