"""Labels, probabilities and exponentials in ONNX files (fastbp/export/onnx_outputs.py)."""

import numpy as np
import pytest

import fastbp
from support.cases import Case, each_dtype

onnx = pytest.importorskip("onnx")
from fastbp.export import onnx_outputs, onnx_writer  # noqa: E402 - need onnx
from support import onnx_models  # noqa: E402

try:
    import onnxruntime
except ModuleNotFoundError:
    onnxruntime = None

CLASSES = {
    "int64": [3, -7, 11],
    "uint8": np.array([3, 7, 255], np.uint8),
    "text": ["one", "zwei", "três"],
    "objects": np.array(["a", "b", "c"], object),
    "floats": [0.5, 1.5, -2.0],
}


@pytest.fixture(params=["reference", *(["onnxruntime"] if onnxruntime else [])])
def run(request, tmp_path):
    """A function of a network, its outputs and X: what a file gives, by name."""

    def outputs(net, made, X):
        path = tmp_path / "model.onnx"
        onnx_writer.write(onnx_writer.model_of(net, 18, made), path)
        model = onnx_models.load(path)
        names = [one.name for one in model.graph.output]
        if request.param == "reference":
            found = onnx_models.ReferenceEvaluator(model).run(None, {"X": X})
        else:
            found = onnxruntime.InferenceSession(path).run(None, {"X": X})
        return dict(zip(names, found, strict=True))

    return outputs


def network(output, count, dtype):
    return Case((4, 9, count), 1, "tanh", output).network(dtype)


def inputs(dtype):
    return np.random.default_rng(0).normal(size=(20, 4)).astype(dtype)


def assert_near(p, expected):
    assert p.dtype == expected.dtype
    assert np.abs(p - expected).max() <= 20 * np.finfo(expected.dtype).eps * np.abs(expected).max()


@each_dtype
@pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)
def test_three_classes(classes, dtype, run):
    net, X = network("softmax", 3, dtype), inputs(dtype)
    found = run(net, onnx_outputs.of_classes(classes, "softmax", 3), X)
    p = net.predict(X)
    assert list(found) == ["label", "probabilities"]
    assert_near(found["probabilities"], p)
    assert found["label"].tolist() == np.asarray(classes)[p.argmax(axis=1)].tolist()
    assert len(set(found["label"].tolist())) > 1


@each_dtype
@pytest.mark.parametrize("classes", [[False, True], ["no", "yes"], [-1, 1]], ids=str)
def test_two_classes_of_one_output(classes, dtype, run):
    net, X = network("sigmoid", 1, dtype), inputs(dtype)
    net.set_parameters(net.weights, [net.biases[0], net.biases[1] - 0.7])
    found = run(net, onnx_outputs.of_classes(classes, "sigmoid", 1), X)
    p = net.predict(X)
    assert_near(found["probabilities"], np.hstack([1 - p, p]))
    assert found["label"].tolist() == np.asarray(classes)[(p[:, 0] > 0.5) * 1].tolist()
    assert len(set(found["label"].tolist())) == 2


@each_dtype
def test_a_probability_of_one_half_is_the_first_class(dtype, run):
    net = fastbp.Network([4, 1], output="sigmoid", dtype=dtype)
    net.set_parameters([np.zeros((4, 1))], [[0.0]])
    found = run(net, onnx_outputs.of_classes([4, 5], "sigmoid", 1), inputs(dtype))
    assert set(found["label"].tolist()) == {4}


@each_dtype
def test_labels_that_exclude_nothing(dtype, run):
    net, X = network("sigmoid", 3, dtype), inputs(dtype)
    found = run(net, onnx_outputs.of_flags(3), X)
    assert_near(found["probabilities"], net.predict(X))
    assert found["label"].dtype == np.int64
    assert np.array_equal(found["label"], net.predict_classes(X))


@each_dtype
@pytest.mark.parametrize("count", [1, 3])
def test_rates_of_counts(count, dtype, run):
    """sklearn-onnx has no exp, and makes one column of several outputs."""
    net, X = network("identity", count, dtype), inputs(dtype)
    found = run(net, onnx_outputs.exponentials(count), X)
    assert_near(found["Y"], np.exp(net.predict(X)))


@pytest.mark.parametrize("classes", [[1, 2], [1, 2, 3, 4], [[1, 2, 3]]], ids=str)
def test_classes_that_are_not_the_outputs_are_refused(classes):
    with pytest.raises(ValueError, match=r"expected \(3,\) for 3 outputs of softmax"):
        onnx_outputs.of_classes(classes, "softmax", 3)
    with pytest.raises(ValueError, match=r"expected \(2,\) for 2 outputs of sigmoid"):
        onnx_outputs.of_classes([0, 1], "sigmoid", 2)


@pytest.mark.parametrize("classes", [[None, "a"], [1j, 2j], [b"a", b"b"]], ids=str)
def test_classes_that_onnx_has_not_are_refused(classes):
    with pytest.raises(TypeError, match="expected integers, bools, floats or text alone"):
        onnx_outputs.of_classes(classes, "softmax", 2)


def test_what_has_labels_is_read(tmp_path):
    for output, count in (("softmax", 3), ("sigmoid", 1)):
        net = network(output, count, "float64")
        for classes in ([1, 2, 3], list("abc"), [0.5, 1.5, 2.5]):
            made = onnx_outputs.of_classes(classes[: max(count, 2)], output, count)
            onnx_writer.write(onnx_writer.model_of(net, 18, made), tmp_path / "model")
            assert net.allclose(fastbp.from_onnx(tmp_path / "model"), 0, 0)
    net = network("sigmoid", 3, "float64")
    onnx_writer.write(onnx_writer.model_of(net, 18, onnx_outputs.of_flags(3)), tmp_path / "model")
    assert net.allclose(fastbp.from_onnx(tmp_path / "model"), 0, 0)
