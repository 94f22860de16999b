"""A program that PyInstaller has frozen trains, saves and loads, and keeps its kernels."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import fastbp
import fastbp.kernels

PROGRAM = """
import sys
import numpy as np
import fastbp
from fastbp import embed
from numba.core import event

with event.install_recorder("numba:compile") as compiled:
    X = np.arange(24, dtype="float32").reshape(12, 2)
    net = fastbp.Network([2, 5, 1], "tanh", seed=0)
    net.standardize(X)
    how = {"loss": "mse", "optimizer": fastbp.Adam(0.01), "seed": 0}
    for engine in ("numba", "numpy"):
        trainer = fastbp.Trainer(net, engine=engine, **how)
        trainer.fit(X, X[:, :1], epochs=3, progress=True, callbacks=[fastbp.ModelCheckpoint("run")])
    trainer = fastbp.Trainer.load("run")
    trainer.net.save("model")
    p = fastbp.load("model").predict(X)
fastbp.show_config()
print(bool(getattr(sys, "frozen", False)), fastbp.__version__, len(compiled.buffer))
print(p.tobytes().hex())
"""


def run(*command, folder, **environment):
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(
    find_spec("PyInstaller") is None,
    reason="PyInstaller builds the program: 100 MB that no other test needs. pip install "
    "pyinstaller, and run this file, before a release or where imports change",
)
def test_a_frozen_program_computes_the_same_and_compiles_once(tmp_path):
    site, cache = tmp_path / "site", {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for module, place in ((fastbp, site / "fastbp"), (fastbp.kernels, site / "fastbp" / "kernels")):
        shutil.copytree(Path(module.__file__).parent, place, dirs_exist_ok=True)
    (site / "main.py").write_text(PROGRAM, encoding="utf-8")
    expected = run(sys.executable, "main.py", folder=site)[-1]
    run(
        *(sys.executable, "-m", "PyInstaller", "--onedir", "--log-level", "WARN", "main.py"),
        folder=site,
    )
    program = site / "dist" / "main" / "main"
    shutil.rmtree(site / "fastbp")  # it must not be found
    for compiles in (True, False):
        about, computed = run(program, folder=tmp_path, **cache)[-2:]
        frozen, version, compiled = about.split()
        assert (frozen, version) == ("True", fastbp.__version__)
        assert computed == expected
        assert (int(compiled) > 0) == compiles
