"""An ensemble averages its networks, tells how far they disagree, and lives in one file."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from numba import njit

import fastbp
from fastbp.data import sources
from fastbp.storage import model_file

ROWS = np.random.default_rng(0).normal(2, 3, (37, 5))
COUNT = 4


@njit
def bent(z):
    return z + 0.1 * z * z, 1 + 0.2 * z


def networks(count=COUNT, output="identity", dtype="float32", outputs=3, **kinds):
    return [
        fastbp.Network(
            [5, 8 + seed, 8 + seed, outputs], "tanh", output, seed=seed, dtype=dtype, **kinds
        )
        for seed in range(count)
    ]


def trainer_of(net):
    return fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1))


def outputs_of(nets, X):
    return np.array([net.predict(X) for net in nets], "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", ["identity", "softmax", "sigmoid"])
def test_the_mean_and_the_deviation_are_those_of_the_networks(dtype, output):
    nets = networks(output=output, dtype=dtype)
    mean, std = fastbp.Ensemble(nets).predict(ROWS, return_std=True)
    by_hand = outputs_of(nets, ROWS)
    assert mean.dtype == std.dtype == dtype
    # Each of the COUNT - 1 steps of the mean rounds three times, each of the squares five times;
    # a square root halves an error.
    bound = 5 * COUNT * np.finfo(dtype).eps * np.abs(by_hand).max()
    np.testing.assert_allclose(mean, by_hand.mean(0), rtol=0, atol=bound)
    np.testing.assert_allclose(std, by_hand.std(0), rtol=0, atol=bound * 2)


def test_the_mean_does_not_depend_on_the_deviation():
    ensemble = fastbp.Ensemble(networks())
    assert np.array_equal(ensemble.predict(ROWS), ensemble.predict(ROWS, return_std=True)[0])


def test_equal_networks_predict_the_bits_of_one_and_do_not_disagree():
    nets = [fastbp.Network([5, 8, 3], seed=1) for _ in range(3)]
    mean, std = fastbp.Ensemble(nets).predict(ROWS, return_std=True)
    assert np.array_equal(mean, nets[0].predict(ROWS))
    assert not std.any()


def test_out_is_filled_and_returned():
    ensemble, out = fastbp.Ensemble(networks()), np.zeros((37, 3), "float32")
    assert ensemble.predict(ROWS, out) is out
    assert np.array_equal(out, ensemble.predict(ROWS))


def test_classes_are_those_of_the_mean():
    ensemble = fastbp.Ensemble(networks(output="softmax"))
    assert np.array_equal(ensemble.predict_classes(ROWS), ensemble.predict(ROWS).argmax(1))
    single = fastbp.Ensemble(networks(output="sigmoid", outputs=1))
    by_hand = single.predict(ROWS)[:, 0] >= 0.4
    assert np.array_equal(single.predict_classes(ROWS, threshold=0.4), by_hand)


def test_it_follows_its_networks():
    nets = networks()
    ensemble = fastbp.Ensemble(iter(nets))
    assert (len(ensemble), list(ensemble), ensemble[-1]) == (COUNT, nets, nets[-1])
    assert ensemble.n_parameters == sum(net.n_parameters for net in nets)
    before = ensemble.predict(ROWS)
    trainer_of(nets[0]).step(ROWS[:8], np.ones((8, 3)))
    assert not np.array_equal(ensemble.predict(ROWS), before)


def test_files_are_read_a_part_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "PART_BYTES", 1)
    rows = np.random.default_rng(1).normal(size=(3 * sources.FEWEST_ROWS, 5))
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        stored = file.create_dataset("X", data=rows)
        ensemble = fastbp.Ensemble(networks())
        expected = ensemble.predict(rows, return_std=True)
        assert np.array_equal(ensemble.predict(stored, return_std=True), expected)


def test_columns_have_the_names_that_the_networks_learned_from():
    frame = pd.DataFrame(ROWS, columns=list("abcde"))
    nets = networks()
    for net in nets[1:]:
        trainer_of(net).fit(frame, np.ones((37, 3)), epochs=1)
    ensemble = fastbp.Ensemble(nets)
    assert ensemble.feature_names_in == tuple("abcde")
    ensemble.predict(frame)
    with pytest.raises(ValueError, match="column"):
        ensemble.predict(frame[list("edcba")])
    other = networks(1)[0]
    trainer_of(other).fit(frame[list("edcba")], np.ones((37, 3)), epochs=1)
    with pytest.raises(ValueError, match=r"nets\[4\] learned from the columns .* nets\[1\]"):
        fastbp.Ensemble([*nets, other])


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ([], ValueError, "nets is empty"),
        (fastbp.Network([5, 3]), TypeError, "nets is a Network, expected a list"),
        (7, TypeError, "nets is a int"),
        ([fastbp.Network([5, 3]), 7], TypeError, r"nets\[1\] is a int, expected a Network"),
        ([fastbp.Network([5, 3]), fastbp.Network([4, 3])], ValueError, "has inputs 4"),
        ([fastbp.Network([5, 3]), fastbp.Network([5, 2])], ValueError, "has outputs 2"),
        (
            [fastbp.Network([5, 3]), fastbp.Network([5, 3], output="softmax")],
            ValueError,
            "the output activation softmax",
        ),
        (
            [fastbp.Network([5, 3]), fastbp.Network([5, 3], dtype="float64")],
            ValueError,
            "dtype float64",
        ),
    ],
    ids=["none", "one", "number", "member", "inputs", "outputs", "activation", "dtype"],
)
def test_networks_that_cannot_be_averaged_are_refused(given, error, match):
    with pytest.raises(error, match=match):
        fastbp.Ensemble(given)


def test_bad_rows_are_refused_as_by_a_network():
    ensemble = fastbp.Ensemble(networks())
    with pytest.raises(ValueError, match=r"X has shape \(37, 4\)"):
        ensemble.predict(ROWS[:, :4])
    spoiled = ROWS.copy()
    spoiled[30, 2] = np.nan
    with pytest.raises(ValueError, match="row 30"):
        ensemble.predict(spoiled)
    with pytest.raises(TypeError, match="return_std is 1"):
        ensemble.predict(ROWS, return_std=1)


def test_attributes_that_would_change_nothing_are_refused():
    with pytest.raises(AttributeError, match="make a new Ensemble"):
        fastbp.Ensemble(networks()).nets = []


# Files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ensemble.safetensors"


@pytest.mark.parametrize(
    "kinds", [{}, {"layer_norm": True, "residual": True}], ids=["plain", "all"]
)
def test_a_file_gives_the_same_ensemble(path, kinds):
    nets = networks(**kinds)
    nets[1].standardize(ROWS, np.random.default_rng(1).normal(4, 2, (37, 3)))
    ensemble = fastbp.Ensemble(nets)
    ensemble.save(path)
    loaded = fastbp.Ensemble.load(path)
    assert all(one.allclose(other, 0, 0) for one, other in zip(loaded, nets, strict=True))
    expected = ensemble.predict(ROWS, return_std=True)
    assert np.array_equal(loaded.predict(ROWS, return_std=True), expected)


def test_functions_of_the_users_own_are_given_when_loading(path):
    nets = [fastbp.Network([5, 8, 3], bent, seed=seed) for seed in range(2)]
    fastbp.Ensemble(nets).save(path)
    with pytest.raises(ValueError, match="activations of its author's own"):
        fastbp.Ensemble.load(path)
    with pytest.raises(TypeError, match="functions is a list"):
        fastbp.Ensemble.load(path, functions=[bent])
    loaded = fastbp.Ensemble.load(path, functions={"bent": bent})
    assert np.array_equal(loaded.predict(ROWS), fastbp.Ensemble(nets).predict(ROWS))


def test_a_file_of_another_kind_says_how_to_load_it(path):
    fastbp.Ensemble(networks()).save(path)
    with pytest.raises(ValueError, match=r"'ensemble', .* load it with fastbp\.Ensemble\.load"):
        fastbp.load(path)
    networks()[0].save(path)
    with pytest.raises(ValueError, match=r"'model', .* load it with fastbp\.load"):
        fastbp.Ensemble.load(path)


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([], "'members' is"),
        ({}, "nets is empty"),
        ({"1": {}}, "'0' is missing"),
        ({"0": []}, "'0' is"),
        ({"0": {}}, "its network has"),
    ],
    ids=["list", "none", "number", "kind", "keys"],
)
def test_wrong_content_is_refused(path, members, match):
    model_file.write(path, "ensemble", {"members": members}, {})
    with pytest.raises(ValueError, match=match):
        fastbp.Ensemble.load(path)


def test_tensors_of_no_network_are_refused(path):
    nets = networks(2)
    fastbp.Ensemble(nets).save(path)
    meta, tensors = model_file.read(path, "ensemble")
    del meta["members"]["1"]
    assert json.dumps(meta)
    model_file.write(path, "ensemble", meta, tensors)
    with pytest.raises(ValueError, match=r"tensor 'members\.1\..*' is not used"):
        fastbp.Ensemble.load(path)
