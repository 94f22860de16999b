"""Members on disk: after a fit was killed, those that are done stay, and one underway goes on."""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..callbacks.history import History
from ..model import model_io
from ..storage import atomic
from .bookmarks import Bookmark
from .members import Data, Member, Trained
from .recipe import Recipe

PATTERN = "member-*"
"""The names of the files in the folder: of a member that is done a network as Network.save writes
it, and a JSON file; of one underway a checkpoint."""


class Kept:
    """A folder with the members of one fit.

    Args:
        folder: it is made where it is missing.
        fingerprint: of the fit; files of another one are not used, and replaced in time.

    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: str) -> None:
        self._folder, self._fingerprint = Path(folder), fingerprint
        self._folder.mkdir(exist_ok=True)

    def find(self, member: Member) -> Trained | None:
        """The member as it was when it was done; None where it is not there, or damaged."""
        try:
            about = json.loads(self._path(member, ".json").read_text(encoding="utf-8"))
            if about["fingerprint"] != self._fingerprint:
                return None
            net = model_io.load(self._path(member, ".safetensors"))
            history = History({key: _floats(column) for key, column in about["history"].items()})
            epochs, best_epoch = int(about["epochs"]), int(about["best_epoch"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return Trained(member, net, history, epochs, best_epoch, None)

    def put(self, one: Trained) -> None:
        """Keep a member that is done. The JSON file comes last: with it the member is there."""
        about = {
            "fingerprint": self._fingerprint,
            "epochs": one.epochs,
            "best_epoch": one.best_epoch,
            "history": {
                key: [value if math.isfinite(value) else None for value in column]
                for key, column in one.history.items()
            },
        }
        one.net.save(self._path(one.member, ".safetensors"))
        with atomic.replacing(self._path(one.member, ".json")) as file:
            file.write(json.dumps(about).encode())
        for path in self._folder.glob(self._path(one.member, ".*.checkpoint").name):
            path.unlink(missing_ok=True)

    def bookmark(self, member: Member, epochs: int) -> Bookmark:
        """What keeps how far a training for so many epochs is, and knows where it was."""
        about = f"{self._fingerprint[:16]}-{epochs}"
        return Bookmark(self._path(member, f".{about}.checkpoint"))

    def _path(self, member: Member, suffix: str) -> Path:
        return self._folder / f"member-{member.number}{suffix}"


def fingerprint(recipe: Recipe, data: Data, members: Sequence[Member]) -> str:
    """A hash of all that decides what the members become."""
    about = {"recipe": asdict(recipe), "fastbp": __version__}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for part in (data.X, data.y, data.weights, *(data.validation or ())):
        _add(digest, part)
    for member in members:
        digest.update(f"{member.number} {member.seed}".encode())
        _add(digest, member.held)
    return digest.hexdigest()


def _add(digest: Any, part: Any) -> None:
    """Add an array, a matrix in CSR format, or None."""
    arrays = [part.data, part.indices, part.indptr] if hasattr(part, "tocsr") else [part]
    for array in arrays:
        values = np.ascontiguousarray([] if array is None else array)
        digest.update(f"{values.shape} {values.dtype}".encode())
        digest.update(values.reshape(-1).view(np.uint8).data)


def _floats(column: list[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in column]
