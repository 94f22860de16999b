"""Programs that need a process of their own: other settings of Numba, or a crash to survive."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
LAYERS = [folder for folder in TESTS.iterdir() if any(folder.glob("test_*.py"))]
"""Folders of tests: a program may import the file of tests that it is part of."""


def start(program, *, folder=ROOT, **environment):
    """A Python process that runs ``program``, with warnings as errors; None unsets a variable."""
    paths = [str(folder), str(TESTS), *map(str, LAYERS)]
    # Passive: many tests share few processors, and threads that spin while they wait starve others.
    settings = {"PYTHONPATH": os.pathsep.join(paths), "OMP_WAIT_POLICY": "passive"}
    wanted = os.environ | settings | environment
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env={name: value for name, value in wanted.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """What it printed; AssertionError with all it said if it failed."""
    out, err = process.communicate()
    assert process.returncode == 0, f"exit code {process.returncode}\n{out}\n{err}"
    return out


def run(program, **options):
    """What ``program`` printed."""
    return finish(start(program, **options))
