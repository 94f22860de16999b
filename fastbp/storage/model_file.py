"""The file format of models and checkpoints: safetensors, with a kind, a version and a checksum.

The metadata of the file are strings:

    format   "fastbp"
    kind     "model", "checkpoint", "ensemble" or "table"
    version  of the format: "1"
    fastbp   everything that is not a tensor, as JSON
    sha256   a hash of the other metadata as JSON; of name, dtype and shape of every tensor; and of
             the tensors' bytes, in the order of their names

The checksum finds damage. It is not a signature: anyone who changes a file can compute it again.
Loading takes only numbers and names from a file. A file from a stranger can have wrong content, but
it cannot run anything.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from ..common import checks, registry
from ..common.types import Array
from . import atomic, safetensors_format

FORMAT = "fastbp"
VERSION = 1
KINDS = {
    "model": "fastbp.load",
    "checkpoint": "fastbp.Trainer.load",
    "ensemble": "fastbp.Ensemble.load",
    "table": "fastbp.tabular.load",
}
"""The kinds of files, and the function that loads each."""


def write(
    path: str | os.PathLike[str], kind: str, meta: dict[str, Any], tensors: Mapping[str, Array]
) -> None:
    """Write a file. It replaces an older one atomically.

    Args:
        path: the file; its folder exists.
        kind: one of ``KINDS``.
        meta: JSON: dicts with strings as keys, lists, strings, integers, bools, None, and finite
            floats, whose bits survive. NaN and infinity go into a tensor.
        tensors: float32, float64 or int64, of any shape, order and strides; every value survives.

    Raises:
        ValueError, TypeError: an argument is not as above. Nothing has been written.
        OSError: the file cannot be written. What was there is still there.

    """
    registry.lookup(KINDS, kind, "kind")
    metadata = {
        "format": FORMAT,
        "kind": kind,
        "version": str(VERSION),
        "fastbp": safetensors_format.canonical(meta),
    }
    arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    digest = _digest(metadata, [(name, *_about(array)) for name, array in arrays.items()])
    for name in sorted(arrays):
        digest.update(safetensors_format.as_bytes(arrays[name]))
    metadata["sha256"] = digest.hexdigest()
    with atomic.replacing(path) as file:
        safetensors_format.write(file, metadata, arrays)


def read(
    path: str | os.PathLike[str], kind: str, verify: bool = True
) -> tuple[dict[str, Any], dict[str, Array]]:
    """(meta, tensors) of a file of this kind: ``read_parts`` of all of it."""
    registry.lookup(KINDS, kind, "kind")
    return read_parts(path, {kind: ""}, verify)[1:]


def read_parts(
    path: str | os.PathLike[str], parts: Mapping[str, str], verify: bool = True
) -> tuple[str, dict[str, Any], dict[str, Array]]:
    """(kind, meta, tensors) of a file of one of these kinds; the arrays are fresh and writeable.

    Runs nothing that is in the file and imports nothing. Memory is that of the tensors that are
    asked for, whose sizes are compared with the file's first, and a multiple of the header's.

    Args:
        path: the file.
        parts: what it must be, some of ``KINDS``, and for each what the names of the tensors that
            are asked for begin with.
        verify: compare the checksum. Without it the file may have been changed, but must still be
            of the right form.

    Raises:
        ValueError: it is no such file, was cut off or damaged, or is of a newer format.
        OSError: it cannot be read.

    """
    checks.flag(verify, "verify")
    with Path(path).open("rb") as file, naming(path):
        return _read(file, parts, verify)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Re-raise every ValueError as one that begins with the file's path."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {error}") from None


def _read(
    file: BufferedReader, parts: Mapping[str, str], verify: bool
) -> tuple[str, dict[str, Any], dict[str, Array]]:
    metadata, entries = safetensors_format.read_header(file)
    kind = _checked_kind(metadata, parts)
    if verify and "sha256" not in metadata:
        raise ValueError("it has no sha256: pass verify=False to load it as it is")
    meta = safetensors_format.parse(metadata.get("fastbp", "").encode("utf-8", "surrogatepass"))
    if type(meta) is not dict:
        raise ValueError(f"its meta data are a {type(meta).__name__}, expected an object")
    digest = _digest(metadata, [(e.name, e.dtype, e.shape) for e in entries]) if verify else None
    tensors = {}
    begin = file.tell()
    for entry in sorted(entries, key=lambda e: e.name):  # the order of the checksum
        file.seek(begin + entry.begin)
        if entry.name.startswith(parts[kind]):
            array = safetensors_format.read_tensor(file, entry)
            tensors[entry.name] = array.astype(array.dtype.newbyteorder("="), copy=False)
            if digest:
                digest.update(safetensors_format.as_bytes(array))
        elif digest:
            for block in safetensors_format.read_blocks(file, entry):
                digest.update(block)
    if digest and metadata["sha256"] != digest.hexdigest():
        raise ValueError(
            "its content does not have the sha256 that it tells: the file was damaged or changed; "
            "get it anew, or pass verify=False to load it as it is"
        )
    return kind, meta, tensors


def _checked_kind(metadata: dict[str, str], kinds: Mapping[str, str]) -> str:
    """The kind of the file; ValueError if it is none of these, or of another format."""
    if metadata.get("format") != FORMAT:
        raise ValueError(
            "it is a safetensors file, but not one of fastbp's: read its tensors with "
            "safetensors.numpy.load_file, and give them to Network.set_parameters"
        )
    came, version = metadata.get("kind"), metadata.get("version", "")
    if came not in kinds:
        remedy = f": load it with {KINDS[came]}" if came in KINDS else ""
        expected = " or ".join(map(repr, kinds))
        raise ValueError(f"it is of kind {came!r:.40}, expected {expected}{remedy}")
    if version.isdecimal() and len(version) < 10 and int(version) > VERSION:
        raise ValueError(
            f"it has version {int(version)} of the format, and this fastbp reads up to {VERSION}: "
            "install a newer fastbp"
        )
    if version != str(VERSION):
        raise ValueError(f"it has version {version!r:.40} of the format, expected '{VERSION}'")
    return str(came)


def _about(array: Array) -> tuple[str, tuple[int, ...]]:
    return safetensors_format.dtype_name(array), array.shape


def _digest(
    metadata: Mapping[str, str], tensors: Iterable[tuple[str, str, tuple[int, ...]]]
) -> "hashlib._Hash":
    """The checksum before the bytes of the tensors. tensors: name, dtype and shape of each."""
    others = {key: text for key, text in metadata.items() if key != "sha256"}
    table = sorted(tensors)
    return hashlib.sha256(safetensors_format.canonical([others, table]).encode())
