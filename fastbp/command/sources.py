"""Where bytes come from: a file or stdin, compressed by gzip or not."""

import gzip
import io
import shutil
import sys
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from .errors import DataError

STDIN = "-"
COPY = "stdin"
"""The name of the copy of stdin."""
HEAD = 2**18
"""Bytes of the beginning, by which a file is recognized; more where the first line is longer."""
MOST_HEAD = 2**26
"""Where no line ends in so many bytes, none is looked for."""
BLOCK = 2**20

NOT_TABLES = {
    b"PK\x03\x04": "a zip or Excel file: save the table in it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel file: save the table in it as CSV",
    b"\x89HDF": "an HDF5 file: read it with h5py or pandas, and save the table as Parquet or CSV",
    b"BZh": "compressed by bzip2: decompress it, or use gzip",
    b"\xfd7zXZ": "compressed by xz: decompress it, or use gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: decompress it, or use gzip",
    b'{"': "JSON: read it with pandas or polars, and save the table as Parquet or CSV",
    b"[{": "JSON: read it with pandas or polars, and save the table as Parquet or CSV",
    b"<!DOCTYPE": "a web page: download the table itself, or save the one on the page as CSV",
    b"<html": "a web page: download the table itself, or save the one on the page as CSV",
    b"<?xml": "XML: save the table in it as CSV",
}
"""Files that come instead of tables, by how they begin."""
GZIP = b"\x1f\x8b"
GZIP_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a damaged file raises."""


class Source:
    """A file or pipe by its name, or stdin, with what it begins with.

    Args:
        path: the file's name; "-" for stdin.
        keep: a folder in which a pipe is copied to a file, so that it can be read again; or None.

    Attributes:
        name: how messages call it.
        path: the name of the file, or of the copy; None for a pipe without one.
        head: its first bytes, decompressed.
        is_whole: whether ``head`` is all there is.
        is_compressed: whether it is compressed by gzip.

    """

    def __init__(self, path: str, keep: Path | None) -> None:
        self.path = None if path == STDIN else path
        self.name = "stdin" if path == STDIN else path
        self._stream: BinaryIO | None = None
        if self.path is not None:
            _check_file(self.path)
        if self.path is None or not Path(self.path).is_file():
            stream = _stdin() if self.path is None else _pipe(self.path)
            self.path = None if keep is None else _copied(stream, keep)
            if keep is None:
                self._stream = stream
                self._start, self._is_all = _beginning(stream)
        with self._raw(peek=True) as raw:
            start = raw.read(8)
        self.is_compressed = start.startswith(GZIP)
        self._refuse(start)
        self.head, self.is_whole = self._read_head()

    @property
    def can_be_read_again(self) -> bool:
        """Whether ``open`` can be called more than once."""
        return self._stream is None

    def open(self) -> BinaryIO:
        """The bytes from the beginning, decompressed."""
        return self._decompressed(peek=False)

    def _raw(self, peek: bool = False) -> BinaryIO:
        if self._stream is not None:
            if peek:
                return io.BytesIO(self._start)
            return cast(BinaryIO, io.BufferedReader(_Joined(self._start, self._stream), BLOCK))
        return Path(cast(str, self.path)).open("rb")

    def _decompressed(self, peek: bool) -> BinaryIO:
        if not self.is_compressed:
            return self._raw(peek)
        # It closes a file that it has opened itself, and leaves others open.
        where = {"fileobj": self._raw(peek)} if self.path is None else {"filename": self.path}
        return cast(BinaryIO, gzip.GzipFile(mode="rb", **where))

    def _read_head(self) -> tuple[bytes, bool]:
        try:
            with self._decompressed(peek=True) as file:
                head, is_whole = _beginning(file)
        except GZIP_ERRORS as error:
            if isinstance(error, EOFError) and self._stream is not None:
                return self._begun(), False  # only the beginning was there to be decompressed
            raise DataError(f"{self.name} is damaged or was cut off: {error}") from error
        if not head.strip():
            raise DataError(f"{self.name} is empty: it has no header and no rows")
        self._refuse(head)
        return head, is_whole and (self._stream is None or self._is_all)

    def _begun(self) -> bytes:
        """What the beginning of a compressed stream decompresses to."""
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(self._start, HEAD)

    def _refuse(self, start: bytes) -> None:
        for magic, what in NOT_TABLES.items():
            if start.startswith(magic):
                raise DataError(f"{self.name} is {what}")


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise DataError("stdin is a terminal: give the name of a file, or pipe a table in")
    return sys.stdin.buffer


def _pipe(path: str) -> BinaryIO:
    return Path(path).open("rb")


def _close(stream: BinaryIO) -> None:
    if stream is not getattr(sys.stdin, "buffer", None):  # which is the caller's
        stream.close()


def _copied(stream: BinaryIO, folder: Path) -> str:
    """The name of a new file with all that the stream has."""
    path = folder / COPY
    with path.open("wb") as file:
        shutil.copyfileobj(stream, file, BLOCK)
    _close(stream)
    return str(path)


def _check_file(path: str) -> None:
    if not Path(path).exists():
        raise DataError(f"{path}: there is no such file")
    if Path(path).is_dir():
        raise DataError(f"{path} is a folder: name one file in it")


def _beginning(stream: BinaryIO) -> tuple[bytes, bool]:
    """(the first bytes, with the whole first line; whether they are all)."""
    head = _read_up_to(stream, HEAD)
    while len(head) % HEAD == 0 and len(head) < MOST_HEAD and not _has_a_line(head):
        piece = _read_up_to(stream, HEAD)
        if not piece:
            return head, True
        head += piece
    return head, len(head) % HEAD > 0


def _has_a_line(head: bytes) -> bool:
    return b"\n" in head or b"\r" in head


def _read_up_to(stream: BinaryIO, size: int) -> bytes:
    """The next ``size`` bytes, fewer at the end; a pipe gives them in pieces."""
    pieces, left = [], size
    while left > 0:
        piece = stream.read(left)
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class _Joined(io.RawIOBase):
    """Bytes that were read from a stream, and then its rest."""

    def __init__(self, start: bytes, stream: BinaryIO) -> None:
        self._start, self._stream = io.BytesIO(start), stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        some = self._start.read(len(buffer)) or self._stream.read(len(buffer))
        buffer[: len(some)] = some
        return len(some)

    def close(self) -> None:
        _close(self._stream)
        super().close()
