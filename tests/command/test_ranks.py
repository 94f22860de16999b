"""``mpiexec -n 2 fastbp train``: the model of one process, by ranks that train its networks."""

import json
import signal
import subprocess
import time

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from fastbp import tabular
from fastbp.command import ranks
from fastbp.command.errors import UsageError
from support import command, mpi

PROGRAM = """
import sys
from fastbp.command import ranks
from fastbp.command.main import main
rank, size = ranks.started()
{}
sys.exit(main(sys.argv[1:]))
"""

FAST = ("train", "table.csv", "--target", "price", "--epochs", "3", "--set", "ensemble=3")


@pytest.fixture
def folder(tmp_path):
    command.write(tmp_path / "table.csv", command.text())
    return tmp_path


def call(folder, count, *arguments, before=""):
    """(exit code, stdout, stderr) of the command on so many ranks."""
    return mpi.finish(start(folder, count, *arguments, before=before))


def start(folder, count, *arguments, before=""):
    return mpi.start(count, PROGRAM.format(before), *arguments, folder=folder)


def told(path):
    """All that a model is, but for its times."""
    model = tabular.load(path)
    losses = [history["val_loss"] for history in model.histories_]
    weights = [array.tobytes() for net in model.ensemble_ for array in net.weights]
    spread = model.residuals_.deviation(np.zeros((1, 1))).tolist()
    return losses, model.validation_score_, spread, weights


@pytest.mark.process
def test_the_model_is_that_of_one_process(folder):
    for count, name in ((1, "one"), (2, "two")):
        code, out, err = call(folder, count, *FAST, "--model", f"{name}.safetensors", "--json")
        assert code == 0, err
        found = json.loads(out)  # one object, of rank 0
        assert found["networks"] == 3
        assert err.count("table.csv: CSV with commas") == 1
    assert told(folder / "one.safetensors") == told(folder / "two.safetensors")
    assert not list(folder.glob("*.networks"))


ENDS = {
    "a column": (("--target", "nothing"), "", 1, "nothing"),
    "an option": (("--nothing",), "", 2, "--nothing"),
    "one rank": ((), "if rank == 1: sys.argv[2] = 'missing.csv'", 1, "missing.csv"),
    "stdin": ((), "sys.argv[2] = '-'", 2, "stdin"),
    "a member": (
        (),
        "import fastbp.tabular.members as m\nif rank: m.Team._fit = lambda *_: float('of rank 1')",
        1,
        "of rank 1",
    ),
}


@pytest.mark.process
@pytest.mark.parametrize("end", ENDS)
def test_what_goes_wrong_on_one_rank_ends_all(folder, end):
    """With one message, and the exit code that one process would have."""
    arguments, before, expected, text = ENDS[end]
    code, out, err = call(folder, 2, *FAST, *arguments, before=before)
    assert code == expected, (code, out, err)
    said = [line for line in err.splitlines() if line.startswith("fastbp")]
    assert len(said) == 1, err
    assert text in said[0]
    assert "Traceback" not in err
    assert not (folder / "table.safetensors").exists()


@pytest.mark.process
def test_ctrl_c_leaves_a_model(folder):
    launcher = subprocess.run([mpi.launcher(), "--version"], capture_output=True, check=True)
    if b"Open MPI" in launcher.stdout:
        pytest.skip("its launcher kills the ranks at Ctrl-C")
    long = [*FAST[:4], "--epochs", "100000", "--set", "ensemble=2"]
    often = "import fastbp.tabular.bookmarks as b; b.SECONDS = 0.5"
    process = start(folder, 2, *long, before=often)
    began = time.monotonic()
    while not list((folder / "table.safetensors.networks").glob("*.checkpoint")):
        assert time.monotonic() - began < mpi.SECONDS
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    code, _, err = mpi.finish(process)
    assert code != 0
    assert "stopped by Ctrl-C" in err
    assert len(tabular.load(folder / "table.safetensors").ensemble_) == 2


@pytest.mark.process
def test_what_is_not_shared_out_rank_0_does(folder):
    code, out, error = call(folder, 2, "--version")
    assert code == 0
    assert out.count("fastbp") == 1
    assert "rank 1 of 2 leaves this to rank 0" in error


# How ranks are found


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1)),
        ({"PMI_RANK": "2", "PMI_SIZE": "4"}, (2, 4)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "3"}, (1, 3)),
        ({"PMI_RANK": "2"}, (0, 1)),
        ({"PMI_RANK": "", "PMI_SIZE": "x"}, (0, 1)),
    ],
)
def test_launchers(monkeypatch, variables, expected):
    for name in [*ranks.LAUNCHERS, *ranks.LAUNCHERS.values()]:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ranks.started() == expected


class Alone:
    class COMM_WORLD:
        @staticmethod
        def Get_size():
            return 1


def test_another_mpi_than_that_of_the_launcher(monkeypatch):
    monkeypatch.setattr(ranks, "started", lambda: (0, 4))
    monkeypatch.setattr(ranks, "need", lambda *_: Alone)
    with pytest.raises(UsageError, match="has started 4 ranks, and mpi4py sees 1"):
        ranks.joined()


def test_mpi4py_is_missing(monkeypatch, capsys):
    def need(module, extra, feature):
        raise ModuleNotFoundError(f"{feature} needs {module}: pip install 'fastbp[{extra}]'")

    monkeypatch.setattr(ranks, "started", lambda: (0, 4))
    monkeypatch.setattr(ranks, "need", need)
    said = command.refused(capsys, "train", "table.csv")
    assert "fastbp train on 4 ranks needs mpi4py.MPI: pip install 'fastbp[mpi]'" in said
