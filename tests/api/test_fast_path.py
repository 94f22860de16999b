"""The short way from Python: the bits of the careful way, and its refusals."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp import Network, Trainer
from support.cases import CASES, Case, each_case, each_dtype
from support.internals import core

ADAM = fastbp.Adam(lr=0.01)
SMALL = Case((4, 9, 2), 6, "gelu")


def arrays(case, dtype):
    """X and y that can go the short way."""
    X, y = case.batch()
    return X.astype(dtype), y if case.labels else y.astype(dtype)


def careful(array):
    """The same rows, which only the careful way takes."""
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.fixture
def _no_careful_way(monkeypatch):
    def refuse(*_):
        raise AssertionError("went the careful way")

    monkeypatch.setattr(Trainer, "_step_checked", refuse)
    monkeypatch.setattr(Network, "_checked_outputs", refuse)


@each_dtype
@each_case
def test_the_bits_of_the_careful_way(case, dtype):
    quick, slow = (case.trainer(dtype, optimizer=ADAM) for _ in range(2))
    X, y = arrays(case, dtype)
    for _ in range(3):
        assert quick.step(X, y) == slow.step(careful(X), careful(y))
        p = slow.predict(careful(X))
        np.testing.assert_array_equal(quick.predict(X), p)
        np.testing.assert_array_equal(quick.net.predict(X), p)
    np.testing.assert_array_equal(core(quick).arrays.moments, core(slow).arrays.moments)
    np.testing.assert_array_equal(core(quick).arrays.hyper, core(slow).arrays.hyper)


@each_dtype
@pytest.mark.usefixtures("_no_careful_way")
@pytest.mark.parametrize("name", ["odd", "batch of one", "one output"])
def test_small_work_goes_the_short_way(name, dtype):
    case = CASES[name]
    trainer = case.trainer(dtype)
    X, y = arrays(case, dtype)
    out = np.empty((case.rows, case.sizes[-1]), dtype)
    assert np.isfinite(trainer.step(X, y))
    if case.sizes[-1] == 1 and not case.labels:
        assert np.isfinite(trainer.step(X, y[:, 0].copy()))
    assert trainer.predict(X, out) is out
    np.testing.assert_array_equal(trainer.net.predict(X), out)


def test_lr_and_parameters_that_were_set_are_taken():
    quick, slow = (SMALL.trainer(optimizer=ADAM) for _ in range(2))
    X, y = arrays(SMALL, "float64")
    quick.step(X, y)
    quick.predict(X)
    slow.step(careful(X), careful(y))
    for trainer in (quick, slow):
        trainer.lr = 0.5
        trainer.net.set_parameters([W + 1 for W in trainer.net.weights], trainer.net.biases)
    np.testing.assert_array_equal(quick.predict(X), slow.predict(careful(X)))
    assert quick.step(X, y) == slow.step(careful(X), careful(y))
    np.testing.assert_array_equal(quick.net.arrays.parameters, slow.net.arrays.parameters)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_a_short_way_of_its_own(copied):
    trainer = SMALL.trainer(optimizer=ADAM)
    X, y = arrays(SMALL, "float64")
    trainer.step(X, y)
    before = trainer.predict(X)
    other = copied(trainer)
    other.step(X, y)
    np.testing.assert_array_equal(trainer.predict(X), before)
    assert not np.array_equal(other.predict(X), before)
    del other
    trainer.step(X, y)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_takes_the_short_way(copied, monkeypatch):
    trainer = copied(SMALL.trainer(optimizer=ADAM))
    X, y = arrays(SMALL, "float64")
    monkeypatch.setattr(fastbp.Trainer, "_step_checked", None)
    monkeypatch.setattr(fastbp.Network, "_checked_outputs", None)
    trainer.step(X, y)
    trainer.predict(X)


X, Y = np.ones((6, 4)), np.ones((6, 2))
BAD_STEPS = {
    "too many rows": (np.ones((7, 4)), np.ones((7, 2)), "expected at most batch_size = 6"),
    "no rows": (X[:0], Y[:0], "X is empty"),
    "inputs": (np.ones((6, 3)), Y, "X has shape"),
    "flat X": (np.ones(4), np.ones((1, 2)), "X has shape"),
    "outputs": (X, np.ones((6, 1)), "y has shape"),
    "rows": (X, np.ones((5, 2)), "y has .*5"),
    "flat y for one row": (X[:1].copy(), np.ones(2), "y has shape"),
    "value of X": (np.full((6, 4), np.nan), Y, "X .*nan"),
    "value of y": (X, np.full((6, 2), np.inf), "y .*inf"),
}


@pytest.mark.parametrize(("bad_X", "bad_y", "message"), BAD_STEPS.values(), ids=BAD_STEPS)
def test_what_the_careful_way_refuses_changes_nothing(bad_X, bad_y, message):
    trainer = SMALL.trainer(optimizer=ADAM)
    trainer.step(X, Y)
    before = copy.deepcopy(trainer)
    with pytest.raises(ValueError, match=message):
        trainer.step(bad_X, bad_y)
    for name in ("parameters", "moments", "hyper"):
        np.testing.assert_array_equal(
            getattr(core(trainer).arrays, name), getattr(core(before).arrays, name)
        )
    assert trainer.step(X, Y) == before.step(X, Y)


def test_labels_in_float_are_refused():
    trainer = Case((4, 9, 1), 6, loss="cross_entropy", output="softmax").trainer()
    trainer.step(X, np.ones((6, 1)))
    with pytest.raises((TypeError, ValueError), match="y "):
        trainer.step(X, np.ones(6))


def test_a_loss_that_is_not_finite_is_refused():
    trainer = SMALL.trainer()
    trainer.net.arrays.parameters[:] = np.nan
    with pytest.raises(FloatingPointError, match="not finite"):
        trainer.step(X, Y)


@pytest.mark.parametrize("bad", [np.ones((6, 5)), np.ones(4), np.ones((0, 4)), np.array(1.0)])
def test_predict_refuses_other_shapes(bad):
    with pytest.raises(ValueError, match=r"X .*shape"):
        SMALL.network().predict(bad)


@pytest.mark.parametrize("out", [np.empty((5, 2)), np.empty(12), careful(Y), X[:, :2]])
def test_predict_refuses_another_out(out):
    with pytest.raises((TypeError, ValueError), match="out "):
        SMALL.network().predict(X, out)


def test_python_threads_predict_at_once():
    trainer = SMALL.trainer()
    batches = [SMALL.batch(seed)[0] for seed in range(16)]
    expected = [trainer.predict(careful(rows)) for rows in batches]
    with ThreadPoolExecutor(16) as pool:
        for predict in (trainer.predict, trainer.net.predict):
            for found in pool.map(lambda _, p=predict: [p(rows) for rows in batches], range(400)):
                np.testing.assert_array_equal(found, expected)
