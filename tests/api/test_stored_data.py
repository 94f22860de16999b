"""Array-likes without memory to share (h5py, zarr): read in parts, in order, once in a call."""

import tracemalloc

import numpy as np
import pytest

import fastbp
from fastbp.data import sources
from support.cases import each_engine
from support.tables_of_others import Stored
from support.trainers import bits

ROWS, COLUMNS = 1000, 5


def new_trainer(engine="numba", **options):
    net = fastbp.Network([COLUMNS, 8, 2], output="softmax", seed=0)
    defaults = {"loss": "cross_entropy", "optimizer": fastbp.Adam(), "batch_size": ROWS, "seed": 1}
    return fastbp.Trainer(net, engine=engine, **defaults | options)


def new_data(kind="float32"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, COLUMNS)).astype(kind)
    return X, (X[:, 0] > 0).astype("int64")


def share_of_ones(y, p):
    return float(np.mean(p[np.arange(len(y)), y] > 0.5))


METRICS = {"share": share_of_ones}
CALLS = {
    "fit": lambda t, X, y: t.fit(X, y, epochs=3)["loss"],
    "fit, fraction": lambda t, X, y: t.fit(
        X, y, epochs=2, validation_fraction=0.2, metrics=METRICS
    )["val_share"],
    "fit, validation": lambda t, X, y: t.fit(
        *new_data(), epochs=2, validation_data=(X, y), metrics=METRICS
    )["val_loss"],
    "fit_batches": lambda t, X, y: t.fit_batches([(X, y)])["loss"],
    "evaluate": lambda t, X, y: t.evaluate(X, y, metrics=METRICS),
    "loss_and_gradients": lambda t, X, y: t.loss_and_gradients(X, y)[0],
    "find_lr": lambda t, X, y: t.find_lr(X, y, updates=5).losses.tolist(),
    "step": lambda t, X, y: t.step(X, y),
    "predict": lambda t, X, _y: t.predict(X).tolist(),
    "net.predict": lambda t, X, _y: t.net.predict(X).tolist(),
    "standardize": lambda t, X, _y: t.net.standardize(X) or t.net.input_mean.tolist(),
    "standardize_batches": lambda t, X, _y: (
        t.net.standardize_batches([X]) or t.net.input_scale.tolist()
    ),
}


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 100 rows."""
    monkeypatch.setattr(sources, "PART_BYTES", 100 * COLUMNS * 4)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("call", CALLS)
@each_engine
def test_each_row_is_read_once_and_nothing_differs(call, engine):
    X, y = new_data()
    stored = Stored(X), Stored(y)
    one, other = new_trainer(engine), new_trainer(engine)
    found, expected = CALLS[call](one, *stored), CALLS[call](other, X, y)
    # estimates are combined from parts: their rounding is another
    assert found == (pytest.approx(expected, rel=1e-12) if "standardize" in call else expected)
    assert bits(one) == bits(other)
    for data, given in zip(stored, (X, y), strict=True):
        assert data.whole == 0
        assert data.rows.max() <= 1
        assert data.largest < 2.1 * 100 * COLUMNS * 4 or data.largest == given.nbytes
    assert (stored[0].rows == 1).all()


@pytest.mark.usefixtures("small_parts")
def test_predictions_go_into_the_array_that_is_given():
    X, _ = new_data()
    net, out = new_trainer().net, np.empty((ROWS, 2), "float32")
    assert net.predict(Stored(X), out) is out
    np.testing.assert_array_equal(out, net.predict(X))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(("chunk", "count"), [(64, 64), (30, 90), (150, 150), (1000, 100)])
def test_parts_are_whole_chunks_of_the_file(chunk, count):
    X, _ = new_data()
    stored = Stored(X, chunks=(chunk, COLUMNS))
    starts = [first for first, _ in sources.parts(stored)]
    assert set(np.diff(starts)) == {count}
    assert (stored.rows == 1).all()


@pytest.mark.parametrize("columns", [1, 40])
def test_memory_is_bounded_by_the_parts(columns):
    """The bound does not grow with the data, here 48 MiB."""
    rows = 3 * 2**22 // columns

    class Zeros(Stored):
        shape, dtype = (rows, columns), np.dtype("float32")

        def __init__(self):
            self.chunks = None

        def __getitem__(self, key):
            start, stop, _ = key.indices(rows)
            return np.zeros((stop - start, columns), "float32")

    net = fastbp.Network([columns, 1], seed=0)
    adam = fastbp.Adam()
    trainer = fastbp.Trainer(net, loss="mse", optimizer=adam, batch_size=2**14, seed=0)
    y, out = np.broadcast_to(np.float32(0), rows), np.empty((rows, 1), "float32")
    net.predict(np.zeros((sources.FEWEST_ROWS, columns), "float32"))
    # evaluate keeps loss and accuracy of each row, and copies them once where it joins parts
    kept = {"predict": 0, "evaluate": 2.5 * 16 * rows, "standardize": 0, "fit": 4 * rows * columns}
    calls = {
        "predict": lambda: net.predict(Zeros(), out),
        "evaluate": lambda: trainer.evaluate(Zeros(), y),
        "standardize": lambda: net.standardize(Zeros()),
        "fit": lambda: trainer.fit(Zeros(), y),
    }
    for name, call in calls.items():
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # a part has up to twice PART_BYTES; standardize computes in chunks of 2 MiB, fit shuffles
        # 8 bytes for each row
        assert peak < 2.1 * sources.PART_BYTES + kept[name] + 8 * rows * (name == "fit") + 2**24


def test_data_that_are_too_large_to_be_held_are_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr(sources, "_memory", lambda: 30_000.0)
    X, y = new_data()
    trainer, stored = new_trainer(), Stored(X)
    before = bits(trainer)
    with pytest.raises(MemoryError, match=r"X takes 0.0 GiB, more than 50% .*fit_batches"):
        trainer.fit(stored, y)
    assert bits(trainer) == before
    assert not stored.rows.any()
    trainer.evaluate(stored, y)
    trainer.predict(stored)


def test_the_memory_of_this_machine_is_known():
    assert 2**28 < sources._memory() <= float("inf")


class Three(Stored):
    """With a third dimension, and never read."""

    def __init__(self, data):
        super().__init__(np.zeros((ROWS, COLUMNS, 1), "float32"))
        self.data = data

    def __getitem__(self, key):
        return self.data[key][:, :, None]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, X, y: t.step(X, y), r"X has 1000 rows, expected at most batch_size = 10"),
        (lambda t, X, y: t.fit_batches([(X, y)]), r"batches\[0\]\[0\] has 1000 rows, expected at"),
        (lambda t, X, y: t.fit(X, y[:50]), r"y has shape \(50,\), expected labels \(1000,\)"),
        (lambda t, X, _: t.fit(X, Stored(np.zeros((ROWS, 3)))), r"y has shape \(1000, 3\), exp"),
        (lambda t, *_: t.net.predict(Stored(np.zeros((9, 4)))), r"X has shape \(9, 4\), expec"),
        (
            lambda t, X, y: t.fit(Three(X), y),
            r"X has shape \(1000, 5, 1\), .*: flatten each sample",
        ),
        (lambda t, X, _: t.predict(Three(X)), r"X has shape \(1000, 5, 1\), .*: flatten each samp"),
        (lambda t, *_: t.predict(Stored(np.zeros((9, 5), "c8"))), r"X has dtype complex64"),
        (lambda t, X, y: t.evaluate(X, y, np.zeros(3)), r"sample_weight has shape \(3,\)"),
    ],
)
def test_shapes_are_checked_before_anything_is_read(call, message):
    X, y = new_data()
    stored = Stored(X), Stored(y)
    with pytest.raises((ValueError, TypeError), match=message):
        call(new_trainer(batch_size=10), *stored)
    assert not stored[0].rows.any()


@pytest.mark.usefixtures("small_parts")
@each_engine
def test_a_bad_value_is_named_by_its_row_in_the_whole(engine):
    X, y = new_data()
    X[777, 3] = np.nan
    trainer = new_trainer(engine)
    for call in (
        lambda: trainer.net.predict(Stored(X)),
        lambda: trainer.predict(Stored(X)),
        lambda: trainer.evaluate(Stored(X), y),
        lambda: trainer.net.standardize(Stored(X)),
    ):
        with pytest.raises(ValueError, match="X has nan at row 777, column 3"):
            call()
    y[888] = 2
    with pytest.raises(ValueError, match="y has label 2 at row 888"):
        trainer.evaluate(Stored(new_data()[0]), Stored(y))


@pytest.mark.usefixtures("small_parts")
def test_what_a_read_raises_has_its_place():
    class Broken(Stored):
        def __getitem__(self, key):
            if key.start >= 300:
                raise OSError("the disk is gone")
            return super().__getitem__(key)

    trainer, before = new_trainer(), bits(new_trainer())
    X, y = new_data()
    for call in (trainer.fit, trainer.evaluate):
        with pytest.raises(OSError, match="the disk is gone") as caught:
            call(Broken(X), y)
        assert caught.value.__notes__ == ["raised while X[300:400] was read"]
    assert bits(trainer) == before


def test_slices_of_another_shape_are_refused():
    class Odd(Stored):
        def __getitem__(self, key):
            return self._array[key].astype("float64")

    X, y = new_data()
    with pytest.raises(ValueError, match=r"X\[0:1000\] has shape .* and dtype float64, but X has"):
        new_trainer().fit(Odd(X), y)


def test_weights_are_read_once():
    X, y = new_data()
    weights = Stored(np.linspace(0, 1, ROWS))
    one, other = new_trainer(), new_trainer()
    assert (
        one.fit(X, y, sample_weight=weights)["loss"]
        == (other.fit(X, y, sample_weight=np.linspace(0, 1, ROWS))["loss"])
    )
    assert (weights.rows == 1).all()


@pytest.mark.usefixtures("small_parts")
def test_targets_are_standardized_in_parts():
    X, _ = new_data()
    y = Stored(np.arange(float(ROWS)))
    net, other = fastbp.Network([COLUMNS, 1], seed=0), fastbp.Network([COLUMNS, 1], seed=0)
    net.standardize(Stored(X), y)
    other.standardize(X, np.arange(float(ROWS)))
    assert (y.rows == 1).all()
    np.testing.assert_allclose(net.target_scale, other.target_scale, rtol=1e-14)
    np.testing.assert_allclose(net.input_mean, other.input_mean, rtol=1e-12)


def h5py_file(folder):
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "data.h5", "w").create_dataset


def zarr_group(folder):
    zarr = pytest.importorskip("zarr")
    root = zarr.open_group(str(folder / "data.zarr"), mode="w")

    def create(name, data, chunks):
        array = root.create_array(name, shape=data.shape, chunks=chunks, dtype=data.dtype)
        array[...] = data
        return array

    return create


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("create", [h5py_file, zarr_group])
@pytest.mark.parametrize("call", ["fit", "evaluate", "net.predict", "standardize", "step"])
def test_files_of_h5py_and_zarr(create, call, tmp_path):
    new = create(tmp_path)
    X, y = new_data()
    stored = new("X", data=X, chunks=(64, COLUMNS)), new("y", data=y, chunks=(64,))
    assert isinstance(sources.as_source(stored[0], "X"), sources.Stored)
    one, other = new_trainer(), new_trainer()
    found, expected = CALLS[call](one, *stored), CALLS[call](other, X, y)
    assert found == (pytest.approx(expected, rel=1e-12) if call == "standardize" else expected)
    assert bits(one) == bits(other)


@pytest.mark.parametrize(
    "data",
    [
        [[1.0] * COLUMNS],
        np.zeros((2, COLUMNS)),
        np.float64(1),
        memoryview(np.zeros((2, COLUMNS))),
        {"a": 1},
        "text",
        None,
        range(3),
    ],
    ids=lambda data: type(data).__name__,
)
def test_what_is_in_memory_is_no_source(data):
    assert sources.as_source(data, "X") is None
