"""Model files: Network.save and fastbp.load (fastbp/model/model_io.py)."""

import json
import os
import pickle
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
import safetensors
from numba import njit

import fastbp
from fastbp.components import activations
from fastbp.model import model_io
from fastbp.storage import model_file
from support.cases import LAYER_KINDS, Case, each_case, each_dtype, each_hidden
from support.features import square

SMALL = Case((5, 7, 7, 4), 9, ("silu", "tanh"), "softmax", "cross_entropy")
SCALINGS = {
    "inputs": {"input_mean": np.arange(5) / 3, "input_scale": [0.1, 1e-30, 3, 1 / 3, 255]},
    "targets": {"target_mean": [1, 2, 1 / 3, -4], "target_scale": 1 / 7},
    "half of the outputs": {"target_mean": [0.1, -0.2], "target_scale": [3, 1e3]},
    "everything": {"input_mean": 0.1, "target_scale": 0.1},
    "one by itself": {"input_scale": 255},
}

either_verified = pytest.mark.parametrize("verify", [True, False])


@pytest.fixture
def path(tmp_path):
    """The file of a small network."""
    network().save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def network(dtype="float32", **kinds):
    return replace(SMALL, **kinds).network(dtype)


def inputs(net, rows=11):
    return np.random.default_rng(3).normal(size=(rows, net.sizes[0])).astype(net.dtype)


def assert_same(net, other):
    assert predictions(net) == predictions(other)
    kinds = ("sizes", "activations", "output", "dtype", "seed", "layer_norm", "residual")
    for kind in (*kinds, "n_parameters"):
        assert getattr(net, kind) == getattr(other, kind)
    for unit in model_io.UNITS:
        one, two = getattr(net, unit), getattr(other, unit)
        assert (one is None) == (two is None)
        assert one is None or one.tobytes() == two.tobytes()


def predictions(net):
    return net.predict(inputs(net)).tobytes()


def back(net, folder, **options):
    net.save(folder / "a")
    return fastbp.load(folder / "a", **options)


def changed(path, meta=(), **tensors):
    """Write the file again, with a checksum that is right; None takes a tensor away."""
    old_meta, old = model_file.read(path, "model")
    new = {name: array for name, array in (old | tensors).items() if array is not None}
    model_file.write(path, "model", old_meta | dict(meta), new)


def refused(path, match, **options):
    with pytest.raises(ValueError, match=match) as caught:
        fastbp.load(path, **options)
    assert str(path) in str(caught.value)


# What comes back


@each_dtype
@each_case
def test_a_network_comes_back_to_the_bit(case, dtype, tmp_path):
    net = case.network(dtype)
    assert_same(net, back(net, tmp_path))


@each_hidden
def test_with_every_activation(hidden, tmp_path):
    net = fastbp.Network([4, 6, 3], hidden, hidden, seed=0)
    assert_same(net, back(net, tmp_path))


@each_dtype
@pytest.mark.parametrize("kind", LAYER_KINDS.values(), ids=LAYER_KINDS)
@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_with_layer_norm_residual_and_scaling(scaling, kind, dtype, tmp_path):
    net = network(dtype, **kind)
    net.set_scaling(**scaling)
    other = back(net, tmp_path)
    assert_same(net, other)
    for one, two in zip((net.gains, net.shifts), (other.gains, other.shifts), strict=True):
        assert all(map(np.array_equal, one, two))


def test_a_seed_that_was_drawn_comes_back(tmp_path):
    for seed in (None, 0, 2**63 - 1):
        net = fastbp.Network([3, 2], seed=seed)
        assert back(net, tmp_path).seed == net.seed


def test_a_loaded_network_trains_on(tmp_path):
    net, (X, y) = network(), SMALL.batch()
    weights = []
    for one in (net, back(net, tmp_path)):
        trainer = fastbp.Trainer(one, loss="cross_entropy", optimizer=fastbp.Adam(), seed=0)
        trainer.fit(X, y, epochs=3)
        weights.append([array.tobytes() for array in one.weights])
    assert weights[0] == weights[1]


def test_a_network_that_was_trained_is_saved_as_it_is_now(tmp_path):
    trainer, (X, y) = SMALL.trainer("float32"), SMALL.batch()
    before = predictions(trainer.net)
    trainer.fit(X, y, epochs=2)
    trainer.net.save(tmp_path / "a")
    assert predictions(fastbp.load(tmp_path / "a")) == predictions(trainer.net) != before


def test_the_path_may_be_a_string_and_the_file_may_exist(path):
    net = fastbp.Network([2, 2], seed=0)
    net.save(str(path))
    assert_same(net, fastbp.load(str(path)))


def test_the_same_network_is_the_same_file(path, tmp_path):
    network().save(tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == path.read_bytes()


def test_other_readers_see_natural_shapes(tmp_path):
    net = network(layer_norm=True)
    net.set_scaling(input_scale=255)
    net.save(tmp_path / "a")
    expected = {
        "layers.0.weight": net.weights[0],
        "layers.2.weight": net.weights[2],
        "layers.1.bias": net.biases[1],
        "layers.1.gain": net.gains[1],
        "layers.0.shift": net.shifts[0],
        "input_scale": net.input_scale,
    }
    with safetensors.safe_open(tmp_path / "a", "np") as file:
        assert len(list(file.keys())) == 3 * 2 + 2 * 2 + 2
        for name, array in expected.items():
            assert np.array_equal(file.get_tensor(name), array)
        metadata = json.loads(file.metadata()["fastbp"])
    assert metadata == {
        "sizes": [5, 7, 7, 4],
        "activations": ["silu", "tanh", "softmax"],
        "dtype": "float32",
        "layer_norm": True,
        "residual": False,
        "seed": 1,
    }


# What is refused


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_network_that_was_lost_is_not_saved(value, path):
    content, net = path.read_bytes(), network()
    net.arrays.parameters[0] = value
    with pytest.raises(ValueError, match=r"layers\.0\.weight has -?(nan|inf) at \(0, 0\).*earlier"):
        net.save(path)
    assert path.read_bytes() == content


@either_verified
@pytest.mark.parametrize(
    "name", ["layers.0.weight", "layers.2.bias", "layers.1.gain", "input_mean"]
)
def test_numbers_that_are_not_finite_are_refused(name, verify, path):
    net = network(layer_norm=True)
    net.set_scaling(input_mean=1)
    net.save(path)
    array = model_file.read(path, "model")[1][name]
    array[-1] = np.nan
    changed(path, **{name: array})
    refused(path, f"{name} has nan at", verify=verify)


def zeros(*shape, dtype="f4"):
    return np.zeros(shape, dtype)


FIVE = np.ones(5)
TENSORS = {
    "none": ({"layers.0.bias": None}, "no tensor 'layers.0.bias'"),
    "one more": ({"layers.3.bias": zeros(4)}, "cannot have 'layers.3.bias'"),
    "another name": ({"layers.00.bias": zeros(7)}, "cannot have 'layers.00.bias'"),
    "norms": ({"layers.0.gain": zeros(7)}, "cannot have 'layers.0.gain'"),
    "transposed": ({"layers.0.weight": zeros(7, 5)}, r"shape \(7, 5\) .* expected \(5, 7\)"),
    "flat": ({"layers.0.weight": zeros(35)}, "shape"),
    "double": ({"layers.0.weight": zeros(5, 7, dtype="f8")}, "dtype float64, .* float32"),
    "integers": ({"layers.0.bias": zeros(7, dtype="i8")}, "dtype int64"),
    "half a scaling": ({"input_mean": FIVE}, "no tensor 'input_scale'"),
    "the other half": ({"target_scale": FIVE[:4]}, "no tensor 'target_mean'"),
    "single scaling": ({"input_mean": zeros(5), "input_scale": FIVE}, "float32, .* float64"),
    "few": ({"input_mean": FIVE[:4], "input_scale": FIVE}, "'input_mean' has shape"),
    "few targets": ({"target_mean": FIVE[:3], "target_scale": FIVE[:3]}, "has shape"),
    "unequal": ({"target_mean": FIVE[:4], "target_scale": FIVE[:2]}, "'target_scale' has shape"),
    "one number": ({"input_mean": np.float64(1), "input_scale": np.float64(1)}, "has shape"),
    "scale 0": ({"input_mean": FIVE, "input_scale": 0 * FIVE}, "input_scale has 0.0 at 0"),
}


@either_verified
@pytest.mark.parametrize(("tensors", "match"), TENSORS.values(), ids=TENSORS)
def test_tensors_must_be_those_of_the_network(tensors, match, verify, path):
    changed(path, **tensors)
    refused(path, match, verify=verify)


METAS = {
    "other sizes": ({"sizes": [5, 7, 7, 5]}, "expected"),
    "huge sizes": ({"sizes": [5, 10**30, 7, 4]}, "expected"),
    "more layers": ({"sizes": [5, 7, 7, 4, 4]}, "no tensor"),
    "no sizes": ({"sizes": []}, "sizes are"),
    "one size": ({"sizes": [5]}, "at least inputs and outputs"),
    "a float": ({"sizes": [5, 7.0, 7, 4]}, "integers >= 1"),
    "a bool": ({"sizes": [5, True, 7, 4]}, "integers >= 1"),
    "nothing": ({"sizes": [5, 0, 7, 4]}, "integers >= 1"),
    "a number": ({"sizes": 5}, "integers >= 1"),
    "few activations": ({"activations": ["relu", "relu"]}, "expected 2"),
    "no activations": ({"activations": []}, "no list of names"),
    "one activation": ({"activations": "relu"}, "no list of names"),
    "softmax inside": ({"activations": ["softmax", "relu", "relu"]}, "'softmax'"),
    "unknown": ({"activations": ["relu", "os.system", "relu"]}, "'os.system', which is not known"),
    "a path": ({"activations": ["relu", ["os"], "relu"]}, r"\['os'\], which is no name"),
    "own": ({"activations": ["relu", {"own": "f"}, "relu"]}, r"functions=\{'f': \.\.\.\}"),
    "own, strange": ({"activations": ["relu", {"own": 1}, "relu"]}, "no name"),
    "another dtype": ({"dtype": "float64"}, "expected .* and float64"),
    "half": ({"dtype": "float16"}, "dtype is 'float16', expected one of float32, float64"),
    "no dtype": ({"dtype": ["float32"]}, "dtype"),
    "norms": ({"layer_norm": True}, "no tensor 'layers.0.gain'"),
    "1": ({"residual": 1}, "true or false"),
    "seed -1": ({"seed": -1}, "seed"),
    "a long seed": ({"seed": 2**63}, "seed"),
    "no seed": ({"seed": None}, "seed is None"),
    "true": ({"seed": True}, "seed is True"),
    "more": ({"more": 1}, "expected"),
}


@either_verified
@pytest.mark.parametrize(("meta", "match"), METAS.values(), ids=METAS)
def test_metadata_must_be_those_of_a_network(meta, match, verify, path):
    changed(path, meta)
    refused(path, match, verify=verify)


def test_residual_needs_a_layer_as_wide_as_the_one_before(path):
    fastbp.Network([3, 4, 2], seed=0).save(path)
    changed(path, {"residual": True})
    refused(path, "residual is True, but in sizes")


@pytest.mark.parametrize("key", sorted(model_io.KEYS))
def test_nothing_may_be_missing(key, path):
    meta, tensors = model_file.read(path, "model")
    del meta[key]
    model_file.write(path, "model", meta, tensors)
    refused(path, "expected")


def test_a_pickle_is_no_model(path):
    path.write_bytes(pickle.dumps(network()))
    refused(path, "no safetensors file")
    refused(path, "no safetensors file", verify=False)


def test_nothing_is_allocated_for_a_network_that_is_not_there(path, monkeypatch):
    """Its sizes are compared with the tensors before a Network is made."""
    monkeypatch.setattr(fastbp.Network, "__init__", lambda *_, **__: pytest.fail("made"))
    changed(path, {"sizes": [5, 10**6, 10**6, 4]})
    refused(path, "expected")


@pytest.mark.parametrize("functions", [["f"], "f", {"f"}, 1])
def test_functions_are_a_dict(functions, path):
    with pytest.raises(TypeError, match=r"functions is a .*, expected a dict"):
        fastbp.load(path, functions=functions)


def test_an_old_file_stays_where_a_new_one_cannot_be_written(path, monkeypatch):
    content = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(PermissionError("busy")))
    with pytest.raises(PermissionError, match="busy"):
        network().save(path)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


def test_names_are_those_of_the_registry():
    """The file's names, which later versions must keep."""
    hidden = "identity sigmoid tanh relu leaky_relu elu softplus silu gelu"
    assert set(activations.ACTIVATIONS) >= {*hidden.split(), "softmax"}


# Activations of the user's own


@each_dtype
def test_an_own_activation_is_passed_to_load(dtype, tmp_path):
    net = fastbp.Network([3, 4, 5, 2], [square, "tanh"], square, seed=0, dtype=dtype)
    other = back(net, tmp_path, functions={"square": square, "more": None})
    assert_same(net, other)
    assert other.custom_activations == (square, None, square)
    for functions in (None, {}, {"squared": square}):
        refused(tmp_path / "a", r"functions=\{'square': \.\.\.\}", functions=functions)
    with pytest.raises(TypeError, match=r"numba\.njit"):
        fastbp.load(tmp_path / "a", functions={"square": square.py_func})


def test_two_own_activations_of_one_name_are_not_saved(tmp_path):
    other = njit(square.py_func)
    net = fastbp.Network([3, 4, 5, 2], [square, other], seed=0)
    with pytest.raises(ValueError, match="both called 'square'"):
        net.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


# The network of a checkpoint


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("custom", [False, True])
def test_of_a_checkpoint_the_network_is_loaded_with_a_word(verify, custom, tmp_path):
    path = tmp_path / "run.safetensors"
    net = network(hidden=(square, "tanh")) if custom else network()
    net.set_scaling(input_mean=3.0, input_scale=0.5)
    how = {"loss": "cross_entropy", "optimizer": fastbp.Adam(0.01), "ema_decay": 0.9}
    trainer = fastbp.Trainer(net, **how)
    trainer.fit(
        *SMALL.batch(), callbacks=[fastbp.ModelCheckpoint(path), fastbp.EarlyStopping("loss")]
    )
    with pytest.warns(
        UserWarning, match=r"run.safetensors' is a checkpoint.*fastbp\.Trainer\.load"
    ):
        loaded = fastbp.load(path, verify=verify, functions={"square": square})
    assert_same(loaded, net)


def test_a_damaged_checkpoint_has_no_network(tmp_path):
    path = tmp_path / "run.safetensors"
    trainer = fastbp.Trainer(network(), loss="cross_entropy", optimizer=fastbp.Adam())
    trainer.save(path)
    content = path.read_bytes()
    for place in (len(content) - 1, len(content) - 200):  # in moments, too, which are not kept
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged or changed"):
            fastbp.load(path)
    path.write_bytes(content[:-8])
    with pytest.raises(ValueError, match="cut off"):
        fastbp.load(path)


# Memory


def peak_of_loading(path, load):
    """The most memory that Python and NumPy have at once meanwhile."""
    tracemalloc.start()
    try:
        loaded = load(path)
        return tracemalloc.get_traced_memory()[1], loaded
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["model", "checkpoint"])
@pytest.mark.parametrize("options", [{}, {"layer_norm": True, "dtype": "float64"}], ids=repr)
@pytest.mark.parametrize("sizes", [[1001, 1001], [500] * 6], ids=["one layer", "five layers"])
def test_loading_takes_little_more_than_the_file_and_the_network(sizes, options, kind, tmp_path):
    options = {key: value for key, value in options.items() if len(sizes) > 2 or key == "dtype"}
    net, path = fastbp.Network(sizes, seed=0, **options), tmp_path / "file.safetensors"
    if kind == "model":
        net.save(path)
    else:
        fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam()).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        peak, loaded = peak_of_loading(path, fastbp.load)
    assert peak < 2.2 * net.n_parameters * net.dtype.itemsize
    assert (
        loaded.predict(np.ones((1, sizes[0]))).tobytes()
        == net.predict(np.ones((1, sizes[0]))).tobytes()
    )
