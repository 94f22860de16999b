"""Compiled kernels are cached, and never used after a source that went into them has changed."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import processes
import pytest
from cases import CASES

import fastbp.kernels
from fastbp.kernels import jit, run

PROBE = """
from numba import types
from .jit import c_function, entry
from .shuffle import mix

@entry
def called(z):
    return types.int64(mix(types.uint64(z)))

def _stage(z):
    return types.int64(mix(types.uint64(z)))

address = c_function(_stage, types.int64(types.int64))
"""
"""A module of kernels, quickly compiled, with a function of either kind that is cached."""

CALL = """
from ctypes import CFUNCTYPE, c_int64
from fastbp.kernels import jit, probe
print(probe.called(1), CFUNCTYPE(c_int64, c_int64)(probe.address)(1))
print(sum(probe.called.stats.cache_hits.values()), jit._KEPT[0].cache_hits)
print(jit.cache_folder().name)
"""


class Copy:
    """A copy of the package with PROBE among its kernels, and a cache of its own."""

    def __init__(self, folder):
        self.site, self.cache = folder / "site", folder / "cache"
        self.kernels = self.site / "fastbp" / "kernels"
        for module, target in ((fastbp, self.site / "fastbp"), (fastbp.kernels, self.kernels)):
            shutil.copytree(Path(module.__file__).parent, target, dirs_exist_ok=True)
        (self.kernels / "probe.py").write_text(PROBE, encoding="utf-8")

    def run(self, **environment):
        settings = {"NUMBA_CACHE_DIR": str(self.cache)} | environment
        values, hits, folder = processes.run(CALL, folder=self.site, **settings).splitlines()
        assert len(set(values.split())) == 1, values
        return SimpleNamespace(values=values, hits=hits, folder=folder)

    def edit(self, name, old, new):
        path = self.kernels / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")


COMPILED, LOADED = "0 0", "1 1"


def test_kernels_are_compiled_anew_when_one_that_they_call_is_edited(tmp_path):
    copy = Copy(tmp_path)
    fresh, again = copy.run(), copy.run()
    assert fresh.hits == COMPILED
    assert again == SimpleNamespace(values=fresh.values, hits=LOADED, folder=fresh.folder)

    copy.edit("shuffle.py", "(z >> types.uint64(27))", "(z >> types.uint64(28))")
    edited = copy.run()
    assert edited.hits == COMPILED
    assert edited.values != fresh.values
    assert edited.folder != fresh.folder

    copy.edit("shuffle.py", "(z >> types.uint64(28))", "(z >> types.uint64(27))")
    assert copy.run() == again
    assert {path.name for path in copy.cache.iterdir()} == {fresh.folder, edited.folder}


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    copy = Copy(tmp_path)
    (tmp_path / "file").touch()
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache")}
    assert copy.run(**settings).hits == COMPILED
    assert copy.run(**settings).hits == COMPILED


SECOND = """
from numba.core import event
from cases import CASES
case = CASES["odd"]
trainer = case.trainer("float32")
with event.install_recorder("numba:run_pass") as recorder:
    for trainer._shares in (1, 2):
        trainer.step(*case.batch())
        trainer.predict(case.batch()[0])
print(len(recorder.buffer))
"""


def test_every_function_that_is_called_from_python_is_cached():
    assert type(run.parallel._cache) is jit._StampedCache
    case = CASES["odd"]
    trainer = case.trainer("float32")
    for trainer._shares in (1, 2):
        trainer.step(*case.batch())
        trainer.predict(case.batch()[0])
    compiled = processes.run(SECOND).splitlines()
    assert compiled == ["0"]


FOLDER = "from fastbp.kernels import jit; print(jit.cache_folder())"


def test_the_folder_is_stamped_with_the_width_and_the_processor():
    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    widths = ({"FASTBP_VECTOR_BITS": bits} for bits in ("256", "128"))
    folders = [
        processes.run(FOLDER, **settings)
        for settings in (*widths, generic | {"FASTBP_VECTOR_BITS": "128"})
    ]
    assert len(set(folders)) == 3


def test_without_a_setting_the_folder_is_among_the_users_caches(tmp_path):
    home = {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "XDG_CACHE_HOME": None}
    folder = Path(processes.run(FOLDER, NUMBA_CACHE_DIR=None, **home).strip())
    assert tmp_path in folder.parents
    assert folder.name.startswith("fastbp-")


@pytest.mark.parametrize("kind", ["*.nbc", "*.nbi"])
@pytest.mark.parametrize("length", [0, 100])
def test_a_damaged_cache_is_made_anew(tmp_path, kind, length):
    copy = Copy(tmp_path)
    whole = copy.run()
    for path in copy.cache.rglob(kind):
        path.write_bytes(path.read_bytes()[:length])
    assert copy.run().values == whole.values
    assert copy.run().hits == LOADED
