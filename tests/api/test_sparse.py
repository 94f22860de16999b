"""Sparse X of SciPy in CSR form: what its dense rows give, to the bit, and no more memory."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse

import fastbp
from fastbp.runtime import rooms
from fastbp.training import validation
from support import processes
from support.cases import each_dtype, each_engine
from support.guards import SIDES, Guard, guard_everything, guarding
from support.sparse_data import csr_of, dense_of
from support.tables_of_others import Stored
from support.trainers import bits

ROWS, COLUMNS, STORED = 300, 37, 5
WIDE = 301
"""Columns of which so few are stored that the kernels take nonzeros."""

each_width = pytest.mark.parametrize("columns", [COLUMNS, WIDE])


def new_trainer(engine="numba", dtype="float32", columns=COLUMNS, **options):
    net = fastbp.Network([columns, 16, 3], output="softmax", seed=0, dtype=dtype)
    defaults = {"loss": "cross_entropy", "optimizer": fastbp.Adam(lr=0.01), "batch_size": 64}
    return fastbp.Trainer(net, engine=engine, seed=1, **defaults | options)


def new_data(kind="float32", columns=COLUMNS):
    rng = np.random.default_rng(0)
    dense = dense_of(rng, (ROWS, columns), STORED, "int8").astype(kind) / 64
    return dense.astype(kind), rng.integers(0, 3, ROWS)


def share_of_ones(y, p):
    return float(np.mean(p[np.arange(len(y)), y] > 0.5))


METRICS = {"share": share_of_ones}
CALLS = {
    "fit": lambda t, X, y: t.fit(X, y, epochs=3)["loss"],
    "fit in order": lambda t, X, y: t.fit(X, y, epochs=2, shuffle=False)["loss"],
    "fit, fraction": lambda t, X, y: t.fit(
        X, y, epochs=2, validation_fraction=0.2, metrics=METRICS
    )["val_loss"],
    "fit, validation": lambda t, X, y: t.fit(
        *new_data(columns=X.shape[1]), epochs=2, validation_data=(X, y), metrics=METRICS
    )["val_share"],
    "fit, stored y": lambda t, X, y: t.fit(X, Stored(y))["loss"],
    "fit, weights": lambda t, X, y: t.fit(X, y, sample_weight=np.arange(len(y)))["loss"],
    "fit_batches": lambda t, X, y: t.fit_batches([(X[:50], y[:50]), (X[50:53], y[50:53])])["loss"],
    "evaluate": lambda t, X, y: t.evaluate(X, y, metrics=METRICS),
    "evaluate, stored y": lambda t, X, y: t.evaluate(X, Stored(y)),
    "loss_and_gradients": lambda t, X, y: t.loss_and_gradients(X, y)[0],
    "find_lr": lambda t, X, y: t.find_lr(X, y, updates=5).losses.tolist(),
    "step": lambda t, X, y: [t.step(X[:rows], y[:rows]) for rows in (1, 3, 8, 9, 33, 64)],
    "predict": lambda t, X, _y: t.predict(X).tolist(),
    "net.predict": lambda t, X, _y: [t.net.predict(X[:rows]).tolist() for rows in (1, 7, 40, 300)],
}


@pytest.mark.parametrize("call", CALLS)
@each_width
@each_engine
@each_dtype
def test_every_call_has_the_bits_of_dense_rows(call, columns, engine, dtype):
    X, y = new_data(dtype, columns)
    one, other = (new_trainer(engine, dtype, columns) for _ in range(2))
    assert CALLS[call](one, csr_of(X), y) == CALLS[call](other, X, y)
    assert bits(one) == bits(other)


@pytest.mark.parametrize("make", [scipy.sparse.csr_matrix, scipy.sparse.csr_array])
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("kind", ["float64", "int16", "bool"])
def test_every_kind_of_matrix_trains(make, index, kind):
    X, y = new_data(kind)
    one, other = new_trainer(), new_trainer()
    one.fit(csr_of(X, index, make), y, epochs=2)
    other.fit(X, y, epochs=2)
    assert bits(one) == bits(other)


@pytest.mark.parametrize("given", ["standardize", "standardize_batches"])
def test_standardizing_equals_that_of_dense_rows(given):
    X, _ = new_data()
    X[:, 4] = 0
    nets = [fastbp.Network([COLUMNS, 3], seed=0) for _ in range(2)]
    for net, data in zip(nets, (csr_of(X), X), strict=True):
        if given == "standardize":
            net.standardize(data)
        else:
            net.standardize_batches([X[:50], data[50:], data[:1]])
    for part in ("input_mean", "input_scale"):
        np.testing.assert_allclose(*(getattr(net, part) for net in nets), rtol=1e-12, atol=1e-15)


def test_scaled_inputs_have_the_bits_of_dense_rows():
    X, y = new_data()
    one, other = new_trainer(), new_trainer()
    for trainer, data in ((one, csr_of(X)), (other, X)):
        trainer.net.set_scaling(input_mean=X.mean(axis=0), input_scale=2.0)
        trainer.fit(data, y, epochs=2)
        trainer.step(data[:3], y[:3])
    assert bits(one) == bits(other)
    np.testing.assert_array_equal(one.predict(csr_of(X)), other.predict(X))


def test_data_that_have_no_numbers_at_all_train():
    X, y = np.zeros((ROWS, COLUMNS), "float32"), new_data()[1]
    one, other = new_trainer(), new_trainer()
    assert one.fit(scipy.sparse.csr_array(X), y)["loss"] == other.fit(X, y)["loss"]
    assert bits(one) == bits(other)


@each_width
def test_a_fit_that_is_resumed_has_the_bits_of_one_that_was_not(tmp_path, columns):
    X, y = new_data(columns=columns)
    whole, broken = (new_trainer(columns=columns) for _ in range(2))
    whole.fit(csr_of(X), y, epochs=4)
    path = tmp_path / "checkpoint"

    def stop(state):
        if state.epoch == 2 and broken.updates < whole.updates // 2 + 1:
            broken.save(path)
            raise KeyboardInterrupt

    callbacks = [fastbp.LambdaCallback(on_epoch_end=stop)]
    with pytest.raises(KeyboardInterrupt):
        broken.fit(csr_of(X), y, epochs=4, callbacks=callbacks)
    resumed = fastbp.Trainer.load(path)
    resumed.fit(csr_of(X), y, epochs=4, resume=path, callbacks=callbacks)
    assert bits(resumed) == bits(whole)


# Memory


def test_wide_rows_are_never_dense():
    rows, columns = 20_000, 20_000
    rng = np.random.default_rng(0)
    X = scipy.sparse.random_array((rows, columns), density=5e-5, rng=rng, format="csr")
    y = rng.integers(0, 2, rows)
    net = fastbp.Network([columns, 1, 2], output="softmax", seed=0)
    trainer = fastbp.Trainer(net, loss="cross_entropy", optimizer=fastbp.SGD(lr=0.1), batch_size=4)
    tracemalloc.start()
    trainer.fit(X[:64], y[:64], validation_data=(X, y))
    trainer.net.standardize(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * columns / 10


def train_between_pages(side):
    guard = Guard(side)
    guard_everything(guard)
    for dtype, index in (("float32", "int32"), ("float64", "int64")):
        for columns in (COLUMNS, WIDE):
            X, y = new_data(dtype, columns)
            X[-1, -1] = X[0, 0] = 1
            sparse = csr_of(X, index)
            sparse.data, sparse.indices = guard.copy(sparse.data), guard.copy(sparse.indices)
            sparse.indptr = guard.copy(sparse.indptr)
            trainer = new_trainer(dtype=dtype, columns=columns)
            trainer.fit(sparse, y, epochs=2)
            trainer.step(sparse[:3], y[:3])
            trainer.evaluate(sparse, y)
            trainer.net.predict(sparse, out=guard.empty((ROWS, 3), dtype))
    print("went on")


@guarding
@pytest.mark.law7
@pytest.mark.process
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_a_matrix_is_touched(side):
    program = f"import test_sparse; test_sparse.train_between_pages({side!r})"
    assert processes.run(program).endswith("went on\n")


# Refusals


def with_nan(columns=COLUMNS):
    X = csr_of(new_data(columns=columns)[0])
    X.data[40] = np.nan
    row = int(np.searchsorted(X.indptr, 40, "right")) - 1
    return X, f"nan at row {row}, column {X.indices[40]}"


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "net.predict", "fit, fraction"])
@each_width
@each_engine
def test_a_value_that_is_not_finite_is_named_by_row_and_column(call, columns, engine):
    X, place = with_nan(columns)
    one, other = (new_trainer(engine, columns=columns) for _ in range(2))
    with pytest.raises(ValueError, match=f"X has {place}, expected finite"):
        CALLS[call](one, X, new_data(columns=columns)[1])
    assert bits(one) == bits(other)


@each_width
def test_a_column_beyond_the_matrix_is_named_by_its_row(columns):
    X, y = new_data(columns=columns)
    X = csr_of(X)
    X.indices[X.indptr[30] - 1] = columns
    for call in ("fit", "predict"):
        with pytest.raises(ValueError, match=f"column index {columns} at row 29, expected"):
            CALLS[call](new_trainer(columns=columns), X, y)


def predict_where_others_have_been():
    """Arenas hold what earlier inferences have left: here, what would be rows of 2**31 nonzeros."""
    for dtype in ("float32", "float64"):
        X, net = csr_of(new_data(dtype, WIDE)[0]), new_trainer(dtype=dtype, columns=WIDE).net
        net.predict(X)
        (room,) = rooms._SPARE
        room.work.view("int32")[::2], room.work.view("int32")[1::2] = 0, 2**31 - 1
        X.indices[X.indptr[1]] = WIDE
        try:
            net.predict(X)
        except ValueError as error:
            print(error)


@pytest.mark.law7
@pytest.mark.process
def test_rows_after_one_that_is_refused_are_not_read():
    program = "import test_sparse; test_sparse.predict_where_others_have_been()"
    assert processes.run(program).count("column index 301 at row 1, expected") == 2


def test_bad_values_of_validation_are_found_ahead_a_part_at_a_time(monkeypatch):
    monkeypatch.setattr(validation, "AT_ONCE", 20)
    X, place = with_nan()
    trainer = new_trainer()
    with pytest.raises(ValueError, match=rf"validation_data\[0\] has {place}"):
        trainer.fit(*new_data(), validation_data=(X, new_data()[1]))
    assert trainer.updates == 0


def test_sparse_targets_are_refused_with_a_remedy():
    X, y = new_data()
    with pytest.raises(TypeError, match=r"y is a sparse csr_array.*y\.toarray\(\)"):
        new_trainer().fit(X, csr_of(np.eye(3)[y]))


def test_outputs_in_the_memory_of_a_matrix_are_refused():
    X, _ = new_data()
    sparse = csr_of(X)
    memory = np.zeros(ROWS * 3 + len(sparse.data), "float32")
    memory[: len(sparse.data)] = sparse.data
    sparse.data = memory[: len(sparse.data)]
    with pytest.raises(ValueError, match="out lies in the memory of X"):
        new_trainer().predict(sparse, out=memory[: ROWS * 3].reshape(ROWS, 3))
