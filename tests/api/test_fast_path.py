"""The short way from Python: the bits of the careful way, and its refusals.

Arrays in the layout of the kernels go it as they are; all others are described to it as tables.
"""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp import Trainer
from fastbp.model import network
from fastbp.runtime.compiled_engine import Inference
from fastbp.training.core import TrainerCore
from support.array_views import KINDS, VIEWS, values_of
from support.cases import CASES, THREE_CLASSES, Case, each_case, each_dtype
from support.internals import checked_outputs, checked_step, core

ADAM = fastbp.Adam(lr=0.01)
SMALL = Case((4, 9, 2), 6, "gelu")


def arrays(case, dtype):
    """X and y that can go the short way."""
    X, y = case.batch()
    return X.astype(dtype), y if case.labels else y.astype(dtype)


def read_only(array):
    """The same rows, which go as a table."""
    array = array.copy()
    array.flags.writeable = False
    return array


def refuse(*_, **__):
    raise AssertionError("went the careful way")


@pytest.fixture
def _no_careful_way(monkeypatch):
    """No engine is reached."""
    monkeypatch.setattr(TrainerCore, "update", refuse)
    monkeypatch.setattr(Inference, "run_by", refuse)


@pytest.fixture
def _no_tables(monkeypatch):
    """Nor is a table described."""
    monkeypatch.setattr(Trainer, "_step_checked", refuse)
    monkeypatch.setattr(network, "checked_outputs", refuse)


@each_dtype
@each_case
def test_the_bits_of_the_careful_way(case, dtype):
    quick, slow = (case.trainer(dtype, optimizer=ADAM) for _ in range(2))
    X, y = arrays(case, dtype)
    for as_it_is in (np.asarray, read_only):
        for _ in range(3):
            assert quick.step(as_it_is(X), as_it_is(y)) == checked_step(slow, X, y)
            p = checked_outputs(slow.net, X)
            np.testing.assert_array_equal(quick.predict(as_it_is(X)), p)
            np.testing.assert_array_equal(quick.net.predict(as_it_is(X)), p)
    check_same_state(quick, slow)


def check_same_state(quick, slow):
    for name in ("parameters", "moments", "hyper"):
        np.testing.assert_array_equal(
            getattr(core(quick).arrays, name), getattr(core(slow).arrays, name)
        )


@each_dtype
@pytest.mark.usefixtures("_no_careful_way", "_no_tables")
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
    checked_step(slow, X, y)
    for trainer in (quick, slow):
        trainer.lr = 0.5
        trainer.net.set_parameters([W + 1 for W in trainer.net.weights], trainer.net.biases)
    np.testing.assert_array_equal(quick.predict(X), checked_outputs(slow.net, X))
    assert quick.step(X, y) == checked_step(slow, X, y)
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
    monkeypatch.setattr(network, "checked_outputs", None)
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
    with pytest.raises(ValueError, match=message):
        trainer.step(np.float32(bad_X), np.float32(bad_y))
    check_same_state(trainer, before)
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


@pytest.mark.parametrize("out", [np.empty((5, 2)), np.empty(12), read_only(Y), X[:, :2]])
def test_predict_refuses_another_out(out):
    with pytest.raises((TypeError, ValueError), match="out "):
        SMALL.network().predict(X, out)


def test_python_threads_predict_at_once():
    trainer = SMALL.trainer()
    batches = [SMALL.batch(seed)[0] for seed in range(16)]
    expected = [checked_outputs(trainer.net, rows) for rows in batches]
    ways = (
        trainer.predict,
        trainer.net.predict,
        lambda rows: trainer.net.predict(rows[:, ::-1].copy()[:, ::-1]),
        lambda rows: checked_outputs(trainer.net, rows),
    )
    with ThreadPoolExecutor(16) as pool:
        for predict in ways:
            for found in pool.map(lambda _, p=predict: [p(rows) for rows in batches], range(400)):
                np.testing.assert_array_equal(found, expected)


# Tables


def small_integers(kind, shape):
    """0 and 1, which every type and every loss takes."""
    return np.random.default_rng(3).integers(0, 2, shape).astype(kind)


def as_gathered(array, dtype):
    """As the gather converts: to a double first."""
    return np.ascontiguousarray(array.astype("f8"), dtype)


@each_dtype
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [1, 20])
def test_a_table_of_any_kind_has_the_bits_of_the_array_it_becomes(rows, kind, view, dtype):
    case = Case((20, 9, 2), rows)
    values = values_of(kind, np.random.default_rng(4), (rows, 20))
    X = VIEWS[view](values / 2**40 if values.dtype == np.float64 else values)
    y = VIEWS[view](small_integers(kind, (rows, 2)))
    plain = as_gathered(X, dtype), as_gathered(y, dtype)
    with np.errstate(all="raise"):  # also: no warning of NumPy's
        trainers = [case.trainer(dtype, optimizer=ADAM) for _ in range(3)]
        one, converted, engine = trainers
        out = np.empty((rows, 2), dtype)
        expected = converted.net.predict(plain[0])
        for predict in (one.net.predict, one.predict, lambda X: one.net.predict(X, out)):
            np.testing.assert_array_equal(predict(X), expected)
        np.testing.assert_array_equal(checked_outputs(engine.net, X), expected)
        loss = one.step(X, y)
    assert loss == converted.step(*plain) == checked_step(engine, X, y)
    check_same_state(one, converted)
    check_same_state(one, engine)


@each_dtype
@pytest.mark.parametrize("kind", [kind for kind in KINDS if np.dtype(kind).kind in "iu"])
def test_labels_of_any_kind(kind, dtype):
    trainers = [THREE_CLASSES.trainer(dtype, optimizer=ADAM) for _ in range(2)]
    X, y = arrays(THREE_CLASSES, dtype)
    assert trainers[0].step(X, y.astype(kind)) == checked_step(trainers[1], X, y)
    check_same_state(*trainers)


TABLES = {
    "doubles": np.float64,
    "halves": np.float16,
    "integers": np.int64,
    "bytes": np.uint8,
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "a list": np.ndarray.tolist,
    "a memoryview": memoryview,
}


@pytest.mark.usefixtures("_no_careful_way")
@pytest.mark.parametrize("wrap", TABLES.values(), ids=TABLES)
def test_no_kind_of_small_data_goes_the_careful_way(wrap):
    X, y = np.ones((6, 4), "f4"), np.ones((6, 1), "f4")
    trainer = Case((4, 9, 1), 6).trainer("float32")
    classes = Case((4, 9, 2), 6, output="softmax", loss="cross_entropy").trainer("float32")
    trainer.net.predict(wrap(X))
    trainer.predict(wrap(X), np.empty((6, 1), "f4"))
    for targets in (y, y[:, 0], wrap(y), wrap(y[:, 0])):
        trainer.step(wrap(X), targets)
    for labels in (np.ones(6, "i4"), np.ones(6, "u1"), [1] * 6, np.eye(2, dtype="i8")[[1] * 6]):
        classes.step(wrap(X), labels)


@each_dtype
@each_case
def test_weights_of_rows_go_the_short_way_once_a_trainer_has_any(case, dtype, monkeypatch):
    quick, slow = (case.trainer(dtype, optimizer=ADAM) for _ in range(2))
    X, y = arrays(case, dtype)
    weights = np.arange(1.0, case.rows + 1)
    assert quick.step(X, y, weights) == checked_step(slow, X, y, weights)
    expected = [checked_step(slow, X, y, w) for w in (weights, None, 0 * weights, None)]
    if case.rows <= core(quick).compiled.max_single_thread_rows():
        monkeypatch.setattr(core(quick), "update", refuse)
    found = [quick.step(X, y, w) for w in (weights.tolist(), None, 0 * weights, None)]
    assert found == expected
    check_same_state(quick, slow)


def test_weights_of_a_step_are_not_those_of_the_next_one_in_compiled_code():
    quick, slow = (SMALL.trainer(optimizer=ADAM) for _ in range(2))
    weights = np.arange(6.0)
    for trainer in (quick, slow):
        trainer.step(X, Y, weights)
    quick.step(X, Y, weights)
    checked_step(slow, X, Y, weights)
    assert fastbp.embed.step(quick.compiled(), X, Y) == checked_step(slow, X, Y)


def test_a_table_follows_the_scaling_of_the_network():
    trainer = SMALL.trainer("float32", optimizer=ADAM)
    data = [np.random.default_rng(5).normal(3, 2, (6, n)) for n in (4, 2)]
    trainer.net.predict(data[0])
    checked_outputs(trainer.net, data[0])
    trainer.step(*data)
    trainer.net.standardize(*data)
    other = copy.deepcopy(trainer)
    plain = [part.astype("f4") for part in data]
    p = trainer.net.predict(plain[0])
    np.testing.assert_array_equal(trainer.net.predict(data[0]), p)
    np.testing.assert_array_equal(checked_outputs(trainer.net, data[0]), p)
    assert trainer.step(*data) == other.step(*plain)


@pytest.mark.parametrize("bad", [np.inf, 1e300])
def test_a_value_that_single_precision_cannot_hold_is_named_without_a_warning(bad):
    trainer = SMALL.trainer("float32")
    rows = np.ones((6, 4))
    rows[3, 2] = bad
    with np.errstate(all="raise"):
        for call in (trainer.net.predict, trainer.predict, lambda X: trainer.step(X, Y)):
            with pytest.raises(ValueError, match=r"X has .* at row 3, column 2"):
                call(rows)


def test_a_table_is_refused_while_another_thread_trains():
    trainer = SMALL.trainer("float32")
    trainer.step(X, Y)
    with core(trainer).exclusive(), ThreadPoolExecutor(1) as pool:
        refused = pool.submit(trainer.step, X, Y).exception()
    assert isinstance(refused, RuntimeError)
    assert "another thread" in str(refused)
    trainer.step(X, Y)
