"""Files that are being written, and those that a killed process left so.

Whoever writes such a file holds a lock on it, which the system releases with the process. So a file
whose lock can be had is nobody's, whatever host, container or process wrote it.
"""

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":  # a file that is open cannot be removed there
    import fcntl

NAME = re.compile(r"\.fastbp-[0-9a-f]{16}\.tmp")
"""Names of unfinished files: 28 characters, however long the name of the file itself is."""


@contextmanager
def named_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """(path, file) of a new file to write to, which is gone at the end unless it was renamed."""
    path, file = _create(folder)
    try:
        with file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def _create(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = folder / f".fastbp-{secrets.token_hex(8)}.tmp"
        file = path.open("xb")  # never an old file
        if _lock(file.fileno(), wait=True) is False or os.fstat(file.fileno()).st_nlink:
            return path, file
        file.close()  # another process took it for an orphan before it was locked


def _lock(descriptor: int, wait: bool) -> bool | None:
    """Lock a file. False where that is not possible here, None where another process has it."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return None
    except OSError:  # a file system without locks
        return False
    return True


def remove_orphans(folder: Path) -> None:
    """Remove what processes that have ended left unfinished in a folder, as far as can be."""
    with suppress(OSError), os.scandir(folder) as entries:
        found = [entry.name for entry in entries if NAME.fullmatch(entry.name)]
        for name in found:
            with suppress(OSError):
                _remove_orphan(folder / name)


def _remove_orphan(path: Path) -> None:
    if sys.platform == "win32":
        path.unlink()
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _lock(descriptor, wait=False):
            path.unlink()
    finally:
        os.close(descriptor)
