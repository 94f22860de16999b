"""Checkpoints made to mislead, with a checksum that is right: refused, and nothing done."""

import numpy as np
import pytest

import fastbp
from fastbp.storage import model_file
from support.internals import core
from support.resumed_fits import fit_with, new_trainer
from support.trainers import training_state

NAME = "run.safetensors"
COUNT = 200
"""Changes of the JSON."""


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """(meta, tensors) of a file."""
    path = tmp_path_factory.mktemp("written") / NAME
    fit_with(
        new_trainer(), [fastbp.EarlyStopping(), fastbp.ModelCheckpoint(path, keep=2)], epochs=2
    )
    return model_file.read(path, "checkpoint")


def resume(content, change, folder):
    """A fit that goes on from what ``change`` makes of the file."""
    meta, tensors = content
    meta, tensors = (
        fastbp.storage.safetensors_format.parse(
            fastbp.storage.safetensors_format.canonical(meta).encode()
        ),
        tensors | {},
    )
    change(meta, tensors)
    path = folder / NAME
    model_file.write(path, "checkpoint", meta, tensors)
    called = [fastbp.EarlyStopping(), fastbp.ModelCheckpoint(path, keep=2)]
    return lambda trainer: fit_with(trainer, called, epochs=4, resume=path)


def position(**fields):
    return lambda meta, _: meta["fit"]["position"].update(fields)


def fit_part(**fields):
    return lambda meta, _: meta["fit"].update(fields)


def called(**fields):
    return lambda meta, _: meta["fit"]["callbacks"].update(fields)


def tensor(name, change):
    def changed(_, tensors):
        tensors[name] = change(tensors[name])

    return changed


def nan(array):
    """A single one, in the last place."""
    spoiled = array.copy()
    spoiled.flat[-1] = np.nan
    return spoiled


def ended(loss, seconds):
    """The last epoch has just ended, with this loss and after so many seconds."""

    def change(meta, tensors):
        meta["fit"]["position"] |= {"ended_seconds": seconds}
        tensors["fit.position.ended"] = np.array([loss])
        for name in tensors:
            if name.startswith("history"):
                tensors[name] = tensors[name][:1]

    return change


def states(value):
    """Of callbacks, without the tensors of those that there were."""

    def change(meta, tensors):
        meta["fit"]["callbacks"]["states"] = value
        for name in [name for name in tensors if ".states." in name]:
            del tensors[name]

    return change


def nested(meta, _):
    tower = []
    for _ in range(900):
        tower = [tower]
    meta["fit"]["asked"]["X"] = tower


LIES = {
    "moments of nan": tensor("learned.moments.0.0.0", nan),
    "class weights of nan": tensor("learned.class_weights", nan),
    "class weights below 0": tensor("learned.class_weights", np.negative),
    "losses of nan": ended(np.nan, 1.0),
    "epochs in no time": ended(1.0, 0.0),
    "time below 0": position(seconds=-1.0),
    "weight below 0": position(weight=-1.0),
    "a mean weight of 0": fit_part(mean_weight=0.0),
    "a mean weight of text": fit_part(mean_weight="1"),
    "a row below 0": position(row=-16),
    "a row inside a batch": position(row=3),
    "a row of text": position(row="0"),
    "epochs below 0": position(epochs=-1),
    "another event": called(event="save"),
    "an event that is a list": called(event=[]),
    "told less than none": called(told=-1),
    "told so much": called(told=1.5),
    "too few states": states([]),
    "states of text": states(["", ""]),
    "lists too deep": nested,
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_file_that_lies_is_refused(lie, content, tmp_path):
    trainer = new_trainer()
    before = training_state(trainer)
    with pytest.raises(ValueError, match=r"run\.safetensors' cannot be loaded: "):
        resume(content, lie, tmp_path)(trainer)
    assert training_state(trainer) == before


@pytest.mark.parametrize("kept", [["letter"], [".."], [-1], [2**70], "letter", [True]])
def test_a_file_names_no_other_file(kept, content, tmp_path):
    """Those that ModelCheckpoint kept it will remove."""
    (tmp_path / "letter").touch()
    go_on = resume(
        content, lambda meta, _: meta["fit"]["callbacks"]["states"][1].update(kept=kept), tmp_path
    )
    with pytest.raises(ValueError, match=r"'kept' is .*which it cannot be"):
        go_on(new_trainer())
    assert (tmp_path / "letter").exists()


@pytest.mark.parametrize("key", ["best", "best_epoch", "parameters"])
def test_a_state_of_another_type(key, content, tmp_path):
    go_on = resume(
        content, lambda meta, _: meta["fit"]["callbacks"]["states"][0].update({key: {}}), tmp_path
    )
    with pytest.raises(ValueError, match=r"which it cannot be|is not used"):
        go_on(new_trainer())


def test_moments_that_are_infinite_are_honest(tmp_path):
    """Adam's second moment overflows for gradients beyond 1e19."""
    trainer = new_trainer()
    core(trainer).arrays.moments[1][0] = np.inf
    trainer.save(tmp_path / NAME)
    assert np.isinf(core(fastbp.Trainer.load(tmp_path / NAME)).arrays.moments[1][0])


VALUES = [None, True, -1, 0, 2**62, 10**300, 1e308, -0.5, "", "$tensor", [], [[]], {}]
VALUES += [{"$tensor": name} for name in (1, "learned.lr", "history.columns.loss")]


def change_something(rng, tree):
    """One value anywhere in it."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    key = keys[rng.integers(len(keys))]
    if isinstance(tree[key], dict | list) and tree[key] and rng.random() < 0.9:
        change_something(rng, tree[key])
    else:
        tree[key] = VALUES[rng.integers(len(VALUES))]


def come_to_something(load):
    """It loads and trains, if to where the loss is not finite, or an error says what is wrong."""
    message = "cannot be loaded"
    try:
        load(new_trainer())
    except FloatingPointError:
        pass
    except ValueError as error:
        message = str(error)
    assert "cannot be loaded" in message or "which it cannot be" in message


def test_every_part_of_the_tree_by_every_other_type(content, tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / NAME
    for _ in range(COUNT):
        go_on = resume(content, lambda meta, _: change_something(rng, meta), tmp_path)
        come_to_something(lambda _: fastbp.Trainer.load(path))
        come_to_something(go_on)
