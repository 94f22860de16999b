"""An estimator as one ONNX graph: from columns of a table to labels, probabilities, numbers."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from ...export import onnx_outputs, onnx_writer
from ...export.onnx_formulas import Formula, Named, Z, op
from ...export.onnx_nodes import Nodes
from ...export.onnx_outputs import Output
from ...storage.safetensors_format import canonical
from ..calibration import SMALLEST
from ..classifier import TabularClassifier
from ..targets import Units
from . import onnx_columns
from .fields import Field, fields_of

COLUMNS = "fastbp_columns"
"""A key of the metadata: for each input its name, that of the column, and the kind; JSON."""

UNNAMED = "_"
"""The input of a column without a name, which ONNX has not."""


def write(model: Any, path: str | os.PathLike[str], opset: int) -> None:
    """``TableExport.to_onnx``."""
    version = onnx_writer.checked_opset(opset)
    onnx_writer.check(model.ensemble_.nets)
    fields = fields_of(model.encoder_)
    nodes = Nodes(np.dtype(np.float64))
    names = [nodes.free(field.column.name or UNNAMED) for field in fields]
    value = _encoded(nodes, fields, names)
    value = onnx_writer.add_mean(nodes.typed(np.float32), model.ensemble_.nets, value)
    value = nodes.add(op("Cast", Z, to=int(TensorProto.DOUBLE)), value, "outputs")
    value, outputs = _outputs(nodes, model, value)
    inputs = list(map(onnx_columns.input_of, fields, names))
    made = onnx_writer.finished(nodes, inputs, value, outputs, version, _metadata(fields, names))
    onnx_writer.write(made, path)


def _encoded(nodes: Nodes, fields: Sequence[Field], names: Sequence[str]) -> str:
    """Add the encoder; returns the name of its inputs of networks, (N, inputs)."""
    found = []
    for i, (field, name) in enumerate(zip(fields, names, strict=True)):
        found += onnx_columns.add_column(nodes, field, name, f"columns.{i}")
    parts = {str(i): name for i, name in enumerate(found)}
    return nodes.add(op("Concat", *map(Named, parts), axis=1), "", "columns", parts)


def _outputs(nodes: Nodes, model: Any, value: str) -> tuple[str, Sequence[Output]]:
    """(what is made of the networks' mean, the outputs of that)."""
    count = model.ensemble_[0].sizes[-1]
    if isinstance(model, TabularClassifier):
        value = nodes.add(_at_temperature(model.temperature_), value, "calibrated")
        return value, onnx_outputs.of_classes(model.classes_, "softmax", count)
    units: Units = model.targets_
    arrays = nodes.arrays("units", {key: getattr(units, key) for key in _UNITS})
    return nodes.add(_RESTORED, value, "units", arrays), [Output("prediction", Z, (count,))]


def _at_temperature(t: float) -> Formula:
    return op("Softmax", op("Div", op("Log", op("Max", Z, SMALLEST)), t), axis=1)


_UNITS = ("mean", "scale", "low", "high")
_RESTORED = op("Add", op("Mul", Z, Named("scale")), Named("mean"))
_RESTORED = op("Min", op("Max", _RESTORED, Named("low")), Named("high"))


def _metadata(fields: Sequence[Field], names: Sequence[str]) -> dict[str, str]:
    columns = [
        {"input": name, "column": field.column.name, "kind": field.column.kind}
        for field, name in zip(fields, names, strict=True)
    ]
    return {COLUMNS: canonical(columns)}
