"""Activations of hidden layers, networks of the first layers, comparison, classes, some layers."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numba import njit

import fastbp

ROWS = np.random.default_rng(0).normal(2, 3, (37, 5)).astype("float32")
SIZES = [5, 8, 8, 3]
KINDS = {
    "plain": {},
    "layer_norm": {"layer_norm": True},
    "residual": {"residual": True},
    "both": {"layer_norm": True, "residual": True},
}


@njit
def bent(z):
    return z + 0.1 * z * z, 1 + 0.2 * z


def network(dtype="float32", scaled=True, activation="tanh", output="identity", **kinds):
    """A network with biases, gains and shifts of its own, that scales inputs and targets."""
    net = fastbp.Network(SIZES, activation, output, seed=1, dtype=dtype, **kinds)
    rng = np.random.default_rng(3)
    norms = [[rng.uniform(0.5, 1.5, len(g)) for g in net.gains] or None for _ in range(2)]
    net.set_parameters(net.weights, [rng.normal(size=n) for n in SIZES[1:]], *norms)
    if scaled:
        y = rng.normal(4, 2, (37, 3)) if output == "identity" else None
        net.standardize(ROWS, y)
    return net


def hidden_by_hand(net, X, layer):
    """Activations of tanh layers in float64."""
    a = np.asarray(X, "float64")
    if net.input_mean is not None:
        a = (a - net.input_mean) / net.input_scale
    for i in range(layer):
        z = a @ net.weights[i].astype("float64") + net.biases[i]
        if net.layer_norm:
            z = z - z.mean(axis=1, keepdims=True)
            z = net.gains[i] * z / np.sqrt(np.square(z).mean(axis=1, keepdims=True) + 1e-5)
            z = z + net.shifts[i]
        adds = net.residual and z.shape == a.shape
        a = np.tanh(z) + (a if adds else 0)
    return a


each_kind = pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)


@each_kind
@pytest.mark.parametrize("scaled", [False, True], ids=["raw", "scaled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hidden_activations_are_those_by_hand(kinds, scaled, dtype):
    net = network(dtype, scaled, **kinds)
    tolerance = 2e-5 if dtype == "float32" else 1e-12  # a few hundred roundings of numbers near 1
    for layer in (1, 2):
        found = net.predict(ROWS, layer=layer)
        assert found.dtype == dtype
        assert found.shape == (37, 8)
        np.testing.assert_allclose(found, hidden_by_hand(net, ROWS, layer), atol=tolerance)
    np.testing.assert_array_equal(net.predict(ROWS, layer=3), net.predict(ROWS))


@each_kind
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_hidden_activations_follow_training_and_loading(kinds, engine, tmp_path):
    net = network(**kinds)
    before = net.predict(ROWS, layer=2)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine=engine, seed=0)
    trainer.fit(ROWS, np.ones((37, 3)), epochs=2, progress=False)
    after = net.predict(ROWS, layer=2)
    assert not np.allclose(before, after)
    net.save(tmp_path / "net")
    same = fastbp.Network.load(tmp_path / "net")
    np.testing.assert_array_equal(same.predict(ROWS, layer=2), after)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(ROWS, layer=2), after)


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_trainer_has_hidden_activations_too(engine):
    options = {"optimizer": fastbp.SGD(lr=0.1), "ema_decay": 0.5, "engine": engine, "seed": 0}
    trainer = fastbp.Trainer(network(), loss="mse", **options)
    trainer.fit(ROWS, np.ones((37, 3)), epochs=2, progress=False)
    for averaged, net in ((False, trainer.net), (True, trainer.averaged_network())):
        for layer in (1, 2, 3):
            found = trainer.predict(ROWS, layer=layer, averaged=averaged)
            np.testing.assert_array_equal(found, net.predict(ROWS, layer=layer))
    with pytest.raises(ValueError, match="layer is 4, but the network has 3 layers"):
        trainer.predict(ROWS, layer=4)
    with pytest.raises(TypeError, match="averaged"):
        trainer.predict(ROWS, layer=1, averaged="yes")


def test_hidden_activations_of_other_data_and_into_out():
    net = network()
    expected = net.predict(ROWS, layer=1)
    out = np.empty((37, 8), "float32")
    assert net.predict(ROWS, out, layer=1) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(net.predict(ROWS.tolist(), layer=1), expected)
    with pytest.raises(ValueError, match=r"out has shape \(37, 3\)"):
        net.predict(ROWS, np.empty((37, 3), "float32"), layer=1)


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (0, ValueError, "layer is 0, expected an integer >= 1"),
        (4, ValueError, "layer is 4, but the network has 3 layers"),
        (1.0, TypeError, r"layer is 1\.0"),
        (True, TypeError, "layer is True"),
    ],
)
def test_other_layers_are_refused(layer, error, message):
    with pytest.raises(error, match=message):
        network().predict(ROWS, layer=layer)


@pytest.mark.parametrize("activation", ["gelu", bent, ("relu", bent)])
def test_a_part_predicts_what_the_layer_computes(activation):
    net = network(activation=activation)
    for k in (1, 2):
        part = net[:k]
        assert part.sizes == net.sizes[: k + 1]
        assert part.custom_activations == net.custom_activations[:k]
        np.testing.assert_array_equal(part.predict(ROWS), net.predict(ROWS, layer=k))
        np.testing.assert_array_equal(part.input_mean, net.input_mean)
        assert part.target_mean is None


def test_slices_are_pythons():
    net = network(layer_norm=True, residual=True)
    for whole in (net[:], net[:3], net[0:3:1]):
        assert whole.allclose(net, rtol=0, atol=0)
        np.testing.assert_array_equal(whole.predict(ROWS), net.predict(ROWS))
    plain = network()
    assert plain[:-1].allclose(plain[:2])


def test_a_part_has_memory_of_its_own_and_the_names():
    net = network()
    net.keep_names(("a", "b", "c", "d", "e"))
    before = net.weights[0]
    part = net[:1]
    assert part.feature_names_in == net.feature_names_in
    trainer = fastbp.Trainer(part, loss="mse", optimizer=fastbp.SGD(lr=0.1))
    trainer.step(ROWS[:32], np.ones((32, 8), "float32"))
    np.testing.assert_array_equal(net.weights[0], before)
    assert not np.array_equal(part.weights[0], before)


@pytest.mark.parametrize(
    ("kinds", "k", "message"),
    [
        ({"layer_norm": True}, 1, r"layer 1, which is normalized.*predict\(X, layer=1\)"),
        ({"residual": True}, 2, r"layer 2, which adds its inputs.*predict\(X, layer=2\)"),
    ],
)
def test_what_cannot_be_last_is_refused(kinds, k, message):
    with pytest.raises(ValueError, match=message):
        network(**kinds)[:k]
    assert network(residual=True)[:1].residual is False


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        (0, TypeError, r"net\[0\]: a network has no single layers"),
        ("a", TypeError, r"net\['a'\]"),
        (slice(1, 2), ValueError, r"expected net\[:k\]"),
        (slice(None, None, -1), ValueError, r"expected net\[:k\]"),
        (slice(None, 0), ValueError, r"net\[:0\]: the network has 3 layers, expected 1 to 3"),
        (slice(None, 4), ValueError, r"net\[:4\]"),
        (slice(None, -3), ValueError, r"net\[:-3\]"),
        (slice(None, 1.0), TypeError, r"net\[:1\.0\]: expected an integer"),
    ],
)
def test_other_slices_are_refused(where, error, message):
    with pytest.raises(error, match=message):
        network()[where]
    with pytest.raises(TypeError):
        list(network())


def test_some_layers_are_set_and_others_stay():
    net, other = network(layer_norm=True), fastbp.Network(SIZES, "tanh", seed=9, layer_norm=True)
    before = copy.deepcopy(net)
    net.set_parameters([other.weights[1]], [other.biases[1]], layers=[2])
    for i, expected in enumerate((before, other, before)):
        np.testing.assert_array_equal(net.weights[i], expected.weights[i])
        np.testing.assert_array_equal(net.biases[i], expected.biases[i])
    np.testing.assert_array_equal(net.gains, before.gains)
    some = [np.full(8, 3.0)], [np.full(8, 4.0)]
    net.set_parameters(
        [before.weights[2], other.weights[0]],
        [before.biases[2], other.biases[0]],
        *some,
        layers=(3, 1),
    )
    np.testing.assert_array_equal(net.weights[0], other.weights[0])
    np.testing.assert_array_equal(net.gains[0], 3)
    np.testing.assert_array_equal(net.shifts[0], 4)
    np.testing.assert_array_equal(net.gains[1], before.gains[1])


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([0], ValueError, r"layers\[0\] is 0, expected an integer >= 1"),
        ([4], ValueError, "expected different numbers from 1 to 3"),
        ([1, 1], ValueError, "expected different numbers"),
        (1, TypeError, r"expected numbers of layers, such as \[1, 2\]"),
        (["1"], TypeError, r"layers\[0\] is '1'"),
        ([1, 2], ValueError, "weights has 1 arrays, expected 2"),
        ([2], ValueError, r"weights\[0\] has shape \(5, 8\), expected \(8, 8\)"),
    ],
)
def test_wrong_layers_change_nothing(layers, error, message):
    net = network()
    before = copy.deepcopy(net)
    with pytest.raises(error, match=message):
        net.set_parameters([np.ones((5, 8))], [np.ones(8)], layers=layers)
    assert net.allclose(before, 0, 0)


def test_close_networks():
    net = network()
    weights = net.weights
    near, far = copy.deepcopy(net), copy.deepcopy(net)
    near.set_parameters([w * np.float32(1 + 1e-6) for w in weights], net.biases)
    far.set_parameters([w * np.float32(1 + 1e-3) for w in weights], net.biases)
    assert net.allclose(near)
    assert not net.allclose(near, rtol=0)
    assert not net.allclose(far)
    assert net.allclose(far, rtol=1e-2)


def test_networks_that_compute_something_else_are_not_close():
    net = network()
    scaled = copy.deepcopy(net)
    scaled.set_scaling(input_mean=1.0)
    others = [network(scaled=False), network(activation="relu"), scaled]
    others += [network(**kinds) for kinds in list(KINDS.values())[1:]]
    others += [network(activation=bent), fastbp.Network([5, 8, 3], seed=0)]
    assert not any(net.allclose(other) or other.allclose(net) for other in others)


def test_units_of_no_effect_and_other_dtypes_are_close(tmp_path):
    net = network(scaled=False)
    same = copy.deepcopy(net)
    same.set_scaling(input_mean=0.0, input_scale=1.0)
    double = fastbp.Network(SIZES, "tanh", dtype="float64")
    double.set_parameters(net.weights, net.biases)
    assert net.allclose(same)
    assert net.allclose(double)
    net.save(tmp_path / "net")
    assert fastbp.Network.load(tmp_path / "net").allclose(net, 0, 0)
    with pytest.raises(TypeError, match="expected a Network"):
        net.allclose(net.weights)
    with pytest.raises(ValueError, match="rtol is -1"):
        net.allclose(net, rtol=-1)


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_classes_are_what_accuracy_counts(engine):
    labels = np.arange(37) % 3
    bits = (ROWS[:, :3] > 2).astype("float32")
    for output, loss, y in (("softmax", "cross_entropy", labels), ("sigmoid", "bce", bits)):
        net = network(output=output)
        classes = net.predict_classes(ROWS)
        assert classes.dtype == np.int64
        assert classes.shape == y.shape
        trainer = fastbp.Trainer(net, loss=loss, optimizer=fastbp.SGD(lr=0.1), engine=engine)
        assert trainer.evaluate(ROWS, y)["accuracy"] == pytest.approx(np.mean(classes == y))


def test_the_threshold_is_of_sigmoid_outputs():
    net = fastbp.Network([1, 1], output="sigmoid")
    net.set_parameters([[[1.0]]], [[0.0]])
    X = [[-9.0], [0.0], [9.0]]
    assert net.predict_classes(X).tolist() == [0, 1, 1]  # p = 0.5 is 1, as for the accuracy
    assert net.predict_classes(X, 0.9).tolist() == [0, 0, 1]
    for wrong in (0, 1, np.nan, 2):
        with pytest.raises(ValueError, match="threshold is"):
            net.predict_classes(X, wrong)
    with pytest.raises(TypeError, match=r"threshold is '0\.5'"):
        net.predict_classes(X, "0.5")
    with pytest.raises(ValueError, match="of softmax outputs the largest wins"):
        network(output="softmax").predict_classes(ROWS, 0.3)
    with pytest.raises(ValueError, match="no probabilities of classes"):
        network().predict_classes(ROWS)


@pytest.mark.parametrize(("output", "units"), [("softmax", 3), ("sigmoid", 1)])
def test_outputs_that_are_nan_have_no_class(output, units):
    net = fastbp.Network([1, 4, units], "identity", output, dtype="float64")
    X = [[1.0], [1e10]]  # hidden units of the second row are infinite, and inf - inf is NaN
    weights = [np.full((1, 4), 1e300), np.repeat([[1.0], [-1.0], [1.0], [-1.0]], units, axis=1)]
    net.set_parameters(weights, net.biases)
    assert len(net.predict_classes(X[:1])) == 1
    with pytest.raises(ValueError, match=r"the outputs of row 1 are .*nan.* no class"):
        net.predict_classes(X)


def test_network_load_is_load(tmp_path):
    net = network(activation=bent)
    net.save(tmp_path / "net")
    same = fastbp.Network.load(tmp_path / "net", functions={"bent": bent})
    assert same.allclose(net, 0, 0)
    with pytest.raises(ValueError, match="functions="):
        fastbp.Network.load(tmp_path / "net")


def test_network_load_of_a_checkpoint_warns_at_the_users_line(tmp_path):
    trainer = fastbp.Trainer(network(), loss="mse", optimizer=fastbp.SGD(lr=0.1))
    trainer.save(tmp_path / "run")
    for load in (fastbp.load, fastbp.Network.load):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            load(tmp_path / "run")
        assert [one.filename for one in caught] == [__file__]


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_updates_are_counted_and_read_only(engine, tmp_path):
    trainer = fastbp.Trainer(network(), loss="mse", optimizer=fastbp.SGD(lr=0.1), engine=engine)
    trainer.step(ROWS[:32], np.ones((32, 3)))
    assert trainer.updates == 1
    with pytest.raises(AttributeError, match="updates"):
        trainer.updates = 3
    trainer.fit(ROWS, np.ones((37, 3)), epochs=2, progress=False)
    assert trainer.updates == 5  # 37 rows are two batches
    assert copy.deepcopy(trainer).updates == 5
    trainer.save(tmp_path / "run")
    assert fastbp.Trainer.load(tmp_path / "run").updates == 5
    trainer.reset_optimizer()
    assert trainer.updates == 0
