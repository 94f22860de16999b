"""Networks of ONNX files (fastbp/export/onnx_reader.py): fastbp's own, and others made by hand.

The files by hand have the nodes that torch.onnx.export and sklearn-onnx write.
"""

import tracemalloc

import numpy as np
import pytest

import fastbp
from support.cases import HIDDEN, LAYER_KINDS, Case, each_case, each_dtype
from support.rounding_bounds import assert_as_close_as_rounding_lets

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from support.onnx_models import arrays, load, model, node, run, save  # noqa: E402

SMALL = Case((5, 7, 7, 4), 9, ("silu", "tanh"), "softmax", "cross_entropy")
SCALINGS = {
    "none": {},
    "inputs": {"input_mean": np.arange(5) / 3, "input_scale": [0.1, 10, 3, 1 / 3, 255]},
    "targets": {"target_mean": [1, 2, 1 / 3, -4], "target_scale": [3, 2, 1, 0.5]},
    "half of the outputs": {"target_mean": [0.1, -0.2], "target_scale": [3, 100]},
}
UNITS = ("input_mean", "input_scale", "target_mean", "target_scale")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def inputs(n_in, dtype="float32", rows=11):
    return np.random.default_rng(3).normal(size=(rows, n_in)).astype(dtype)


def assert_same(other, net):
    assert net.allclose(other, 0, 0)
    assert other.dtype == net.dtype
    X = inputs(net.sizes[0], net.dtype)
    assert other.predict(X).tobytes() == net.predict(X).tobytes()


# fastbp's own files


@each_dtype
@each_case
def test_every_case_comes_back_to_the_bit(case, dtype, path):
    net = case.network(dtype)
    net.to_onnx(path)
    assert_same(fastbp.from_onnx(path), net)


@each_dtype
@pytest.mark.parametrize("output", [*HIDDEN, "softmax"])
def test_every_activation_comes_back(output, dtype, path):
    hidden = "tanh" if output == "softmax" else output
    net = Case((3, 4, 2), 1, hidden, output).network(dtype)
    net.to_onnx(path)
    assert_same(fastbp.from_onnx(path), net)


@each_dtype
@pytest.mark.parametrize("kind", LAYER_KINDS.values(), ids=LAYER_KINDS)
@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_norms_residuals_and_scaling_come_back(scaling, kind, dtype, path):
    net = fastbp.Network([5, 7, 7, 4], ["elu", "gelu"], seed=1, dtype=dtype, **kind)
    net.set_scaling(**scaling)
    net.keep_names(("a", "b", "c", "d", "e"))
    net.to_onnx(path)
    other = fastbp.from_onnx(path)
    assert_same(other, net)
    assert other.feature_names_in == net.feature_names_in
    for unit in UNITS:  # of float64, where the graph has float32
        assert np.array_equal(getattr(other, unit), getattr(net, unit))


@pytest.mark.parametrize(
    "text", ["", "{}", "[", '{"input_mean": 1}', '{"x": [1]}', "[[1]]", "[" * 9999]
)
def test_other_metadata_are_not_believed(text, path):
    net = fastbp.Network([2, 3], seed=0)
    net.set_scaling(input_mean=[0.1, 1 / 3], input_scale=3, target_scale=[1, 2, 7])
    net.to_onnx(path)
    made = onnx.load(path)
    for one in made.metadata_props:
        one.value = text
    other = fastbp.from_onnx(save(made, path))
    assert other.predict(inputs(2)).tobytes() == net.predict(inputs(2)).tobytes()
    assert np.array_equal(other.input_mean, np.float32([0.1, 1 / 3]))
    assert other.feature_names_in is None


# torch's files

TORCH = {
    "Gemm": [node("Gemm", "X W1.T b1", "z", alpha=1.0, beta=1.0, transB=1)],
    "Gemm as it is": [node("Gemm", "X W1 b1", "z")],
    "Gemm without bias": [node("Gemm", "X W1.T", "z", transB=1)],
    "MatMul": [node("MatMul", "X W1", "z")],
    "MatMul and Add": [node("MatMul", "X W1", "p"), node("Add", "p b1", "z")],
    "Add the other way": [node("MatMul", "X W1", "p"), node("Add", "b1 p", "z")],
    "Transpose": [node("Transpose", "W1.T", "t", perm=[1, 0]), node("MatMul", "X t", "z")],
    "Identity": [node("Identity", "W1", "w"), node("Gemm", "X w b1", "z")],
    "bias of one row": [node("Gemm", "X W1 row", "z")],
    "one bias": [node("MatMul", "X W1", "p"), node("Add", "p one", "z")],
}
"""Ways to write W1 and b1."""


def constants(dtype="float32"):
    """Two layers of 5, 8 and 3 units, and what else the nodes of these tests are given."""
    found = arrays(5, 8, 3, dtype=dtype)
    found |= {f"{name}.T": np.ascontiguousarray(found[name].T) for name in ("W1", "W2")}
    numbers = {"half": 0.5, "one": 1.0, "twenty": 20.0, "root": np.sqrt(2)}
    found |= {name: np.array(value, dtype) for name, value in numbers.items()}
    found |= {"row": found["b1"][None], "V": found["W1"].copy()}
    return found | {"gain": found["b1"] + 1, "shift": found["b1"] * 2}


def used(nodes, given):
    names = {name for one in nodes for name in one.input}
    return {name: array for name, array in given.items() if name in names}


def read(nodes, path, dtype="float32", opset=18, of_operations=None):
    """The network of a model with these nodes, which predicts what the model gives."""
    made = model(nodes, used(nodes, constants(dtype)), opset=opset)
    onnx.checker.check_model(made)
    net = fastbp.from_onnx(save(made, path))
    X = inputs(net.sizes[0], dtype)
    assert_as_close_as_rounding_lets(run(made, X), net, X, of_operations)
    return net


LAST = [node("Gemm", "a W2 b2", "Y")]


@each_dtype
@pytest.mark.parametrize("nodes", TORCH.values(), ids=TORCH)
def test_layers(nodes, dtype, path):
    net = read([*nodes, node("Relu", "z", "a"), *LAST], path, dtype)
    assert net.sizes == (5, 8, 3)
    assert net.activations == ("relu", "identity")
    assert np.array_equal(net.weights[0], constants(dtype)["W1"])


ACTIVATIONS = {
    "relu": [node("Relu", "z", "a")],
    "leaky_relu": [node("LeakyRelu", "z", "a")],
    "leaky_relu of torch": [node("LeakyRelu", "z", "a", alpha=0.01)],
    "elu": [node("Elu", "z", "a", alpha=1.0)],
    "selu": [node("Selu", "z", "a")],
    "sigmoid": [node("Sigmoid", "z", "a")],
    "tanh": [node("Tanh", "z", "a")],
    "softplus": [node("Softplus", "z", "a")],
    "softplus by threshold": [
        *(node("Softplus", "z", "s"), node("Greater", "z twenty", "g")),
        node("Where", "g z s", "a"),
    ],
    "silu": [node("Sigmoid", "z", "s"), node("Mul", "z s", "a")],
    "silu the other way": [node("Sigmoid", "z", "s"), node("Mul", "s z", "a")],
    "mish": [node("Softplus", "z", "s"), node("Tanh", "s", "t"), node("Mul", "z t", "a")],
    "mish in one": [node("Mish", "z", "a")],
    "gelu": [
        *(node("Div", "z root", "d"), node("Erf", "d", "e"), node("Add", "e one", "p")),
        *(node("Mul", "z p", "m"), node("Mul", "m half", "a")),
    ],
    "gelu by halves": [
        *(node("Div", "z root", "d"), node("Erf", "d", "e"), node("Add", "e one", "p")),
        *(node("Mul", "half p", "m"), node("Mul", "z m", "a")),
    ],
    "gelu in one": [node("Gelu", "z", "a", approximate="none")],
}


IN_FLOAT32 = ("leaky_relu", "selu", "gelu")
"""Attributes are float32, and so is Erf of onnx's reference."""


@each_dtype
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, dtype, path):
    kind, nodes = name.split()[0], [*TORCH["Gemm"], *ACTIVATIONS[name], *LAST]
    net = read(nodes, path, dtype, 20, "float32" if kind in IN_FLOAT32 else dtype)
    assert net.activations == (kind, "identity")


@pytest.mark.skipif(onnx.defs.onnx_opset_version() < 24, reason="this onnx has no Swish")
def test_swish_of_opset_24(path):
    net = read([*TORCH["Gemm"], node("Swish", "z", "a"), *LAST], path, opset=24)
    assert net.activations[0] == "silu"


@pytest.mark.parametrize("axis", [{}, {"axis": 1}, {"axis": -1}], ids=str)
@pytest.mark.parametrize("opset", [11, 18])
def test_softmax(axis, opset, path):
    nodes = [*TORCH["Gemm"], node("Softmax", "z", "Y", **axis)]
    assert read(nodes, path, opset=opset).output == "softmax"


@pytest.mark.parametrize("shift", [" shift", ""])
def test_layer_norm(shift, path):
    norm = node("LayerNormalization", f"z gain{shift}", "n", axis=-1, epsilon=1e-5)
    net = read([*TORCH["Gemm"], norm, node("Tanh", "n", "a"), *LAST], path)
    assert net.layer_norm
    assert np.array_equal(net.gains[0], constants()["gain"])
    assert net.shifts[0].any() == bool(shift)


def test_what_changes_nothing_is_left_out(path):
    flag = node("Constant", "", "no", value=numpy_helper.from_array(np.array(False)))
    ratio = node("Constant", "", "ratio", value_float=0.25)
    nodes = [
        *(node("Identity", "X", "x0"), node("Flatten", "x0", "x1"), flag, ratio),
        node("Dropout", "x1 ratio no", "x2"),
        node("Gemm", "x2 W1 b1", "z"),
        *(node("Identity", "z", "z1"), node("Relu", "z1", "r"), node("Dropout", "r", "a mask")),
        node("Gemm", "a W2 b2", "y"),
        node("Identity", "y", "Y"),
    ]
    assert read(nodes, path).activations == ("relu", "identity")


def test_parameters_in_nodes(path):
    given = constants()
    nodes = [
        node("Constant", "", name, value=numpy_helper.from_array(given[name]))
        for name in ("W1", "b1", "W2")
    ]
    nodes += [node("Constant", "", "b2", value_floats=given["b2"].tolist())]
    made = model([*nodes, *TORCH["Gemm as it is"], node("Relu", "z", "a"), *LAST])
    net = fastbp.from_onnx(save(made, path))
    assert np.array_equal(net.weights[0], given["W1"])
    assert np.array_equal(net.biases[1], given["b2"])


IMAGES = {"X": ("float32", ["N", 5, 1])}


@pytest.mark.parametrize("kind", ["Flatten", "Reshape"])
def test_inputs_of_other_shapes(kind, path):
    given = constants() | {"shape": np.array([0, -1])}
    nodes = [
        node("Flatten", "X", "x") if kind == "Flatten" else node("Reshape", "X shape", "x"),
        *(node("Gemm", "x W1 b1", "z"), node("Relu", "z", "a"), *LAST),
    ]
    made = model(nodes, used(nodes, given), inputs=IMAGES)
    net, X = fastbp.from_onnx(save(made, path)), inputs(5)
    assert_as_close_as_rounding_lets(run(made, X[:, :, None]), net, X)


# sklearn-onnx's files


def of_classes(last, label):
    """Nodes from a classifier's z to label and probabilities."""
    return [
        *(node("Cast", "X", "x", to=TensorProto.FLOAT), node("MatMul", "x W1", "p")),
        *(node("Add", "p b1", "z"), node("Relu", "z", "a"), node("MatMul", "a W2", "q")),
        *(node("Add", "q b2", "y"), *last),
        node("ArgMax", "probabilities", "argmax", axis=1),
        node("ArrayFeatureExtractor", "classes argmax", "picked"),
        *(node("Reshape", "picked minus", "flat"), node("Cast", "flat", "label", to=label)),
    ]


LABELS = {"label": (TensorProto.INT64, ["N"]), "probabilities": ("float32", ["N", None])}


def classifier(units, last, outputs=LABELS, label=TensorProto.INT64):
    given = arrays(5, 8, units) | {"unity": np.ones(1, np.float32), "minus": np.array([-1])}
    given |= {"classes": np.arange(units)}
    nodes = [*of_classes(last, label), *(ZIPMAP if "maps" in outputs else [])]
    return model(nodes, given, outputs=outputs), given


ZIPMAP = [node("ZipMap", "probabilities", "maps", classlabels_int64s=[0, 1, 2])]


def test_a_classifier(path):
    made, given = classifier(3, [node("Softmax", "y", "probabilities")])
    onnx.checker.check_model(made)
    net = fastbp.from_onnx(save(made, path))
    assert net.activations == ("relu", "softmax")
    assert np.array_equal(net.weights[1], given["W2"])


def test_a_classifier_of_two_classes(path):
    last = [node("Sigmoid", "y", "p1"), node("Sub", "unity p1", "p0")]
    made, given = classifier(1, [*last, node("Concat", "p0 p1", "probabilities", axis=1)])
    net = fastbp.from_onnx(save(made, path))
    assert net.sizes == (5, 8, 1)
    assert net.activations == ("relu", "sigmoid")
    assert np.array_equal(net.weights[1], given["W2"])


def test_a_classifier_that_gives_maps(path):
    made, _ = classifier(
        3, [node("Softmax", "y", "probabilities")], LABELS | {"maps": ("float32", [])}
    )
    maps = made.graph.output[-1].type
    maps.Clear()
    maps.sequence_type.elem_type.map_type.key_type = TensorProto.INT64
    del made.graph.output[1]
    assert fastbp.from_onnx(save(made, path)).output == "softmax"


def regressor(columns):
    given = arrays(5, 8, 2) | {"column": np.array([-1, columns])}
    nodes = [
        *(node("MatMul", "X W1", "p"), node("Add", "p b1", "z"), node("Relu", "z", "a")),
        *(node("MatMul", "a W2", "q"), node("Add", "q b2", "y"), node("Reshape", "y column", "Y")),
    ]
    return model(nodes, given)


def test_a_regressor(path):
    net = fastbp.from_onnx(save(regressor(2), path))
    assert_as_close_as_rounding_lets(run(regressor(2), inputs(5)), net, inputs(5))


def test_a_regressor_whose_outputs_are_one_column_is_refused(path):
    """What sklearn-onnx makes of several outputs (sklearn-onnx#474)."""
    refused(regressor(1), path, r"node 'Y' \(Reshape\) has rows of 1 values, and the layer there 2")


SCALERS = {
    "Scaler": [node("Scaler", "X", "x", offset=[0.5] * 5, scale=[0.25] * 5)],
    "Sub and Div": [node("Sub", "X half", "c"), node("Div", "c four", "x")],
    "Sub and Mul": [node("Sub", "X half", "c"), node("Mul", "c quarter", "x")],
    "Div": [node("Div", "X four", "x")],
}


@pytest.mark.parametrize("name", SCALERS)
def test_a_scaler(name, path):
    given = constants() | {"four": np.full(5, 4, "f4"), "quarter": np.full((1, 5), 0.25, "f4")}
    nodes = [*SCALERS[name], node("Gemm", "x W1 b1", "Y")]
    made = model(nodes, used(nodes, given))
    net = fastbp.from_onnx(save(made, path))
    assert set(net.input_scale) == {4.0}
    assert set(net.input_mean) == {0.0 if name == "Div" else 0.5}
    assert_as_close_as_rounding_lets(run(made, inputs(5)), net, inputs(5))


# What is refused


def refused(made, path, match):
    with pytest.raises(ValueError, match=rf"model\.onnx' cannot be loaded: .*{match}"):
        fastbp.from_onnx(save(made, path))


def graph_of(*nodes, more=None, **ends):
    given = constants() | (more or {})
    return model(list(nodes), used(nodes, given), **ends)


GEMM = node("Gemm", "X W1 b1", "z")
CUSTOM = helper.make_node("Relu", ["z"], ["Y"], "theirs", domain="com.example")
NOT_LAYERS = {
    "another activation": ([GEMM, node("HardSwish", "z", "Y")], r"node 'Y' \(HardSwish\) is no"),
    "another slope": ([GEMM, node("LeakyRelu", "z", "Y", alpha=0.2)], r"\(LeakyRelu, alpha=0\.2\)"),
    "another alpha": ([GEMM, node("Elu", "z", "Y", alpha=0.5)], r"\(Elu, alpha=0\.5\)"),
    "gelu by tanh": ([GEMM, node("Gelu", "z", "Y", approximate="tanh")], r"\(Gelu\)"),
    "another axis": ([GEMM, node("Softmax", "z", "Y", axis=0)], r"\(Softmax, axis=0\)"),
    "an exponential": ([GEMM, node("Exp", "z", "Y")], r"node 'Y' \(Exp\)"),
    "another alpha of Gemm": ([node("Gemm", "X W1 b1", "Y", alpha=2.0)], r"\(Gemm, alpha=2\)"),
    "a product of inputs": ([node("Gemm", "X X", "Y", transB=1)], r"\(Gemm, transB=1\)"),
    "another domain": ([GEMM, CUSTOM], r"node 'theirs' \(com\.example:Relu\)"),
    "two activations": ([GEMM, node("Relu", "z", "r"), node("Relu", "r", "Y")], r"'r' \(Relu\)"),
    "no layer": ([node("Relu", "X", "Y")], "'X', which no node makes, is no part"),
    "nothing": ([node("Identity", "X", "Y")], "'Y', which no node makes, is no part"),
    "softmax inside": ([GEMM, node("Softmax", "z", "a"), *LAST], r"node 'a' \(Softmax\)"),
    "another epsilon": (
        [GEMM, node("LayerNormalization", "z gain shift", "a", epsilon=1e-3), *LAST],
        r"\(LayerNormalization, epsilon=0\.001\)",
    ),
    "a norm of the outputs": (
        [GEMM, node("LayerNormalization", "z gain shift", "Y")],
        "1 of 1 layers are normalized",
    ),
    "dropout that drops": (
        [GEMM, node("Constant", "", "t", value_int=1), node("Dropout", "z half t", "Y")],
        r"\(Dropout\)",
    ),
    "a sum of two layers": (
        [GEMM, node("Gemm", "X W1 b1", "v"), node("Add", "z v", "Y")],
        r"node 'Y' \(Add\)",
    ),
    "a sum before the activation": (
        [GEMM, node("Add", "z z", "s"), node("Relu", "s", "Y")],
        r"node 's' \(Add\)",
    ),
    "another bias": ([node("Gemm", "X W1 b2", "Y")], r"constant of shape \(3,\) and dtype"),
    "widths": ([GEMM, node("Gemm", "z V b1", "Y")], r"node 'Y' \(Gemm\) takes 5 inputs, after 8"),
    "another Flatten": (
        [node("Flatten", "X", "x", axis=0), node("Gemm", "x W1 b1", "Y")],
        "Flatten",
    ),
    "another Transpose": (
        [node("Transpose", "X", "x"), node("Gemm", "x W1 b1", "Y")],
        r"\(Transpose\)",
    ),
    "a quantized one": ([node("DynamicQuantizeLinear", "X", "Y s p")], "DynamicQuantizeLinear"),
}


@pytest.mark.parametrize("name", NOT_LAYERS)
def test_what_is_no_layer_is_refused_by_its_node(name, path):
    nodes, match = NOT_LAYERS[name]
    refused(graph_of(*nodes, opset=20), path, match)


def test_a_function_of_the_file_is_not_taken_for_the_operator(path):
    made = graph_of(GEMM, node("Relu", "z", "Y"))
    body = [node("Neg", "x", "y")]
    opsets = [helper.make_opsetid("", 18)]
    made.functions.append(helper.make_function("", "Relu", ["x"], ["y"], body, opsets))
    refused(made, path, r"node 'Y' \(Relu\)")


TWO = {"X": ("float32", ["N", 5]), "U": ("float32", ["N", 5])}
ENDS = {
    "two inputs": ({"inputs": TWO}, r"it has the inputs \['X', 'U'\], expected one"),
    "no input": ({"inputs": {"U": ("float32", [1])}}, "'X', which nothing before it makes"),
    "two outputs": (
        {"outputs": {"Y": ("float32", ["N", 8]), "z": ("float32", ["N", 8])}},
        r"it has the outputs of numbers \['Y', 'z'\], expected one",
    ),
    "labels alone": ({"outputs": {"Y": (TensorProto.INT64, ["N"])}}, r"of numbers \[\]"),
    "another shape": (
        {"inputs": {"X": ("float32", ["N", 2, 3])}},
        "the input 'X' has rows of 6 values, and the layer there 5",
    ),
    "an old opset": ({"opset": 6}, "its opset is 6, expected 7 to"),
    "a new opset": ({"opset": 99}, "its opset is 99, expected 7 to"),
}


@pytest.mark.parametrize("name", ENDS)
def test_other_ends_are_refused(name, path):
    ends, match = ENDS[name]
    refused(graph_of(GEMM, node("Relu", "z", "Y"), **ends), path, match)


def test_other_precisions_are_refused(path):
    half = {"W1": np.ones((5, 8), np.float16)}
    refused(graph_of(node("MatMul", "X W1", "Y"), more=half), path, "weights of float16, expected")
    mixed = {"W2": np.ones((8, 3))}
    nodes = [GEMM, node("Cast", "z", "a", to=TensorProto.DOUBLE), node("MatMul", "a W2", "Y")]
    refused(graph_of(*nodes, more=mixed), path, "expected float32 or float64 in all layers")
    nodes = [node("Cast", "X", "x", to=TensorProto.FLOAT)]
    nodes += [node("Cast", "x", "d", to=TensorProto.DOUBLE), node("Gemm", "d W1 b1", "Y")]
    made = model(nodes, used(nodes, constants("float64")))
    refused(made, path, r"node 'x' \(Cast, to=1\) makes float32 of values")


def test_layers_that_share_weights_are_refused(path):
    """A small file would become a network of any size."""
    square = {"W1": np.ones((5, 5), "f4")}
    nodes = [node("MatMul", f"x{i} W1" if i else "X W1", f"x{i + 1}") for i in range(9)]
    made = graph_of(*nodes, node("Identity", "x9", "Y"), more=square)
    refused(made, path, "its layers share weights")


def test_constants_of_other_kinds_are_refused(path):
    for array in (np.arange(8), np.array(["a"] * 8, object)):
        made = graph_of(node("Gemm", "X W1 b1", "Y"), more={"b1": array})
        refused(made, path, r"of shape \(8,\) and dtype \w+, expected \(8,\) and floats")
    made = graph_of(
        node("Scaler", "X", "x", offset=[1.0], scale=[0.0]), node("Gemm", "x W1 b1", "Y")
    )
    refused(made, path, "input_scale has inf at 0")


def test_parameters_that_are_not_finite_are_refused(path):
    made = graph_of(node("MatMul", "X W1", "Y"), more={"W1": np.full((5, 8), np.nan, "f4")})
    refused(made, path, r"weights\[0\] has nan at \(0, 0\)")


# Files that are damaged, or made to mislead


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x0a", bytes(100)], ids=repr)
def test_what_is_no_model_is_refused(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no ONNX model, or damaged"):
        fastbp.from_onnx(path)
    with pytest.raises(FileNotFoundError):
        fastbp.from_onnx(path.parent / "none")


@pytest.mark.parametrize("dims", [[10**9, 10**9], [2**40, 2**24], [5, 7], [-5, -8], [0, 8], [40]])
def test_sizes_are_compared_with_the_file(dims, path):
    made = graph_of(node("MatMul", "X W1", "Y"))
    made.graph.initializer[0].dims[:] = dims
    tracemalloc.start()
    refused(made, path, "(is damaged|has weights of shape)")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_nodes_in_no_order_are_refused(path):
    loop = [node("Relu", "b", "a"), node("Relu", "a", "b"), node("Identity", "a", "Y")]
    refused(graph_of(*loop), path, r"node 'a' \(Relu\) takes 'b', which nothing before it makes")
    twice = [GEMM, node("Relu", "X", "z"), node("Relu", "z", "Y")]
    refused(graph_of(*twice), path, r"node 'z' \(Relu\) makes 'z', which there is already")


@pytest.mark.parametrize("kind", ["Add", "Identity", "Gemm", "Reshape", "Cast", "ZipMap", "Scaler"])
def test_nodes_without_inputs_are_refused(kind, path):
    refused(graph_of(node(kind, "", "Y")), path, "is no part of a perceptron")
    refused(graph_of(node(kind, "", "x"), node("Gemm", "x W1 b1", "Y")), path, "")


def external(path, **entries):
    """A model of one layer whose weights are in another file."""
    made = graph_of(node("MatMul", "X W1", "Y"))
    (tensor,) = made.graph.initializer
    content = tensor.raw_data
    (path.parent / "model.onnx.data").write_bytes(b"1234" + content)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    given = {"location": "model.onnx.data", "offset": "4", "length": str(len(content))} | entries
    for key, value in given.items():
        tensor.external_data.add(key=key, value=value)
    return made


def test_parameters_in_another_file(path):
    """torch.onnx.export writes them there."""
    net = fastbp.from_onnx(save(external(path), path))
    assert np.array_equal(net.weights[0], constants()["W1"])


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"location": "../model.onnx.data"}, "expected a file in the model's folder"),
        ({"location": "/etc/passwd"}, "expected a file in the model's folder"),
        ({"location": ""}, "expected a file in the model's folder"),
        ({"location": ".."}, "expected a file in the model's folder"),
        ({"location": "link"}, "expected a file in the model's folder"),
        ({"location": "none"}, "with 0 bytes does not hold"),
        ({"offset": "5"}, "with 164 bytes does not hold"),
        ({"offset": "-1"}, "does not hold"),
        ({"offset": "9" * 5000}, "does not hold"),
    ],
)
def test_other_files_are_read_as_little(entries, match, path):
    (path.parent / "link").symlink_to(path.parent / "model.onnx.data")
    refused(external(path, **entries), path, match)


def test_sizes_are_compared_with_the_other_file(path):
    made = external(path)
    for dims in ([2**40, 2**20], [5, 9], [-5, -8]):
        made.graph.initializer[0].dims[:] = dims
        refused(made, path, "does not hold")


def damaged(rng, content):
    """The content with some bytes changed, taken out, or put in."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(len(data)))
        way = rng.integers(4)
        if way == 0:
            data[place] = rng.integers(256)
        elif way == 1:
            data[place] ^= 1 << int(rng.integers(8))
        elif way == 2:
            del data[place : place + int(rng.integers(1, 20))]
        else:
            data[place:place] = rng.bytes(int(rng.integers(1, 8)))
    return bytes(data)


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_damaged_file_is_refused_or_read(count, path):
    rng = np.random.default_rng(count)
    net = fastbp.Network([2, 3, 3, 1], ["gelu", "elu"], layer_norm=True, residual=True, seed=0)
    net.set_scaling(input_mean=1, target_scale=2)
    net.to_onnx(path)
    content, ways = path.read_bytes(), {"read": 0, "refused": 0}
    for _ in range(count):
        path.write_bytes(damaged(rng, content))
        try:
            fastbp.from_onnx(path)
            ways["read"] += 1
        except ValueError:
            ways["refused"] += 1
    assert min(ways.values()) > count / 50


def test_a_long_chain_takes_no_time(path):
    """A hundred thousand nodes, each of which hands its input on."""
    nodes = [node("Identity", f"x{i}" if i else "X", f"x{i + 1}") for i in range(100_000)]
    made = graph_of(*nodes, node("Gemm", "x100000 W1 b1", "Y"))
    assert fastbp.from_onnx(save(made, path)).sizes == (5, 8)


def test_the_helpers_of_these_tests_make_models(path):
    made = graph_of(GEMM, node("Relu", "z", "Y"))
    assert load(save(made, path)).graph.node[1].op_type == "Relu"
