"""Atomic files: each is written beside the old one, which it then replaces."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from . import unfinished

NO_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""The errors of file systems that cannot synchronize folders."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file to write to, which replaces ``path`` when the block ends without an exception.

    ``path`` is the old file or the new one, complete, even after a crash of the machine: the new
    one lies in the same folder until it is on the disk. If the block raises, nothing has changed.
    What killed processes left unfinished in the folder is removed first. A link is followed.
    An old file's permissions stay. OSError where the folder does not exist, or ``path`` is no file.
    """
    place = target(path)
    unfinished.remove_orphans(place.parent)
    try:
        with unfinished.named_file(place.parent) as (partial, file):
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":  # Windows renames no open file
                file.close()
            with suppress(OSError):  # no old file, or a file system without permissions
                partial.chmod(stat.S_IMODE(place.stat().st_mode))
            partial.replace(place)  # open, and so locked: a closed one is taken for an orphan
    except OSError as error:  # of a disk that is full or read-only: it names the unfinished file
        error.add_note(f"{str(place)!r} was to be written, and is as it was before")
        raise
    _synchronize(place.parent)


def target(path: str | os.PathLike[str]) -> Path:
    """The path to replace, links followed. OSError as ``replacing`` raises it."""
    place = in_a_folder(path)
    if place.exists() and not place.is_file():
        raise OSError(f"path is {str(place)!r}, which is a device or a pipe, expected a file")
    return place


def in_a_folder(path: str | os.PathLike[str]) -> Path:
    """The path, links followed. OSError where its folder is missing, or where it is a folder."""
    place = Path(os.path.realpath(path))
    folder = place.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"path is {str(place)!r}, but there is no folder {str(folder)!r}: make it first"
        )
    if place.is_dir():
        raise IsADirectoryError(f"path is {str(place)!r}, which is a folder: name a file in it")
    return place


def _synchronize(folder: Path) -> None:
    """Write the folder's list of names to the disk."""
    if os.name == "nt":  # Windows has no call for it
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)
