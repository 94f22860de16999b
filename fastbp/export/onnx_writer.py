"""Networks as ONNX files. Needs onnx."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, helper

from .. import __version__
from ..common import checks
from ..common.types import Array
from ..model import model_io
from ..model.network import Network
from ..storage import atomic
from ..storage.safetensors_format import canonical
from . import onnx_outputs
from .onnx_formulas import FORMULAS, INPUT_UNITS, LINEAR, NORM, OUTPUT_UNITS, RESIDUAL
from .onnx_nodes import Nodes
from .onnx_outputs import Output
from .onnx_units import COLUMNS, UNITS, units_in_graph

LOWEST_OPSET = 18
ROWS = "N"
"""The name of the number of rows."""
VERSION = "fastbp_version"
"""A key of the metadata."""
LIMIT = 2**31 - 2**20
"""Bytes that the parameters may have: protobuf has at most 2 GiB for a message."""


def to_onnx(net: Network, path: str | os.PathLike[str], opset: int) -> None:
    """``Network.to_onnx``."""
    write(model_of(net, opset, onnx_outputs.values(net.sizes[-1])), path)


def write(model: ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a file, which replaces an older one atomically."""
    content = model.SerializeToString(deterministic=True)
    with atomic.replacing(path) as file:
        file.write(content)


def model_of(net: Network, opset: int, outputs: Sequence[Output]) -> ModelProto:
    """The model with these outputs; ValueError and TypeError as ``Network.to_onnx``."""
    version = _checked_opset(opset)
    _check(net)
    tensors = model_io.tensors(net)
    nodes = Nodes(net.dtype)
    value = _add_network(nodes, net, tensors)
    made = {
        nodes.add(one.formula, value, one.name, nodes.arrays(one.name, one.arrays)): one.name
        for one in outputs
    }
    nodes.rename(made)
    opsets = [helper.make_opsetid("", version)]
    model = helper.make_model(
        _graph(nodes, net, outputs),
        producer_name="fastbp",
        producer_version=__version__,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
    )
    helper.set_model_props(model, _metadata(net, tensors))
    return model


def _checked_opset(opset: Any) -> int:
    version, newest = checks.integer(opset, "opset", LOWEST_OPSET), onnx.defs.onnx_opset_version()
    if version > newest:
        raise ValueError(
            f"opset is {version}, and onnx {onnx.__version__} knows opsets up to {newest}: take a "
            "lower one, or a newer onnx"
        )
    return version


def _check(net: Network) -> None:
    """ValueError where no ONNX file can hold the network."""
    for name, function in zip(net.activations, net.custom_activations, strict=True):
        if function is not None:
            raise ValueError(
                f"activation {name!r} is your own, and ONNX has no operator for it: make the "
                "network with one of fastbp's activations"
            )
    size = net.n_parameters * net.dtype.itemsize
    if size > LIMIT:
        raise ValueError(
            f"the parameters take {size:,} bytes as {net.dtype}, and an ONNX file holds 2 GiB: "
            "make the network smaller, or of float32"
        )


def _add_network(nodes: Nodes, net: Network, tensors: Mapping[str, Array]) -> str:
    """Add the nodes of the network, from X on; returns the name of its outputs."""
    value, spec, formulas = "X", net.arrays.spec, FORMULAS[net.dtype.name]
    units = units_in_graph(net.arrays.scaling, net.sizes[-1], net.dtype)
    if "inputs" in units:
        value = nodes.add(INPUT_UNITS, value, "inputs", nodes.arrays("inputs", units["inputs"]))
    for i, name in enumerate(net.activations):
        place, given = f"layers.{i}", value
        parts = [part for part in model_io.PARTS if f"{place}.{part}" in tensors]
        names = nodes.arrays(place, {part: tensors[f"{place}.{part}"] for part in parts})
        value = nodes.add(LINEAR, value, place, names)
        if spec.normalized[i]:
            value = nodes.add(NORM[net.dtype.name], value, place, names)
        if name != "identity":
            value = nodes.add(formulas[name], value, place)
        if spec.adds_inputs[i]:
            value = nodes.add(RESIDUAL, value, place, {"inputs": given})
    if "outputs" in units:
        value = nodes.add(OUTPUT_UNITS, value, "outputs", nodes.arrays("outputs", units["outputs"]))
    return value


def _graph(nodes: Nodes, net: Network, outputs: Sequence[Output]) -> GraphProto:
    kind = helper.np_dtype_to_tensor_dtype(net.dtype)
    return helper.make_graph(
        nodes.nodes,
        "perceptron",
        [helper.make_tensor_value_info("X", kind, [ROWS, net.sizes[0]])],
        [
            helper.make_tensor_value_info(one.name, one.kind or kind, [ROWS, *one.shape])
            for one in outputs
        ],
        nodes.constants,
    )


def _metadata(net: Network, tensors: Mapping[str, Array]) -> dict[str, str]:
    units = {name: tensors[name].tolist() for name in model_io.UNITS if name in tensors}
    names = net.feature_names_in
    return {
        VERSION: __version__,
        **({COLUMNS: canonical(names)} if names else {}),
        **({UNITS: canonical(units)} if units else {}),
    }
