"""Arrays of an ONNX file, read as hostile input."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from ..common.types import Array
from ..storage.safetensors_format import short

FLOATS: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.DOUBLE: np.dtype("<f8"),
}
"""The types of parameters, as bytes have them."""


def array_of(tensor: TensorProto, folder: Path) -> Array:
    """The array; ValueError where what is there does not fill its shape.

    folder: of the file, and of others that hold parameters.
    """
    if tensor.data_location == TensorProto.EXTERNAL:
        return _external(tensor, folder)
    try:
        array: Array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"tensor {short(tensor.name)} is damaged: {error}") from None
    return array


def _external(tensor: TensorProto, folder: Path) -> Array:
    """The array of another file, which lies beside the model."""
    name = f"tensor {short(tensor.name)}"
    entries = {entry.key: entry.value for entry in tensor.external_data}
    place = entries.get("location", "")
    path = folder / place
    if place in ("", ".", "..") or place != Path(place).name or path.is_symlink():
        raise ValueError(f"{name} is in {short(place)}, expected a file in the model's folder")
    if tensor.data_type not in FLOATS:
        raise ValueError(f"{name} is in another file, and no float32 or float64")
    dtype, count = FLOATS[tensor.data_type], math.prod(tensor.dims)
    offset = _integer(entries.get("offset", "0"))
    there = path.stat().st_size if path.is_file() else 0
    if offset is None or min(tensor.dims, default=1) < 0 or count * dtype.itemsize > there - offset:
        raise ValueError(
            f"{name} has shape {tuple(tensor.dims)}, which {short(place)} with {there} bytes does "
            "not hold"
        )
    read: Array = np.fromfile(path, dtype, count, offset=offset)
    return read.reshape(tuple(tensor.dims)).astype(dtype.newbyteorder("="), copy=False)


def _integer(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None
