"""Estimators as ONNX files, with the outputs that sklearn-onnx gives them. Needs onnx."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.types import Array
from ..export import onnx_outputs, onnx_writer
from ..export.onnx_outputs import Output
from ..model.network import Network


def of_classes(net: Network, classes: Array, is_multilabel: bool) -> Sequence[Output]:
    """The outputs "label" and "probabilities" of a classifier."""
    count = net.sizes[-1]
    if is_multilabel:
        return onnx_outputs.of_flags(count)
    # One class alone has an output, too, and each row is of it.
    labels = np.repeat(classes, 2) if len(classes) == 1 else classes
    return onnx_outputs.of_classes(labels, net.output, count)


def of_numbers(net: Network, are_logarithms: bool) -> Sequence[Output]:
    """The output "Y" (N, outputs) of a regressor."""
    made = onnx_outputs.exponentials if are_logarithms else onnx_outputs.values
    return made(net.sizes[-1])


def write(model: Any, outputs: Sequence[Output], path: str | os.PathLike[str], opset: int) -> None:
    """Write a fitted estimator with these outputs."""
    columns = getattr(model, "feature_names_in_", None)
    names = None if columns is None else list(map(str, columns))
    onnx_writer.write(onnx_writer.model_of(model.net_, opset, outputs, names), path)
