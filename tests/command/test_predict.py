"""``fastbp predict``: rows in their order, what is kept of them, every format, bounded memory."""

import csv
import io
import shutil

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.csv
from pyarrow import feather, parquet

from fastbp import tabular
from fastbp.command import reading
from support import command

READERS = {
    ".csv": pyarrow.csv.read_csv,
    ".parquet": parquet.read_table,
    ".feather": feather.read_table,
}


@pytest.fixture
def models(folder_of_models, tmp_path, monkeypatch):
    """The folder of the models; the working folder is another one."""
    monkeypatch.chdir(tmp_path)
    return folder_of_models


def predicted(capsys, *arguments):
    said = command.run(capsys, "predict", *arguments)
    assert said.code == 0, said.err
    return list(csv.reader(io.StringIO(said.out)))


def test_rows_in_their_order_with_ids_and_names_of_classes(models, capsys):
    head, *rows = predicted(capsys, models / "colour.safetensors", models / "table.csv")
    assert head == ["id", "prediction", "p_blue", "p_red"]
    table = list(command.rows())
    assert [row[0] for row in rows] == [row[0] for row in table]
    model = tabular.load(models / "colour.safetensors")
    p = model.predict_proba(pyarrow.csv.read_csv(models / "table.csv"))
    np.testing.assert_allclose(np.array([row[2:] for row in rows], float), p, rtol=1e-6)
    assert [row[1] for row in rows] == model.classes_[p.argmax(axis=1)].tolist()
    right = [row[1] == other[4] for row, other in zip(rows, table, strict=True)]
    assert np.mean(right) > 0.8


def test_numbers(models, capsys):
    head, *rows = predicted(capsys, models / "price.safetensors", models / "table.csv")
    assert head == ["id", "prediction"]
    p = tabular.load(models / "price.safetensors").predict(
        pyarrow.csv.read_csv(models / "table.csv")
    )
    np.testing.assert_allclose([float(row[1]) for row in rows], p, rtol=1e-12)


def test_columns_to_keep(models, capsys):
    arguments = [
        models / "colour.safetensors",
        models / "table.csv",
        "--keep",
        "colour",
        "--keep=x",
    ]
    head, first, *_ = predicted(capsys, *arguments)
    assert head == ["colour", "x", "prediction", "p_blue", "p_red"]
    assert first[0] == next(command.rows())[4]


def test_what_is_kept_is_as_it_was_written(models, tmp_path, capsys):
    body = [
        ["007", "0.10", "Ulm", "2024-01-01", 'a "quote", and\nmore', "1"],
        ["", "1", "", "", "", ""],
    ]
    data = command.write(tmp_path / "new.csv", command.text(body=body))
    arguments = [models / "colour.safetensors", data, "--keep", "id", "--keep", "colour"]
    _, first, second = predicted(capsys, *arguments)
    assert first[:2] == ["007", 'a "quote", and\nmore']
    assert second[:2] == ["", ""]


@pytest.mark.parametrize("suffix", READERS)
def test_formats_to_write(suffix, models, capsys):
    said = command.run(
        capsys, "predict", models / "price.safetensors", models / "table.csv", "-o", f"out{suffix}"
    )
    assert (said.code, said.out) == (0, "")
    assert "300 rows predicted" in said.err
    table = READERS[suffix](f"out{suffix}")
    assert table.column_names == ["id", "prediction"]
    assert table.num_rows == 300
    assert table.column("id")[0].as_py() == "A0000"
    assert table.column("prediction").type == pa.float64()


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
def test_formats_to_read(suffix, models, tmp_path, capsys):
    table = pyarrow.csv.read_csv(models / "table.csv")
    writers = {".parquet": parquet.write_table, ".feather": feather.write_feather}
    writers[suffix](table, str(tmp_path / f"new{suffix}"))
    model = models / "colour.safetensors"
    assert predicted(capsys, model, f"new{suffix}") == predicted(
        capsys, model, models / "table.csv"
    )


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_dialects_predict_alike(delimiter, models, tmp_path, capsys):
    body = [[str(v).replace(".", ",") for v in row] for row in command.rows()]
    data = command.write(tmp_path / "new.csv", command.text(body=body, delimiter=delimiter))
    model = models / "colour.safetensors"
    assert predicted(capsys, model, data) == predicted(capsys, model, models / "table.csv")


def test_the_order_of_columns_and_further_ones_do_not_matter(models, tmp_path, capsys):
    names = ["more", *reversed(command.COLUMNS)]
    body = [["?", *reversed(row)] for row in command.rows()]
    data = command.write(tmp_path / "new.csv", command.text(names, body))
    model = models / "colour.safetensors"
    assert predicted(capsys, model, data) == predicted(capsys, model, models / "table.csv")


def test_parts_make_no_difference(models, capsys, monkeypatch):
    model = models / "colour.safetensors"
    whole = predicted(capsys, model, models / "table.csv")
    monkeypatch.setattr(reading, "ROWS", 7)
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 600)
    parts = predicted(capsys, model, models / "table.csv")
    assert [row[:2] for row in parts] == [row[:2] for row in whole]
    np.testing.assert_allclose(
        np.array([row[2:] for row in parts[1:]], float),
        np.array([row[2:] for row in whole[1:]], float),
        rtol=1e-4,
    )


def test_stdin_to_stdout(models, capsys, monkeypatch):
    command.stdin(monkeypatch, command.text())
    model = models / "colour.safetensors"
    assert predicted(capsys, model, "-") == predicted(capsys, model, models / "table.csv")


def test_unknown_categories_and_missing_values_are_predicted(models, tmp_path, capsys):
    body = [["A1", "", "Paris", "", "", ""], ["A2", "0.5", "", "2031-01-01", "", "-5"]]
    data = command.write(tmp_path / "new.csv", command.text(body=body))
    assert len(predicted(capsys, models / "colour.safetensors", data)) == 3


def test_one_row_and_no_rows(models, tmp_path, capsys):
    for body in ([next(command.rows())], []):
        data = command.write(tmp_path / "new.csv", command.text(body=body))
        assert len(predicted(capsys, models / "colour.safetensors", data)) == 1 + len(body)


@pytest.mark.usefixtures("models")
def test_a_file_without_header_may_lack_the_target(tmp_path, capsys):
    body = list(command.rows())
    command.write(tmp_path / "all.csv", command.text(None, body))
    command.write(tmp_path / "new.csv", command.text(None, [row[:4] + row[5:] for row in body]))
    arguments = ["all.csv", "--target", "c4", "--no-header", "--epochs", "2"]
    assert command.run(capsys, "train", *arguments).code == 0
    whole, inputs = (
        predicted(capsys, "all.safetensors", data, "--no-header") for data in ("all.csv", "new.csv")
    )
    assert whole == inputs
    assert whole[0][0] == "c0"
    err = command.refused(capsys, "predict", "all.safetensors", "new.csv")
    assert "give --no-header" in err


HEADER = "x,town,day,price\n"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("x,twon,day,price\n", "it lacks a column that the model needs: 'town' is no column: did"),
        ("x\n1\n", "it lacks columns that the model needs: 'town', 'day', 'price'; it has 'x'"),
        (HEADER + "1,a,,1\nmany,a,,1\n", "line 3, column 'x': 'many', expected a number"),
        (HEADER + "1,a,01.02.2024,1\n", "new.csv, line 2, column 'day': '01.02.2024'"),
        ("", "new.csv is empty"),
    ],
)
def test_files_that_do_not_fit(content, wanted, models, tmp_path, capsys):
    data = command.write(tmp_path / "new.csv", content)
    err = command.refused(
        capsys, "predict", models / "colour.safetensors", "new.csv", "-o", "out.csv"
    )
    assert wanted in err
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"], data


def test_a_value_of_a_parquet_file_is_named_with_file_and_row(
    models, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(reading, "ROWS", 2)
    same = {"town": ["a"] * 4, "day": ["2024-01-01"] * 4, "price": [1.0] * 4}
    table = pa.table({"x": ["1", "2", "3", "no"], **same})
    parquet.write_table(table, tmp_path / "new.parquet")
    err = command.refused(
        capsys, "predict", models / "colour.safetensors", "new.parquet", "-o", "o.csv"
    )
    assert "new.parquet, rows from 3 on: X has 'no' in column 'x' at row 1" in err


def test_an_older_file_stays_where_a_row_cannot_be_read(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fastbp.command.csv_file.BLOCK", 200)
    command.write(tmp_path / "out.csv", "older")
    body = [*command.rows(50), ["A9", "no", "", "", "", ""]]
    data = command.write(tmp_path / "new.csv", command.text(body=body))
    command.refused(capsys, "predict", models / "colour.safetensors", data, "-o", "out.csv")
    assert (tmp_path / "out.csv").read_text() == "older"


@pytest.mark.parametrize(
    ("name", "more", "output"),
    [
        ("predict", ["new.csv"], "new.csv"),
        ("report", ["new.csv"], "new.csv"),
        ("report", ["new.csv"], "m.safetensors"),
        ("export", ["--to", "onnx"], "m.safetensors"),
    ],
)
def test_what_is_read_is_not_replaced(name, more, output, models, tmp_path, capsys):
    command.write(tmp_path / "new.csv", command.text())
    shutil.copy(models / "colour.safetensors", "m.safetensors")
    before = (tmp_path / output).read_bytes()
    err = command.refused(capsys, name, "m.safetensors", *more, "-o", output, code=2)
    assert f"--output '{output}' is a file that is read" in err
    assert (tmp_path / output).read_bytes() == before


def test_a_kept_column_with_the_name_of_the_prediction(models, tmp_path, capsys):
    names = [*command.COLUMNS[:5], "price", "prediction"]
    data = command.write(
        tmp_path / "new.csv", command.text(names, [[*row, 1] for row in command.rows(5)])
    )
    err = command.refused(
        capsys, "predict", models / "colour.safetensors", data, "--keep", "prediction"
    )
    assert "has the name of a column of predictions" in err


def test_other_files_are_no_models(models, capsys):
    import fastbp

    fastbp.Network([2, 1]).save("net.safetensors")
    err = command.refused(capsys, "predict", "net.safetensors", models / "table.csv")
    assert "is of kind 'model', expected a model that fastbp train" in err
    err = command.refused(capsys, "predict", models / "table.csv", models / "table.csv")
    assert "cannot be loaded" in err
    err = command.refused(capsys, "predict", "none.safetensors", models / "table.csv")
    assert "none.safetensors: No such file" in err


def test_a_model_that_python_trained_predicts_files(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = command.write(tmp_path / "table.csv", command.text())
    table = pyarrow.csv.read_csv(data)
    X = table.drop_columns(["colour"])
    model = tabular.TabularClassifier(epochs=2, ensemble=1, random_state=0)
    model.fit(X, table.column("colour").to_numpy()).save("m.safetensors")
    _, *rows = predicted(capsys, "m.safetensors", data)
    np.testing.assert_allclose(
        np.array([r[2:] for r in rows], float), model.predict_proba(X), rtol=1e-6
    )
