"""The wheel holds fastbp and nothing else, and works from another folder."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SHIPPED = "kernels/shipped/code.bc.z"
"""Like a file that scripts/wheel makes before it builds the wheel."""

SOURCES = {
    f"fastbp/capi/{name}" for name in ("fastbp.h", "fastbp.c", "fastbp.f90", "fastbp_calls.inc")
}
"""What programs of C and Fortran are compiled with."""


def pip(*arguments, cwd):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the checkout, tests and all, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    junk = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, folder / "checkout", ignore=junk)
    (folder / "checkout" / SHIPPED).parent.mkdir(exist_ok=True)
    (folder / "checkout" / SHIPPED).touch()
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", ".", "./checkout", cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder with the wheel installed in it."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--no-index", "--target", folder, wheel, cwd=folder)
    return folder


def sources(folder, prefix):
    return {prefix + path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}


@pytest.mark.slow
@pytest.mark.process
def test_holds_nothing_but_fastbp(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = sources(ROOT / "fastbp", "fastbp/") | sources(ROOT / "kernels", "fastbp/kernels/")
    assert "fastbp/kernels/__init__.py" in modules
    about = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - about == modules | SOURCES | {"fastbp/py.typed", f"fastbp/{SHIPPED}"}
    assert any(name.endswith("/LICENSE") for name in about)


TRAIN = """
import pathlib, numpy, fastbp, fastbp.kernels
print(pathlib.Path(fastbp.__file__).parent)
print(pathlib.Path(fastbp.kernels.__file__).parent)
network = fastbp.Network([2, 3, 1], seed=0)
trainer = fastbp.Trainer(network, loss="mse", optimizer=fastbp.SGD(lr=0.1), batch_size=4, seed=0)
print(numpy.isfinite(trainer.step(numpy.ones((4, 2)), numpy.ones((4, 1)))))
"""


@pytest.mark.slow
@pytest.mark.process
def test_trains_from_another_folder(site, tmp_path):
    program = f"import sys; sys.path.insert(0, {str(site)!r}); {TRAIN}"
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = [site / "fastbp", site / "fastbp" / "kernels", True]
    assert done.stdout.splitlines() == list(map(str, expected)), done.stderr
