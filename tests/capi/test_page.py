"""The page of the C interface: its programs compile, run and learn."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import capi
from support.c_calls import needs_libpython
from support.compilers import build, call, needs_gcc, needs_gfortran

PAGE = (Path(capi.include_dir()) / "README.md").read_text(encoding="utf-8")


def code(language):
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL))


def test_the_python_of_the_page_predicts():
    names = {}
    exec(compile(code("python"), "the page", "exec"), names)
    assert names["status"] == 0
    assert np.array_equal(names["out"], names["net"].predict(names["X"]))
    assert names["model"].value == names["handle"].address


@pytest.mark.process
@needs_gcc
@needs_libpython
def test_the_program_of_c_learns(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    (tmp_path / "main.c").write_text(code("c"))
    build("gcc", tmp_path, "main", "-O2", "main.c", *capi.flags())
    status, said = call(tmp_path, "main")
    assert status == 0, said
    loss, *outputs = map(float, re.findall(r"-?\d[\d.e-]*", said))
    assert said.startswith("done: ")
    assert loss < 1e-3
    assert np.allclose(outputs, [0, 1], atol=0.05)


@pytest.mark.process
@needs_gfortran
@needs_libpython
def test_the_program_of_fortran_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    net = fastbp.Network([3, 4, 2], seed=0)
    adam = fastbp.Adam(lr=1e-3)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=adam, batch_size=100)
    trainer.save(tmp_path / "trainer.safetensors")
    rows = "X = 1; y = 2  ! X and y"
    assert "! ... X and y" in code("fortran")
    (tmp_path / "main.f90").write_text(code("fortran").replace("! ... X and y", rows))
    build("gfortran", tmp_path, "main", *capi.flags("fortran"), "main.f90")
    status, said = call(tmp_path, "main")
    assert status == 0, said
    after = fastbp.Trainer.load(tmp_path / "trainer.safetensors")
    assert after.updates == 10_000
    assert np.allclose(after.predict(np.ones((1, 3))), 2, atol=0.1)
