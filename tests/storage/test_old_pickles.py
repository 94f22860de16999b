"""Pickles that version 0.1.0 wrote load, and go on as they did there (fastbp/moved.py).

All were made under 256-bit vectors with fused multiply-add; other widths add up in another order.
"""

import json
import pickle
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import moved, schedules
from support import processes
from support.internals import core

FOLDER = Path(__file__).parents[1] / "data" / "pickles_0_1_0"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="ascii"))
X, Y = np.array(EXPECTED["X"], np.float32), np.array(EXPECTED["y"])

# 5 products a sum at most, in two hidden layers and one of outputs, each element below 4.
TOLERANCE = 100 * np.finfo(np.float32).eps


def loaded(name):
    return pickle.loads((FOLDER / f"{name}.pkl").read_bytes())


def test_a_network_predicts_what_it_did():
    expected = np.array(EXPECTED["outputs"])
    np.testing.assert_allclose(loaded("network").predict(X), expected, rtol=0, atol=TOLERANCE)


def test_a_trainer_goes_on_as_it_did():
    trainer = loaded("trainer")
    # The version of the file divided by the sum of a batch's weights, and step divides by its rows.
    weights = np.full(len(Y), 1 / core(trainer).class_weights[Y].mean())
    found = [trainer.step(X, Y, weights) for _ in EXPECTED["losses"]]
    # The file has the moments: an update depends smoothly on the gradient, and so on rounding.
    np.testing.assert_allclose(found, EXPECTED["losses"], rtol=10 * TOLERANCE)
    assert isinstance(trainer, fastbp.Trainer)
    assert len(trainer.history["loss"]) == 2


@pytest.mark.parametrize("name", ["trainer_plain", "trainer_lbfgs"])
def test_other_trainers_fit(name):
    trainer = loaded(name)
    assert np.isfinite(trainer.fit(X, X[:, :1], epochs=2)["loss"]).all()


def test_specifications_are_what_they_were():
    assert loaded("specs") == [
        fastbp.SGD(0.1),
        fastbp.Adam(),
        fastbp.AdamW(),
        fastbp.RMSprop(),
        fastbp.Adagrad(),
        fastbp.NAdam(),
        fastbp.LBFGS(),
        fastbp.Huber(0.5),
        fastbp.Quantile(0.2),
        schedules.Cosine(10),
        schedules.OneCycle(10, 0.5),
    ]


def test_history_and_callbacks():
    assert type(loaded("history")) is fastbp.History
    kinds = ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau", "CSVLogger", "TimeLimit"]
    assert [type(callback) for callback in loaded("callbacks")] == [
        getattr(fastbp, kind) for kind in kinds
    ]


@pytest.mark.parametrize(("then", "now"), moved.MOVED.items())
def test_a_moved_module_is_the_same_module(then, now):
    if then == "torch_modules":
        pytest.importorskip("torch")
    module = import_module(f"fastbp.{now}")
    assert import_module(f"fastbp.{then}") is module
    assert module.__spec__.name == module.__name__ == f"fastbp.{now}"


def test_a_moved_module_is_an_attribute():
    program = "import fastbp; print(fastbp.losses.__name__, fastbp.lr_finder.__name__)"
    found = processes.run(program)
    assert found.split() == ["fastbp.components.losses", "fastbp.training.lr_finder"]
    assert not hasattr(fastbp, "nothing")


def test_other_names_are_not_found():
    with pytest.raises(ModuleNotFoundError):
        import_module("fastbp.nothing")
