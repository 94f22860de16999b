"""A network that has been trained keeps its function when it is standardized; streams."""

import copy
import pickle

import numpy as np
import pytest

import fastbp
from support.cases import each_dtype, each_engine
from support.trainers import bits

RNG = np.random.default_rng(0)
X = RNG.normal(5, 2, (400, 3))
Y = np.stack([X @ [1.0, 2.0, 3.0], X @ [100.0, 0.0, -50.0]], 1)
NEW_DATA = {
    "the same": (X, Y),
    "shifted X": (X + 3, None),
    "another range": (20 * X - 7, -0.1 * Y + 1000),
    "one target's spread": (X, Y * [1, 1e4]),
}


def trained(sizes=(3, 16, 2), loss="mse", dtype="float64", engine="numba", first=True, **options):
    """A trainer of a network that has learned."""
    kinds = {name: options.pop(name) for name in ("layer_norm", "residual") if name in options}
    net = fastbp.Network(sizes, options.pop("hidden", "tanh"), seed=0, dtype=dtype, **kinds)
    if first:
        net.standardize(X, Y)
    adam = fastbp.Adam(lr=0.01)
    trainer = fastbp.Trainer(net, loss=loss, optimizer=adam, seed=0, engine=engine, **options)
    trainer.fit(X, Y, epochs=3)
    return trainer


def assert_equal_functions(one, other, dtype="float64"):
    """Within what rounding of parameters of 4 digits before the point makes of outputs."""
    allowed = 1e4 * np.finfo(dtype).eps
    scale = np.abs(other).max(axis=0)
    np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=allowed)


@pytest.mark.parametrize("data", NEW_DATA)
@each_dtype
@each_engine
def test_a_trained_network_keeps_its_function(data, dtype, engine):
    trainer = trained(dtype=dtype, engine=engine)
    before = trainer.predict(X)
    trainer.net.standardize(*NEW_DATA[data])
    for predict in (trainer.predict, trainer.net.predict):
        assert_equal_functions(predict(X), before, dtype)
    np.testing.assert_allclose(trainer.net.input_mean, NEW_DATA[data][0].mean(axis=0), rtol=1e-12)
    trainer.fit(X, Y, epochs=3)
    assert not np.array_equal(trainer.predict(X), before)


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((3, 2), {}),
        ((3, 8, 8, 2), {"layer_norm": True}),
        ((3, 8, 8, 2), {"residual": True, "hidden": "gelu"}),
        ((3, 8, 2), {"dropout": 0.1, "l2": 0.01}),
    ],
)
def test_every_kind_of_network_does(sizes, options):
    trainer = trained(sizes, **options)
    before = trainer.predict(X)
    trainer.net.standardize(2 * X + 1, 3 * Y)
    assert_equal_functions(trainer.predict(X), before)


def test_the_first_scaling_of_a_trained_network_keeps_its_function():
    trainer = trained(first=False)
    before = trainer.predict(X)
    trainer.net.standardize(X, Y)
    assert_equal_functions(trainer.predict(X), before)


def test_means_and_variances_keep_their_units():
    net = fastbp.Network([3, 8, 4], "tanh", seed=0, dtype="float64")
    net.standardize(X, Y)
    trainer = fastbp.Trainer(net, loss="gaussian_nll", optimizer=fastbp.Adam(0.01), seed=0)
    trainer.fit(X, Y, epochs=3)
    before = net.predict(X)
    net.standardize(X + 1, 7 * Y)
    assert_equal_functions(net.predict(X), before)


def test_the_average_of_the_parameters_keeps_its_function():
    trainer = trained(ema_decay=0.9)
    before = trainer.predict(X), trainer.predict(X, averaged=True)
    trainer.net.standardize(2 * X + 1, 3 * Y)
    assert_equal_functions(trainer.predict(X), before[0])
    assert_equal_functions(trainer.predict(X, averaged=True), before[1])
    new = fastbp.Trainer(trainer.net, loss="mse", optimizer=fastbp.SGD(0.1), ema_decay=0.9, seed=0)
    trainer.net.standardize(X, Y)
    np.testing.assert_array_equal(new.predict(X, averaged=True), trainer.predict(X))


def test_embedded_models_follow():
    trainer = trained()
    model, out = trainer.compiled(), np.empty((32, 2))
    before = trainer.predict(X[:32])
    trainer.net.standardize(2 * X + 1, 3 * Y)
    fastbp.embed.predict(model, X[:32], out)
    assert_equal_functions(out, before)


def test_loaded_and_copied_networks_keep_their_function(tmp_path):
    trainer = trained()
    before = trainer.predict(X)
    trainer.net.save(tmp_path / "model")
    trainer.save(tmp_path / "checkpoint")
    nets = [
        fastbp.load(tmp_path / "model"),
        fastbp.Trainer.load(tmp_path / "checkpoint").net,
        copy.deepcopy(trainer).net,
        pickle.loads(pickle.dumps(trainer.net)),
    ]
    for net in nets:
        net.standardize(2 * X + 1, 3 * Y)
        assert_equal_functions(net.predict(X), before)


@each_engine
def test_a_new_network_keeps_its_parameters(engine):
    """They are for standardized inputs, whatever the scaling."""
    net = fastbp.Network([3, 16, 2], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), engine=engine)
    before = bits(trainer)
    for _ in range(2):
        net.standardize(X, Y)
        net.standardize(2 * X, Y)
        assert bits(trainer) == before
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        copied.standardize(3 * X, Y)
        np.testing.assert_array_equal(copied.weights[0], net.weights[0])
    own = fastbp.Network([3, 16, 2], seed=0)
    own.set_parameters([2 * w for w in own.weights], own.biases)
    own.standardize(X, Y)
    np.testing.assert_array_equal(own.weights[0], 2 * net.weights[0])


def test_parameters_that_are_brought_back_have_a_function_to_keep():
    """Those of a trained network, and those that were set for a scaling."""
    trainer = trained(first=False)
    new = fastbp.Network([3, 16, 2], "tanh", seed=0, dtype="float64")
    new.standardize(X, Y)
    for net in (trainer.net, new):
        net.set_parameters(trainer.net.weights, trainer.net.biases)
        before = net.predict(X)
        net.standardize(2 * X, 3 * Y)
        assert_equal_functions(net.predict(X), before)


def test_what_is_scaled_as_before_keeps_its_bits():
    trainer = trained()
    before = bits(trainer)
    trainer.net.standardize(X, Y)
    assert bits(trainer) == before


def test_set_scaling_leaves_parameters_alone():
    trainer = trained()
    before = bits(trainer)
    trainer.net.set_scaling(input_scale=3)
    assert bits(trainer) == before


def refused(trainer, message, call):
    before, mean = bits(trainer), trainer.net.input_mean
    with pytest.raises(ValueError, match=message):
        call()
    assert bits(trainer) == before
    np.testing.assert_array_equal(trainer.net.input_mean, mean)


def test_a_function_that_cannot_be_kept_is_refused():
    trainer = trained((3, 3, 2), residual=True)
    net = trainer.net
    refused(
        trainer,
        "trained, and its first layer is residual.*net.set_scaling",
        lambda: net.standardize(2 * X),
    )
    net.standardize(X, 3 * Y)
    net = fastbp.Network([3, 4, 2], output="tanh", seed=0)
    net.standardize(X, Y)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), seed=0)
    trainer.fit(X, Y)
    refused(
        trainer, "trained, and its outputs have an activation", lambda: net.standardize(X, 2 * Y)
    )
    before = net.predict(X)
    net.standardize(2 * X)
    assert_equal_functions(net.predict(X), before, "float32")


def test_parameters_that_would_overflow_are_refused():
    net = fastbp.Network([3, 8, 2], seed=0)
    net.standardize(1e-6 * X, Y)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), seed=0)
    trainer.fit(1e-6 * X, Y)
    refused(trainer, "float32 cannot hold", lambda: net.standardize(1e36 * X))


# One row, and streams


@pytest.mark.parametrize("rows", [X[:1], X[:1].tolist(), np.broadcast_to(X[:1], (1, 3))])
def test_one_row_has_no_deviation(rows):
    net = fastbp.Network([3, 2])
    for call in (net.standardize, lambda rows: net.standardize_batches([rows])):
        with pytest.raises(ValueError, match="X has 1 row, expected at least 2"):
            call(rows)
        assert net.input_mean is None


def in_batches(size=64, y=True):
    return [
        (X[i : i + size], Y[i : i + size]) if y else X[i : i + size] for i in range(0, len(X), size)
    ]


@pytest.mark.parametrize("make", [list, iter, lambda batches: lambda: batches])
@pytest.mark.parametrize("size", [1, 7, 64, 400])
@pytest.mark.parametrize("y", [True, False])
def test_batches_have_the_mean_and_deviation_of_all_rows(make, size, y):
    one, other = (fastbp.Network([3, 2], seed=0) for _ in range(2))
    one.standardize_batches(make(in_batches(size, y)))
    other.standardize(X, Y if y else None)
    for name in ("input_mean", "input_scale", "target_mean", "target_scale"):
        if y or name.startswith("input"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12)
        else:
            assert getattr(one, name) is None


def test_pairs_triples_and_lists_are_batches_as_of_fit_batches():
    for batch in ((X, Y), [X, Y], (X, Y, np.ones(len(X))), [X, Y, None]):
        net = fastbp.Network([3, 2])
        net.standardize_batches([batch])
        assert net.target_mean is not None
    net = fastbp.Network([3, 2])
    net.standardize_batches([X[:2].tolist(), X[2:5].tolist()])
    np.testing.assert_allclose(net.input_mean, X[:5].mean(axis=0))
    assert net.target_mean is None


def test_a_trained_network_keeps_its_function_by_a_stream():
    trainer = trained()
    before = trainer.predict(X)
    trainer.net.standardize_batches((2 * x, 3 * y) for x, y in in_batches())
    assert_equal_functions(trainer.predict(X), before)


BAD = X.copy()
BAD[70, 1] = np.nan


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        ([], ValueError, "batches had no batch"),
        (5, TypeError, "batches is a int, expected an iterable of X or of"),
        (lambda: None, TypeError, "batches is a NoneType"),
        ([X, X[:, :2]], ValueError, r"batches\[1\] has shape \(400, 2\), expected \(n, 3\)"),
        ([X[:64], BAD[64:]], ValueError, r"batches\[1\] has nan at row 6, column 1"),
        ([(X, Y), X], ValueError, r"batches\[1\] comes with no y, unlike those before"),
        ([X, (X, Y)], ValueError, r"batches\[1\]\[0\] comes with y, unlike those before"),
        ([(X, Y[:9])], ValueError, r"batches\[0\]\[1\] has shape \(9, 2\), expected \(400, 2\)"),
        ([(X, Y > 0), (X, Y[:, 0])], ValueError, r"batches\[1\].*class labels are none: leave y"),
        ([X, None], (ValueError, TypeError), r"batches\[1\]"),
    ],
)
def test_batches_that_do_not_fit_are_refused(batches, error, message):
    net = fastbp.Network([3, 2])
    with pytest.raises(error, match=message):
        net.standardize_batches(batches)
    assert net.input_mean is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_scaling_that_rounding_would_ruin_is_refused(dtype):
    """The numbers that would add up to a unit's input are a billion times as large as it is."""
    trainer = trained(dtype=dtype)
    far = 1e9 * X if dtype == "float32" else 1e20 * X
    before = trainer.net.predict(X)
    with pytest.raises(ValueError, match=f"so far from the present ones that {dtype} cannot hold"):
        trainer.net.standardize(far)
    assert np.array_equal(trainer.net.predict(X), before)
