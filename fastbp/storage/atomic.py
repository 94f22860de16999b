"""A file that is whole at any time: written beside the old one, then put in its place."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PREFIX, SUFFIX = ".fastbp-", ".tmp"
"""Of the names of files that are being written. A process that is killed leaves one behind."""

NO_SYNC = (errno.EINVAL, errno.ENOTSUP)
"""What file systems answer that do not synchronize folders."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of ``path`` when the block ends well.

    Whoever reads ``path``, even after a crash of the machine, finds the old file or the new one,
    whole: the new one lies in the same folder until it is on the disk. If the block raises, nothing
    has changed. A link is followed. Permissions are those of any new file. OSError where there is
    no folder for it, or something in its place that is no file.
    """
    place = target(path)
    # A name of 28 characters, however long the file's own is; "x": never someone else's file.
    partial = place.with_name(f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
    _synchronize(place.parent)


def target(path: str | os.PathLike[str]) -> Path:
    """Where the file is to lie. OSError if it cannot; see ``replacing``."""
    place = Path(os.path.realpath(path))
    folder = place.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            f"path is {str(place)!r}, but there is no folder {str(folder)!r}: make it first"
        )
    if place.is_dir():
        raise IsADirectoryError(f"path is {str(place)!r}, which is a folder: name a file in it")
    if place.exists() and not place.is_file():
        raise OSError(f"path is {str(place)!r}, which is a device or a pipe, expected a file")
    return place


def _synchronize(folder: Path) -> None:
    """Bring the folder's list of names to the disk."""
    if os.name == "nt":  # has no call for it
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(handle)
