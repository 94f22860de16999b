"""Whatever the program around it has set, fastbp computes the same: in processes of their own."""

import os
import shutil
import sys
from pathlib import Path

import pytest

import fastbp
import fastbp.kernels
from fastbp.kernels.base import code_stamp
from support import processes, workload

pytestmark = pytest.mark.process

WORK = """
import sys, tempfile
{before}
from support import workload
{after}
for engine in {engines!r}:
    with tempfile.TemporaryDirectory() as folder:
        print(workload.digest(engine, folder), file=sys.__stdout__)
"""
ENGINES = ("numba", "numpy")


def work(before="", after="", engines=ENGINES, **environment):
    """What the workload comes to in a process whose host does this before and after the import."""
    program = WORK.format(before=before, after=after, engines=engines)
    return processes.run(program, **environment).splitlines()[-len(engines) :]


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """What it comes to here."""
    return [workload.digest(engine, tmp_path_factory.mktemp(engine)) for engine in ENGINES]


NUMPY = "import numpy as np; "
STATES = {
    "numpy raises": NUMPY + "np.seterr(all='raise')",
    "numpy calls": NUMPY + "np.seterr(all='call'); np.seterrcall(lambda *_: sys.exit('called'))",
    "numpy prints otherwise": NUMPY
    + "np.set_printoptions(precision=1, threshold=3, legacy='1.13', floatmode='fixed')",
    "no streams": "sys.stdin = sys.stdout = sys.stderr = None",
    "another locale": "import locale; locale.setlocale(locale.LC_ALL, '')",
    "few digits": "import decimal; decimal.getcontext().prec = 2; sys.set_int_max_str_digits(640)",
    "no collection": "import gc; gc.disable()",
    "a profiler": "sys.setprofile(lambda *_: None)",
}


SHALLOW = "\nsys.setrecursionlimit(200)"
"""After the import alone: Numba's own takes more."""


@pytest.mark.parametrize("place", ["before", "after"])
def test_all_that_a_host_may_have_set(place, usual):
    everything = "\n".join(STATES.values()) + (SHALLOW if place == "after" else "")
    assert work(**{place: everything}) == usual


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_what_a_host_has_set(state, place, usual):
    assert work(**{place: state}) == usual


ENVIRONMENTS = {
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
    "ASCII alone": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "a locale that is not there": {"LC_ALL": "xx_YY.UTF-8"},
    "other hashes": {"PYTHONHASHSEED": "7"},
    "no home": {"HOME": "/nonexistent", "XDG_CACHE_HOME": None, "USERPROFILE": None},
}


KEPT = {"NUMBA_CACHE_DIR": str(code_stamp.cache_folder().parent)}


def test_all_that_the_environment_may_say(usual):
    everything = {name: value for each in ENVIRONMENTS.values() for name, value in each.items()}
    assert work(**KEPT | everything) == usual


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_what_the_environment_says(environment, usual):
    assert work(**KEPT | environment) == usual


# Folders


FOLDER = """
import os, tempfile
from fastbp.kernels.base import code_stamp
os.chdir({})
print(code_stamp.cache_folder().parent)
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"NUMBA_CACHE_DIR": "cache"}, "cache"),
        ({"NUMBA_CACHE_DIR": "../x/cache"}, "../x/cache"),
        ({"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": None, "HOME": "."}, ".cache/fastbp"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems name other folders")
def test_a_relative_folder_is_where_the_program_began(setting, expected, tmp_path):
    program = FOLDER.format("tempfile.mkdtemp()")
    found = processes.run(program, folder=_site(tmp_path), **setting).strip()
    assert Path(found) == tmp_path / "site" / expected


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name other folders")
def test_a_relative_folder_of_xdg_counts_for_nothing(tmp_path):
    """So its standard says."""
    setting = {"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": "relative", "HOME": str(tmp_path)}
    found = processes.run(FOLDER.format(repr("/")), **setting).strip()
    assert Path(found) == tmp_path / ".cache" / "fastbp"


GONE = "import os, tempfile; d = tempfile.mkdtemp(); os.chdir(d); os.rmdir(d)"


@pytest.mark.skipif(os.name == "nt", reason="a folder that is in use cannot be removed there")
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_working_folder_that_has_been_removed(place, usual):
    assert work(**{place: GONE}) == usual


# Disks that are full, or cannot be written to

FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import fastbp
old, net = fastbp.Network([9, 9], seed=0), fastbp.Network([500, 500], seed=0)
trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), engine="numpy")
old.save("model"); old.save("run")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for call in (lambda: net.save("model"), lambda: trainer.save("run")):
    try:
        call()
    except OSError as error:
        print(error.strerror)
import os
print(sorted(name for name in os.listdir() if name in ("model", "run") or "tmp" in name))
print(fastbp.load("model").sizes, fastbp.load("run").sizes)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no limit on the size of files")
def test_a_full_disk_leaves_the_old_file(tmp_path):
    """A limit on the size of files refuses what a full disk does."""
    out = processes.run(FULL, folder=_site(tmp_path)).splitlines()
    assert out == ["File too large"] * 2 + ["['model', 'run']", "(9, 9) (9, 9)"]


COMPILE = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from numba import types
from fastbp.kernels.base import code_stamp, choices
from fastbp.kernels.base.jit import entry
import probe
print(probe.called(4))
print([p.name for p in code_stamp.cache_folder().rglob("*") if p.is_file() and p.stat().st_size])
"""
PROBE = """
from fastbp.kernels.base.jit import entry

@entry
def called(x):
    return x + 5
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it has no limit on the size of files")
def test_a_full_disk_costs_a_compilation_and_leaves_no_half_cache(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "probe.py").write_text(PROBE, encoding="utf-8")
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "FASTBP_TILE": "default"}
    for _ in range(2):
        out = processes.run(COMPILE, folder=_site(tmp_path), **settings).splitlines()
        assert out[0] == "9"
    assert processes.run("import probe; print(probe.called(4))", folder=_site(tmp_path), **settings)


def _site(tmp_path):
    """A folder to start programs in, with a copy of the package: they find no checkout there."""
    site = tmp_path / "site"
    if not (site / "fastbp").exists():
        ignored = shutil.ignore_patterns("__pycache__")
        for module, place in ((fastbp, site / "fastbp"), (fastbp.kernels, site / "fastbp/kernels")):
            shutil.copytree(Path(module.__file__).parent, place, dirs_exist_ok=True, ignore=ignored)
    return site


# Numba does not compile

TWINS_ALONE = """
from numba import njit
import numpy as np, pytest, fastbp
from fastbp.kernels.base import no_jit

def refused(call, *arguments, **options):
    with pytest.raises((RuntimeError, TypeError), match="NUMBA_DISABLE_JIT is set"):
        call(*arguments, **options)

@njit
def own(p, y, dloss_dp):
    return 0.0

net = fastbp.Network([2, 3, 1], seed=0)
X, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
how = {"loss": "mse", "optimizer": fastbp.Adam()}
compiled, twins = (fastbp.Trainer(net, engine=engine, **how) for engine in ("numba", "numpy"))
for call in (compiled.fit, compiled.step, compiled.loss_and_gradients, compiled.evaluate):
    refused(call, X, y)
refused(compiled.predict, X)
refused(net.predict, X)
refused(compiled.compiled)
refused(fastbp.warmup)
refused(fastbp.Trainer, net, loss=own, optimizer=fastbp.Adam(), engine="numpy")
refused(fastbp.Network, [2, 3, 1], own)
fastbp.show_config()
"""


def test_where_numba_does_not_compile_the_twins_work(usual):
    assert work(engines=("numpy",), NUMBA_DISABLE_JIT="1") == usual[1:]


def test_where_numba_does_not_compile_kernels_name_the_setting(tmp_path):
    settings = {"NUMBA_DISABLE_JIT": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert "NUMBA_DISABLE_JIT is set" in processes.run(TWINS_ALONE, **settings)


# No metadata

NO_METADATA = """
import importlib.metadata as metadata
find = metadata.Distribution.from_name
def none(name):
    if name == "fastbp":
        raise metadata.PackageNotFoundError(name)
    return find(name)
metadata.Distribution.from_name = none
import fastbp
fastbp.show_config()
print(fastbp.__version__)
"""


def test_a_copy_without_metadata_knows_its_version():
    assert processes.run(NO_METADATA).splitlines()[-1] == fastbp.__version__


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert fastbp.__version__ == version("fastbp")
