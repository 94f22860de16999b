"""Tables that are odd, through the whole command: each works, or is refused with a sentence."""

import csv
import io
import json
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from fastbp import tabular
from support import command

FAST = ("--epochs", "4", "--set", "ensemble=1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def through_all(capsys, names, body, *arguments, target="y"):
    """Train, predict and evaluate; returns (what training said, the predictions, the metrics)."""
    command.write(Path("odd.csv"), command.text(names, body))
    said = command.run(capsys, "train", "odd.csv", f"--target={target}", *FAST, *arguments)
    assert said.code == 0, said.err
    found = command.run(capsys, "predict", "odd.safetensors", "odd.csv")
    assert found.code == 0, found.err
    rows = list(csv.reader(io.StringIO(found.out)))
    assert len(rows) == 1 + len(body)
    judged = command.run(capsys, "evaluate", "odd.safetensors", "odd.csv", "--json")
    assert judged.code == 0, judged.err
    return said.err, rows, json.loads(judged.out)["metrics"]


@pytest.mark.usefixtures("folder")
def test_a_thousand_columns(capsys):
    names = [*(f"x{i}" for i in range(1000)), "y"]
    body = [[*((i * j) % 7 for j in range(1000)), i % 2] for i in range(60)]
    err, _, metrics = through_all(capsys, names, body)
    assert "columns: " in err
    assert metrics["accuracy"] > 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("y", ["a", "2.5", "2"])
def test_one_row_is_refused_to_train(y, capsys):
    command.write(Path("odd.csv"), f"x,y\n1,{y}\n")
    err = command.refused(capsys, "train", "odd.csv", "--target", "y")
    assert "in 1 row, and no other: there is nothing to learn" in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("y", [("a", "b"), (1.5, 2.5)])
def test_two_rows_and_one_to_predict(y, capsys):
    through_all(capsys, ["x", "y"], [[1, y[0]], [2, y[1]]])
    command.write(Path("one.csv"), "x\n1\n")
    assert command.run(capsys, "predict", "odd.safetensors", "one.csv").code == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("names", [["--epochs", "-o", "y"], ["--help", "--json", "y"]])
def test_columns_named_like_options(names, capsys):
    body = [[i % 5, i % 3, "ab"[i % 2]] for i in range(60)]
    through_all(capsys, names, body)
    through_all(capsys, [names[0], "y", names[1]], body, target=names[1])
    said = command.run(capsys, "predict", "odd.safetensors", "odd.csv", f"--keep={names[0]}")
    assert said.out.splitlines()[0].startswith(f"{names[0]},prediction")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("nothing", ["NaN", "", "NA", "null"])
def test_targets_that_are_missing(nothing, capsys):
    body = [[i % 7, nothing if i % 4 == 0 else i % 7 + 0.5] for i in range(120)]
    err, _, metrics = through_all(capsys, ["x", "y"], body)
    assert "30 rows without a target left out" in err
    assert metrics["rmse"] > 0
    assert tabular.load("odd.safetensors").record_["rows"] == 90


@pytest.mark.usefixtures("folder")
def test_names_that_occur_twice(capsys):
    body = [[i % 7, i % 5, "ab"[i % 2]] for i in range(60)]
    through_all(capsys, ["x", "z", "y"], body)
    command.write(Path("twice.csv"), command.text(["x", "x", "y"], body))
    for arguments in (["train", "--target=y"], ["predict", "odd.safetensors"]):
        err = command.refused(capsys, *arguments, "twice.csv")
        assert "twice.csv has columns of the same name, 'x': rename them" in err


@pytest.mark.usefixtures("folder")
def test_types_that_are_mixed_in_a_column(capsys):
    mixed = ("a", 1, 2.5, "2024-01-01", "true", "")
    body = [[mixed[i % 6], i % 7, "ab"[i % 2]] for i in range(120)]
    err, _, _ = through_all(capsys, ["m", "x", "y"], body)
    assert "m: category, 5 levels, 20 values missing" in err


DATES = ("2024-{m:02d}-{d:02d}", "{d:02d}.{m:02d}.2024", "{m:02d}/{d:02d}/2024")


@pytest.mark.usefixtures("folder")
def test_dates_in_three_forms(capsys):
    body = [
        [*(form.format(m=1 + i % 12, d=1 + i % 28) for form in DATES), i % 12 + 0.5]
        for i in range(168)
    ]
    err, rows, metrics = through_all(capsys, ["a", "b", "c", "y"], body, "--epochs", "40")
    for name in "abc":
        assert f"{name}: date" in err
    assert metrics["rmse"] < 3.5  # the deviation of y is 3.45
    # In one column, the forms are text.
    mixed = [[DATES[i % 3].format(m=1 + i % 12, d=1), i % 7, i % 2] for i in range(120)]
    err, rows, _ = through_all(capsys, ["a", "x", "y"], mixed)
    assert "a: category" in err
    assert rows[0][0] == "prediction"
