"""Arguments good and bad by the machine, and the judge of what comes of a call with them."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

import fastbp
from fastbp.kernels import layout, settings

ROWS, INPUTS, OUTPUTS, BATCH = 6, 3, 2, 8
REFUSALS = (ValueError, TypeError, MemoryError, FloatingPointError)


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
    """The usual one half of the time."""
    return st.one_of(st.just(usual), st.sampled_from(others))


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
        return spread(array, *steps, empty)
    copy = in_memory(array, empty)
    copy.flags.writeable = order != "read-only"
    return copy


def in_memory(array, empty):
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def spread(array, rows, columns, empty):
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


def anything(*good):
    """One of ``good`` most of the time."""
    usual = st.sampled_from(good)
    return st.one_of(usual, usual, usual, numbers, junk)


def array_like(good, empty=np.empty):
    """``good``, bent, or something else."""
    bent = bends.map(lambda bend: bend(good, empty))
    return st.one_of(st.just(good), bent, bent, bent, st.one_of(numbers, junk))


# What is called


@dataclass(frozen=True)
class Subject:
    """A trainer's loss, dtype and so on."""

    loss: str
    dtype: str = "float32"
    engine: str = "numba"
    options: tuple = ()
    layer_norm: bool = False

    def trainer(self):
        """A new one, one step into its training."""
        output = {"mse": "identity", "bce": "sigmoid", "cross_entropy": "softmax"}[self.loss]
        net = fastbp.Network(
            [INPUTS, 5, OUTPUTS], "tanh", output, seed=1, dtype=self.dtype,
            layer_norm=self.layer_norm,
        )  # fmt: skip
        options = {"optimizer": fastbp.Adam(lr=0.01)} | dict(self.options)
        trainer = fastbp.Trainer(
            net, loss=self.loss, batch_size=BATCH, seed=2, engine=self.engine, **options
        )
        trainer.step(*self.data())
        return trainer

    def data(self, rows=ROWS):
        rng = np.random.default_rng(3)
        X = rng.uniform(-1, 1, (rows, INPUTS)).astype(self.dtype)
        if self.loss == "cross_entropy":
            return X, rng.integers(0, OUTPUTS, rows)
        return X, rng.uniform(0, 1, (rows, OUTPUTS)).astype(self.dtype)


SUBJECTS = (
    Subject("mse"),
    Subject("cross_entropy", options=(("optimizer", fastbp.SGD(lr=0.1, momentum=0.9)),)),
    Subject("bce", "float64"),
    Subject("mse", "float64", "numpy"),
    Subject("cross_entropy", engine="numpy"),
    Subject("cross_entropy", options=(("ema_decay", 0.9), ("dropout", 0.2), ("clip_norm", 1.0))),
    Subject("mse", options=(("l2", 0.1), ("schedule", fastbp.schedules.Cosine(10**6)))),
    Subject("mse", layer_norm=True),
)
subjects = st.sampled_from(SUBJECTS)


# The judge


def state_of(trainer):
    """All bits of a trainer and its network that a call may not change unless it succeeds."""
    net, state = trainer.net, trainer._state
    units = (net.input_mean, net.input_scale, net.target_mean, net.target_scale)
    scaling = [part if part is None else part.tobytes() for part in units]
    hyper, kept = state.hyper.copy(), state.shape.moments + state.shape.averages
    hyper[settings.STEP_LR : settings.MU_PRODUCT] = 0  # every batch works them out anew
    hyper[settings.FIRST_LAYER + settings.KEPT_SCALE :: settings.PER_LAYER] = 0  # likewise
    arenas = [part.tobytes() for part in (net._parameters, state.moments[:kept], hyper)]
    scales = [part.tobytes() for part in net._scales]
    return arenas, scaling, scales, trainer._epoch, trainer.lr


def contents(argument):
    """What an argument holds, to compare."""
    if isinstance(argument, np.ndarray):
        array = np.asarray(argument)
        return array.tolist() if array.dtype.hasobject else array.tobytes()
    if isinstance(argument, Frame):
        return contents(argument.array)
    if isinstance(argument, list | tuple):
        return [contents(part) for part in argument]
    if isinstance(argument, dict):
        return {key: contents(value) for key, value in argument.items()}
    return repr(argument)


def check_refusal(error, names):
    """It is of a kind that is promised, and says which argument is to blame."""
    assert type(error) in REFUSALS, repr(error)
    message = str(error)
    named = any(re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", message) for name in names)
    assert named or type(error) is FloatingPointError, f"names none of {names}: {error!r}"


def check_padding(trainer):
    """What padding of the parameters and moments holds is 0."""
    for arena in (trainer.net._parameters, *trainer._state.moments):
        rest = arena.copy()
        zeros = [tuple(map(np.zeros_like, layer)) for layer in trainer.net._layers()]
        layout.write_layers(trainer.net._plan, rest, zeros)
        assert not rest.any()


def are_finite(trainer):
    return np.isfinite(trainer.net._parameters).all()


def judge(call, arguments, *, trainer=None, names=(), changes=False, partly=False):
    """What ``call(**arguments)`` returns; None if it is refused as it must be.

    changes: whether the call may change the trainer; partly: even where it is refused.
    """
    before = state_of(trainer) if trainer else None
    written = {name: contents(value) for name, value in arguments.items() if name != "out"}
    result = None
    try:
        result = call(**arguments)
    except REFUSALS as error:
        check_refusal(error, (*names, *arguments))
        changes = partly
    if trainer:
        assert changes or state_of(trainer) == before
        assert are_finite(trainer)
        check_padding(trainer)
    assert written == {name: contents(arguments[name]) for name in written}
    return result
