"""The layers of a network among the nodes of an ONNX graph."""

import numpy as np

from ..common.types import Array
from ..model.read_layers import ReadLayer
from ..storage.safetensors_format import short
from .onnx_formulas import ACTIVATIONS, LINEARS, NORMS, Op
from .onnx_graph import Graph, Match, described


def layer_of(graph: Graph, value: str, is_last: bool) -> tuple[ReadLayer, str]:
    """The layer that makes a value, and the value that it is given.

    ValueError where no layer of fastbp's makes it; the message names the node.
    """
    found = _plain_layer(graph, value)
    if found is None:
        found = _residual_layer(graph, value)
    if found is None:
        raise refusal(graph, _parts(graph, value)[-1])
    if found[0].activation == "softmax" and not is_last:
        raise refusal(graph, value)
    return found


def refusal(graph: Graph, value: str) -> ValueError:
    """The error for a value that no layer makes."""
    node = graph.node(value)
    what = f"{short(value)}, which no node makes," if node is None else described(node)
    return ValueError(
        f"{what} is no part of a perceptron: expected layers of Gemm, or of MatMul and Add, each "
        "with an activation that fastbp has, and LayerNormalization before it or not"
    )


def _plain_layer(graph: Graph, value: str) -> tuple[ReadLayer, str] | None:
    activation, norm, z = _parts(graph, value)
    linear = _first(graph, LINEARS, z)
    if linear is None:
        return None
    name = described(node) if (node := graph.node(z)) else ""
    weight = _weight(linear.arrays, name)
    layer = ReadLayer(name, weight, activation=activation)
    layer.bias = row_of(linear.arrays.get("bias"), weight.shape[1], name)
    if norm is not None:
        parts = [norm.arrays.get(part) for part in ("gain", "shift")]
        gain, shift = (row_of(part, weight.shape[1], name) for part in parts)
        layer.norm = gain, shift
    return layer, linear.value


def _residual_layer(graph: Graph, value: str) -> tuple[ReadLayer, str] | None:
    """The layer, where the value is the sum of what it makes and of what it is given."""
    node = graph.node(value)
    if node is None or graph.kind(node) != "Add" or len(node.input) != 2:
        return None
    for given, made in (node.input, node.input[::-1]):
        found = _plain_layer(graph, made)
        if found and graph.source(found[1]) == graph.source(given):
            found[0].residual = True
            return found
    return None


def _parts(graph: Graph, value: str) -> tuple[str, Match | None, str]:
    """The name of the activation that makes a value, the norm before it, and z."""
    matches = ((name, graph.find(formula, value)) for name, formula in ACTIVATIONS)
    activation, found = next(((n, m) for n, m in matches if m), ("identity", None))
    z = found.value if found else value
    norm = _first(graph, NORMS, z)
    return activation, norm, norm.value if norm else z


def _first(graph: Graph, formulas: tuple[Op, ...], value: str) -> Match | None:
    return next(filter(None, (graph.find(formula, value) for formula in formulas)), None)


def _weight(arrays: dict[str, Array], name: str) -> Array:
    weight = arrays["weight"] if "weight" in arrays else arrays["weight.T"].T
    if weight.ndim != 2 or 0 in weight.shape:
        raise ValueError(f"{name} has weights of shape {weight.shape}, expected a matrix")
    return weight


def row_of(array: Array | None, count: int, name: str) -> Array | None:
    """The array as (count,), which rows (n, count) broadcast it to; None stays None."""
    if array is None:
        return None
    if array.shape not in [(count,), (1, count), (1,), (1, 1), ()] or array.dtype.kind != "f":
        raise ValueError(
            f"{name} has a constant of shape {array.shape} and dtype {array.dtype}, expected "
            f"({count},) and floats"
        )
    return np.broadcast_to(array.reshape(-1), count)
