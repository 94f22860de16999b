"""Networks as ONNX files. Needs onnx."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto, helper

from .. import __version__
from ..common import checks
from ..common.types import Array
from ..model import model_io
from ..model.network import Network
from ..storage import atomic
from ..storage.safetensors_format import canonical
from . import onnx_outputs
from .onnx_formulas import (
    FORMULAS,
    INPUT_UNITS,
    LINEAR,
    NORM,
    OUTPUT_UNITS,
    RESIDUAL,
    Named,
    Op,
    op,
)
from .onnx_nodes import Nodes
from .onnx_outputs import Output
from .onnx_units import COLUMNS, UNITS, units_in_graph

LOWEST_OPSET = 18
ML_OPSET = 3
"""The version of ai.onnx.ml in files that have operators of it, as opset 18 of the others."""
ROWS = "N"
"""The name of the number of rows."""
VERSION = "fastbp_version"
"""A key of the metadata."""
LIMIT = 2**31 - 2**20
"""Bytes that the parameters may have: protobuf has at most 2 GiB for a message."""


def to_onnx(net: Network, path: str | os.PathLike[str], opset: int) -> None:
    """``Network.to_onnx``."""
    write(model_of(net, opset, onnx_outputs.values(net.sizes[-1])), path)


def mean_to_onnx(nets: Sequence[Network], path: str | os.PathLike[str], opset: int) -> None:
    """``Ensemble.to_onnx``."""
    version, (width, *_, count) = checked_opset(opset), nets[0].sizes
    check(nets)
    nodes = Nodes(nets[0].dtype, ["X"])
    made = onnx_outputs.values(count)
    names = next((net.feature_names_in for net in nets if net.feature_names_in), None)
    columns = {COLUMNS: canonical(names)} if names else {}
    value = add_mean(nodes, nets, "X")
    write(finished(nodes, [rows_of("X", nodes.dtype, width)], value, made, version, columns), path)


def write(model: ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a file, which replaces an older one atomically."""
    content = model.SerializeToString(deterministic=True)
    with atomic.replacing(path) as file:
        file.write(content)


def model_of(
    net: Network, opset: int, outputs: Sequence[Output], columns: Iterable[str] | None = None
) -> ModelProto:
    """The model with these outputs; ValueError and TypeError as ``Network.to_onnx``.

    columns: the names of those of X, for the metadata; None for the network's.
    """
    version = checked_opset(opset)
    check([net])
    nodes = Nodes(net.dtype, ["X"])
    tensors = model_io.tensors(net)
    value = _add_network(nodes, net, tensors, "X")
    inputs = [rows_of("X", net.dtype, net.sizes[0])]
    metadata = _metadata(tensors, columns or net.feature_names_in)
    return finished(nodes, inputs, value, outputs, version, metadata)


def rows_of(name: str, dtype: Any, width: int, about: str = "") -> ValueInfoProto:
    """An input (N, width). about: what its doc_string says."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, [ROWS, width], about)


def finished(
    nodes: Nodes,
    inputs: Sequence[ValueInfoProto],
    value: str,
    outputs: Sequence[Output],
    version: int,
    metadata: Mapping[str, str],
) -> ModelProto:
    """The model of these nodes. outputs: of ``value``, in the dtype of ``nodes``."""
    made = {}
    for one in outputs:
        name = nodes.add(one.formula, value, one.name, nodes.arrays(one.name, one.arrays))
        made[name] = nodes.free(one.name)
    nodes.rename(made)
    kind = helper.np_dtype_to_tensor_dtype(nodes.dtype)
    ends = [
        helper.make_tensor_value_info(name, one.kind or kind, [ROWS, *one.shape])
        for name, one in zip(made.values(), outputs, strict=True)
    ]
    opsets = [helper.make_opsetid("", version)]
    if any(node.domain for node in nodes.nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    model = helper.make_model(
        helper.make_graph(nodes.nodes, "perceptron", inputs, ends, nodes.constants),
        producer_name="fastbp",
        producer_version=__version__,
        opset_imports=opsets,
        ir_version=helper.find_min_ir_version_for(opsets),
    )
    helper.set_model_props(model, {VERSION: __version__, **metadata})
    return model


def checked_opset(opset: Any) -> int:
    """The version of operators; ValueError or TypeError for one that there is not."""
    version, newest = checks.integer(opset, "opset", LOWEST_OPSET), onnx.defs.onnx_opset_version()
    if version > newest:
        raise ValueError(
            f"opset is {version}, and onnx {onnx.__version__} knows opsets up to {newest}: take a "
            "lower one, or a newer onnx"
        )
    return version


def check(nets: Sequence[Network]) -> None:
    """ValueError where no ONNX file can hold the networks."""
    for name, function in (
        pair for net in nets for pair in zip(net.activations, net.custom_activations, strict=True)
    ):
        if function is not None:
            raise ValueError(
                f"activation {name!r} is your own, and ONNX has no operator for it: make the "
                "network with one of fastbp's activations"
            )
    size, dtype = sum(net.n_parameters * net.dtype.itemsize for net in nets), nets[0].dtype
    if size > LIMIT:
        raise ValueError(
            f"the parameters take {size:,} bytes as {dtype}, and an ONNX file holds 2 GiB: "
            "make the network smaller, or of float32"
        )


def add_mean(nodes: Nodes, nets: Sequence[Network], value: str) -> str:
    """Add the nodes of networks on ``value``; returns the name of the mean of their outputs."""
    found = [
        _add_network(nodes, net, model_io.tensors(net), value, f"members.{i}.")
        for i, net in enumerate(nets)
    ]
    if len(found) == 1:
        return found[0]
    total: Named | Op = Named("0")
    for i in range(1, len(found)):
        total = op("Add", total, Named(str(i)))
    names = {str(i): name for i, name in enumerate(found)}
    return nodes.add(op("Div", total, float(len(found))), value, "mean", names)


def _add_network(
    nodes: Nodes, net: Network, tensors: Mapping[str, Array], value: str, prefix: str = ""
) -> str:
    """Add the nodes of the network on ``value``; returns the name of its outputs.

    prefix: what the names of its nodes and constants begin with.
    """
    spec, formulas = net.arrays.spec, FORMULAS[net.dtype.name]
    units = units_in_graph(net.arrays.scaling, net.sizes[-1], net.dtype)
    if "inputs" in units:
        place = f"{prefix}inputs"
        value = nodes.add(INPUT_UNITS, value, place, nodes.arrays(place, units["inputs"]))
    for i, name in enumerate(net.activations):
        layer, given = f"layers.{i}", value
        place = f"{prefix}{layer}"
        parts = [part for part in model_io.PARTS if f"{layer}.{part}" in tensors]
        names = nodes.arrays(place, {part: tensors[f"{layer}.{part}"] for part in parts})
        value = nodes.add(LINEAR, value, place, names)
        if spec.normalized[i]:
            value = nodes.add(NORM[net.dtype.name], value, place, names)
        if name != "identity":
            value = nodes.add(formulas[name], value, place)
        if spec.adds_inputs[i]:
            value = nodes.add(RESIDUAL, value, place, {"inputs": given})
    if "outputs" in units:
        place = f"{prefix}outputs"
        value = nodes.add(OUTPUT_UNITS, value, place, nodes.arrays(place, units["outputs"]))
    return value


def _metadata(tensors: Mapping[str, Array], columns: Iterable[str] | None) -> dict[str, str]:
    units = {name: tensors[name].tolist() for name in model_io.UNITS if name in tensors}
    return {
        **({COLUMNS: canonical(list(columns))} if columns else {}),
        **({UNITS: canonical(units)} if units else {}),
    }
