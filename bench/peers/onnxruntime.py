"""onnxruntime, for predictions: the network as an ONNX model."""

import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from bench.peers.side import Side

OPSET, IR_VERSION = 17, 9
"""Opset: old enough for every onnxruntime in use."""


class OnnxRuntime(Side):
    choose_threads = True

    def build(self, weights, biases):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        model = onnx_model(weights, biases, self.case.loss == "cross_entropy")
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def predict(self, X):
        return self.session.run(None, {"X": X})[0]


def onnx_model(weights, biases, softmax):
    """The network as a checked ModelProto, from X (n, n_in) to p (n, n_out)."""
    nodes, constants, a = [], [], "X"
    for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
        constants += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [a, f"W{i}", f"b{i}"], [f"z{i}"]))
        nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"]))
        a = f"a{i}"
    last = "Softmax" if softmax else "Identity"
    nodes[-1] = helper.make_node(last, [f"z{len(weights) - 1}"], ["p"])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in (("X", len(weights[0])), ("p", len(biases[-1])))
    ]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    checker.check_model(model)
    return model
