"""Checkpoints that version 0.1.0 wrote load, and their fits are resumed as they were there.

They were made under 256-bit vectors with fused multiply-add; other widths add in another order.
"""

import json
from pathlib import Path

import numpy as np

import fastbp

FOLDER = Path(__file__).parents[1] / "data" / "checkpoints_0_1_0"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="ascii"))
X, Y = np.array(EXPECTED["X"], np.float32), np.array(EXPECTED["y"])

# Twelve updates, of sums of at most 5 rows; each update depends smoothly on the gradient.
TOLERANCE = 1000 * np.finfo(np.float32).eps


def test_a_fit_is_resumed_as_it_was(tmp_path):
    """It was interrupted in the second epoch of four, with each option that a trainer has."""
    trainer = fastbp.Trainer.load(FOLDER / "fit.safetensors")
    history = trainer.fit(
        X,
        Y,
        epochs=4,
        validation_fraction=0.25,
        callbacks=[fastbp.ModelCheckpoint(tmp_path / "end", every_updates=6)],
        resume=FOLDER / "fit.safetensors",
    )
    assert history.keys() == EXPECTED["history"].keys() | {"samples_per_second"}
    for key, values in EXPECTED["history"].items():
        np.testing.assert_allclose(history[key], values, rtol=TOLERANCE, err_msg=key)
    found = trainer.predict(X, averaged=True)
    np.testing.assert_allclose(found, EXPECTED["averaged"], rtol=0, atol=TOLERANCE)


def test_a_trainer_without_updates_loads():
    trainer = fastbp.Trainer.load(FOLDER / "lbfgs.safetensors")
    assert trainer.optimizer == fastbp.LBFGS(history=4)
    before = trainer.history["loss"][-1]
    assert trainer.fit(X, X[:, :1], epochs=2)["loss"][-1] < before
