"""The examples of the README do what it says."""

import re
from pathlib import Path

import numpy as np

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def run(section):
    """The names that the first Python example of a section leaves."""
    _, _, text = README.partition(f"## {section}\n")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(block[1], names)
    return names


def test_the_first_example_learns():
    names = run("An example")
    assert len(names["history"]["loss"]) == 20
    assert names["history"]["val_accuracy"][-1] > 0.9


def test_the_example_of_stopping_stops():
    names = run("Watching, judging and stopping")
    history, stopping = names["history"], names["stopping"]
    assert len(history["loss"]) == stopping.best_epoch + 5 < 100
    assert stopping.best == min(history["val_brier"])


def test_the_loop_in_njit_code_learns():
    names = run("Inside your own `@njit` code")
    assert 0 < names["late"] < names["early"] / 10


def test_the_example_of_model_files_loads_what_it_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("Model files")
    X = np.random.default_rng(0).normal(size=(5, 20))
    assert np.array_equal(names["same"].predict(X), names["net"].predict(X))
    assert (tmp_path / "model.safetensors").exists()


def test_the_long_run_is_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = run("Long runs")
    again = run("Long runs")  # from the file, which is of the end
    assert again["history"] == whole["history"]
    weights = (names["trainer"].net.weights[0] for names in (whole, again))
    assert np.array_equal(*weights)
