"""Limits on threads that change while a process runs, and other users of the same threads."""

import os
import sys
import threading
from concurrent.futures import Future

import pytest

from fastbp.runtime import layer, limits, pool
from support import processes, threading_layers

each_layer = threading_layers.each_layer


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    layer.start()
    monkeypatch.setattr(limits._known, "read_at", -limits.SECONDS)
    monkeypatch.setattr(limits, "_at_import", 8)
    monkeypatch.setattr(limits, "_processors", lambda: 8)
    monkeypatch.setattr(layer, "num_threads", lambda: 8)


def test_without_a_limit_all_are_allowed():
    assert [limits.allowed(n) for n in (1, 2, 8, 64)] == [1, 2, 8, 8]


def test_processors_that_are_taken_away_count(monkeypatch):
    monkeypatch.setattr(limits, "_processors", lambda: 3)
    assert [limits.allowed(n) for n in (1, 2, 8)] == [1, 2, 3]


def test_processors_are_counted_again_now_and_then(monkeypatch):
    counts = iter([3, 8, 2])
    monkeypatch.setattr(limits, "_processors", lambda: next(counts))
    assert limits.allowed(8) == limits.allowed(8) == 3
    monkeypatch.setattr(limits._known, "read_at", -limits.SECONDS)
    assert limits.allowed(8) == 8
    monkeypatch.setattr(limits._known, "read_at", -limits.SECONDS)
    assert limits.allowed(8) == 2


def test_the_affinity_of_a_thread_limits_no_other(monkeypatch):
    pinned = threading.Event()
    monkeypatch.setattr(
        limits, "_processors", lambda: 8 if threading.current_thread() is main else 1
    )
    main, allowed = threading.current_thread(), []

    def work():
        allowed.append(limits.allowed(8))
        pinned.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert pinned.wait(10)
    assert limits.allowed(8) == 8
    thread.join()
    assert allowed == [1]


def test_what_was_so_at_the_import_is_no_limit(monkeypatch):
    """More threads than processors, by NUMBA_NUM_THREADS, are what the user wants."""
    monkeypatch.setattr(limits, "_at_import", 2)
    monkeypatch.setattr(limits, "_processors", lambda: 2)
    assert limits.allowed(4) == 4


def test_the_users_own_number_counts(monkeypatch):
    monkeypatch.setattr(layer, "num_threads", lambda: 2)
    assert limits.allowed(8) == 2


@pytest.mark.parametrize(("found", "allowed"), [(3, 3), (8, 6), (64, 6)])
def test_a_limit_of_openmp_counts(found, allowed, monkeypatch):
    monkeypatch.setattr(limits, "_openmp", lambda: (lambda: found, 8))
    assert limits.allowed(6) == allowed


# In real processes

PROGRAM = """
import os, sys, time
import numba, numpy as np
{before}
import fastbp
from fastbp.runtime import compiled_engine
from support.internals import core

X = np.random.default_rng(0).normal(size=(2048, 784)).astype("float32")
y = X[:, :8].copy()
net = fastbp.Network([784, 256, 8], seed=0)
trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(1e-3), batch_size=512, seed=0)
used, run = set(), compiled_engine._run
def noted(job, arrays, workers):
    used.add(workers)
    return run(job, arrays, workers)
compiled_engine._run = noted
def look():
    used.clear()
    trainer.fit(X, y, progress=False)
    net.predict(X)
    return max(used)
print(look())
{change}
time.sleep(0.3)
print(look(), numba.get_num_threads())
"""


def counts(change, before="", **settings):
    program = PROGRAM.format(before=before, change=change)
    settings = {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": None} | settings
    return processes.run(program, **settings).split()


@pytest.mark.process
def test_set_num_threads_is_followed_and_kept():
    assert counts("numba.set_num_threads(1)") == ["2", "1", "1"]


@pytest.mark.process
@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two processors and a system that says which ones a process may use",
)
def test_affinity_is_followed():
    assert counts("os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])")[1] == "1"


OMP = 'import ctypes; ctypes.CDLL("libgomp.so.1").omp_set_num_threads(1)'


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP under this name is Linux's")
def test_omp_set_num_threads_is_followed():
    """The call that threadpoolctl makes."""
    if layer.start() != "omp":
        pytest.skip("Numba has no OpenMP here")
    assert counts(OMP) == ["2", "1", "2"]


# How threads wait

WAITS = """
import os
from fastbp.runtime import layer
print(layer.start(), *(os.environ.get(name) for name in layer.SETTINGS))
"""


@pytest.mark.process
def test_openmp_is_told_to_sleep_soon_and_nobody_else():
    shown = {"OMP_DISPLAY_ENV": "verbose", "OMP_WAIT_POLICY": None}
    process = processes.start(WAITS, **shown)
    out, err = process.communicate()
    name, *settings = out.split()
    assert settings == ["None"] * 3
    if name == "omp" and sys.platform == "linux":
        assert f"GOMP_SPINCOUNT = '{layer.SPINS}'" in err


@pytest.mark.process
@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_a_setting_of_the_users_stays(name):
    value = "active" if name == "OMP_WAIT_POLICY" else "1000"
    shown = {"OMP_DISPLAY_ENV": "verbose", "OMP_WAIT_POLICY": None, name: value}
    process = processes.start(WAITS, **shown)
    _, err = process.communicate()
    assert f"GOMP_SPINCOUNT = '{layer.SPINS}'" not in err


@pytest.mark.process
def test_a_setting_of_another_openmp_does_not_count():
    """KMP_BLOCKTIME, which is set for MKL and TensorFlow, says nothing to GNU OpenMP."""
    shown = {"OMP_DISPLAY_ENV": "verbose", "OMP_WAIT_POLICY": None, "KMP_BLOCKTIME": "1"}
    out, err = processes.start(WAITS, **shown).communicate()
    name, *settings = out.split()
    assert settings == ["None", "None", "1"]
    if name == "omp" and sys.platform == "linux":
        assert f"GOMP_SPINCOUNT = '{layer.SPINS}'" in err


# Workqueue

COMPANY = """
import threading, time
import numba, numpy as np, fastbp

@numba.njit(parallel=True)
def mine(x):
    total = 0.0
    for i in numba.prange(len(x)):
        total += np.sin(x[i])
    return total

x = np.ones(100_000)
X = np.random.default_rng(0).normal(size=(2048, 256)).astype("float32")
y = X[:, :8].copy()
def trainer():
    net = fastbp.Network([256, 256, 8], seed=0)
    return fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(1e-3), batch_size=512, seed=0)
one, other = trainer(), trainer()
expected, before = mine(x), other.fit(X, y, epochs=3, progress=False)["loss"]
results = []
def simulate(end=time.monotonic() + 2):
    while time.monotonic() < end:
        results.append(abs(mine(x) - expected) < 1e-6 * expected)
thread = threading.Thread(target=simulate)
thread.start()
losses = one.fit(X, y, epochs=3, progress=False)["loss"]
while thread.is_alive():
    one.fit(X, y, progress=False)
    one.predict(X)
thread.join()
print(numba.threading_layer(), all(results), losses == before)
"""


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_leaves_no_region_on_the_pool_behind(begun, monkeypatch):
    """It comes when the region is submitted, or while it runs."""
    runs, started, gate = [], threading.Event(), threading.Event()

    def stages(*_):
        started.set()
        gate.wait(0.5)
        runs.append("ended")

    submit = pool._submit

    def interrupted(*arguments):
        if begun:
            submit(*arguments)
            started.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "_stages", stages)
    monkeypatch.setattr(pool, "_submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool.run(0, (4, False), 2)
    assert runs == ["ended"] * begun


def test_a_cancelled_region_never_begins(monkeypatch):
    monkeypatch.setattr(pool, "_stages", lambda *_: pytest.fail("it runs"))
    done = Future()
    done.cancel()
    pool._lead(done, 0, (4, False), 2)
    assert done.cancelled()


@pytest.mark.process
def test_on_workqueue_the_users_parallel_code_runs_beside():
    settings = {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    assert processes.run(COMPANY, **settings).split() == ["workqueue", "True", "True"]
