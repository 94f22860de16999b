"""The safetensors format: written in a fixed order, and read as hostile input.

A file is the length of its header (8 bytes, little-endian), the header, and the bytes of the
tensors. The header is JSON: dtype, shape and byte range of each tensor, and metadata, strings by
name.

Only tests need the safetensors package. Its writer copies all tensors in memory, and the order of
its metadata changes from call to call. Its reader accepts a name that occurs twice, and its errors
do not say what was expected. Tests read the files of this module with the package, and the
package's files with this module.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, BinaryIO, NoReturn

import numpy as np

from ..common.types import Array

DTYPES = {name: np.dtype(code) for name, code in (("F32", "<f4"), ("F64", "<f8"), ("I64", "<i8"))}
"""The dtypes that fastbp writes, by their names in the format."""

METADATA = "__metadata__"
PREFIX = 8
"""The number of bytes before the header."""
BLOCK = 2**20
"""Bytes that are read at a time of a tensor that is not kept."""
SHORTER = "it became shorter while it was read: try again"
LIMIT = 100_000_000
"""The most bytes of a header, by the format."""
DIMENSIONS = 32
"""The most dimensions of a tensor: NumPy's limit before version 2, which has 64."""


@dataclass(frozen=True)
class Entry:
    """What the header has of a tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    """The number of its first byte, counted from the end of the header."""
    end: int


def dtype_name(array: Array) -> str:
    """The format's name of the array's dtype. TypeError for a dtype that fastbp does not write."""
    for name, dtype in DTYPES.items():
        if array.dtype.newbyteorder("<") == dtype:
            return name
    expected = ", ".join(dtype.name for dtype in DTYPES.values())
    raise TypeError(f"a tensor has dtype {array.dtype}, expected one of {expected}")


def as_bytes(array: Array) -> memoryview:
    """The bytes in a file, little-endian, row by row. No copy where the array has them so."""
    little = array.astype(DTYPES[dtype_name(array)], order="C", copy=False)
    return little.reshape(-1).view(np.uint8).data


def canonical(value: Any) -> str:
    """The JSON text of a value, ASCII alone, always the same. ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short(value: Any) -> str:
    """The first 80 characters of a value, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def write(file: BinaryIO, metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> None:
    """Write a file: the same bytes for the same content.

    ValueError for a header above the format's limit: no reader would open the file.
    """
    # Large elements come first and the header is padded, so that every tensor is aligned.
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))}
    begin = 0
    for name in order:
        end = begin + tensors[name].nbytes
        header[name] = {
            "dtype": dtype_name(tensors[name]),
            "shape": tensors[name].shape,
            "data_offsets": (begin, end),
        }
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % PREFIX)
    if len(text) > LIMIT:
        raise ValueError(
            f"the file would need a header of {len(text)} bytes, and the format allows {LIMIT}: "
            "shorten the history and the names that it holds"
        )
    file.write(len(text).to_bytes(PREFIX, "little"))
    file.write(text)
    for name in order:
        file.write(as_bytes(tensors[name]))


def read_header(file: BufferedReader) -> tuple[dict[str, str], list[Entry]]:
    """The metadata and the tensors, in the order of their bytes.

    Lengths are compared with the file's size before anything is read. ValueError, without the name
    of the file, where it breaks the format.
    """
    size = os.fstat(file.fileno()).st_size
    length = _header_length(file.read(PREFIX), size)
    header = parse(file.read(length))
    if type(header) is not dict:
        raise ValueError(f"its header is a {type(header).__name__}, expected an object")
    metadata = _metadata(header.pop(METADATA, {}))
    entries = sorted(
        (_entry(name, value) for name, value in header.items()), key=lambda e: (e.begin, e.end)
    )
    _check_places(entries, size - PREFIX - length)
    return metadata, entries


def read_tensor(file: BufferedReader, entry: Entry) -> Array:
    """The tensor at the file's position, as a fresh, writeable, little-endian array."""
    try:
        array: Array = np.empty(entry.shape, DTYPES[entry.dtype])
    except ValueError:  # no elements, but dimensions larger than NumPy can count
        raise ValueError(
            f"tensor {short(entry.name)} has shape {list(entry.shape)}, which is no array"
        ) from None
    if file.readinto(as_bytes(array)) != array.nbytes:
        raise ValueError(SHORTER)
    return array


def read_blocks(file: BufferedReader, entry: Entry) -> Iterator[bytes]:
    """The bytes of the tensor at the file's position, some at a time."""
    left = entry.end - entry.begin
    while left:
        block = file.read(min(left, BLOCK))
        if not block:
            raise ValueError(SHORTER)
        left -= len(block)
        yield block


def parse(text: bytes) -> Any:
    """The value of a JSON text. ValueError where a name occurs twice, and for NaN and infinity."""
    try:
        return json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_not_finite,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise ValueError("its header is no UTF-8 text: the file was damaged") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"its header is no JSON ({error}): the file was damaged") from None
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(
                f"its header has {short(name)} twice: it is not clear which one is meant"
            )
        result[name] = value
    return result


def _not_finite(text: str) -> NoReturn:
    raise ValueError(f"its header has the number {text:.40}, expected finite ones")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _not_finite(text)


def _header_length(prefix: bytes, size: int) -> int:
    if len(prefix) < PREFIX:
        raise ValueError(f"it has {size} bytes, too few for a safetensors file: it was cut off")
    length = int.from_bytes(prefix, "little")
    if length > min(size - PREFIX, LIMIT):
        raise ValueError(
            f"its first 8 bytes announce a header of {length} bytes, and the file has {size}: it "
            "was cut off, or is no safetensors file"
        )
    return length


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("its metadata is no object of strings")
    return value


def _entry(name: str, value: Any) -> Entry:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"tensor {short(name)} is {short(value)}, expected dtype, shape, data_offsets"
        )
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(
            f"tensor {short(name)} has dtype {short(dtype)}, expected one of {', '.join(DTYPES)}"
        )
    if not _counts(shape) or len(shape) > DIMENSIONS:
        raise ValueError(
            f"tensor {short(name)} has shape {short(shape)}, expected a list of integers >= 0"
        )
    if not _counts(offsets) or len(offsets) != 2:
        raise ValueError(
            f"tensor {short(name)} has data_offsets {short(offsets)}, expected two integers >= 0"
        )
    begin, end = offsets
    if end - begin != math.prod(shape) * DTYPES[dtype].itemsize:
        raise ValueError(
            f"tensor {short(name)} has shape {short(shape)} and dtype {dtype}, but data_offsets "
            f"{offsets}: the header was damaged"
        )
    return Entry(name, dtype, tuple(shape), begin, end)


def _counts(value: Any) -> bool:
    """Whether it is a list of integers in [0, 2**63), without bools."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _check_places(entries: list[Entry], size: int) -> None:
    """ValueError unless the tensors fill the rest of the file without gap or overlap."""
    place = 0
    for entry in entries:
        if entry.begin != place:
            raise ValueError(
                f"tensor {short(entry.name)} begins at byte {entry.begin} after the header, "
                f"expected {place}, where the one before it ends: the header was damaged"
            )
        place = entry.end
    if place != size:
        raise ValueError(
            f"its tensors take {place} bytes after the header, and {size} follow: it was cut off, "
            "or something was added"
        )
