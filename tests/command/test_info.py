"""``fastbp info``, ``export`` and ``bench``."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import fastbp
from fastbp.command import machine, peak
from support import command


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A file of each kind."""
    monkeypatch.chdir(tmp_path)
    net = fastbp.Network([3, 4, 2], "tanh", "softmax", seed=0)
    net.save("model")
    trainer = fastbp.Trainer(net, loss="cross_entropy", optimizer=fastbp.Adam(lr=0.01), seed=0)
    trainer.fit(np.ones((8, 3)), np.zeros(8, int), epochs=2)
    trainer.save("checkpoint")
    fastbp.Ensemble([net, net]).save("ensemble")
    return tmp_path


def info(capsys, path):
    said = command.run(capsys, "info", path, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_a_network(files, capsys):
    found = info(capsys, "model")
    assert found["kind"] == "model"
    assert (found["sizes"], found["activations"]) == ([3, 4, 2], ["tanh", "softmax"])
    assert found["numbers"] == 3 * 4 + 4 + 4 * 2 + 2
    assert found["bytes"] == (files / "model").stat().st_size
    assert len(found["sha256"]) == 64


@pytest.mark.usefixtures("files")
def test_a_checkpoint(capsys):
    found = info(capsys, "checkpoint")
    assert (found["loss"], found["optimizer"]["kind"]) == ("cross_entropy", "Adam")
    assert (found["epochs"], found["updates"], found["lr"]) == (2, 2, 0.01)


@pytest.mark.usefixtures("files")
def test_an_ensemble(capsys):
    found = info(capsys, "ensemble")
    assert (found["networks"], found["sizes"]) == (2, [3, 4, 2])


def test_a_model_of_tables(folder_of_models, capsys):
    path = folder_of_models / "colour.safetensors"
    found = info(capsys, path)
    assert (found["estimator"], found["networks"]) == ("TabularClassifier", 2)
    assert [column["name"] for column in found["columns"]] == ["id", "x", "town", "day", "price"]
    assert found["validation"]["accuracy"] > 0.5
    assert found["record"]["rows"] == 300
    said = command.run(capsys, "info", path)
    assert "  town: category, 3 levels" in said.out
    assert "  id: dropped, every value differs: an identifier" in said.out


@pytest.mark.usefixtures("files")
def test_lines_for_a_reader(capsys):
    for kind in ("model", "checkpoint", "ensemble"):
        said = command.run(capsys, "info", kind)
        assert re.search(rf"^kind +{kind}$", said.out, re.MULTILINE)
        assert "3-4-2" in said.out
        assert "which its content has" in said.out


@pytest.mark.process
@pytest.mark.usefixtures("files")
def test_it_needs_neither_pyarrow_nor_scikit_learn(folder_of_models):
    program = (
        "import sys\n"
        "sys.modules.update(pyarrow=None, sklearn=None)\n"
        "from fastbp.command.main import main\n"
        "sys.exit(max(main(['info', path]) for path in sys.argv[1:]))"
    )
    paths = ["model", "checkpoint", "ensemble", str(folder_of_models / "price.safetensors")]
    done = subprocess.run(
        [sys.executable, "-c", program, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("sha256") == 4


def test_a_damaged_file(files, capsys):
    content = bytearray((files / "model").read_bytes())
    content[-1] ^= 1
    command.write(files / "model", bytes(content))
    assert "does not have the sha256" in command.refused(capsys, "info", "model")


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n"])
def test_no_file_of_fastbp(content, files, capsys):
    command.write(files / "other", content)
    assert "'other' cannot be loaded" in command.refused(capsys, "info", "other")


# Export


@pytest.mark.parametrize(("to", "wanted"), [("c", "model.c"), ("fortran", "model.f90")])
def test_a_network_is_written_as_source(to, wanted, files, capsys):
    shutil.copy("model", "model.safetensors")
    said = command.run(capsys, "export", "model.safetensors", "--to", to)
    assert (said.code, said.out) == (0, f"{wanted}\n")
    assert (files / wanted).exists()


@pytest.mark.usefixtures("files")
def test_a_checkpoint_is_written_as_onnx(capsys):
    pytest.importorskip("onnx")
    said = command.run(capsys, "export", "checkpoint", "--to", "onnx", "-o", "net.onnx")
    assert (said.code, said.out, said.err) == (0, "net.onnx\n", "")
    assert fastbp.from_onnx("net.onnx").sizes == (3, 4, 2)


@pytest.mark.usefixtures("files")
def test_an_ensemble_is_written(capsys):
    for to, wanted in (("c", "ensemble.c"), ("fortran", "ensemble.f90")):
        said = command.run(capsys, "export", "ensemble", "--to", to)
        assert (said.code, said.out, said.err) == (0, f"{wanted}\n", "")
    pytest.importorskip("onnx")
    assert command.run(capsys, "export", "ensemble", "--to", "onnx").out == "ensemble.onnx\n"


@pytest.mark.parametrize("name", ["price", "colour"])
def test_a_model_of_tables_is_written_with_its_encoder(name, folder_of_models, files, capsys):
    onnx = pytest.importorskip("onnx")
    path = folder_of_models / f"{name}.safetensors"
    for to, suffix in (("onnx", ".onnx"), ("c", ".c"), ("fortran", ".f90")):
        said = command.run(capsys, "export", path, "--to", to)
        assert (said.code, said.out, said.err) == (0, f"{name}{suffix}\n", "")
        assert (files / f"{name}{suffix}").exists()
    inputs = [one.name for one in onnx.load(files / f"{name}.onnx").graph.input]
    assert {"x", "town", "day"} <= set(inputs)


@pytest.mark.parametrize("name", ["price", "model"])
def test_a_module_of_torch_is_written(name, folder_of_models, files, capsys):
    torch = pytest.importorskip("torch")
    path = files / "model" if name == "model" else folder_of_models / "price.safetensors"
    said = command.run(capsys, "export", path, "--to", "torch")
    assert (said.code, said.out) == (0, f"{name}.pt2\n")
    assert ("torch has no text" in said.err) == (name == "price")
    assert torch.export.load(files / f"{name}.pt2").module() is not None


def test_a_name_that_is_none_of_c_is_refused(folder_of_models, files, capsys):
    path = folder_of_models / "price.safetensors"
    said = command.refused(capsys, "export", path, "--to", "c", "-o", "my prices.c")
    assert "with which the names of its functions begin" in said
    assert not list(files.glob("my*"))


# Bench


def test_the_table_of_this_machine(capsys, monkeypatch):
    monkeypatch.setattr(machine, "CASES", machine.CASES[:1])
    monkeypatch.setattr(machine, "SECONDS", 0.01)
    said = command.run(capsys, "bench", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["machine"]["fastbp"] == fastbp.__version__
    (case,) = found["cases"]
    assert case["sizes"] == [8, 64, 64, 1]
    assert 0 < case["share_of_peak"] < 1.2
    assert case["gflops"] == pytest.approx(1e-3 * machine.CASES[0].flops / case["microseconds"])
    said = command.run(capsys, "bench")
    assert "8-64-64-1" in said.out
    assert "vector width" in said.out


def test_operations_of_an_update():
    assert machine.Case("one", (2, 3, 4), 5, False).flops == 5 * (6 * (6 + 12) - 2 * 6)


def test_the_peak_is_that_of_one_thread_or_more():
    assert 0.1 < peak.measure(1) < 1e4


def test_show_config_says_the_same(capsys):
    from fastbp import config

    fastbp.show_config()
    said = capsys.readouterr().out
    assert all(value in said for value in config.describe().values())
