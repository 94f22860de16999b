"""Types and memory layouts that NumPy arrays come in."""

import numpy as np

KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")


def values_of(kind, rng, shape):
    """Numbers over the whole range of a type, its ends among them; of floats up to 1e30 or 1e4."""
    kind = np.dtype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind.kind == "f":
        power = 4 if kind.itemsize == 2 else 30
        return (rng.normal(size=shape) * 10.0 ** rng.uniform(-power, power - 1, shape)).astype(kind)
    limits = np.iinfo(kind)
    values = rng.integers(limits.min, limits.max, shape, kind, endpoint=True)
    values.flat[:2] = limits.min, limits.max
    return values


def unaligned(array):
    memory = np.empty(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def field(array):
    """The same numbers as one field of records that are no multiple of its size."""
    records = np.zeros(array.shape, [("before", "u1"), ("it", array.dtype), ("after", "u2")])
    records["it"] = array
    return records["it"]


VIEWS = {
    "as it lies": lambda array: array,
    "Fortran": np.asfortranarray,
    "rows reversed": lambda array: array[::-1],
    "columns reversed": lambda array: array[:, ::-1],
    "both reversed": lambda array: array[::-1, ::-1],
    "every other": lambda array: array.repeat(2, axis=0).repeat(3, axis=1)[::2, ::3],
    "one row": lambda array: np.broadcast_to(array[0], array.shape),
    "one column": lambda array: np.broadcast_to(array[:, :1], array.shape),
    "unaligned": unaligned,
    "field": field,
}
