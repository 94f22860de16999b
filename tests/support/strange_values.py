"""Arguments good and bad, for the machine to choose from."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

# Arrays


class Plain(np.ndarray):
    pass


class Liar(np.ndarray):
    """What it says of itself is wrong; its memory is right."""

    __array_ufunc__ = None

    def __len__(self):
        return 10**9

    def __getitem__(self, key):
        return "nothing"

    def astype(self, *_, **__):
        return None


class Frame:
    """As much of a DataFrame as np.asarray needs."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype, copy=copy)


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise ZeroDivisionError


class NotAnArray:
    def __array__(self, dtype=None, copy=None):
        return "text"


def masked(array):
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == 0)


WRAPPERS = {
    "array": lambda a: a,
    "subclass": lambda a: a.view(Plain),
    "liar": lambda a: a.view(Liar),
    "matrix": lambda a: a.view(np.matrix) if a.ndim == 2 else a,
    "masked": masked,
    "unmasked": lambda a: a.view(np.ma.MaskedArray),
    "record": lambda a: a.view(np.recarray),
    "list": lambda a: a.tolist(),
    "rows": lambda a: tuple(a) if a.ndim else a,
    "frame": Frame,
}
DTYPES = ("f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?", ">f4", ">f8", ">i8", "c8", "O", "U4",
          "S2", "M8[s]", "m8[s]", "g", [("a", "f4")])  # fmt: skip
SHAPES = {
    "same": lambda a: a,
    "flat": np.ravel,
    "deeper": lambda a: a[..., None],
    "one more": lambda a: a[None],
    "transposed": np.transpose,
    "no rows": lambda a: a[:0],
    "no columns": lambda a: a[..., :0],
    "one row": lambda a: a[:1],
    "one row less": lambda a: a[:-1],
    "twice the rows": lambda a: np.concatenate([a, a]),
    "one column": lambda a: a[..., :1],
    "one column more": lambda a: np.concatenate([a, a[..., :1]], axis=-1),
    "a number": lambda a: a.ravel()[0],
}
ORDERS = ("C", "F", "backwards", "apart", "rows apart", "odd address", "read-only", "repeated",
          "overlapping")  # fmt: skip
VALUES = (None, np.nan, np.inf, -np.inf, 1e39, -1e39, 1e30, 1e-45, -0.0, -1, 0.5, 2, 127, -128)
"""What stands in one entry; None leaves it."""


def mostly(usual, others):
    """The usual three times in four."""
    return st.sampled_from([usual] * 3 * len(others) + list(others))


@dataclass
class Bend:
    """How a good array is changed; by default not at all."""

    dtype: object = None
    shape: str = "same"
    order: str = "C"
    value: float | None = None
    place: float = 0.0
    wrapper: str = "array"

    def __call__(self, good, empty=np.empty):
        """``good`` changed, in memory that ``empty`` makes."""
        array = np.array(SHAPES[self.shape](np.asarray(good)))
        with np.errstate(all="ignore"):
            if self.value is not None and array.size:
                array.flat[int(self.place * array.size)] = np.array(self.value).astype(array.dtype)
            if self.dtype is not None:
                array = array.astype(self.dtype)
        return WRAPPERS[self.wrapper](laid_out(array, self.order, empty))


bends = st.builds(
    Bend,
    dtype=mostly(None, DTYPES),
    shape=mostly("same", tuple(SHAPES)),
    order=mostly("C", ORDERS),
    value=mostly(None, VALUES),
    place=st.floats(0, 0.999),
    wrapper=mostly("array", tuple(WRAPPERS)),
)


def laid_out(array, order, empty=np.empty):
    """The same numbers, or for "repeated" and "overlapping" some of them, in another order."""
    if array.dtype.hasobject:
        empty = np.empty
    if order == "F":
        return in_memory(array.T, empty).T
    if order == "odd address":
        octets = empty(array.nbytes + 1, np.uint8)[1:]
        view = np.ndarray(array.shape, array.dtype, octets) if not array.dtype.hasobject else array
        view[...] = array
        return view
    if order in ("repeated", "overlapping") and array.size and array.ndim:
        step = 0 if order == "repeated" else array.itemsize
        line = in_memory(array.ravel(), empty)
        strides = (step,) * (array.ndim - 1) + (array.itemsize,)
        return np.lib.stride_tricks.as_strided(line, array.shape, strides)
    steps = {"backwards": (-1, -1), "apart": (2, 3), "rows apart": (3, 1)}.get(order, (1, 1))
    if array.ndim == 2 and array.size:
        return to_panels(array, *steps, empty)
    copy = in_memory(array, empty)
    copy.flags.writeable = order != "read-only"
    return copy


def in_memory(array, empty):
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def to_panels(array, rows, columns, empty):
    """A view whose rows and columns lie so many apart."""
    n, m = array.shape
    memory = empty(((n - 1) * abs(rows) + 1, (m - 1) * abs(columns) + 1), array.dtype)
    view = memory[::rows, ::columns]
    view[...] = array
    return view


# Everything else

NUMBERS = (0, 1, 2, -1, 0.0, 0.5, 1.0, 1.5, -0.5, np.nan, np.inf, -np.inf, 1e-320, 1e-30, 1e30,
           1e308, 10**30, 10**400, -(10**30), 2**62, 2**63, 2**64, True, False, np.bool_(True),
           np.int8(3), np.uint64(2**63), np.float16(0.5), np.float32(0.25), np.longdouble("1e4000"),
           Fraction(1, 3), Fraction(10**400), Decimal("0.1"), 1j, np.datetime64(0, "s"),
           np.array(2), np.array(2.5), np.array([2]), np.array([0.5, 0.5]), np.array(True),
           np.ma.masked)  # fmt: skip
JUNK = (None, "text", "", b"bytes", object(), object, [], (), {}, [[1], [2, 3]], [None], ["a"],
        {"a": 1}, {1, 2}, len, np.array(None), np.zeros((0, 0)), np.zeros(3), Broken(),
        NotAnArray(), range(3), Ellipsis, float)  # fmt: skip

numbers, junk = st.sampled_from(NUMBERS), st.sampled_from(JUNK)
strange = st.sampled_from((*NUMBERS, *JUNK))


def anything(*good):
    """One of ``good``, five times in six."""
    return st.one_of([st.sampled_from(good)] * 5 + [strange])


def array_like(good, empty=np.empty):
    """``good`` as it is, or bent as often, or now and then something else."""
    bent = bends.map(lambda bend: bend(good, empty))
    return st.one_of([st.just(good)] * 4 + [bent] * 4 + [strange])
