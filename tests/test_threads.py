"""How many threads a trainer may use, and several Python threads at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import processes
import pytest
from cases import CASES
from test_determinism import LARGE, fingerprint, make

from fastbp import threads

AVAILABLE = numba.config.NUMBA_NUM_THREADS


# What "auto" and n mean


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of eight processors whose variables and control group a test sets."""

    def settings(files=None, **environment):
        for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 8)
        for name, text in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="ascii")
        monkeypatch.setattr(threads, "_GROUPS", tmp_path)
        monkeypatch.setattr(threads, "_OWN_GROUPS", tmp_path / "own")
        threads._cgroup_quota.cache_clear()

    yield settings
    threads._cgroup_quota.cache_clear()


def version2(quota, folder="a/b"):
    """Control groups of version 2: this process is in a/b, and ``folder`` has the limit."""
    return {"own": "0::/a/b\n", f"{folder}/cpu.max": quota}


def version1(quota):
    """Control groups of version 1."""
    own = "4:memory:/m\n3:cpu:/a\n"
    return {"own": own, "cpu/a/cpu.cfs_quota_us": quota, "cpu/a/cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize("count", [1, AVAILABLE, np.int64(1), np.uint8(AVAILABLE)])
def test_a_number_is_the_most_threads(count):
    assert threads.maximum(count) == count
    assert type(threads.maximum(count)) is int


@pytest.mark.parametrize(
    ("count", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (AVAILABLE + 1, ValueError),
        ("all", ValueError),
        ("2", ValueError),
        (1.0, TypeError),
        (None, TypeError),
        (True, TypeError),
        (np.float32(1), TypeError),
    ],
)
def test_another_number_is_refused(count, error):
    with pytest.raises(error, match=f"threads.*{count}.*'auto' or an integer.*1 to {AVAILABLE}"):
        threads.maximum(count)


AUTO = {
    "as many as Numba has": ({}, 8),
    "fewer by OMP_NUM_THREADS": ({"OMP_NUM_THREADS": "3"}, 3),
    "no more by OMP_NUM_THREADS": ({"OMP_NUM_THREADS": "64"}, 8),
    "the outer level of OMP_NUM_THREADS": ({"OMP_NUM_THREADS": "4,2"}, 4),
    "an OMP_NUM_THREADS that is none": ({"OMP_NUM_THREADS": "many"}, 8),
    "an OMP_NUM_THREADS of 0": ({"OMP_NUM_THREADS": "0"}, 8),
    "an empty OMP_NUM_THREADS": ({"OMP_NUM_THREADS": ""}, 8),
    "NUMBA_NUM_THREADS before all": ({"NUMBA_NUM_THREADS": "8", "OMP_NUM_THREADS": "3"}, 8),
    "no quota": ({"files": version2("max 100000")}, 8),
    "a quota": ({"files": version2("300000 100000")}, 3),
    "a quota of the group above": ({"files": version2("300000 100000", "a")}, 3),
    "a quota of the root": ({"files": version2("300000 100000", ".")}, 3),
    "a part of a quota": ({"files": version2("250000 100000")}, 2),
    "less than one processor": ({"files": version2("50000 100000")}, 1),
    "a large quota": ({"files": version2("6400000 100000")}, 8),
    "a quota that cannot be read": ({"files": version2("?")}, 8),
    "a quota of version 1": ({"files": version1("300000")}, 3),
    "no quota of version 1": ({"files": version1("-1")}, 8),
    "the least of all": ({"files": version2("500000 100000"), "OMP_NUM_THREADS": "2"}, 2),
}


@pytest.mark.parametrize(("settings", "expected"), AUTO.values(), ids=AUTO)
def test_auto_is(settings, expected, machine):
    machine(**settings)
    assert threads.maximum("auto") == expected


def test_a_trainer_uses_no_more_than_its_threads(monkeypatch):
    counts, set_num_threads = [], numba.set_num_threads
    monkeypatch.setattr(
        numba, "set_num_threads", lambda count: (counts.append(count), set_num_threads(count))
    )
    fingerprint(make(LARGE, threads=1), *LARGE.batch())
    assert not counts
    fingerprint(make(LARGE, threads=AVAILABLE), *LARGE.batch())
    assert max(counts, default=1) == AVAILABLE


@pytest.mark.parametrize("mine", sorted({1, AVAILABLE}))
def test_the_users_setting_is_as_before_after_each_call(mine):
    trainer = make(LARGE, threads=AVAILABLE)
    X, y = LARGE.batch()
    bad = np.where(np.arange(len(X)) == 100, np.nan, X.T).T
    before = numba.get_num_threads()
    numba.set_num_threads(mine)
    try:
        for data in (X, bad):
            for call in (
                lambda X: trainer.fit(X, y),
                lambda X: trainer.step(X[:200], y[:200]),
                lambda X: trainer.loss_and_gradients(X, y),
                lambda X: trainer.evaluate(X, y),
                trainer.predict,
                trainer.net.predict,
            ):
                refused = outcome(call, data)
                assert refused == (data is bad)
                assert numba.get_num_threads() == mine
    finally:
        numba.set_num_threads(before)


def outcome(call, data):
    """Whether it was refused."""
    try:
        call(data)
    except ValueError:
        return True
    return False


# Python threads


def at_once(calls):
    """The results of calls that all begin together."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def predict_at_once(shares):
    """Whether eight threads predict what one does, each from its own rows."""
    trainer = make(LARGE)
    trainer._shares = shares

    def repeated(predict, X):
        return lambda: {predict(X).tobytes() for _ in range(5)}

    batches = [LARGE.batch(seed)[0] for seed in range(8)]
    calls = [repeated(trainer.predict, X) for X in batches[:5]]
    calls += [repeated(trainer.net.predict, X) for X in batches[5:]]
    alone = [call() for call in calls]
    assert len(set.union(*alone)) == len(calls)
    return at_once(calls) == alone


def train_at_once(shares):
    """Whether two trainers at once learn what they learn one after another."""

    def calls():
        for case in (CASES["many rows"], LARGE):
            trainer = make(case)
            trainer._shares = shares
            yield lambda trainer=trainer, case=case: fingerprint(trainer, *case.batch())

    return at_once(list(calls())) == [call() for call in calls()]


@pytest.mark.parametrize("shares", [1, 2, 3])
def test_eight_threads_predict_what_one_does(shares):
    assert predict_at_once(shares)


@pytest.mark.parametrize("shares", [1, 2, 3])
def test_two_trainers_at_once_learn_what_they_learn_alone(shares):
    assert train_at_once(shares)


LAYER = """
import numba, test_threads as t
print([(t.train_at_once(shares), t.predict_at_once(shares)) for shares in (1, 2, 3)])
print(numba.threading_layer())
"""


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_several_python_threads_with_the_threading_layer(layer):
    """In a process that begins with them: the first calls compile or load at once, too."""
    if layer == "omp" and not has_openmp():
        pytest.skip("Numba has no OpenMP here")
    lines = processes.run(LAYER, NUMBA_THREADING_LAYER=layer).splitlines()
    assert lines == [str([(True, True)] * 3), layer]


def has_openmp():
    try:
        from numba.np.ufunc import omppool  # noqa: F401
    except ImportError:
        return False
    return True
