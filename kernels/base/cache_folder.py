"""The folder of the compiled kernels: making it, writing into it, removing those of other stamps.

code_stamp.py names it. Whatever cannot be read, written or removed costs a compilation at most.
"""

import os
import re
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from . import code_stamp

CONTENTS = ("*.nb[ci]*", "*.code*", "tile.json*")
"""Files that fastbp writes: Numba's caches, C functions, choices."""

UNUSED_SECONDS = 30 * 24 * 3600.0
"""How long a folder of another stamp is kept after a process last looked into it."""


def ready(folder: Path) -> None:
    """Make it, and say that it is in use. OSError if it is new and cannot be made or written."""
    new = not folder.is_dir()
    if new:  # what is there is read from, even where it cannot be written to
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    with suppress(OSError):
        os.utime(folder)
        if new:
            _remove_unused(folder.parent)


def _remove_unused(base: Path) -> None:
    """Remove what other installations left in ``base`` and no longer use, as far as can be.

    Only kernels in folders named by a stamp: a folder with anything else in it stays.
    """
    oldest = time.time() - UNUSED_SECONDS
    for folder in base.iterdir():
        if not re.fullmatch("fastbp-[0-9a-f]{20}", folder.name) or folder.is_symlink():
            continue
        with suppress(OSError):
            if folder.stat().st_mtime < oldest:
                for path in (path for pattern in CONTENTS for path in folder.glob(pattern)):
                    path.unlink()
                folder.rmdir()


def path_of(name: str) -> Path | None:
    """Where a file of this name is, or will be; None where there is no folder for it."""
    folder = code_stamp.cache_folder()
    if folder is None:
        return None
    try:
        ready(folder)
    except OSError:
        return None
    return folder / name


def write(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all: other processes may read it, and a disk may be full."""
    with suppress(OSError):
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            with unfinished.open("xb") as file:  # readable for others, as the user's umask says
                file.write(content)
            unfinished.replace(path)
        except OSError:
            unfinished.unlink()
