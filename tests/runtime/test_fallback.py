"""Where an internal of Numba has changed, kernels compile without it, after one warning: same bits.

Each test takes an internal away from Numba, in a process of its own, before fastbp is imported.
"""

import json
from pathlib import Path

import pytest

from fastbp.kernels.base import code_stamp, fallback, kernel_cache
from support import processes

PROBE = """
from numba import types
from fastbp.kernels.base.jit import c_function, entry, kernel

@kernel
def less(x):
    return x - 1

@kernel
def inner(x):
    return less(x) * less(x)

@entry
def called(x):
    return inner(x)

def stage(x):
    return inner(x) + less(x)

address = c_function(stage, types.int64(types.int64))
"""
"""A module with kernels of every kind."""

REPORT = """
import json, pathlib, sys, warnings
from ctypes import CFUNCTYPE, c_int64
sys.path.insert(0, {folder!r})
{change}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import probe
    values = [probe.called(4), CFUNCTYPE(c_int64, c_int64)(probe.address)(4)]
texts = [str(one.message) for one in caught if one.category is RuntimeWarning]
print(json.dumps([values, texts]))
"""

RENAME = """
from functools import partial
from numba.core.codegen import CPUCodeLibrary
old = CPUCodeLibrary._finalize_dynamic_globals
del CPUCodeLibrary._finalize_dynamic_globals
def renamed(self, name):
    if name == "_finalize_dynamic_globals" and type(self).__module__.startswith("numba."):
        return partial(old, self)
    raise AttributeError(name)
CPUCodeLibrary.__getattr__ = renamed
"""
"""A method that only Numba itself still finds."""

NO_LIBRARY = "import numba.core.codegen as c; del c.JITCodeLibrary"
NO_CACHE = "import numba.core.ccallback, numba.core.caching as c; del c.FunctionCache"

NO_CACHE_KEY = "from numba.core.caching import Cache; del Cache._index_key"

CHANGES = {
    "none": ("", [], {"called", "stage"}),
    "no library class": (NO_LIBRARY, [fallback.SLOWER], {"called", "stage"}),
    "a renamed method": (RENAME, [fallback.SLOWER], {"called", "stage"}),
    "no cache class": (NO_CACHE, [fallback.NO_CACHE], {"stage"}),
    "no key of a cache": (NO_CACHE_KEY, [fallback.NO_CACHE], {"stage"}),
    "none of either": (
        f"{NO_LIBRARY}\n{NO_CACHE}",
        [fallback.SLOWER, fallback.NO_CACHE],
        {"stage"},
    ),
}
"""What changes in Numba, what fastbp warns of, and what it caches none the less."""

CONSEQUENCES = (fallback.SLOWER, fallback.NO_CACHE)


@pytest.mark.slow
@pytest.mark.parametrize(("change", "consequences", "cached"), CHANGES.values(), ids=CHANGES)
def test_kernels_do_without_it_and_say_so_once(change, consequences, cached, tmp_path):
    (tmp_path / "probe.py").write_text(PROBE, encoding="utf-8")
    program = REPORT.format(folder=str(tmp_path), change=change)
    values, texts = json.loads(processes.run(program, NUMBA_CACHE_DIR=str(tmp_path / "cache")))
    assert values == [9, 12]
    assert [each for each in CONSEQUENCES for text in texts if each in text] == consequences
    files = " ".join(path.name for path in (tmp_path / "cache").rglob("*.nbc"))
    files += " ".join(path.name for path in (tmp_path / "cache").rglob("*.code"))
    assert ("probe.called." in files, "fastbpstage." in files) == (
        "called" in cached,
        "stage" in cached,
    )


BITS = """
import hashlib, warnings
import numpy as np
warnings.simplefilter("ignore")
from fastbp.components import activations
from fastbp.kernels.tables import arenas
from support import kernel_stages

rng, digest = np.random.default_rng(0), hashlib.sha256()
a, b, c = (arenas.allocate(64 * 64, np.float32) for _ in range(3))
a[:], b[:] = rng.standard_normal((2, 64 * 64))
kernel_stages.multiply(kernel_stages.DOWN, a, 64, b, 64, c, 64, 9, 2, 33, b)
digest.update(c)
for name in activations.HIDDEN:
    kernel_stages.elementwise_stage(activations.lookup(name).code, a, b, c)
    digest.update(c)
print(digest.hexdigest())
"""
"""A hash of products and activations of random numbers."""


@pytest.mark.slow
def test_the_bits_are_the_same():
    """Those of the recorded runs are, too, but without the compiler these compile for 150 s."""
    changed = processes.run(f"{NO_LIBRARY}\n{NO_CACHE}\n{BITS}")
    assert changed == processes.run(BITS)


def test_a_dispatcher_that_has_no_cache_is_left_alone(monkeypatch):
    monkeypatch.setattr(fallback, "_said", set())
    with pytest.warns(RuntimeWarning, match="compiled again in every process"):
        kernel_cache.attach(object(), test_the_bits_are_the_same)


def test_no_cache_but_the_stamped_one_is_used(monkeypatch):
    """A setting of Numba's names other folders, whose code could be stale."""
    monkeypatch.setattr("numba.config.CACHE_LOCATOR_CLASSES", "InTreeCacheLocator")
    cache = kernel_cache.StampedCache(test_the_bits_are_the_same)
    assert cache.cache_path == str(code_stamp.cache_folder())


def test_a_cache_in_another_folder_is_not_used(monkeypatch):
    monkeypatch.setattr(fallback, "_said", set())
    monkeypatch.setattr(kernel_cache.StampedLocator, "get_cache_path", lambda _: "elsewhere")

    cache = kernel_cache.StampedCache(test_the_bits_are_the_same)
    with pytest.warns(RuntimeWarning, match="lies in another folder"):
        assert cache.cache_path is None
    assert cache.load_overload((), None) is None


# Where the cache is


@pytest.fixture
def appdirs():
    """Numba's private copy, which chose the folder before."""
    return pytest.importorskip("numba.misc.appdirs")


@pytest.mark.parametrize(
    ("platform", "environment"),
    [
        ("linux", {}),
        ("linux", {"XDG_CACHE_HOME": "/of/xdg"}),
        ("darwin", {}),
    ],
)
def test_the_folder_is_where_appdirs_puts_it(platform, environment, appdirs, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(appdirs, "system", platform)
    monkeypatch.setattr(code_stamp.sys, "platform", platform)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(code_stamp.user_cache_folder()) == appdirs.user_cache_dir("fastbp", False)


def test_the_folder_of_windows_is_local_data(appdirs, monkeypatch):
    """Appdirs asks Windows for the folder that LOCALAPPDATA names."""
    monkeypatch.setattr(appdirs, "system", "win32")
    monkeypatch.setattr(appdirs, "_get_win_folder", lambda _: "local", raising=False)
    monkeypatch.setattr(code_stamp.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "local")
    assert code_stamp.user_cache_folder() == Path(appdirs.user_cache_dir("fastbp", False))
    monkeypatch.delenv("LOCALAPPDATA")
    assert code_stamp.user_cache_folder() == Path.home() / "AppData/Local/fastbp/Cache"


HOMELESS = """
import os, pathlib, sys
sys.path.insert(0, {folder!r})
def no_home(path):
    return path
os.path.expanduser = no_home
import fastbp, probe
print(probe.called(4))
fastbp.show_config()
"""


def test_a_user_without_a_home_folder_has_no_cache(tmp_path):
    (tmp_path / "probe.py").write_text(PROBE, encoding="utf-8")
    program = HOMELESS.format(folder=str(tmp_path))
    out = processes.run(program, NUMBA_CACHE_DIR=None, XDG_CACHE_HOME=None, LOCALAPPDATA=None)
    assert out.startswith("9\n")
    assert "none: set NUMBA_CACHE_DIR" in out
