"""ONNX files of networks (fastbp/export/onnx_writer.py), run by two runtimes."""

import json
import sys
from itertools import pairwise

import numpy as np
import pytest

import fastbp
from fastbp.components import activations
from support.cases import DTYPES, HIDDEN, LAYER_KINDS, Case, each_case, each_dtype
from support.features import square
from support.rounding_bounds import assert_as_close_as_rounding_lets, outputs_of

onnx = pytest.importorskip("onnx")
from support import onnx_models  # noqa: E402 - needs onnx

try:
    import onnxruntime
except ModuleNotFoundError:
    onnxruntime = None

NEWEST = onnx.defs.onnx_opset_version()
SMALL = Case((5, 7, 7, 4), 9, ("silu", "tanh"), "softmax", "cross_entropy")
SCALINGS = {
    "inputs": {"input_mean": np.arange(5) / 3, "input_scale": [0.1, 10, 3, 1 / 3, 255]},
    "targets": {"target_mean": [1, 2, 1 / 3, -4], "target_scale": [3, 2, 1, 0.5]},
    "half of the outputs": {"target_mean": [0.1, -0.2], "target_scale": [3, 100]},
}


def by_onnxruntime(path, X, optimized=True):
    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": X})[0]


RUNTIMES = {"reference": lambda path, X: onnx_models.run(onnx_models.load(path), X)}
if onnxruntime:
    RUNTIMES["onnxruntime"] = by_onnxruntime
    RUNTIMES["onnxruntime as it is"] = lambda path, X: by_onnxruntime(path, X, optimized=False)

each_runtime = pytest.mark.parametrize("run", RUNTIMES.values(), ids=RUNTIMES)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def inputs(net, rows=11, seed=3):
    return np.random.default_rng(seed).normal(size=(rows, net.sizes[0])).astype(net.dtype)


def assert_runs(net, path, run, opset=18, X=None):
    net.to_onnx(path, opset=opset)
    X = inputs(net) if X is None else X
    assert_as_close_as_rounding_lets(run(str(path), X), net, X)


@each_runtime
@each_dtype
@each_case
def test_every_case(case, dtype, run, path):
    assert_runs(case.network(dtype), path, run)


@each_runtime
@each_dtype
@pytest.mark.parametrize("kind", LAYER_KINDS.values(), ids=LAYER_KINDS)
@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_with_norms_residuals_and_scaling(scaling, kind, dtype, run, path):
    net = fastbp.Network([5, 7, 7, 4], "tanh", seed=1, dtype=dtype, **kind)
    net.set_scaling(**scaling)
    assert_runs(net, path, run)


def random_network(seed):
    """A network of anything that there is."""
    rng = np.random.default_rng(seed)
    hidden = [int(n) for n in rng.integers(1, 40, rng.integers(5))]
    if len(hidden) > 1 and rng.random() < 0.5:
        hidden[1] = hidden[0]
    sizes = [int(rng.integers(1, 20)), *hidden, int(rng.integers(1, 6))]
    net = fastbp.Network(
        sizes,
        [str(rng.choice(HIDDEN)) for _ in hidden],
        str(rng.choice(list(activations.ACTIVATIONS))),
        seed=seed,
        dtype=str(rng.choice(DTYPES)),
        layer_norm=bool(hidden and rng.random() < 0.4),
        residual=any(one == other for one, other in pairwise(sizes[:-1])),
    )
    net.set_parameters(
        [w * rng.uniform(0.3, 1) for w in net.weights],
        [rng.normal(size=b.shape) for b in net.biases],
        *([[rng.normal(size=g.shape) for g in net.gains] for _ in range(2)] if net.gains else ()),
    )
    if rng.random() < 0.5:
        net.set_scaling(input_mean=rng.normal(), input_scale=rng.uniform(0.1, 10, sizes[0]))
    elif rng.random() < 0.5:
        net.set_scaling(target_mean=rng.normal(), target_scale=rng.uniform(0.1, 10, sizes[-1]))
    return net, int(rng.integers(18, NEWEST + 1)), int(rng.integers(1, 30))


@each_runtime
@pytest.mark.parametrize("seed", range(60))
def test_random_architectures(seed, run, path):
    net, opset, rows = random_network(seed)
    assert_runs(net, path, run, opset, inputs(net, rows, seed))


def line(hidden, dtype):
    """z of one number, and what an activation makes of it."""
    net = fastbp.Network([1, 1], output=hidden, dtype=dtype)
    net.set_parameters([[[1.0]]], [[0.0]])
    return net


Z = np.concatenate([np.linspace(-45, 45, 901), np.geomspace(1e-9, 1, 40), [-1e-9, -1e-4]])[:, None]


@each_runtime
@each_dtype
@pytest.mark.parametrize("hidden", HIDDEN)
def test_activations_far_from_0_and_near_it(hidden, dtype, run, path):
    assert_runs(line(hidden, dtype), path, run, X=Z.astype(dtype))


@each_runtime
def test_gelu_in_float64_is_within_1e_12(run, path):
    net = line("gelu", "float64")
    net.to_onnx(path)
    far = np.abs(run(str(path), Z) - net.predict(Z))
    assert far.max() <= 1e-14
    assert (far <= 1e-12 * np.abs(Z)).all()


@each_runtime
def test_layer_norm_of_a_small_variance_in_float64(run, path):
    """Where the epsilon counts: as an attribute, which is float32, it would be 3e-8 off."""
    net = fastbp.Network([5, 7, 4], seed=1, dtype="float64", layer_norm=True)
    net.set_parameters([w * 1e-3 for w in net.weights], net.biases)
    assert_runs(net, path, run)
    assert outputs_of(net, inputs(net)).off.max() < 1e-11


@pytest.mark.parametrize("opset", range(18, NEWEST + 1))
@each_dtype
def test_every_opset(opset, dtype, path):
    net = fastbp.Network([3, *(5,) * len(HIDDEN), 2], HIDDEN, seed=1, dtype=dtype, layer_norm=True)
    for run in RUNTIMES.values():
        assert_runs(net, path, run, opset)
    made = onnx_models.load(path)
    assert [(one.domain, one.version) for one in made.opset_import] == [("", opset)]
    assert {one.domain for one in made.graph.node} == {""}


def test_any_number_of_rows_names_and_metadata(path):
    net = SMALL.network("float32")
    net.keep_names(("a", "b", "c", "d", "ä"))
    net.to_onnx(path)
    made = onnx_models.load(path)
    ends = [*made.graph.input, *made.graph.output]
    shapes = [[d.dim_param or d.dim_value for d in e.type.tensor_type.shape.dim] for e in ends]
    assert [end.name for end in ends] == ["X", "Y"]
    assert shapes == [["N", 5], ["N", 4]]
    assert (made.producer_name, made.producer_version) == ("fastbp", fastbp.__version__)
    metadata = {one.key: one.value for one in made.metadata_props}
    assert metadata["fastbp_version"] == fastbp.__version__
    assert json.loads(metadata["feature_names_in"]) == ["a", "b", "c", "d", "ä"]
    for run in RUNTIMES.values():
        assert run(str(path), inputs(net, 1)).shape == (1, 4)


def test_parameters_have_the_names_of_model_files(path):
    net = SMALL.network("float32")
    net.to_onnx(path)
    tensors = {
        one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer
    }
    for i, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        assert tensors[f"layers.{i}.weight"].tobytes() == weight.tobytes()
        assert tensors[f"layers.{i}.bias"].tobytes() == bias.tobytes()


def test_the_file_is_the_same_every_time(tmp_path):
    for name in ("one", "two"):
        SMALL.network().to_onnx(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_fails_leaves_the_old_file_alone(path):
    path.write_bytes(b"old")
    bad = SMALL.network("float32")
    bad.arrays.parameters[:] = np.nan
    own = fastbp.Network([3, 4, 2], square, seed=0)
    with pytest.raises(ValueError, match=r"layers\.0\.weight has nan"):
        bad.to_onnx(path)
    with pytest.raises(ValueError, match="activation 'square' is your own, and ONNX has no operat"):
        own.to_onnx(path)
    for opset, error, match in (
        (17, ValueError, "opset is 17, expected an integer >= 18"),
        (NEWEST + 1, ValueError, rf"opset is {NEWEST + 1}, and onnx .* up to {NEWEST}"),
        ("18", TypeError, "opset is '18', of type str"),
        (True, TypeError, "opset is True"),
    ):
        with pytest.raises(error, match=match):
            SMALL.network().to_onnx(path, opset=opset)
    assert path.read_bytes() == b"old"
    with pytest.raises(FileNotFoundError, match="make it first"):
        SMALL.network().to_onnx(path / "none" / "model.onnx")
    SMALL.network().to_onnx(path)
    assert [one.name for one in path.parent.iterdir()] == ["model.onnx"]


def test_it_is_written_beside_the_old_file(path, monkeypatch):
    from fastbp.storage import atomic

    def no_disk(_):
        raise OSError("no space")

    path.write_bytes(b"old")
    monkeypatch.setattr(atomic.os, "fsync", no_disk)
    with pytest.raises(OSError, match="no space"):
        SMALL.network().to_onnx(path)
    assert path.read_bytes() == b"old"


def test_parameters_beyond_what_a_file_holds_are_refused(path, monkeypatch):
    from fastbp.export import onnx_writer

    net = SMALL.network("float64")
    monkeypatch.setattr(onnx_writer, "LIMIT", net.n_parameters * 8 - 1)
    with pytest.raises(ValueError, match=r"take \d[\d,]* bytes as float64, .* or of float32"):
        net.to_onnx(path)
    assert not path.exists()


def test_without_onnx_it_is_asked_for(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: SMALL.network().to_onnx(path), lambda: fastbp.from_onnx(path)):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[onnx\]'"):
            call()
