"""The same seed gives the same bits, on any number of threads; fit is a sequence of steps."""

import numba
import numpy as np
import pytest

import fastbp
from fastbp.kernels import reference
from support import processes
from support.cases import CASES, each_case, each_dtype, each_engine
from support.internals import core
from support.trainers import LARGE, bits, fingerprint, trainer_in_thirds

pytestmark = [pytest.mark.law4, pytest.mark.law5]

either_order = pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in_order"])


@each_dtype
@each_case
def test_run_after_run_has_the_same_bits(case, dtype):
    one, other = (fingerprint(trainer_in_thirds(case, dtype), *case.batch()) for _ in range(2))
    assert one == other


@pytest.mark.slow("float64")
@pytest.mark.quick("odd-float32")
@each_dtype
@each_case
def test_any_number_of_shares_has_the_same_bits(case, dtype):
    found = []
    for workers in (1, 2, 3, 4, 7):
        trainer = trainer_in_thirds(case, dtype)
        core(trainer).workers = workers
        found.append(fingerprint(trainer, *case.batch()))
    assert len(set(found)) == 1, found


THREADS = """
import test_determinism as t
from fastbp.runtime import threads as regions
run_exclusive, counts = regions.run_exclusive, []
def watched(count, *arguments):
    counts.append(count)
    return run_exclusive(count, *arguments)
regions.run_exclusive = watched
for threads in (1, 2, 3, 4):
    counts.clear()
    bits = t.fingerprint(t.trainer_in_thirds(t.LARGE, threads=threads), *t.LARGE.batch())
    print(max(counts, default=1), bits)  # a trial of fewer workers may be among them
"""


@pytest.mark.process
def test_any_number_of_threads_in_another_process_has_the_same_bits():
    lines = processes.run(THREADS, NUMBA_NUM_THREADS="4").splitlines()
    expected = fingerprint(trainer_in_thirds(LARGE, threads=1), *LARGE.batch())
    assert lines == [f"{threads} {expected}" for threads in (1, 2, 3, 4)]


def test_the_users_setting_of_threads_changes_no_bits():
    found = set()
    before = numba.get_num_threads()
    try:
        for threads in {1, before, numba.config.NUMBA_NUM_THREADS}:
            numba.set_num_threads(threads)
            found.add(fingerprint(trainer_in_thirds(LARGE), *LARGE.batch()))
    finally:
        numba.set_num_threads(before)
    assert len(found) == 1


def test_seeds_decide_and_no_global_generator_does():
    case = CASES["odd"]

    def trained(seed):
        np.random.seed(seed)  # noqa: NPY002 -- it must not matter
        return fingerprint(trainer_in_thirds(case), *case.batch())

    assert trained(0) == trained(1)
    losses = {trainer_in_thirds(case, seed=seed).fit(*case.batch())["loss"][0] for seed in range(3)}
    assert len(losses) == 3


# fit and step


def batches(trainer, epoch, rows, shuffle):
    """The rows of each batch of an epoch."""
    order = reference.shuffled(trainer.seed, epoch, rows) if shuffle else np.arange(rows)
    size = trainer.batch_size
    return [order[start : start + size] for start in range(0, rows, size)]


def fit_by_steps(trainer, X, y, epochs, shuffle):
    """The epochs' losses: means over rows of the losses before each update."""
    means = []
    for epoch in range(epochs):
        taken = batches(trainer, epoch, len(X), shuffle)
        losses = [trainer.step(X[rows], y[rows]) for rows in taken]
        means.append(np.average(losses, weights=[len(rows) for rows in taken]))
    return means


def assert_same(one, other):
    assert bits(one) == bits(other)
    assert np.array_equal(core(one).arrays.hyper, core(other).arrays.hyper)


@pytest.mark.quick("odd-shuffled")
@each_engine
@either_order
@each_case
def test_fit_is_a_sequence_of_steps(case, shuffle, engine):
    one, other = trainer_in_thirds(case, engine=engine), trainer_in_thirds(case, engine=engine)
    X, y = case.batch()
    history = one.fit(X, y, epochs=2, shuffle=shuffle)
    means = fit_by_steps(other, X, y, 2, shuffle)
    assert_same(one, other)
    np.testing.assert_allclose(history["loss"], means, rtol=1e-13)


def test_fit_in_double_precision_is_a_sequence_of_steps():
    case = CASES["deep"]
    one, other = trainer_in_thirds(case, "float64"), trainer_in_thirds(case, "float64")
    one.fit(*case.batch(), epochs=2)
    fit_by_steps(other, *case.batch(), 2, shuffle=True)
    assert_same(one, other)


@each_engine
@either_order
@each_case
def test_two_epochs_are_one_and_one(case, shuffle, engine):
    one, other = trainer_in_thirds(case, engine=engine), trainer_in_thirds(case, engine=engine)
    X, y = case.batch()
    together = one.fit(X, y, epochs=2, shuffle=shuffle)["loss"]
    apart = [other.fit(X, y, epochs=1, shuffle=shuffle)["loss"][0] for _ in range(2)]
    assert_same(one, other)
    assert together == apart


@each_engine
@each_case
def test_a_batch_of_more_than_all_rows_is_all_rows(case, engine):
    X, y = case.batch()
    all_rows, more = (
        trainer_in_thirds(case, engine=engine, batch_size=n) for n in (len(X), 5 * len(X) + 3)
    )
    assert all_rows.fit(X, y, epochs=2)["loss"] == more.fit(X, y, epochs=2)["loss"]
    assert_same(all_rows, more)


def trained(case, **options):
    trainer = trainer_in_thirds(case)
    losses = trainer.fit(*case.batch(), epochs=3, **options)["loss"]
    return bits(trainer), losses


@pytest.mark.parametrize("budget", [1, 2, 3, 2**40])
@each_case
def test_how_fit_is_cut_into_calls_changes_no_bits(case, budget, monkeypatch):
    expected = trained(case)
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: budget)
    assert trained(case) == expected


@each_case
def test_watching_changes_no_bits(case, capsys):
    X, y = case.batch()
    assert trained(case) == trained(case, validation_data=(X[:5], y[:5]), progress=True)
    assert "epoch 3/3: 100%" in capsys.readouterr().err

    watched, plain = trainer_in_thirds(case), trainer_in_thirds(case)
    for _ in range(2):
        watched.evaluate(X, y)
        watched.predict(X)
        watched.net.predict(X)
        watched.loss_and_gradients(X, y)
        watched.fit(X, y)
    plain.fit(X, y, epochs=2)
    assert_same(watched, plain)


def test_how_fit_is_cut_into_calls_does_not_show_after_an_error(monkeypatch):
    """The epochs before the one that diverges are made: the next has an order of its own."""
    case, found = CASES["whole vectors"], []
    X, y = case.batch()
    for budget in (1, 2, 2**40):
        monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_, budget=budget: budget)
        trainer = trainer_in_thirds(case, optimizer=fastbp.SGD(lr=2))
        with pytest.raises(FloatingPointError) as caught:
            trainer.fit(X, y, epochs=50)
        trainer.lr = 0.001
        trainer.net.set_parameters(case.network().weights, case.network().biases)
        found.append((str(caught.value), trainer.fit(X, y)["loss"], bits(trainer)))
    assert "epoch 1," not in found[0][0]
    assert found == [found[0]] * 3
