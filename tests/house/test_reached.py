"""The section of bench/README.md on accuracies, from the JSON of the two commands that measure."""

import json
import math

import mnist_data
import numpy as np
import pytest

from bench import reached, recipe, table, tabular

RUN = {"accuracy": 0.987, "epochs": 20, "seconds": 15.0, "seconds to 98%": 6.0}
RECIPE = {
    "sizes": [784, 512, 512, 10],
    "runs": {
        "fastbp": [RUN, RUN | {"accuracy": 0.9855, "epochs": 18}],
        "torch": [RUN | {"seconds": 30.0, "seconds to 98%": 12.0}],
    },
    "seconds": {"fastbp": [0.5, 1.0, 0.6], "torch": [1.0, 1.0, 1.8]},
    "machine": {"cpu": "some", "threads": 2},
}
FLIGHTS = {
    "sizes": [146, 128, 64, 1],
    "seconds": {"fastbp": [2.0, 2.0, 4.0], "scikit-learn": [8.0, 10.0, 24.0]},
    "scores": {
        "fastbp": [{"accuracy": 0.91, "AUC": 0.92}, {"accuracy": 0.93, "AUC": 0.94}],
        "scikit-learn": [{"accuracy": 0.9, "AUC": 0.9}, {"accuracy": 0.9, "AUC": 0.9}],
    },
}
TABULAR = {"problems": {"flights": FLIGHTS}}


def encoded(rows):
    head, *rest = rows
    return [dict(zip(head, row, strict=True)) for row in rest]


def test_a_line_for_each_side_of_the_recipe():
    ours, theirs = encoded(reached.recipe_rows(RECIPE))
    assert ours["test accuracy, %"] == "98.70, 98.55"
    assert ours["epochs"] == "20, 18"
    assert theirs["s to 98%"] == "12.0"
    assert (ours["s an epoch"], theirs["s an epoch"]) == ("0.60", "1.00")
    assert (ours["ratio"], theirs["ratio"]) == ("", "2.00x")  # of 2, 1 and 3


def test_a_line_for_each_score_of_a_table():
    first, second = encoded(reached.tabular_rows(TABULAR))
    assert first["network"] == "146-128-64-1"
    assert first["fastbp"] == "0.9200 (0.9100 to 0.9300)"
    assert second["fastbp"] == "0.9300 (0.9200 to 0.9400)"
    assert first["ratio"] == "5.0x"
    assert second["ratio"] == ""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files of its own for the module."""
    monkeypatch.setattr(reached, "HERE", tmp_path)
    monkeypatch.setattr(table, "PAGE", tmp_path / "README.md")
    begin, end = table.markers(table.REACHED)
    (tmp_path / "README.md").write_text(f"before\n{begin}\n{end}\nafter\n", encoding="utf-8")
    return tmp_path


def test_nothing_is_shown_before_it_is_measured(folder):
    assert reached.page() == ""
    (folder / "recipe.json").write_text(json.dumps(RECIPE), encoding="utf-8")
    assert "784-512-512-10" in reached.page()
    assert "flights" not in reached.page()


def test_what_is_kept_is_shown_beside_the_other_finding(folder, capsys):
    (folder / "recipe.json").write_text(json.dumps(RECIPE), encoding="utf-8")
    reached.keep("tabular", TABULAR, 3)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "| flights | 146-128-64-1 | accuracy |" in text
    assert "784-512-512-10" in text
    assert ", 3 threads)" in text
    assert "146-128-64-1" in capsys.readouterr().out


def test_a_goal_that_was_not_reached(folder):
    runs = {"fastbp": [RUN | {"seconds to 98%": math.nan}]}
    found = RECIPE | {"runs": runs}
    (folder / "recipe.json").write_text(json.dumps(found), encoding="utf-8")
    assert encoded(reached.recipe_rows(reached.load("recipe")))[0]["s to 98%"] == "nan"


@pytest.mark.parametrize(("goal", "seconds"), [(0.97, 1.0), (0.98, 3.0), (0.985, math.nan)])
def test_seconds_to_the_first_accuracy_that_is_good_enough(goal, seconds):
    marks = [(1.0, 0.97), (2.0, 0.96), (3.0, 0.98), (4.0, 0.97)]
    assert recipe.first_reached(marks, goal) == pytest.approx(seconds, nan_ok=True)


def test_the_last_batch_counts_as_an_update():
    assert recipe.updates_of(recipe.BATCH + 1) == 2 * recipe.EPOCHS


def test_images_held_out_are_the_last_to_train_on(monkeypatch):
    monkeypatch.setattr(recipe, "HELD_OUT", 3)
    data = mnist_data.synthetic(n_train=10, n_test=2)
    images = recipe.images_of(data)
    assert [len(y) for _, y in images] == [7, 3, 2]
    np.testing.assert_array_equal(images.held_out[1], data.train_labels[7:])
    assert images.train[0].dtype == np.float32
    assert 0 <= images.train[0].min() < images.train[0].max() <= 1


def test_other_images_are_refused(monkeypatch):
    monkeypatch.setattr(mnist_data, "load", lambda: mnist_data.synthetic(n_train=10, n_test=2))
    monkeypatch.setattr(recipe.environment, "run_in", lambda *_: None)
    with pytest.raises(SystemExit, match="for MNIST alone"):
        recipe.main([])


@pytest.mark.parametrize("name", tabular.PROBLEMS)
def test_scores_of_right_answers_are_the_best(name):
    pytest.importorskip("sklearn")
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    right, wrong = (tabular.scores(tabular.PROBLEMS[name], p, y) for p in (y, 1 - y))
    assert all(value == 1 for value in right.values())
    assert all(wrong[key] < 1 for key in right)
