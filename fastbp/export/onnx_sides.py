"""What an ONNX graph has on both sides of the layers: units, labels, shapes."""

from dataclasses import dataclass, field
from math import prod

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto

from ..common.types import Array
from ..storage.safetensors_format import short
from .onnx_formulas import BOTH_CLASSES, INPUTS_UNITS, OUTPUT_UNITS
from .onnx_graph import Graph, attributes_of, described, input_of
from .onnx_tensors import FLOATS

NUMBERS = {*FLOATS, int(TensorProto.FLOAT16), int(TensorProto.BFLOAT16)}
"""The types of outputs that are no labels."""
LABELS = {"Gather", "ai.onnx.ml:ArrayFeatureExtractor"}
"""What makes labels of the numbers of classes."""


@dataclass(frozen=True)
class Side:
    """One side of the layers: the value there, constants of units, and what nodes say of widths."""

    value: str
    arrays: dict[str, Array] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)

    def check_width(self, count: int) -> None:
        """ValueError where a node says that a row has another number of values."""
        for name, width in self.widths.items():
            if width != count:
                raise ValueError(f"{name} has rows of {width} values, and the layer there {count}")


def outputs_of(graph: Graph) -> Side:
    """The outputs of the last layer, of the one output of the graph that is numbers."""
    numbers = [one for one in graph.outputs if _is_of_numbers(graph, one)]
    if len(numbers) != 1:
        names = [one.name for one in numbers]
        raise ValueError(f"it has the outputs of numbers {short(names)}, expected one")
    value = numbers[0].name
    node = graph.node(value)
    if node is not None and graph.kind(node) == "ai.onnx.ml:ZipMap":
        value = input_of(node)
    value, widths = _before_reshape(graph, value)
    both, node = graph.find(BOTH_CLASSES, value), graph.node(value)
    if both and node is not None:
        Side(value, {}, widths).check_width(2)
        return Side(both.value, {}, {f"each half of {described(node)}": 1})
    units = graph.find(OUTPUT_UNITS, value)
    return Side(units.value, units.arrays, widths) if units else Side(value, {}, widths)


def inputs_of(graph: Graph, value: str) -> Side | None:
    """The inputs of the network, where the value is these; None where it is not."""
    value, after = _before_reshape(graph, value)
    of, arrays = _before_units(graph, value)
    of, before = _before_reshape(graph, of)
    if graph.source(of) != graph.inputs[0].name:
        return None
    return Side(of, arrays, after | before | _declared(graph.inputs[0]))


def _is_of_numbers(graph: Graph, output: ValueInfoProto) -> bool:
    node = graph.node(output.name)
    if node is not None and graph.kind(node) in LABELS:
        return False
    kind = output.type
    return kind.HasField("sequence_type") or kind.tensor_type.elem_type in NUMBERS


def _before_units(graph: Graph, value: str) -> tuple[str, dict[str, Array]]:
    for formula in INPUTS_UNITS:
        found = graph.find(formula, value)
        if found:
            return found.value, found.arrays
    node = graph.node(value)
    if node is not None and graph.kind(node) == "ai.onnx.ml:Scaler":
        return input_of(node), {
            "mean": _row(node, "offset", 0.0),
            "factor": _row(node, "scale", 1.0),
        }
    return value, {}


def _row(node: NodeProto, attribute: str, default: float) -> Array:
    values = attributes_of(node).get(attribute, [default])
    if not isinstance(values, list) or not all(isinstance(one, float) for one in values):
        raise ValueError(f"{described(node)} has another {attribute} than floats")
    return np.array(values, np.float32)


def _before_reshape(graph: Graph, value: str) -> tuple[str, dict[str, int]]:
    """The value that is reshaped to rows, and their width, where the node has a number for it."""
    node = graph.node(value)
    if node is None or graph.kind(node) != "Reshape":
        return value, {}
    shape = graph.array(input_of(node, 1))
    if shape is None or shape.shape != (2,) or shape.dtype.kind != "i" or shape[0] not in (0, -1):
        return value, {}
    return input_of(node), {described(node): int(shape[1])} if shape[1] > 0 else {}


def _declared(one: ValueInfoProto) -> dict[str, int]:
    """The number of values in a row of the input, where the file says it."""
    dims = one.type.tensor_type.shape.dim
    if len(dims) == 0 or not all(dim.HasField("dim_value") for dim in dims[1:]):
        return {}
    return {f"the input {short(one.name)}": prod(dim.dim_value for dim in dims[1:])}
