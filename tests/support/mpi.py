"""Programs on several real ranks, by the mpiexec of the environment or of the system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SECONDS = 240
"""The limit of a program: a rank that waits without end fails its test."""


def launcher():
    """The path of mpiexec; skips the test where there is none, or no mpi4py."""
    pytest.importorskip("mpi4py")
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("there is no mpiexec")
    return found


def start(ranks, program, *arguments, folder=ROOT):
    """A running ``program`` on so many ranks, with warnings as errors."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    settings = {"PYTHONPATH": paths, "OMP_WAIT_POLICY": "passive"}
    command = [launcher(), "-n", str(ranks), sys.executable, "-W", "error", "-c", program]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    """(exit code, what it printed, its errors)."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, err


def printed(ranks, program, *arguments, folder=ROOT):
    """The lines that a program has printed, sorted."""
    code, out, err = finish(start(ranks, program, *arguments, folder=folder))
    assert code == 0, f"exit code {code}\n{out}\n{err}"
    return sorted(out.split("\n")[:-1])
