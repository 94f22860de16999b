"""Tables of pandas, polars and pyarrow: nullable and mixed columns are numbers."""

from decimal import Decimal
from textwrap import dedent

import numpy as np
import pytest

import fastbp
from fastbp.data import frames, sources
from support import processes
from support.cases import each_engine
from support.trainers import bits

COLUMNS = {
    "age": [31, 45, 22, 60, 38, 29],
    "height": [1.5, 1.75, 2.0, 1.625, 1.25, 1.875],
    "member": [True, False, True, True, False, False],
}
NAMES = tuple(COLUMNS)
PLAIN = np.array([[float(value) for value in row] for row in zip(*COLUMNS.values(), strict=True)])
LABELS = [0, 1, 1, 0, 1, 0]


def pandas_frame(columns, **kinds):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(
        {name: pandas.Series(values, dtype=kinds.get(name)) for name, values in columns.items()}
    )


def pandas_nullable(columns):
    return pandas_frame(columns, age="Int64", height="Float32", member="boolean")


def pandas_on_arrow(columns):
    pytest.importorskip("pyarrow")
    kinds = ("int32[pyarrow]", "double[pyarrow]", "bool[pyarrow]")
    return pandas_frame(columns, **dict(zip(NAMES, kinds, strict=True)))


def polars_frame(columns):
    return pytest.importorskip("polars").DataFrame(columns)


def arrow_table(columns):
    return pytest.importorskip("pyarrow").table(columns)


def arrow_batch(columns):
    return pytest.importorskip("pyarrow").record_batch(columns)


FRAMES = [
    pandas_frame,
    pandas_nullable,
    pandas_on_arrow,
    polars_frame,
    arrow_table,
    arrow_batch,
]
NULLABLE = FRAMES[1:]
each_frame = pytest.mark.parametrize("new_frame", FRAMES)
each_nullable = pytest.mark.parametrize("new_frame", NULLABLE)


def series(new_frame, values):
    """A column of such a table."""
    if new_frame is polars_frame:
        return pytest.importorskip("polars").Series(values)
    if new_frame in (arrow_table, arrow_batch):
        pyarrow = pytest.importorskip("pyarrow")
        return (
            pyarrow.array(values) if new_frame is arrow_batch else pyarrow.chunked_array([values])
        )
    pandas = pytest.importorskip("pandas")
    nullable = "Int64" if type(values[0]) is int else "Float32"
    return pandas.Series(values, dtype=None if new_frame is pandas_frame else nullable)


def new_trainer(engine="numba"):
    net = fastbp.Network([3, 5, 2], output="softmax", seed=0)
    options = {"loss": "cross_entropy", "optimizer": fastbp.Adam(0.01), "batch_size": 6}
    return fastbp.Trainer(net, engine=engine, seed=0, **options)


@each_frame
@each_engine
def test_every_call_takes_them_as_the_numbers_that_they_hold(new_frame, engine):
    X, y = new_frame(COLUMNS), series(new_frame, LABELS)
    kind = sources.as_array(X, "X").dtype
    plain = PLAIN.astype(kind), np.array(LABELS)
    found = []
    for X_, y_ in ((X, y), plain):
        trainer = new_trainer(engine)
        trainer.net.standardize(X_)
        trainer.net.standardize_batches([X_])
        metrics = {"share": lambda y, p: float(np.mean(p.argmax(axis=1) == y))}
        weights = None if X_ is plain[0] else series(new_frame, [1.0] * 6)
        history = trainer.fit(
            X_, y_, epochs=3, sample_weight=weights, validation_data=(X_, y_), metrics=metrics
        )
        found += [
            (
                [column for key, column in history.items() if key != "samples_per_second"],
                trainer.step(X_, y_),
                trainer.fit_batches([(X_, y_)])["loss"],
                trainer.evaluate(X_, y_, metrics=metrics),
                trainer.loss_and_gradients(X_, y_)[0],
                trainer.predict(X_).tolist(),
                trainer.net.predict(X_).tolist(),
            )
        ]
    assert repr(found[0]) == repr(found[1])
    assert trainer.net.feature_names_in is None


@each_frame
def test_their_names_are_kept(new_frame):
    trainer, y = new_trainer(), np.array(LABELS)
    trainer.fit(new_frame(COLUMNS), y)
    assert trainer.net.feature_names_in == NAMES
    swapped = {name: COLUMNS[name] for name in ("height", "age", "member")}
    with pytest.raises(ValueError, match=r"another order .* 0 is 'height', expected 'age'"):
        trainer.predict(new_frame(swapped))


@each_frame
def test_missing_values_are_named_by_row_and_column(new_frame):
    trainer = new_trainer()
    before = bits(trainer)
    for name in NAMES:
        columns = {key: list(values) for key, values in COLUMNS.items()}
        columns[name][4] = None
        X, y = new_frame(columns), np.array(LABELS)
        for call in (
            lambda X, y: trainer.fit(X, y, epochs=2),
            trainer.step,
            trainer.evaluate,
            trainer.loss_and_gradients,
            lambda X, _y: trainer.predict(X),
            lambda X, _y: trainer.net.predict(X),
            lambda X, _y: trainer.net.standardize(X),
            lambda X, y: trainer.fit(PLAIN, y, validation_data=(X, y)),
        ):
            with pytest.raises(
                ValueError, match=rf"has nan at row 4, column '{name}', expected fi"
            ):
                call(X, y)
        assert bits(trainer) == before
        assert trainer.net.feature_names_in is None


@each_nullable
def test_missing_targets_are_named(new_frame):
    trainer = new_trainer()
    with pytest.raises(ValueError, match="y has nan at row 2, a missing value, expected integer"):
        trainer.fit(PLAIN, series(new_frame, [0, 1, None, 1, 0, 1]))
    net = fastbp.Network([3, 3], seed=0)
    regression = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam())
    columns = COLUMNS | {"height": [1.5, None, 2.0, 1.625, 1.25, 1.875]}
    with pytest.raises(ValueError, match="y has nan at row 1, column 'height'"):
        regression.fit(PLAIN, new_frame(columns))


def test_labels_that_are_nan_are_named_in_arrays_too():
    with pytest.raises(ValueError, match="y has nan at row 1, a missing value"):
        new_trainer().fit(PLAIN[:2], np.array([0.0, np.nan]))


@each_frame
def test_targets_may_be_a_table(new_frame):
    net = fastbp.Network([3, 3], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam())
    X = new_frame(COLUMNS)
    net.standardize(X, X)
    losses = [trainer.evaluate(X, y, metrics={"mae": mean_error}) for y in (X, PLAIN)]
    assert losses[0] == losses[1]


def mean_error(y, p):
    assert isinstance(y, np.ndarray)
    assert y.shape == p.shape
    return float(np.abs(y - p).mean())


@each_frame
def test_large_tables_are_converted_in_parts(new_frame, monkeypatch):
    columns = {name: values * 100 for name, values in COLUMNS.items()}
    X, y = new_frame(columns), np.array(LABELS * 100)
    trainer = new_trainer()
    expected = trainer.predict(X), trainer.evaluate(X, y)
    monkeypatch.setattr(sources, "PART_BYTES", 64 * 24)
    read = []
    monkeypatch.setattr(
        frames.Frame, "read", lambda *a, old=frames.Frame.read: read.append(a[1:]) or old(*a)
    )
    np.testing.assert_array_equal(trainer.predict(X), expected[0])
    np.testing.assert_array_equal(trainer.net.predict(X), expected[0])
    assert trainer.evaluate(X, y) == expected[1]
    assert len(set(read)) > 5
    assert max(stop - start for start, stop in read) < 4 * 64


NO_NUMBERS = {
    "text": ["a", "b", "c", "d", "e", "f"],
    "lists": [[1], [2], [3], [4], [5], [6]],
}


OF_ANY_DTYPE = [each for each in FRAMES if each not in (pandas_nullable, pandas_on_arrow)]
"""Those that are not made for numbers."""


@pytest.mark.parametrize("new_frame", OF_ANY_DTYPE)
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_a_column_of_something_else_is_named(new_frame, kind):
    X = new_frame({"age": COLUMNS["age"], "city": NO_NUMBERS[kind], "member": COLUMNS["member"]})
    for call in (new_trainer().predict, lambda X: new_trainer().fit(X, LABELS)):
        with pytest.raises(TypeError, match=r"X has dtype .* in column 'city', expected numbers"):
            call(X)


def test_categories_dates_and_objects_of_pandas_are_no_numbers():
    pandas = pytest.importorskip("pandas")
    for values in (
        pandas.Categorical([3, 1]),
        pandas.to_datetime(["2020-01-01", "2021-01-01"]),
        pandas.Series([1, "2"], dtype=object),
        pandas.Series([1j, 2]),
    ):
        frame = pandas.DataFrame({"a": [1.0, 2.0], "b": values, "c": [1, 2]})
        with pytest.raises(TypeError, match=r"X has dtype .* in column 'b'"):
            new_trainer().predict(frame)


def test_kinds_of_pandas_columns():
    pandas = pytest.importorskip("pandas")
    net = fastbp.Network([2, 1], seed=0)
    X = np.array([[0.0, 1.0], [2.0, 3.0]])
    sparse = pandas.DataFrame({"a": pandas.array([0.0, 2.0], dtype="Sparse[float]"), "b": [1, 3]})
    objects = pandas.DataFrame({"a": [0, np.float32(2)], "b": [True, Decimal(3)]}, dtype=object)
    levels = pandas.DataFrame({("a", "x"): [0.0, 2.0], ("a", "y"): [1, 3]})
    numbered = pandas.DataFrame({0: pandas.array([0, 2], dtype="UInt8"), 1: [1.0, 3.0]})
    for frame in (sparse, objects, levels, numbered):
        np.testing.assert_array_equal(net.predict(frame), net.predict(X))
    classes = new_trainer()
    for y in (pandas.array([0, 1], dtype="Int64"), pandas.Index([0, 1]), pandas.Series([0, 1])):
        classes.fit(PLAIN[:2], y)
    bad = pandas.DataFrame({0: [1.0, 2.0], 1: pandas.array([None, 2], dtype="Int64")})
    with pytest.raises(ValueError, match="X has nan at row 0, column 1"):
        net.predict(bad)
    for missing in (None, pandas.NA, np.nan, pandas.NaT):
        bad = pandas.DataFrame({"a": [1, missing], "b": [1.0, 2.0]}, dtype=object)
        with pytest.raises(ValueError, match="X has nan at row 1, column 'a'"):
            net.predict(bad)


def test_a_frame_of_one_dtype_of_numpy_is_not_copied():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.zeros((5, 3), "float32"), columns=NAMES)
    assert np.shares_memory(sources.as_array(frame, "X"), np.asarray(frame))
    column = pandas.Series(np.zeros(5), index=range(10, 15))
    assert np.shares_memory(sources.as_array(column, "y"), np.asarray(column))


def test_kinds_of_polars_columns():
    polars = pytest.importorskip("polars")
    net = fastbp.Network([2, 1], seed=0)
    frame = polars.DataFrame({"a": [Decimal("0.5"), Decimal("2.5")], "b": [1, 3]})
    X = np.array([[0.5, 1.0], [2.5, 3.0]])
    np.testing.assert_array_equal(net.predict(frame), net.predict(X))
    with pytest.raises(TypeError, match=r"X is a LazyFrame, which .*: pass X\.collect\(\)"):
        net.predict(frame.lazy())


def test_half_precision_and_bytes_of_pyarrow():
    pyarrow = pytest.importorskip("pyarrow")
    net = fastbp.Network([2, 1], seed=0)
    columns = pyarrow.array([0.5, 2.5], pyarrow.float16()), pyarrow.array([1, 3], pyarrow.uint8())
    table = pyarrow.table(columns, names=["a", "b"])
    assert sources.as_array(table, "X").dtype == "float16"
    np.testing.assert_array_equal(net.predict(table), net.predict([[0.5, 1.0], [2.5, 3.0]]))


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_empty_tables_are_refused(package):
    new_frame = {"pandas": pandas_frame, "polars": polars_frame, "pyarrow": arrow_table}[package]
    net = fastbp.Network([3, 1], seed=0)
    for columns in ({}, {name: [] for name in NAMES}, {"a": [1.0]}):
        with pytest.raises((ValueError, TypeError), match=r"X (is empty|has shape|has dtype)"):
            net.predict(new_frame(columns))


@pytest.mark.process
def test_fastbp_imports_none_of_them():
    program = dedent("""
        import sys
        import numpy as np, fastbp

        class Frame:
            __module__ = "pandas.core.frame"
            columns, shape, dtypes, iloc = ["a", "b", "c"], (4, 3), [np.dtype(float)] * 3, None
            def __len__(self):
                return 4
            def __array__(self, dtype=None, copy=None):
                return np.ones((4, 3))

        net = fastbp.Network([3, 1], seed=0)
        trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), engine="numpy")
        trainer.fit(Frame(), np.ones(4))
        print(net.feature_names_in, {"pandas", "polars", "pyarrow", "h5py"} & set(sys.modules))
    """)
    assert processes.run(program) == "('a', 'b', 'c') set()\n"


# Remedies that a table has


@pytest.mark.parametrize(
    ("take", "remedy"),
    [
        (lambda X, y: (X.astype(float).iloc[0], y), r"table\.iloc\[\[i\]\], a table of one row"),
        (lambda X, y: (X, y.to_frame()), r"for labels pass y\.iloc\[:, 0\]"),
        (lambda X, y: (X, y.astype("category")), "y has dtype .*or bool: encode it as numbers"),
    ],
)
def test_a_remedy_is_one_that_pandas_can_do(take, remedy):
    pandas = pytest.importorskip("pandas")
    net = fastbp.Network([3, 4, 3], output="softmax", seed=0)
    trainer = fastbp.Trainer(net, loss="cross_entropy", optimizer=fastbp.Adam(), engine="numpy")
    X, y = take(pandas.DataFrame(COLUMNS), pandas.Series(LABELS))
    with pytest.raises((TypeError, ValueError), match=remedy):
        trainer.fit(X, y)
