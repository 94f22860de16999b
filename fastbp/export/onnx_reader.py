"""Networks of ONNX files. Needs onnx."""

import os
from collections.abc import Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from ..common.types import Array
from ..model.network import Network
from ..model.network_checks import DTYPES
from ..model.read_layers import ReadLayer, network_of
from ..storage import model_file
from ..storage.safetensors_format import short
from . import onnx_units
from .onnx_graph import Graph, described
from .onnx_layers import layer_of, row_of
from .onnx_sides import Side, inputs_of, outputs_of
from .onnx_tensors import texts

OLDEST_OPSET = 7
"""Add and Gemm of earlier ones broadcast in other ways."""


def from_onnx(path: str | os.PathLike[str]) -> Network:
    """``fastbp.from_onnx``."""
    place = Path(path)
    content = place.read_bytes()
    with model_file.naming(path):
        return _network(_parsed(content), place.parent)


def _parsed(content: bytes) -> ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise ValueError(f"it is no ONNX model, or damaged: {error}") from None
    newest = onnx.defs.onnx_opset_version()
    opsets = [one.version for one in model.opset_import if one.domain in ("", "ai.onnx")]
    if len(opsets) != 1:
        raise ValueError("it is no ONNX model, or damaged: it has no version of operators")
    if not OLDEST_OPSET <= opsets[0] <= newest:
        raise ValueError(
            f"its opset is {opsets[0]}, expected {OLDEST_OPSET} to {newest}, the newest that onnx "
            f"{onnx.__version__} knows"
        )
    return model


def _network(model: ModelProto, folder: Path) -> Network:
    graph = Graph(model, folder)
    if len(graph.inputs) != 1:
        names = [one.name for one in graph.inputs]
        raise ValueError(f"it has the inputs {short(names)}, expected one, (n, inputs)")
    outputs = outputs_of(graph)
    layers, inputs = _layers(graph, outputs.value)
    net = network_of(layers, _dtype(graph, layers))
    inputs.check_width(net.sizes[0])
    outputs.check_width(net.sizes[-1])
    units = {
        "inputs": _rows(inputs.arrays, net.sizes[0]),
        "outputs": _rows(outputs.arrays, net.sizes[-1]),
    }
    metadata = texts(model.metadata_props)
    onnx_units.set_units(net, units, metadata)
    onnx_units.keep_columns(net, metadata)
    return net


def _layers(graph: Graph, value: str) -> tuple[list[ReadLayer], Side]:
    """The layers that make a value, the first one first, and what is before them."""
    layers: list[ReadLayer] = []
    while True:
        inputs = inputs_of(graph, value)
        if inputs and layers:
            break
        layer, value = layer_of(graph, value, is_last=not layers)
        layers.append(layer)
    if sum(layer.weight.nbytes for layer in layers) > graph.n_bytes:
        raise ValueError("its layers share weights, of which each layer of a network has its own")
    return layers[::-1], inputs


def _dtype(graph: Graph, layers: Sequence[ReadLayer]) -> str:
    names = {layer.weight.dtype.name: layer.name for layer in layers}
    for name, place in names.items():
        if name not in DTYPES or len(names) > 1:
            raise ValueError(
                f"{place} has weights of {name}, expected float32 or float64 in all layers"
            )
    (dtype,) = names
    if dtype == "float64" and graph.narrowing:
        place = described(graph.narrowing[0])
        raise ValueError(f"{place} makes float32 of values, and the layers are of float64")
    return dtype


def _rows(arrays: dict[str, Array], count: int) -> dict[str, Array]:
    """The arrays as (count,)."""
    rows = {name: row_of(array, count, name) for name, array in arrays.items()}
    return {name: row for name, row in rows.items() if row is not None}
