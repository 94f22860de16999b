"""What callbacks and History may hold, and what comes back of it."""

import numpy as np
import pytest

import fastbp
from fastbp.storage import tree_codec
from support.resumed_fits import fit_with, new_trainer


def round_trip(tree):
    tensors = {}
    packed = tree_codec.pack(tree, "tree", tensors)
    back = tree_codec.unpack(packed, tensors)
    assert not tensors
    return back


def test_keys_with_dots():
    back = round_trip({"a.b": np.zeros(2), "a": {"b": np.ones(2), "b'": np.full(2, 2.0)}})
    found = [back["a.b"][0], back["a"]["b"][0], back["a"]["b'"][0]]
    assert found == [0.0, 1.0, 2.0]


def test_arrays_without_dimension_are_numbers():
    back = round_trip({"n": np.array(2**60 + 1), "x": np.float64(0.1), "inf": -np.inf})
    assert back == {"n": 2**60 + 1, "x": 0.1, "inf": -np.inf}
    assert type(back["n"]) is int


@pytest.mark.parametrize("tree", [{1: 2.0}, {"$tensor": "x"}, {"a": {"$tensor": 1}}, {None: 1}])
def test_keys_that_would_not_come_back(tree):
    with pytest.raises(TypeError, match=r"tree.* has the key .*expected strings"):
        tree_codec.pack(tree, "tree", {})


@pytest.mark.parametrize("array", [np.ones(2, bool), np.ones(2, "int32"), np.array(["a"])])
def test_arrays_that_are_not_written_are_named(array):
    with pytest.raises(TypeError, match=r"tree\.a\.0 cannot be written: a tensor has dtype"):
        tree_codec.pack({"a": [array]}, "tree", {})


def test_history_with_columns_of_any_length(tmp_path):
    """A callback may add one later, or an entry for each update."""
    path = tmp_path / "run.safetensors"

    def later(state):
        if state.epoch > 1:
            state.history.setdefault("later", []).append(2)

    called = [fastbp.ModelCheckpoint(path), fastbp.LambdaCallback(on_epoch_end=later)]
    history = fit_with(new_trainer(), called, epochs=3)
    assert fastbp.Trainer.load(path).history == history
    assert history["later"] == [2, 2]
    resumed = fit_with(new_trainer(), called, epochs=4, resume=path)
    assert resumed["later"] == [2, 2, 2]


def test_history_with_a_key_that_is_no_text(tmp_path):
    trainer = new_trainer()
    fit_with(trainer, [], epochs=1)
    trainer.history[1] = [0.0]
    with pytest.raises(TypeError, match=r"history.columns has the key 1, expected strings"):
        trainer.save(tmp_path / "x")
