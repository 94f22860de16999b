"""How the command ends: what is said of errors, warnings and pipes that close."""

import io
import json
import os
import subprocess
import sys
import warnings

import pytest

from fastbp.command import main as command_main
from fastbp.command import messages
from support import command


class Module:
    """A subcommand that raises an error."""

    def __init__(self, error):
        self._error = error

    def run(self, _options):
        raise self._error


@pytest.fixture
def ends(monkeypatch, capsys):
    """What is said where ``fastbp bench`` raises an error."""

    def end(error):
        monkeypatch.setattr(command_main.importlib, "import_module", lambda *_: Module(error))
        return command.run(capsys, "bench")

    return end


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ValueError("lr is -1"), "fastbp bench: lr is -1\n"),
        (FileNotFoundError(2, "No such file", "m"), "fastbp bench: m: No such file\n"),
        (MemoryError(), "fastbp bench: there is no more memory\n"),
        (ModuleNotFoundError("pip install x"), "fastbp bench: pip install x\n"),
    ],
)
def test_errors_of_the_library_are_a_sentence(error, wanted, ends):
    said = ends(error)
    assert (said.code, said.out, said.err) == (1, "", wanted)


def test_ctrl_c(ends):
    assert ends(KeyboardInterrupt()).code == 130


def test_an_error_of_the_program_is_no_sentence(ends):
    with pytest.raises(ZeroDivisionError):
        ends(ZeroDivisionError())


def test_warnings_are_remarks(capsys):
    with messages.warnings_as_remarks("fastbp train"):
        warnings.warn("a member has diverged", stacklevel=1)
    assert capsys.readouterr().err == "fastbp train: a member has diverged\n"


def test_json_has_no_nan(capsys):
    messages.show({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": "ä"}}, [], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": "ä"}}


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_no_stderr_is_no_error(stream, monkeypatch):
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    messages.say("text")


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="a pipe that closes")
def test_a_reader_that_leaves_early(folder_of_models, tmp_path):
    data = command.write(tmp_path / "big.csv", command.text(body=list(command.rows()) * 200))
    program = [
        sys.executable,
        "-m",
        "fastbp",
        "predict",
        str(folder_of_models / "price.safetensors"),
        data,
    ]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"id,prediction\n"
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert b"Traceback" not in err
    assert b"Exception" not in err
