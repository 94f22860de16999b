"""``fastbp train``: what is inferred, what is refused, what is written."""

import gzip
import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

import pyarrow as pa
from pyarrow import parquet

from fastbp import tabular
from fastbp.command import rows, target, training, training_rows
from fastbp.command.errors import DataError
from fastbp.command.progress import Progress
from fastbp.tabular.members import Team
from support import command

FAST = ("--epochs", "2", "--set", "ensemble=1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with table.csv."""
    monkeypatch.chdir(tmp_path)
    command.write(tmp_path / "table.csv", command.text())
    return tmp_path


def trained(capsys, *arguments):
    """The JSON of a training that must end well."""
    said = command.run(capsys, "train", *arguments, *FAST, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out), said.err


def test_a_table_becomes_a_model_and_what_was_inferred_is_said(folder, capsys):
    said = command.run(capsys, "train", "table.csv", "--target", "colour", "--epochs", "12")
    assert said.code == 0, said.err
    assert "table.csv: CSV with commas, 300 rows, 6 columns" in said.err
    assert "target colour: classification, because the target has 2 different values" in said.err
    assert "id: dropped, every value differs: an identifier" in said.err
    assert "town: category, 3 levels" in said.err
    assert "day: date" in said.err
    assert "table.safetensors" in said.out
    assert "accuracy" in said.out
    model = tabular.load(folder / "table.safetensors")
    assert model.classes_.tolist() == ["blue", "red"]
    assert model.validation_score_["accuracy"] > 0.8
    assert not (folder / "table.safetensors.networks").exists()


def test_one_object_of_json(folder, capsys):
    found, _ = trained(capsys, "table.csv", "--target", "price", "--model", "m.safetensors")
    assert found["task"] == "regression"
    assert found["model"] == "m.safetensors"
    assert found["bytes"] == (folder / "m.safetensors").stat().st_size
    assert {"rmse", "mae", "r2"} <= found["validation"].keys()


def test_the_same_arguments_give_the_same_file(folder, capsys):
    for name in ("a", "b", "c"):
        more = ("--seed", "1") if name == "c" else ()
        trained(capsys, "table.csv", "--target", "colour", "--model", name, *more)
    row = {"x": [0.1], "town": ["Ulm"], "day": ["2024-01-01"], "price": [1.0]}
    p = [tabular.load(folder / name).predict_proba(row) for name in "abc"]
    assert np.array_equal(p[0], p[1])
    assert not np.array_equal(p[0], p[2])


def test_options_reach_the_estimator(folder, capsys):
    content, arguments = 'drop = ["id", "day"]\n[set]\nn_threads = 1\n', ("--preset", "fast")
    command.write(folder / "o.toml", content)
    weighted = [[*row[:1], abs(row[1]), *row[2:]] for row in command.rows()]
    command.write(folder / "w.csv", command.text(body=weighted))
    trained(capsys, "w.csv", "--target=price", "--config=o.toml", "--weight=x", *arguments)
    model = tabular.load(folder / "w.safetensors")
    assert [column.name for column in model.encoder_.schema.used] == ["town", "colour"]
    assert model.get_params()["n_threads"] == 1


@pytest.mark.parametrize("option", [["--split", "0.25"], ["--valid", "other.csv"]])
def test_rows_to_validate_by(option, folder, capsys):
    command.write(folder / "other.csv", command.text(body=command.rows(80, seed=1)))
    trained(capsys, "table.csv", "--target", "colour", *option)
    record = tabular.load(folder / "table.safetensors").record_
    assert record["rows"] in ((225, 226) if option[0] == "--split" else (300,))
    assert [one["rows"] for one in record["members"]] == [record["rows"]]


def test_validation_needs_the_columns(folder, capsys):
    command.write(folder / "other.csv", "x,town\n1,Ulm\n")
    err = command.refused(
        capsys, "train", "table.csv", "--target", "colour", "--valid", "other.csv"
    )
    assert "other.csv: the column 'colour' is no column" in err


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".csv.gz"])
def test_other_formats_train_alike(suffix, folder, capsys):
    import pyarrow.csv
    from pyarrow import feather, parquet

    path = folder / f"table{suffix}"
    table = pyarrow.csv.read_csv(folder / "table.csv")
    if suffix == ".csv.gz":
        path.write_bytes(gzip.compress((folder / "table.csv").read_bytes()))
    else:
        writers = {".parquet": parquet.write_table, ".feather": feather.write_feather}
        writers[suffix](table, str(path))
    results = []
    for data in ("table.csv", path.name):
        trained(capsys, data, "--target", "colour", "--model", "m")
        results.append(tabular.load("m").predict_proba(table))
    assert np.array_equal(*results)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_trains(folder, capsys):
    os.mkfifo("63")
    content = command.text().encode()
    threading.Thread(target=Path("63").write_bytes, args=[content], daemon=True).start()
    found, err = trained(capsys, "63", "--target", "colour")
    assert found["model"] == "model.safetensors"
    assert "63: CSV with commas, 300 rows" in err
    trained(capsys, "table.csv", "--target", "colour")
    assert Path("table.safetensors").stat().st_size == (folder / found["model"]).stat().st_size


@pytest.mark.usefixtures("folder")
def test_stdin_trains(capsys, monkeypatch):
    command.stdin(monkeypatch, command.text(delimiter=";"))
    found, err = trained(capsys, "-", "--target", "colour")
    assert found["model"] == "model.safetensors"
    assert "stdin: CSV with semicolons" in err


def test_a_column_named_like_an_option(folder, capsys):
    names = ["--drop", "-x", "", "--help", "colour", "a,b"]
    command.write(folder / "odd.csv", command.text(names))
    found, _ = trained(capsys, "odd.csv", "--target=colour", "--drop=--drop", "--drop=-x")
    assert found["target"] == ["colour"]
    schema = tabular.load("odd.safetensors").encoder_.schema
    assert [column.name for column in schema.used] == ["", "--help", "a,b"]


@pytest.mark.usefixtures("folder")
def test_several_targets(capsys):
    found, err = trained(capsys, "table.csv", "--target", "price", "--target", "x")
    assert found["task"] == "regression"
    assert "there are 2 targets" in err
    row = {"town": ["Ulm"], "day": ["2024-01-01"], "colour": ["red"]}
    assert tabular.load("table.safetensors").predict(row).shape == (1, 2)


def test_rows_without_a_target_are_left_out(folder, capsys):
    body = list(command.rows())
    for row in body[::10]:
        row[4] = ""
    command.write(folder / "gaps.csv", command.text(body=body))
    _, err = trained(capsys, "gaps.csv", "--target", "colour")
    assert "30 rows without a target left out" in err
    assert tabular.load("gaps.safetensors").record_["rows"] == 270


def test_codes_stay_as_they_are_written_where_a_column_is_a_category(folder, capsys):
    body = [[f"00{i % 5}", i % 5 > 2] for i in range(100)]
    command.write(folder / "zip.csv", command.text(["zip", "y"], body))
    trained(capsys, "zip.csv", "--target", "y", "--set", 'kinds={"zip": "category"}')
    assert "zip=001" in tabular.load("zip.safetensors").encoder_.feature_names_out


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--target", "color"], "--target 'color' is no column: did you mean 'colour'?"),
        (["--target", "x", "--weight", "wieght"], "--weight 'wieght' is no column"),
        (["--target", "x", "--drop", "pice"], "--drop 'pice' is no column: did you mean 'price'"),
        (["--target", "day"], "target 'day' has dates or times, expected numbers"),
        (["--target", "town", "--task", "regression"], "'town' has text such as 'Bonn', expected"),
        (["--target", "x", "--task", "classification"], "fractions, which are no classes"),
        (["--target", "x", "--target", "town"], "which must all be numbers"),
        (["--target", "colour", "--weight", "town"], "weight 'town' has values of type string"),
        (["--target", "colour", "--weight", "x"], "expected a number of 0 or more"),
        (["--target", "colour", "--split", "0.001"], "leaves 0 rows held out"),
        (["--target", "colour", "--model", "none/m"], "there is no folder"),
        (["--target", "id"], "has text such as 'A0000', 300 different ones in 300 rows"),
    ],
)  # fmt: skip
def test_what_the_data_cannot_give(arguments, wanted, folder, capsys):
    err = command.refused(capsys, "train", "table.csv", *arguments)
    assert wanted in err
    assert "table.csv" in err or "--split" in wanted or "folder" in wanted
    assert sorted(path.name for path in folder.iterdir()) == ["table.csv"]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--target", "x", "--target", "x"], "the same column twice"),
        (["--target", "x", "--drop", "x"], "'x' is the target"),
        (["--target", "x", "--set", "ensembel=2"], "did you mean 'ensemble'?"),
        (["--target", "x", "--set", "ensemble=many"], "'ensemble' parameter"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_the_arguments_cannot_be(arguments, wanted, capsys):
    assert wanted in command.refused(capsys, "train", "table.csv", *arguments, code=2)


@pytest.mark.parametrize(
    ("written", "shown"), [("n/a?", "n/a?"), ("1,204.50", "1,204.50"), ("$3.10", "$3.10")]
)
@pytest.mark.usefixtures("folder")
def test_text_among_the_numbers_of_a_target_is_shown(written, shown, capsys):
    """One such value makes text of the column, and classes of its numbers."""
    body = [[i % 7, written if i == 30 else i + 0.5] for i in range(60)]
    command.write(Path("data.csv"), command.text(["x", "y"], body))
    err = command.refused(capsys, "train", "data.csv", "--target", "y")
    assert f"data.csv: target 'y' has text such as '{shown}', 60 different ones in 60 rows" in err
    asked = ["--target", "y", "--task", "regression"]
    err = command.refused(capsys, "train", "data.csv", *asked)
    assert f"has text such as '{shown}', expected numbers for a regression" in err
    trained(capsys, "data.csv", "--target", "y", "--task", "classification", "--epochs", "1")


@pytest.mark.usefixtures("folder")
def test_columns_with_several_values_in_a_row(capsys):
    n = 40
    columns = {"x": [i % 7 for i in range(n)], "y": ["ab"[i % 2] for i in range(n)]}
    table = pa.table(columns | {"tags": [[i] for i in range(n)], "at": [{"u": 1}] * n})
    parquet.write_table(table, "data.parquet")
    err = command.refused(capsys, "train", "data.parquet", "--target", "y", "--drop", "at")
    assert "data.parquet: column 'tags' has type list<element: int64>" in err
    assert "leave it out by --drop=tags" in err
    trained(capsys, "data.parquet", "--target", "y", "--drop", "tags", "--drop", "at")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("read", ["table.csv", "valid.csv", "how.toml"])
def test_what_is_read_is_not_replaced(read, capsys):
    command.write(Path("valid.csv"), command.text())
    command.write(Path("how.toml"), "epochs = 2\n")
    before = Path(read).read_bytes()
    more = ["--valid", "valid.csv", "--config", "how.toml", "--model", f"./{read}"]
    err = command.refused(capsys, "train", "table.csv", "--target", "colour", *more, code=2)
    assert f"--model '{read}' is a file that is read" in err
    assert Path(read).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("", "data.csv is empty"),
        ("x,y\n", "has a header, and no rows"),
        ("x,y\n1,\n2,\n", "target 'y' has no value in any row"),
        ("x,y\n1,a\n2,a\n", "target 'y' has the value 'a' in 2 rows, and no other"),
        ("x,y\n1,a\n", "has the value 'a' in 1 row, and no other"),
        ("y\n1\n2\n", "there is no column besides the target"),
        ("x,y\n1,2\n1,3\n", "no column to learn from"),
        ("x,y\n1,inf\n2,1\n", "target 'y' is inf"),
        ("x,y\n1,2,3\n2,1\n", "line 2 has 3 fields, expected 2"),
        ("x,y,x\n1,2,3\n", "columns of the same name, 'x'"),
    ],
)
def test_tables_from_which_nothing_can_be_learned(content, wanted, folder, capsys):
    command.write(folder / "data.csv", content)
    assert wanted in command.refused(capsys, "train", "data.csv", "--target", "y")


def test_mixed_types_in_a_column_are_text(folder, capsys):
    body = [[("a", 1, 2.5, "2024-01-01")[i % 4], i % 2] for i in range(80)]
    command.write(folder / "mixed.csv", command.text(["x", "y"], body))
    _, err = trained(capsys, "mixed.csv", "--target", "y")
    assert "x: category, 4 levels" in err


def test_a_thousand_columns_are_summed_up(folder, capsys):
    names = [*(f"x{i}" for i in range(1000)), "y"]
    body = [[*((i * j) % 7 for j in range(1000)), i % 2] for i in range(60)]
    command.write(folder / "wide.csv", command.text(names, body))
    _, err = trained(capsys, "wide.csv", "--target", "y")
    assert "columns: " in err
    assert "number" in err
    assert len(err.splitlines()) < 10


class Hands:
    """A clock that is set by hand."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.mark.parametrize(("seconds", "left"), [(10.0, 50.0), (70.0, training.LEAST_SECONDS)])
def test_the_limit_of_time_counts_reading(seconds, left, folder, capsys, monkeypatch):
    """The fit has what reading has left; the file keeps the limit that was asked for."""
    hands, limits = Hands(), []
    read, fit = training_rows.read, tabular.TabularClassifier.fit

    def slow(*arguments):
        hands.now += seconds
        return read(*arguments)

    def seen(model, *arguments, **more):
        limits.append(model.time_limit)
        return fit(model, *arguments, **more)

    monkeypatch.setattr(training, "time", hands)
    monkeypatch.setattr(training_rows, "read", slow)
    monkeypatch.setattr(tabular.TabularClassifier, "fit", seen)
    _, err = trained(capsys, "table.csv", "--target", "colour", "--time-limit", "60")
    assert limits == [left]
    assert tabular.load(folder / "table.safetensors").time_limit == 60
    assert ("one network makes one epoch" in err) == (seconds > 60)


# The task


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 3, "classification"),
        ([True, False] * 3, "classification"),
        ([0, 1] * 3, "classification"),
        ([0.0, 1.0, 1.0], "classification"),
        ([0, 1, 2] * 5, "classification"),
        ([0, 1, 2] * 4, "regression"),  # 4 rows of a class
        (list(range(21)) * 9, "regression"),  # 21 values
        (list(range(20)) * 9, "classification"),
        ([0.5, 1.5] * 30, "regression"),
    ],
)
def test_the_task_is_told_by_the_values(values, task):
    found = target.choose("auto", pa.table({"y": values}), ["y"])
    assert found.name == task
    if type(values[0]) in (int, float):
        assert target.choose("regression", pa.table({"y": values}), ["y"]).name == "regression"


def test_dictionaries_decimals_and_gaps_are_targets():
    from decimal import Decimal

    table = pa.table(
        {
            "d": pa.array(["a", None, "b"]).dictionary_encode(),
            "n": pa.array([Decimal("1.5"), Decimal(2), None]),
            "f": [1.0, float("nan"), 3.0],
        }
    )
    assert target.known_rows(table, ["d"]).tolist() == [True, False, True]
    assert target.known_rows(table, ["d", "n", "f"]).tolist() == [True, False, False]
    known = table.slice(0, 1)
    assert target.values(known, ["d"], "classification").to_pylist() == ["a"]
    assert target.values(known, ["n", "f"], "regression").tolist() == [[1.5, 1.0]]
    whole = target.values(pa.table({"y": [1.0, 2.0]}), ["y"], "classification")
    assert whole.dtype == np.int64


# Rows held out


def test_every_class_has_its_share_of_rows_held_out():
    labels = np.array(["a"] * 60 + ["b"] * 40 + ["c"])
    kept, held = rows.split(labels, 101, 0.25, seed=0)
    assert sorted([*kept, *held]) == list(range(101))
    assert [(labels[held] == label).sum() for label in "abc"] == [15, 10, 0]
    assert not np.array_equal(held, rows.split(labels, 101, 0.25, seed=1)[1])
    assert np.array_equal(held, rows.split(labels, 101, 0.25, seed=0)[1])
    assert len(rows.split(None, 10, 0.25, seed=0)[1]) == 2


def test_too_few_rows_to_hold_out():
    with pytest.raises(DataError, match="leaves 0 rows held out"):
        rows.split(None, 3, 0.25, seed=0)


# Ctrl-C and resuming


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C comes when the first network ends its third epoch."""
    tell = Team._tell_of

    def press(self, member, members, state):
        tell(self, member, members, state)
        if state.epoch == 3 and member.number == 0:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Team, "_tell_of", press)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no os.kill with SIGINT")
@pytest.mark.usefixtures("interrupted")
def test_ctrl_c_leaves_the_best_networks_so_far(folder, capsys):
    arguments = ["table.csv", "--target", "colour", "--epochs", "2000", "--set", "ensemble=1"]
    said = command.run(capsys, "train", *arguments)
    assert said.code == 130
    assert "stopped by Ctrl-C: table.safetensors has the best networks so far" in said.err
    model = tabular.load(folder / "table.safetensors")
    assert 3 <= len(model.histories_[0]["loss"]) < 2000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_before_there_is_anything_ends_with_130(folder, capsys, monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tabular.TabularClassifier, "_read", press)
    said = command.run(capsys, "train", "table.csv", "--target", "colour")
    assert (said.code, said.out) == (130, "")
    assert not (folder / "table.safetensors").exists()


class Killed(BaseException):
    """What ends a training in a test as a kill would."""


@pytest.fixture
def killed(monkeypatch):
    """The process is killed when the second network is done."""
    from fastbp.tabular.kept import Kept

    put = Kept.put

    def kill(self, one):
        if one.member.number == 1:
            raise Killed
        put(self, one)

    monkeypatch.setattr(Kept, "put", kill)
    return lambda: monkeypatch.setattr(Kept, "put", put)


def count_fits(monkeypatch):
    fits, fit = [], Team._fit

    def counted(self, member, *rest):
        fits.append(member.number)
        return fit(self, member, *rest)

    monkeypatch.setattr(Team, "_fit", counted)
    return fits


RESUMED = ("table.csv", "--target", "colour", "--epochs", "4", "--set", "ensemble=3")


def test_a_killed_training_goes_on(folder, capsys, killed, monkeypatch):
    arguments = ["train", *RESUMED, "--set", "n_threads=1"]
    with pytest.raises(Killed):
        command.main([*arguments, "--model", "m"])
    kept = folder / "m.networks"
    assert {"member-0.json", "member-0.safetensors"} <= {path.name for path in kept.iterdir()}
    killed()
    fits = count_fits(monkeypatch)
    said = command.run(capsys, *arguments, "--model", "m", "--resume")
    assert said.code == 0
    assert "m.networks: 1 network done" in said.err
    assert fits == [1, 2]
    assert not kept.exists()
    assert command.run(capsys, *arguments, "--model", "whole").code == 0
    one, other = tabular.load("m"), tabular.load("whole")
    pairs = zip(one.ensemble_, other.ensemble_, strict=True)
    assert all(net.allclose(twin, rtol=0, atol=0) for net, twin in pairs)
    assert [h["loss"] for h in one.histories_] == [h["loss"] for h in other.histories_]
    assert one.temperature_ == other.temperature_


@pytest.mark.usefixtures("folder")
def test_a_network_that_was_begun_goes_on(capsys, monkeypatch):
    monkeypatch.setattr("fastbp.tabular.bookmarks.SECONDS", 0.0)
    arguments = ["train", *RESUMED, "--set", "n_threads=1"]
    call, epochs = Progress.__call__, []

    def kill(self, state):
        epochs.append((state.member, state.epoch))
        if state.epoch == stop_at:
            raise Killed
        call(self, state)

    monkeypatch.setattr(Progress, "__call__", kill)
    stop_at = 3
    with pytest.raises(Killed):
        command.main([*arguments, "--model", "m"])
    epochs.clear()
    stop_at = None
    said = command.run(capsys, *arguments, "--model", "m", "--resume")
    assert said.code == 0
    assert "m.networks: 0 networks done, " in said.err
    assert epochs[:2] == [(0, 3), (0, 4)]
    assert command.run(capsys, *arguments, "--model", "whole").code == 0
    one, other = tabular.load("m"), tabular.load("whole")
    pairs = zip(one.ensemble_, other.ensemble_, strict=True)
    assert all(net.allclose(twin, rtol=0, atol=0) for net, twin in pairs)
    for key in ("loss", "val_loss", "lr"):
        assert [h[key] for h in one.histories_] == [h[key] for h in other.histories_]


@pytest.mark.parametrize("more", [["--epochs", "5"], ["--seed", "3"], ["--drop", "day"]])
@pytest.mark.usefixtures("folder")
def test_networks_of_another_training_are_not_taken(more, capsys, killed, monkeypatch):
    arguments = ["train", *RESUMED, "--set", "n_threads=1", "--model", "m"]
    with pytest.raises(Killed):
        command.main(arguments)
    killed()
    fits = count_fits(monkeypatch)
    assert command.run(capsys, *arguments, *more, "--resume").code == 0
    assert fits == [0, 1, 2]


@pytest.mark.usefixtures("folder")
def test_without_resume_the_training_begins_anew(capsys, killed, monkeypatch):
    arguments = ["train", *RESUMED, "--set", "n_threads=1", "--model", "m"]
    with pytest.raises(Killed):
        command.main(arguments)
    killed()
    fits = count_fits(monkeypatch)
    assert command.run(capsys, *arguments).code == 0
    assert fits == [0, 1, 2]


def test_a_damaged_network_is_trained_anew(folder, capsys, killed, monkeypatch):
    arguments = ["train", *RESUMED, "--set", "n_threads=1", "--model", "m"]
    with pytest.raises(Killed):
        command.main(arguments)
    killed()
    (folder / "m.networks" / "member-0.safetensors").write_bytes(b"cut")
    fits = count_fits(monkeypatch)
    assert command.run(capsys, *arguments, "--resume").code == 0
    assert fits == [0, 1, 2]


@pytest.mark.usefixtures("folder")
def test_resuming_what_never_began(capsys):
    said = command.run(capsys, "train", "table.csv", "--target", "colour", *FAST, "--resume")
    assert said.code == 0
    assert "no network done" in said.err


@pytest.mark.usefixtures("folder")
def test_a_training_in_another_thread_needs_no_ctrl_c():
    codes = []
    arguments = ["train", "table.csv", "--target", "colour", *FAST]
    thread = threading.Thread(target=lambda: codes.append(command.main(arguments)))
    thread.start()
    thread.join()
    assert codes == [0]
