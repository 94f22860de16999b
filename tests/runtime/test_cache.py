"""Compiled kernels are cached, and never used after a source that went into them has changed."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastbp.kernels
from fastbp.kernels.base import cache_folder, code_stamp, kernel_cache
from fastbp.kernels.entry import run
from support import processes
from support.cases import CASES
from support.internals import core

PROBE = """
from numba import types
from .base.jit import c_function, entry
from .primitives.shuffle import mix

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
from fastbp.kernels.base import code_stamp, machine_code
compile, compiled = machine_code.compiled, []
machine_code.compiled = lambda module: compiled.append(module) or compile(module)
from fastbp.kernels import probe
print(probe.called(1), CFUNCTYPE(c_int64, c_int64)(probe.address)(1))
print(sum(probe.called.stats.cache_hits.values()), int(not compiled))
print(code_stamp.cache_folder().name)
"""


class Copy:
    """A copy of the package with PROBE among its kernels, and a cache, its own or a shared one."""

    def __init__(self, folder, cache=None):
        self.site, self.cache = folder / "site", cache or folder / "cache"
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
        """In a file of the package, for example ``kernels/primitives/shuffle.py``."""
        path = self.site / "fastbp" / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")


COMPILED, LOADED = "0 0", "1 1"


@pytest.mark.slow
@pytest.mark.process
def test_kernels_are_compiled_anew_when_one_that_they_call_is_edited(tmp_path):
    copy = Copy(tmp_path)
    fresh, again = copy.run(), copy.run()
    assert fresh.hits == COMPILED
    assert again == SimpleNamespace(values=fresh.values, hits=LOADED, folder=fresh.folder)

    copy.edit("kernels/primitives/shuffle.py", "(z >> types.uint64(27))", "(z >> types.uint64(28))")
    edited = copy.run()
    assert edited.hits == COMPILED
    assert edited.values != fresh.values
    assert edited.folder != fresh.folder

    copy.edit("kernels/primitives/shuffle.py", "(z >> types.uint64(28))", "(z >> types.uint64(27))")
    assert copy.run() == again
    assert {path.name for path in copy.cache.iterdir()} == {fresh.folder, edited.folder}


@pytest.mark.slow
@pytest.mark.process
def test_nothing_outside_of_the_kernels_goes_into_them(tmp_path):
    copy = Copy(tmp_path)
    fresh = copy.run()
    copy.edit("runtime/chunking.py", "CHUNK_SECONDS = 0.1", "CHUNK_SECONDS = 0.2")
    assert copy.run() == SimpleNamespace(values=fresh.values, hits=LOADED, folder=fresh.folder)


@pytest.mark.slow
@pytest.mark.process
def test_installations_side_by_side_never_meet(tmp_path):
    """Equal ones share their kernels, others keep their own."""
    one, same, other = (Copy(tmp_path / name, tmp_path / "cache") for name in "abc")
    other.edit(
        "kernels/primitives/shuffle.py", "(z >> types.uint64(27))", "(z >> types.uint64(28))"
    )
    first = one.run()
    assert same.run() == SimpleNamespace(values=first.values, hits=LOADED, folder=first.folder)
    assert other.run().hits == COMPILED
    again = [installation.run() for installation in (one, other, same)]
    assert [run.hits for run in again] == [LOADED] * 3
    assert again[0] == again[2]
    assert again[0].values != again[1].values


@pytest.mark.slow
@pytest.mark.process
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    copy = Copy(tmp_path)
    (tmp_path / "file").touch()
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache")}
    assert copy.run(**settings).hits == COMPILED
    assert copy.run(**settings).hits == COMPILED


SECOND = """
from numba.core import event
from support.cases import CASES
from support.internals import core
case = CASES["odd"]
trainer = case.trainer("float32")
with event.install_recorder("numba:run_pass") as recorder:
    for core(trainer).workers in (1, 2):
        trainer.step(*case.batch())
        trainer.predict(case.batch()[0])
print(len(recorder.buffer))
"""


@pytest.mark.slow
@pytest.mark.process
def test_every_function_that_is_called_from_python_is_cached():
    assert type(run.parallel._cache) is kernel_cache.StampedCache
    case = CASES["odd"]
    trainer = case.trainer("float32")
    for core(trainer).workers in (1, 2):
        trainer.step(*case.batch())
        trainer.predict(case.batch()[0])
    compiled = processes.run(SECOND).splitlines()
    assert compiled == ["0"]


FOLDER = "from fastbp.kernels.base import code_stamp; print(code_stamp.cache_folder())"


@pytest.mark.process
def test_the_folder_is_stamped_with_the_width_and_the_processor():
    generic = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    widths = ({"FASTBP_VECTOR_BITS": bits} for bits in ("256", "128"))
    folders = [
        processes.run(FOLDER, **settings)
        for settings in (*widths, generic | {"FASTBP_VECTOR_BITS": "128"})
    ]
    assert len(set(folders)) == 3


@pytest.mark.parametrize(
    "name",
    [
        "sys.implementation.cache_tag",
        "numba.__version__",
        "llvmlite.__version__",
        "numba.config.OPT",
        "numba.config.BOUNDSCHECK",
        "width.BITS",
    ],
)
def test_the_folder_is_stamped_with(name, monkeypatch):
    before = code_stamp.source_stamp.__wrapped__()
    assert before == code_stamp.source_stamp()
    monkeypatch.setattr(f"fastbp.kernels.base.code_stamp.{name}", "another")
    assert code_stamp.source_stamp.__wrapped__() != before


def test_without_sources_the_folder_is_stamped_with_the_bytecode(tmp_path, monkeypatch):
    """As in an application that cx_Freeze has frozen, whose executable is always the same."""
    monkeypatch.setattr(code_stamp, "KERNELS", tmp_path)
    stamps = {code_stamp._sources.__wrapped__()}  # of Python's executable
    for content in (b"one", b"other"):
        (tmp_path / "gemm.pyc").write_bytes(content)
        stamps.add(code_stamp._sources.__wrapped__())
    assert len(stamps) == 3


def test_without_sources_the_folder_is_stamped_with_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(code_stamp, "KERNELS", tmp_path / "none")
    stamps = set()
    for content in (b"one", b"other"):
        (tmp_path / "all.zip").write_bytes(content)
        monkeypatch.setattr(
            code_stamp, "__loader__", SimpleNamespace(archive=str(tmp_path / "all.zip"))
        )
        stamps.add(code_stamp._sources.__wrapped__())
    assert len(stamps) == 2


# Folders that nothing uses any more


DAY = 24 * 3600
OTHERS = {f"fastbp-{i:020x}": age for i, age in enumerate((0, 29 * DAY, 31 * DAY, 3000 * DAY))}
"""Folders of other stamps, and how long ago they were looked into."""


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A folder for caches with those of OTHERS in it, and none of ours yet."""
    for name, age in OTHERS.items():
        for file in (
            "run.f-1.py311.nbi",
            "run.f-1.py311.1.nbc.tmp.1",
            "fastbp_f.code",
            "tile.json",
        ):
            put(tmp_path / name / file)
        aged(tmp_path / name, age)
    monkeypatch.setattr(code_stamp, "cache_folder", lambda: tmp_path / f"fastbp-{'f' * 20}")
    return tmp_path


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def aged(folder, seconds):
    then = time.time() - seconds
    os.utime(folder, (then, then))


def look():
    """As a process does that has a function to cache."""
    return cache_folder.path_of("name")


def names(base):
    return {path.name for path in base.iterdir()}


def test_folders_of_other_stamps_are_removed_when_long_unused(base):
    look()
    kept = {name for name, age in OTHERS.items() if age < 30 * DAY}
    assert names(base) == kept | {code_stamp.cache_folder().name}


@pytest.mark.usefixtures("base")
def test_looking_into_a_folder_is_using_it():
    look()
    aged(code_stamp.cache_folder(), 3000 * DAY)
    look()
    assert time.time() - code_stamp.cache_folder().stat().st_mtime < DAY


def test_only_a_new_folder_is_a_reason_to_remove_others(base):
    code_stamp.cache_folder().mkdir()
    look()
    assert names(base) == {*OTHERS, code_stamp.cache_folder().name}


def test_nothing_but_old_kernels_is_removed(base, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    kept = [
        base / "fastbp-notes" / "run.f-1.py311.nbi",
        base / f"fastbp-{'a' * 20}-backup" / "run.f-1.py311.nbi",
        base / f"myfastbp-{'a' * 20}" / "run.f-1.py311.nbi",
        base / "module_0123" / "f.nbi",
        base / f"fastbp-{'b' * 20}" / "mine.txt",
        base / f"fastbp-{'c' * 20}",
        elsewhere / "run.f-1.py311.nbi",
    ]
    for path in kept:
        put(path)
        aged(path.parent, 3000 * DAY)
        aged(path, 3000 * DAY)
    with suppress(OSError):  # Windows lets not everyone make links
        (base / f"fastbp-{'d' * 20}").symlink_to(elsewhere, target_is_directory=True)
    look()
    assert all(path.exists() for path in kept)


def test_what_cannot_be_removed_stays_and_is_no_error(base, monkeypatch):
    met, unlink = [], Path.unlink

    def refuse_in_the_first_folder(path):
        met.append(path.parent)
        if path.parent == met[0]:
            raise PermissionError
        unlink(path)

    monkeypatch.setattr(Path, "unlink", refuse_in_the_first_folder)
    assert look() is not None
    gone = {name for name, age in OTHERS.items() if age > 30 * DAY} - {met[0].name}
    assert names(base) == {*OTHERS, code_stamp.cache_folder().name} - gone


@pytest.mark.usefixtures("base")
def test_a_folder_that_is_there_but_cannot_be_written_is_read(monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert look() is None
    code_stamp.cache_folder().mkdir(exist_ok=True)
    assert look() is not None


def test_a_function_that_lives_elsewhere_is_stamped_with_its_own_file(tmp_path):
    path = tmp_path / "elsewhere.py"
    stamps = set()
    for text in ("a", "b", "a"):
        path.write_text(text, encoding="utf-8")
        stamps.add(kernel_cache.StampedLocator(look, str(path), tmp_path).get_source_stamp())
    assert len(stamps) == 2


@pytest.mark.process
def test_without_a_setting_the_folder_is_among_the_users_caches(tmp_path):
    home = {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "XDG_CACHE_HOME": None}
    folder = Path(processes.run(FOLDER, NUMBA_CACHE_DIR=None, **home).strip())
    assert tmp_path in folder.parents
    assert folder.name.startswith("fastbp-")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("kind", ["*.nbc", "*.nbi", "*.code"])
@pytest.mark.parametrize("length", [0, 100])
def test_a_damaged_cache_is_made_anew(tmp_path, kind, length):
    copy = Copy(tmp_path)
    whole = copy.run()
    for path in copy.cache.rglob(kind):
        path.write_bytes(path.read_bytes()[:length])
    assert copy.run().values == whole.values
    assert copy.run().hits == LOADED


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_what_is_cached(tmp_path):
    """An image is built by root, and run by another user."""
    path = tmp_path / "f.code"
    (tmp_path / "plain").touch()
    cache_folder.write(path, b"code")
    assert path.read_bytes() == b"code"
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
