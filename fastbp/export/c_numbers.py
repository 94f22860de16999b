"""The numbers of a network: as hexadecimal constants of C, which are exact, or as bytes of a file.

The file has three integers of 64 bits, MAGIC, ``Design.model`` and the CRC-32 of what follows, and
then the numbers, all little-endian.
"""

import re
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..common.types import Array
from .design import Design

MAGIC = int.from_bytes(b"fastbpC1", "little")

PER_LINE = 6


def constants(array: Array) -> list[str]:
    """The numbers of an array as constants of its type, bit for bit and in any locale."""
    suffix = "f" if array.dtype.itemsize == 4 else ""
    return [_shortened(float(number).hex()) + suffix for number in array.ravel().tolist()]


def _shortened(text: str) -> str:
    return re.sub(r"\.?0*p", "p", text, count=1) if "." in text else text


def array_text(head: str, parts: Iterable[tuple[str, Array]]) -> str:
    """The definition of an array of the numbers of all parts, each below what it is."""
    lines = [f"{head} = {{\n"]
    for about, array in parts:
        lines += [f"    /* {about} */\n"] if about else []
        found = constants(array)
        rows = (found[i : i + PER_LINE] for i in range(0, len(found), PER_LINE))
        lines += [f"    {', '.join(row)},\n" for row in rows]
    return "".join([*lines, "};\n"])


def in_source(design: Design) -> str:
    """The array of all numbers."""
    return "\n" + array_text(
        f"static const real ALIGNED numbers[{design.packed.length}]", design.packed.parts
    )


def file_bytes(design: Design) -> bytes:
    """The content of the file."""
    little: np.dtype[Any] = design.content.dtype.newbyteorder("<")
    numbers = b"".join(array.astype(little).tobytes() for _, array in design.packed.parts)
    return struct.pack("<3Q", MAGIC, design.model, zlib.crc32(numbers)) + numbers
