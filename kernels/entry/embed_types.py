"""What types the calls of an embedded model take: checked while the user's function is compiled."""

from typing import Any

from numba import types
from numba.core.errors import TypingError

FIELDS = ("header", "parameters", "moments", "hyper", "work", "scratch")
"""Fields of the named tuple that a model is: the handle first, then an array of the element
type."""

ENSEMBLE_FIELDS = ("header", "scratch")
"""Fields of the named tuple that the model of an ensemble is."""


def element(itemsize: int) -> Any:
    """The Numba type of elements of 4 or 8 bytes."""
    return types.float32 if itemsize == 4 else types.float64


def refuse_type(name: str, kind: Any, expected: str) -> None:
    """Raise a TypingError that names the argument, its type and what was expected."""
    raise TypingError(f"{name} is {kind}, expected {expected}")


def check_model(model: Any, name: str = "model") -> None:
    """Refuse what ``trainer.compiled()`` did not return."""
    if not _has(model, FIELDS):
        refuse_type(name, model, "what trainer.compiled() returns")


def is_ensemble(model: Any) -> bool:
    """Whether ``ensemble.compiled()`` returned it."""
    return _has(model, ENSEMBLE_FIELDS)


def _has(model: Any, fields: tuple[str, ...]) -> bool:
    """Whether it is a named tuple of these fields: a handle, and then an array of elements."""
    known = isinstance(model, types.BaseNamedTuple) and tuple(model.fields) == fields
    # The emitted code reads the handle before it can check it.
    known = known and is_array(model.types[0], types.int64, 1)
    return known and any(is_array(model.types[1], element(size), 1) for size in (4, 8))


def is_array(kind: Any, dtype: Any, most: int) -> bool:
    """Whether a type is a C-contiguous array of dtype with at most ``most`` dimensions."""
    known = isinstance(kind, types.Array) and kind.layout == "C" and kind.aligned
    return known and kind.dtype == dtype and 1 <= kind.ndim <= most


def check_array(name: str, kind: Any, dtype: Any, most: int = 2) -> None:
    """Refuse what ``is_array`` does not accept."""
    if not is_array(kind, dtype, most):
        shapes = ("one dimension", "one or two dimensions", "one to three dimensions")[most - 1]
        remedy = f"{name}[i] is a row of one, but the row of 'for row in {name}' is not known to be"
        refuse_type(name, kind, f"a C-contiguous array of {dtype} with {shapes}: {remedy}")


def check_out(kind: Any, dtype: Any, most: int, name: str = "out") -> None:
    """Refuse an ``out`` that is no array, or is read-only."""
    check_array(name, kind, dtype, most)
    if not kind.mutable:
        refuse_type(name, kind, "an array that can be written")


def is_label(kind: Any) -> bool:
    """Whether a type is one integer label or an array of int64 labels."""
    return isinstance(kind, types.Integer) or is_array(kind, types.int64, 1)


def check_targets(kind: Any, dtype: Any) -> None:
    """Refuse a ``y`` that holds neither labels nor targets of dtype."""
    number = kind in (types.float32, types.float64)  # Numba cannot pass a float16
    if not (is_label(kind) or number or is_array(kind, dtype, 2)):
        refuse_type(
            "y",
            kind,
            f"labels (a C-contiguous one-dimensional array of int64, or one integer) or targets "
            f"(a C-contiguous array of {dtype} with one or two dimensions, or one number)",
        )
