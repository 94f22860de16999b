"""``fastbp evaluate``: the metrics are scikit-learn's, on rows read in parts."""

import json

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.csv
from sklearn import metrics

from fastbp import tabular
from fastbp.command import reading, scores
from fastbp.command.errors import DataError
from support import command


@pytest.fixture
def models(folder_of_models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return folder_of_models


def evaluated(capsys, *arguments):
    said = command.run(capsys, "evaluate", *arguments, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out), said.err


def test_metrics_of_a_classifier(models, capsys, monkeypatch):
    monkeypatch.setattr(reading, "ROWS", 64)
    found, _ = evaluated(capsys, models / "colour.safetensors", models / "table.csv")
    table = pyarrow.csv.read_csv(models / "table.csv")
    p = tabular.load(models / "colour.safetensors").predict_proba(table)
    y = np.array(table.column("colour").to_pylist()) == "red"
    expected = {
        "accuracy": metrics.accuracy_score(y, p[:, 1] > 0.5),
        "log_loss": metrics.log_loss(y, p[:, 1].astype(float)),
        "roc_auc": metrics.roc_auc_score(y, p[:, 1]),
        "f1_macro": metrics.f1_score(y, p[:, 1] > 0.5, average="macro"),
    }
    assert found["rows"] == 300
    assert found["metrics"] == pytest.approx(expected, rel=1e-5)


def test_metrics_of_a_regressor(models, capsys):
    found, _ = evaluated(capsys, models / "price.safetensors", models / "table.csv")
    table = pyarrow.csv.read_csv(models / "table.csv")
    p = tabular.load(models / "price.safetensors").predict(table)
    y = table.column("price").to_numpy()
    expected = {
        "rmse": metrics.root_mean_squared_error(y, p),
        "mae": metrics.mean_absolute_error(y, p),
        "r2": metrics.r2_score(y, p),
    }
    assert found["metrics"] == pytest.approx(expected, rel=1e-9)


def test_lines_for_a_reader(models, capsys):
    said = command.run(capsys, "evaluate", models / "colour.safetensors", models / "table.csv")
    assert [line.split("  ")[0] for line in said.out.splitlines()] == list(scores.NAMES.values())[
        :4
    ]


def test_weights_and_a_target_of_another_name(models, tmp_path, capsys):
    names = [*command.COLUMNS[:4], "truth", "price", "w"]
    body = [[*row, i % 3] for i, row in enumerate(command.rows())]
    data = command.write(tmp_path / "new.csv", command.text(names, body))
    arguments = [models / "colour.safetensors", data, "--target", "truth"]
    plain, _ = evaluated(capsys, *arguments)
    weighted, _ = evaluated(capsys, *arguments, "--weight", "w")
    table = pyarrow.csv.read_csv(data)
    p = tabular.load(models / "colour.safetensors").predict_proba(table)
    y = np.array(table.column("truth").to_pylist()) == "red"
    expected = metrics.log_loss(
        y, p[:, 1].astype(float), sample_weight=table.column("w").to_numpy()
    )
    assert weighted["metrics"]["log_loss"] == pytest.approx(expected, rel=1e-5)
    assert plain["metrics"]["log_loss"] != weighted["metrics"]["log_loss"]


def test_rows_without_a_target_are_left_out(models, tmp_path, capsys):
    body = list(command.rows())
    for row in body[:7]:
        row[4] = ""
    data = command.write(tmp_path / "new.csv", command.text(body=body))
    found, err = evaluated(capsys, models / "colour.safetensors", data)
    assert found["rows"] == 293
    assert "7 rows without a target left out" in err


@pytest.mark.parametrize(
    ("column", "value", "wanted"),
    [
        (4, "green", "new.csv: the target is 'green' in row 2, which is none of the classes"),
        (4, None, "has no row with a target"),
        (1, "many", "line 3, column 'x': 'many', expected a number"),
    ],
)
def test_rows_that_do_not_fit(column, value, wanted, models, tmp_path, capsys):
    body = list(command.rows(5))
    for row in body if value is None else body[1:2]:
        row[column] = value
    data = command.write(tmp_path / "new.csv", command.text(body=body))
    assert wanted in command.refused(capsys, "evaluate", models / "colour.safetensors", data)


def test_a_file_without_the_target(models, tmp_path, capsys):
    names = [*command.COLUMNS[:4], "color", "price"]
    data = command.write(tmp_path / "new.csv", command.text(names, command.rows(5)))
    err = command.refused(capsys, "evaluate", models / "colour.safetensors", data)
    assert "the target 'colour' is no column: did you mean 'color'?" in err


def test_a_target_too_many(models, capsys):
    arguments = [
        models / "colour.safetensors",
        models / "table.csv",
        "--target=x",
        "--target=price",
    ]
    err = command.refused(capsys, "evaluate", *arguments, code=2)
    assert "--target is given 2 times, and the model has 1" in err


def test_classes_of_every_type_are_matched_by_their_text():
    for labels in (["b", "a"], [3, 1], [True, False]):
        values = np.array(labels)
        classes = [str(one) for one in pa.array(np.unique(values)).cast(pa.string()).to_pylist()]
        assert scores.codes(values, classes, 0).tolist() == [1, 0]
    column = pa.chunked_array([["b"], ["a"]])
    assert scores.codes(column, ["a", "b"], 0).tolist() == [1, 0]
    with pytest.raises(DataError, match="in row 12"):
        scores.codes(np.array(["a", "c"]), ["a", "b"], 10)


def test_what_one_class_or_no_spread_leaves_undefined():
    p = np.array([[0.9, 0.1], [0.6, 0.4]], np.float32)
    found = scores.of_classes(np.array([0, 0]), p, np.ones(2))
    assert np.isnan(found["roc_auc"])
    assert found["accuracy"] == 1
    assert np.isnan(scores.of_numbers(np.ones(3), np.zeros(3), np.ones(3))["r2"])


def test_three_classes():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 50).astype(np.float32)
    y = np.arange(50) % 3
    w = rng.uniform(0.5, 2, 50)
    found = scores.of_classes(y, p, w)
    expected = metrics.roc_auc_score(
        y,
        p.astype(float) / p.astype(float).sum(1, keepdims=True),
        multi_class="ovr",
        sample_weight=w,
    )
    assert found["roc_auc"] == pytest.approx(expected)
    said = p.argmax(1)
    f1 = metrics.f1_score(y, said, average="macro", sample_weight=w)
    assert found["f1_macro"] == pytest.approx(f1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, said, sample_weight=w))


def test_weights_that_are_all_0(models, tmp_path, capsys):
    body = [[*row, 0] for row in command.rows(5)]
    data = command.write(tmp_path / "new.csv", command.text([*command.COLUMNS, "w"], body))
    arguments = [models / "price.safetensors", data, "--weight", "w"]
    assert "weight 'w' is 0 in every row" in command.refused(capsys, "evaluate", *arguments)


def test_several_targets(models, capsys):
    arguments = ["train", models / "table.csv", "--target", "price", "--target", "x"]
    arguments += ["--epochs", "2", "--set", "ensemble=1", "--model", "both"]
    assert command.run(capsys, *arguments).code == 0
    found, _ = evaluated(capsys, "both", models / "table.csv")
    assert set(found["metrics"]) == {"price", "x"}
    said = command.run(capsys, "predict", "both", models / "table.csv")
    assert said.out.splitlines()[0] == "id,prediction_price,prediction_x"
