"""ONNX models made by hand, and what runs them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def node(kind, inputs, output, **attributes):
    """inputs, and several outputs: names with spaces between."""
    domain = "ai.onnx.ml" if kind in ("ZipMap", "ArrayFeatureExtractor", "Scaler") else ""
    outputs = output.split()
    return helper.make_node(kind, inputs.split(), outputs, outputs[0], domain=domain, **attributes)


def model(nodes, arrays=None, inputs=None, outputs=None, opset=18):
    """A model of nodes. arrays: by name. inputs, outputs: name: (type, shape)."""
    dtype = next((a.dtype.name for a in (arrays or {}).values() if a.dtype.kind == "f"), "float32")
    inputs, outputs = inputs or {"X": ("", ["N", None])}, outputs or {"Y": ("", ["N", None])}
    graph = helper.make_graph(
        nodes,
        "by hand",
        *(
            [helper.make_tensor_value_info(n, TYPES.get(t or dtype, t), s) for n, (t, s) in ends]
            for ends in (inputs.items(), outputs.items())
        ),
        [numpy_helper.from_array(array, name) for name, array in (arrays or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def arrays(*sizes, dtype="float32", seed=0):
    """W1, b1, W2, ... of layers of these sizes, as (n_in, n_out) and (n_out,)."""
    rng, found = np.random.default_rng(seed), {}
    for i in range(1, len(sizes)):
        found[f"W{i}"] = rng.normal(size=sizes[i - 1 : i + 1]).astype(dtype)
        found[f"b{i}"] = rng.normal(size=sizes[i]).astype(dtype)
    return found


def run(made, X):
    """The first output of a model, by onnx's reference; a path or a ModelProto."""
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(made).run(None, {"X": X})[0]


def save(made, path):
    path.write_bytes(made.SerializeToString())
    return path


def load(path):
    """The checked model of a file."""
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    return made
