"""The file format of models and checkpoints: safetensors, with a kind, a version and a checksum.

The metadata of the file are strings:

    format   "fastbp"
    kind     "model" or "checkpoint"
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
from collections.abc import Iterator, Mapping
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
KINDS = {"model": "fastbp.load", "checkpoint": "fastbp.Trainer.load"}
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
    metadata["sha256"] = _checksum(metadata, arrays)
    with atomic.replacing(path) as file:
        safetensors_format.write(file, metadata, arrays)


def read(
    path: str | os.PathLike[str], kind: str, verify: bool = True
) -> tuple[dict[str, Any], dict[str, Array]]:
    """(meta, tensors) of a file of this kind; the arrays are fresh and writeable.

    Runs nothing that is in the file and imports nothing. Memory is that of the tensors, whose sizes
    are compared with the file's first, and a multiple of the header's.

    Args:
        path: the file.
        kind: what it must be, one of ``KINDS``.
        verify: compare the checksum. Without it the file may have been changed, but must still be
            of the right form.

    Raises:
        ValueError: it is no such file, was cut off or damaged, or is of a newer format.
        OSError: it cannot be read.

    """
    registry.lookup(KINDS, kind, "kind")
    checks.flag(verify, "verify")
    with Path(path).open("rb") as file, naming(path):
        return _read(file, kind, verify)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Re-raise every ValueError as one that begins with the file's path."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {error}") from None


def _read(file: BufferedReader, kind: str, verify: bool) -> tuple[dict[str, Any], dict[str, Array]]:
    metadata, entries = safetensors_format.read_header(file)
    _check_format(metadata, kind)
    if verify and "sha256" not in metadata:
        raise ValueError("it has no sha256: pass verify=False to load it as it is")
    meta = safetensors_format.parse(metadata.get("fastbp", "").encode("utf-8", "surrogatepass"))
    if type(meta) is not dict:
        raise ValueError(f"its meta data are a {type(meta).__name__}, expected an object")
    tensors = safetensors_format.read_tensors(file, entries)
    if verify and metadata["sha256"] != _checksum(metadata, tensors):
        raise ValueError(
            "its content does not have the sha256 that it tells: the file was damaged or changed; "
            "get it anew, or pass verify=False to load it as it is"
        )
    native = {name: a.astype(a.dtype.newbyteorder("="), copy=False) for name, a in tensors.items()}
    return meta, native


def _check_format(metadata: dict[str, str], kind: str) -> None:
    if metadata.get("format") != FORMAT:
        raise ValueError(
            "it is a safetensors file, but not one of fastbp's: read its tensors with "
            "safetensors.numpy.load_file, and give them to Network.set_parameters"
        )
    came, version = metadata.get("kind"), metadata.get("version", "")
    if came in KINDS and came != kind:
        raise ValueError(f"it is a {came}, expected a {kind}: load it with {KINDS[came]}")
    if came != kind:
        raise ValueError(f"it is of kind {came!r:.40}, expected {kind!r}")
    if version.isdecimal() and len(version) < 10 and int(version) > VERSION:
        raise ValueError(
            f"it has version {int(version)} of the format, and this fastbp reads up to {VERSION}: "
            "install a newer fastbp"
        )
    if version != str(VERSION):
        raise ValueError(f"it has version {version!r:.40} of the format, expected '{VERSION}'")


def _checksum(metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> str:
    others = {key: text for key, text in metadata.items() if key != "sha256"}
    order = sorted(tensors)
    table = [
        [name, safetensors_format.dtype_name(tensors[name]), tensors[name].shape] for name in order
    ]
    digest = hashlib.sha256(safetensors_format.canonical([others, table]).encode())
    for name in order:
        digest.update(safetensors_format.as_bytes(tensors[name]))
    return digest.hexdigest()
