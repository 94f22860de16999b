"""The cache of C functions: their object files, in the folder of the kernels."""

import hashlib
from contextlib import suppress
from pathlib import Path

from . import cache_folder, choices

DIGEST_BYTES = hashlib.sha256().digest_size


def _path(symbol: str) -> Path | None:
    return cache_folder.path_of(f"{symbol}.{choices.file_name()}.code")


def has(symbol: str) -> bool:
    """Whether there is a file of a C function, be it damaged."""
    path = _path(symbol)
    return path is not None and path.is_file()


def load(symbol: str) -> bytes | None:
    """The object file of a C function; None where it is not there, or damaged."""
    path = _path(symbol)
    if path is None:
        return None
    with suppress(OSError):
        whole = path.read_bytes()
        digest, content = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
    return None


def save(symbol: str, object_file: bytes) -> None:
    """Keep it, if that is possible."""
    path = _path(symbol)
    if path is not None:
        cache_folder.write(path, hashlib.sha256(object_file).digest() + object_file)
