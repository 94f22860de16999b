"""What a file gives besides the outputs of a network: labels, probabilities, exponentials."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from ..common.types import Array
from .onnx_formulas import BOTH_CLASSES, Formula, Named, Z, op


@dataclass(frozen=True)
class Output:
    """An output of the graph.

    formula: of the network's outputs. shape: (n,) is (), (n, k) is (k,). kind: TensorProto's code;
    None for that of the network. arrays: those named in the formula.
    """

    name: str
    formula: Formula
    shape: tuple[int, ...]
    kind: int | None = None
    arrays: dict[str, Array] = field(default_factory=dict)


def values(count: int) -> list[Output]:
    """The outputs of the network, as they are."""
    return [Output("Y", Z, (count,))]


def exponentials(count: int) -> list[Output]:
    """e^p, where the network's outputs p are logarithms: rates, with loss "poisson"."""
    return [Output("Y", op("Exp", Z), (count,))]


def of_classes(classes: Sequence[Any] | Array, output: str, count: int) -> list[Output]:
    """The label (n,) and the probabilities (n, classes) of each row.

    Args:
        classes: the labels in the order of the probabilities: integers, bools, floats or text.
        output: the network's output activation: "softmax", or "sigmoid" for two classes, of which
            it gives the probability of the second.
        count: the number of its outputs.

    Raises:
        ValueError: the number of classes does not fit.
        TypeError: classes are of another kind.

    """
    array, kind = _as_labels(classes)
    expected = count if output == "softmax" else 2
    if array.shape != (expected,) or (output != "softmax" and count != 1):
        raise ValueError(
            f"classes has shape {array.shape}, expected ({expected},) for {count} outputs of "
            f"{output}"
        )
    p = Z if output == "softmax" else BOTH_CLASSES
    label = op("Gather", Named("classes"), op("ArgMax", p, axis=1, keepdims=0))
    return [
        Output("label", label, (), kind, {"classes": array}),
        Output("probabilities", p, (expected,)),
    ]


def of_flags(count: int) -> list[Output]:
    """For sigmoid outputs that each are a question of their own: 0 or 1 for each, (n, count)."""
    flags = op("Cast", op("Greater", Z, 0.5), to=int(TensorProto.INT64))
    return [
        Output("label", flags, (count,), TensorProto.INT64),
        Output("probabilities", Z, (count,)),
    ]


def _as_labels(classes: Any) -> tuple[Array, int]:
    """The labels as ONNX has them, and TensorProto's code of their type."""
    array = np.asarray(classes)
    if array.dtype.kind in "iu":
        return array.astype(np.int64), TensorProto.INT64
    if array.dtype.kind == "b":
        return array, TensorProto.BOOL
    if array.dtype.kind == "f":
        return array.astype(np.float64), TensorProto.DOUBLE
    if array.dtype.kind in "UO" and all(isinstance(label, str) for label in array.flat):
        return array.astype(object), TensorProto.STRING
    raise TypeError(
        f"classes have dtype {array.dtype}, expected integers, bools, floats or text alone"
    )
