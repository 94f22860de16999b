"""What is said where X or y has another shape or dtype than is expected."""

import os
from typing import Any, NoReturn

import numpy as np

from ..common.types import Array
from ..components.losses import Loss
from .dtypes import CODES

MOST_ROWS = 2**40
"""Most rows of a table. Only arrays with stride 0 have more; sizes derived from it fit int64."""


def refuse_inputs(X: Any, array: Array, n_in: int, name: str) -> NoReturn:
    """Raise what is wrong with the inputs ``X``, read as ``array``."""
    _check_dtype(X, array, name)
    _check_not_empty(array, f"(n, {n_in})", name)
    expected = f"{name} has shape {array.shape}, expected (n, {n_in}), one row a sample"
    if array.shape[1:] == (n_in,):
        raise ValueError(f"{expected}, and at most {MOST_ROWS} rows: pass a part at a time")
    if array.ndim == 1 and len(array) == n_in:
        is_series = hasattr(X, "iloc")
        row = "table.iloc[[i]], a table of one row" if is_series else f"{name}.reshape(1, -1)"
        remedy = f"for a single sample pass {row}"
    elif array.ndim == 1 and n_in == 1:
        remedy = f"for samples of one input pass {name}.reshape(-1, 1)"
    elif array.ndim > 2:
        remedy = f"flatten each sample, {name}.reshape(len({name}), -1)"
    elif array.ndim == 2 and len(array) == n_in:
        remedy = f"if the samples are columns pass {name}.T"
    else:
        remedy = f"the network has {n_in} inputs, so that each row must hold {n_in} numbers"
    raise ValueError(f"{expected}: {remedy}")


def refuse_targets(
    y: Any, array: Array, loss: Loss, n_out: int, n_rows: int, name: str
) -> NoReturn:
    """Raise what is wrong with the targets ``y``, read as ``array``."""
    column = ".iloc" if hasattr(y, "iloc") else ""
    _check_dtype(y, array, name)
    _check_not_empty(array, _target_shape(loss, n_out, "n"), name)
    if array.ndim == 0 or len(array) != n_rows:
        raise ValueError(
            f"{name} has shape {array.shape}, expected {_target_shape(loss, n_out, n_rows)}: "
            f"there are {n_rows} rows of inputs, and each needs its target"
        )
    if loss.takes_labels and array.ndim == 1:
        _check_no_missing(array, name)
        raise TypeError(
            f"{name} has dtype {array.dtype} and shape {array.shape}, expected integer labels "
            f"in [0, {n_out}) or probabilities ({n_rows}, {n_out}): pass {name}.astype(np.int64)"
        )
    if loss.takes_labels and array.shape == (n_rows, n_out):
        raise TypeError(
            f"{name} has dtype {array.dtype} and one column, expected probabilities as floats or "
            f"integer labels (n,): pass {name}.astype(np.float32) or {name}{column}[:, 0]"
        )
    raise ValueError(
        f"{name} has shape {array.shape}, expected {_target_shape(loss, n_out, n_rows)} "
        f"for loss {loss.name!r}: {_target_remedy(array, loss, n_out, name, column)}"
    )


def _check_no_missing(labels: Array, name: str) -> None:
    missing = np.isnan(labels) if labels.dtype.kind == "f" else np.zeros(1, bool)
    if missing.any():
        raise ValueError(
            f"{name} has nan at row {int(missing.argmax())}, a missing value, expected integer "
            "labels: drop the row"
        )


def _target_shape(loss: Loss, n_out: int, n: int | str) -> str:
    if loss.takes_labels:
        return f"labels ({n},) or probabilities ({n}, {n_out})"
    width = loss.n_targets(n_out)
    return f"({n}, 1) or ({n},)" if width == 1 else f"({n}, {width})"


def _target_remedy(array: Array, loss: Loss, n_out: int, name: str, column: str) -> str:
    """column: what gives the columns of a table of pandas by number, ".iloc"."""
    if array.ndim == 1 and array.dtype.kind in "iu":
        return (
            f"for class labels pass np.eye({n_out})[{name}], "
            "or use loss='cross_entropy' with output='softmax'"
        )
    if loss.takes_labels and array.ndim == 2 and array.shape[1] == 1:
        return f"for labels pass {name}{column}[:, 0]"
    if array.ndim > 2:
        return f"flatten each row, {name}.reshape(len({name}), -1)"
    width = loss.n_targets(n_out)
    return f"the network has {n_out} outputs, so that each row must hold {width} targets"


def _check_dtype(data: Any, array: Array, name: str) -> None:
    if array.dtype in CODES:
        return
    origin = "" if isinstance(data, np.ndarray) else f" (read from a {type(data).__name__})"
    raise TypeError(
        f"{name} has dtype {array.dtype}{origin}, expected float16, float32, float64, "
        f"an integer type or bool: {_origin_remedy(data, name) or _dtype_remedy(array.dtype, name)}"
    )


def _origin_remedy(data: Any, name: str) -> str | None:
    """What to pass in place of a container of arrays, or of the name of a file."""
    if isinstance(data, dict):
        return f"pass a table of its columns, pandas.DataFrame({name})"
    if hasattr(data, "keys"):  # a file or group of h5py or zarr
        return f"pass one of its arrays, {name}['name'], of {list(data.keys())!r:.100}"
    if isinstance(data, str | os.PathLike):
        return "read the file first, and pass its array"
    return None


def _dtype_remedy(dtype: np.dtype[Any], name: str) -> str:
    if not dtype.isnative and dtype.kind in "biuf":
        native = dtype.newbyteorder("=")
        return f"bring it to this machine's byte order, {name}.astype('{native}')"
    remedies = {
        "O": f"np.asarray({name}, dtype=np.float32), where every entry is a number",
        "c": "pass the real and the imaginary parts as columns of their own",
        "U": "encode text as numbers first",
        "S": "encode text as numbers first",
        "T": "encode text as numbers first",
        "M": f"pass numbers, ({name} - {name}.min()) / np.timedelta64(1, 's')",
        "m": f"pass numbers, {name} / np.timedelta64(1, 's')",
        "V": f"np.lib.recfunctions.structured_to_unstructured({name})",
    }
    return remedies.get(dtype.kind, f"{name}.astype(np.float64)")


def _check_not_empty(array: Array, expected: str, name: str) -> None:
    if array.size == 0:
        raise ValueError(
            f"{name} is empty, of shape {array.shape}, expected {expected}: pass at least one row"
        )
