"""Networks that are done, beside the model that they will be part of, for ``train --resume``."""

from contextlib import suppress
from pathlib import Path

from .messages import count, say


class Shelf:
    """The folder ``MODEL.networks``, in which the estimator keeps the networks that are done.

    Attributes:
        folder: its path.

    """

    def __init__(self, model: Path) -> None:
        self.folder = model.with_name(f"{model.name}.networks")

    def prepare(self, resume: bool) -> None:
        """Empty it, or say from what the training goes on."""
        if not resume:
            self.clear()
            return
        found = len(list(self.folder.glob(f"{_pattern()}.json")))
        if found:
            say(
                f"{self.folder}: {count(found, 'network')} done; taken where data and settings are "
                "the same"
            )
        else:
            say(f"{self.folder}: no network done; all are trained")

    def clear(self) -> None:
        """Remove it, with what the estimator has put there."""
        for path in self.folder.glob(_pattern()):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or has something else in it
            self.folder.rmdir()


def _pattern() -> str:
    """The names of the estimator's files."""
    from ..tabular.kept import PATTERN

    return PATTERN
