"""What lies beside a model while it is trained: its rows, its networks, for ``train --resume``."""

from contextlib import suppress
from pathlib import Path

from ..storage import unfinished
from .messages import count, say
from .sources import COPY


class Shelf:
    """The folder ``MODEL.networks``, in which the estimator keeps rows and networks.

    As a context, the folder is made; at the end, rows and an empty folder are removed.

    Attributes:
        folder: its path.

    """

    def __init__(self, model: Path) -> None:
        self.folder = model.with_name(f"{model.name}.networks")

    def __enter__(self) -> "Shelf":
        self.folder.mkdir(exist_ok=True)
        unfinished.remove_orphans(self.folder)  # rows that a killed training has left
        return self

    def __exit__(self, *_error: object) -> None:
        unfinished.remove_orphans(self.folder)
        (self.folder / COPY).unlink(missing_ok=True)
        with suppress(OSError):  # it has networks, or something else in it
            self.folder.rmdir()

    def prepare(self, resume: bool) -> None:
        """Take the networks out, or say from what the training goes on."""
        if not resume:
            self.clear()
            return
        done, begun = (len(list(self.folder.glob(f"{_networks()}{end}"))) for end in ENDS)
        if done or begun:
            say(
                f"{self.folder}: {count(done, 'network')} done, {begun} begun; taken where data "
                "and settings are the same"
            )
        else:
            say(f"{self.folder}: no network done; all are trained")

    def clear(self) -> None:
        """Remove the networks."""
        for path in self.folder.glob(_networks()):
            path.unlink(missing_ok=True)


ENDS = (".json", ".checkpoint")
"""How the names of files end of networks that are done, and begun."""


def _networks() -> str:
    """The names of the estimator's files of networks."""
    from ..tabular.kept import PATTERN

    return PATTERN
