"""How many threads a trainer may use, and several Python threads at once."""

import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

import fastbp
from fastbp.runtime import chunking, quota, threads
from support import processes, threading_layers
from support.cases import CASES
from support.internals import core
from support.trainers import LARGE, fingerprint, trainer_in_thirds

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
        monkeypatch.setattr(quota, "_GROUPS", tmp_path)
        monkeypatch.setattr(quota, "_OWN_GROUPS", tmp_path / "own")
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
    counts, run_exclusive = [], threads.run_exclusive

    def watched(count, *arguments):
        counts.append(count)
        return run_exclusive(count, *arguments)

    monkeypatch.setattr(threads, "run_exclusive", watched)
    fingerprint(trainer_in_thirds(LARGE, threads=1), *LARGE.batch())
    assert not counts
    fingerprint(trainer_in_thirds(LARGE, threads=AVAILABLE), *LARGE.batch())
    assert max(counts, default=1) == AVAILABLE


@pytest.mark.parametrize("mine", sorted({1, AVAILABLE}))
def test_the_users_setting_is_as_before_after_each_call(mine):
    trainer = trainer_in_thirds(LARGE, threads=AVAILABLE)
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


def predict_at_once(workers):
    """Whether eight threads predict what one does, each from its own rows."""
    trainer = trainer_in_thirds(LARGE)
    core(trainer).workers = workers

    def repeated(predict, X):
        return lambda: {predict(X).tobytes() for _ in range(5)}

    batches = [LARGE.batch(seed)[0] for seed in range(8)]
    calls = [repeated(trainer.predict, X) for X in batches[:5]]
    calls += [repeated(trainer.net.predict, X) for X in batches[5:]]
    exclusive = [call() for call in calls]
    assert len(set.union(*exclusive)) == len(calls)
    return at_once(calls) == exclusive


def train_at_once(workers):
    """Whether two trainers at once learn what they learn one after another."""

    def calls():
        for case in (CASES["many rows"], LARGE):
            trainer = trainer_in_thirds(case)
            core(trainer).workers = workers
            yield lambda trainer=trainer, case=case: fingerprint(trainer, *case.batch())

    return at_once(list(calls())) == [call() for call in calls()]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_eight_threads_predict_what_one_does(workers):
    assert predict_at_once(workers)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_two_trainers_at_once_learn_what_they_learn_alone(workers):
    assert train_at_once(workers)


LAYER = """
import numba, test_threads as t
print([(t.train_at_once(shares), t.predict_at_once(shares)) for shares in (1, 2, 3)])
print(t.predict_during_fit(2), t.setting_stays())
print(numba.threading_layer())
"""


def predict_during_fit(workers):
    """Whether a thread fits, and the main thread predicts all the while, as each does alone."""
    X, y = LARGE.batch()

    def fit():
        trainer = trainer_in_thirds(LARGE)
        core(trainer).workers = workers
        trainer.fit(X, y, epochs=20)
        return fingerprint(trainer, X, y)

    exclusive, other = fit(), trainer_in_thirds(LARGE, optimizer=fastbp.SGD(lr=0.1))
    core(other).workers = workers
    expected, found = other.predict(X).tobytes(), set()
    with ThreadPoolExecutor(1) as pool:
        fitted = pool.submit(fit)
        while not fitted.done():
            found.add(other.predict(X).tobytes())
        return fitted.result() == exclusive and found == {expected}


def setting_stays():
    """Whether every thread's own setting of Numba's is as before after two fits at once."""
    setting = numba.get_num_threads()

    def fit(mine):
        numba.set_num_threads(mine)
        trainer = trainer_in_thirds(LARGE)
        core(trainer).workers = 2
        trainer.fit(*LARGE.batch(), epochs=5)
        return numba.get_num_threads() == mine

    kept = at_once([lambda: fit(1), lambda: fit(AVAILABLE)])
    return all(kept) and numba.get_num_threads() == setting


@pytest.mark.slow
@pytest.mark.process
@threading_layers.each_layer
def test_several_python_threads_with_the_threading_layer(layer):
    """In a process that begins with them: the first calls compile or load at once, too."""
    environment = threading_layers.settings(layer) | {"NUMBA_NUM_THREADS": None}
    lines = processes.run(LAYER, **environment).splitlines()
    assert lines == [str([(True, True)] * 3), "True True", layer]


# Turns


def test_who_leaves_a_region_does_not_overtake_who_waits():
    """A plain lock would go to the thread that has just released it, again and again."""
    turns, begun = [], threading.Barrier(2)

    def train(name):
        begun.wait()
        for _ in range(20):
            threads.run_exclusive(1, lambda: (time.sleep(0.002), turns.append(name)))

    at_once([lambda name=name: train(name) for name in "ab"])
    # From the moment both are there, until the first of them is done.
    present = max(turns.index(name) for name in "ab")
    done = min(last_place(turns, name) for name in "ab")
    together = turns[present:done]
    assert len(together) > 20
    assert max(len(list(same)) for _, same in itertools.groupby(together)) <= 2
    counts = [together.count(name) for name in "ab"]
    assert max(counts) - min(counts) <= 4


def last_place(turns, name):
    return len(turns) - 1 - turns[::-1].index(name)


def test_two_trainers_take_turns_of_a_chunk(monkeypatch):
    """Each waits for one compiled call of the other's, of about 100 ms, and no longer."""
    turns, run_exclusive = [], threads.run_exclusive

    def watched(*arguments):
        waited = run_exclusive(*arguments)
        turns.append(threading.get_ident())
        return waited

    monkeypatch.setattr(threads, "run_exclusive", watched)
    monkeypatch.setattr(chunking, "CHUNK_SECONDS", 0.01)

    def fit():
        trainer = trainer_in_thirds(LARGE)
        core(trainer).workers = 2
        X, y = LARGE.batch()
        begun.wait()
        end = time.perf_counter() + 0.7
        while time.perf_counter() < end:
            trainer.fit(X, y, epochs=100)

    begun = threading.Barrier(2)
    at_once([fit, fit])
    first, second = (turns.count(thread) for thread in set(turns))
    assert min(first, second) > 10
    assert max(first, second) < 1.5 * min(first, second)


def test_ctrl_c_leaves_the_turn_to_others(monkeypatch):
    """Wherever it comes: while a thread waits, as soon as it has the turn, and in the region."""

    class Interrupted:
        def __init__(self, after):
            self.after, self.release = after, lock.release

        def acquire(self):
            if self.after:
                lock.acquire()
            raise KeyboardInterrupt

    lock = threads.PARALLEL_REGION
    for after in (False, True):
        monkeypatch.setattr(threads, "PARALLEL_REGION", Interrupted(after))
        with pytest.raises(KeyboardInterrupt):
            threads.run_exclusive(1, int)
        monkeypatch.setattr(threads, "PARALLEL_REGION", lock)
        assert is_free(lock)
    with pytest.raises(KeyboardInterrupt):
        threads.run_exclusive(1, interrupt)
    assert is_free(lock)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def is_free(lock):
    """Whether another thread could have it."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: lock.acquire(timeout=1) and lock.release() is None).result()


FEWER = """
import numba
from fastbp.runtime import threads
seen = []
def region():
    seen.append(numba.get_num_threads())
    raise LookupError
for count in (1, 2, 3):
    try:
        threads.run_exclusive(count, region)
    except LookupError:
        seen.append(numba.get_num_threads())
print(seen)
"""


@pytest.mark.process
def test_a_region_has_its_number_of_threads_and_leaves_the_users():
    assert processes.run(FEWER, NUMBA_NUM_THREADS="3") == "[1, 3, 2, 3, 3, 3]\n"
