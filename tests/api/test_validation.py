"""Rows held out of the training data: which they are, and that only the others are trained on."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbp
from fastbp.training.validation import _rows_to_check, split
from support.cases import Case, each_engine
from support.trainers import adam_trainer, bits

CLASSES = Case((4, 9, 3), 50, "tanh", "softmax", "cross_entropy", labels=True)
SHARES = Case((4, 9, 3), 50, "tanh", "softmax", "cross_entropy")
SURE = Case((4, 9, 1), 50, "tanh", "softmax", "cross_entropy")
YES_NO = Case((4, 9, 1), 50, "tanh", "sigmoid", "bce")
NUMBERS = Case((4, 9, 2), 50, "tanh")

either_order = pytest.mark.parametrize("shuffle", [True, False])


# Which rows


@given(st.integers(2, 200), st.floats(1e-9, 1 - 1e-9), st.integers(0, 2**63 - 1), st.integers(1, 9))
def test_a_split_takes_its_share_of_each_class(n, fraction, seed, kinds):
    classes = np.random.default_rng(n).integers(0, kinds, n) * 7 - 3
    kept, held = split(n, fraction, seed, classes)
    assert sorted([*kept, *held]) == list(range(n))
    for rows in (kept, held):
        assert len(rows) > 0
        assert (np.diff(rows) > 0).all()
    count = len(held)
    assert abs(count - fraction * n) <= (0.5 if 0.5 < fraction * n < n - 0.5 else 1)
    for kind in np.unique(classes):
        ours = np.sum(classes == kind)
        assert abs(np.sum(classes[held] == kind) - count * ours / n) <= 1


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 9))
def test_a_class_keeps_a_row_to_train_on_while_others_have_any_to_spare(n, fraction, seed):
    classes = np.random.default_rng(n).integers(0, 5, n)
    kept, held = split(n, fraction, seed, classes)
    emptied = set(classes[held]) - set(classes[kept])
    spare = [k for k in set(classes[kept]) if np.sum(classes[kept] == k) > 1]
    given_one = [
        k for k in spare if np.sum(classes[held] == k) > len(held) * np.sum(classes == k) // n
    ]
    assert not emptied or set(given_one) == set(spare)


@pytest.mark.parametrize(
    ("counts", "fraction", "held"),
    [
        ([7, 3], 0.2, [1, 1]),  # shares 1.4 and 0.6
        ([8, 1, 1], 0.2, [2, 0, 0]),  # 1.6, 0.2, 0.2
        ([10, *[1] * 10], 0.1, [2, *[0] * 10]),  # 1, and 0.1 of each class of a single row
        ([1, 1, 1, 1], 0.5, [1, 1, 0, 0]),
    ],
)
def test_shares_are_rounded_by_the_largest_remainder(counts, fraction, held):
    classes = np.repeat(np.arange(len(counts)), counts)
    rows = split(len(classes), fraction, 0, classes)[1]
    assert np.bincount(classes[rows], minlength=len(counts)).tolist() == held


def test_a_split_depends_on_the_seed():
    one, other, again = (split(100, 0.2, seed)[1].tolist() for seed in (1, 2, 1))
    assert one == again
    assert one != other


def test_rows_are_held_out_alike_and_not_by_their_place():
    held = np.concatenate([split(100, 0.1, seed)[1] for seed in range(1000)])
    counts = np.bincount(held, minlength=100)
    # 100 expected of 1000 trials at 0.1: six standard deviations of a binomial, sqrt(90) each.
    assert np.abs(counts - 100).max() < 6 * np.sqrt(90)


def test_a_split_stays_as_it_is():
    """From release to release: what was held out yesterday must not be trained on today."""
    assert split(20, 0.25, 7)[1].tolist() == [1, 4, 6, 8, 16]


def held_out(case, y, fraction=0.2, engine="numba"):
    """The targets that a metric is given."""
    seen, X = [], case.batch()[0]
    metrics = {"seen": lambda y, _: seen.append(y) or 0.0}
    adam_trainer(case, engine).fit(X, y, validation_fraction=fraction, metrics=metrics)
    return seen[0]


@each_engine
def test_labels_are_held_out_by_their_shares(engine):
    y = np.repeat([0, 1, 2], [40, 5, 5])
    assert np.bincount(held_out(CLASSES, y, engine=engine)).tolist() == [8, 1, 1]


def test_yes_and_no_are_held_out_by_their_shares():
    y = np.repeat([0, 1], [45, 5])
    for targets in (y, y.astype(float), y.astype(bool), y[:, None]):
        assert held_out(YES_NO, targets).sum() == 1


def test_what_is_no_class_is_held_out_by_chance():
    """As if there were no targets."""
    y = NUMBERS.batch()[1]
    expected = split(50, 0.2, 0)[1]
    assert np.array_equal(held_out(NUMBERS, y), y[expected])
    soft = np.linspace(0, 1, 50)
    assert np.array_equal(held_out(YES_NO, soft), soft[expected])
    for case in (SHARES, SURE):
        workers = case.batch()[1]
        assert np.array_equal(held_out(case, workers), workers[expected])


# What is trained


def memory_mapped(array, place):
    np.save(place, array)
    return np.load(place, mmap_mode="r")


@each_engine
@either_order
@pytest.mark.parametrize("case", [CLASSES, YES_NO, NUMBERS], ids=lambda case: case.loss)
@pytest.mark.parametrize("batch_size", [8, 100])
def test_a_fit_is_that_of_the_rows_apart(case, batch_size, shuffle, engine):
    X, y = case.batch()
    classes = y if case is CLASSES else None
    kept, held = split(len(X), 0.3, 0, classes)
    one, other = (adam_trainer(case, engine, batch_size) for _ in range(2))
    options = {"epochs": 3, "shuffle": shuffle}
    together = one.fit(X, y, validation_fraction=0.3, **options)
    apart = other.fit(X[kept], y[kept], validation_data=(X[held], y[held]), **options)
    assert bits(one) == bits(other)
    for history in (together, apart):
        history.pop("samples_per_second")
    assert together == apart
    assert "val_loss" in together


@each_engine
def test_a_fit_with_weights_is_that_of_the_rows_apart(engine):
    """Balanced classes are those of the rows that are trained on."""
    X, y = CLASSES.batch()
    y[:12] = 2
    weights = np.linspace(0, 3, len(X))
    kept, held = split(len(X), 0.3, 0, y)
    found = []
    for together in (True, False):
        net = CLASSES.network("float32")
        options = {"batch_size": 8, "seed": 0, "engine": engine, "class_weight": "balanced"}
        rule = fastbp.Adam(lr=0.01)
        trainer = fastbp.Trainer(net, loss="cross_entropy", optimizer=rule, **options)
        if together:
            history = trainer.fit(X, y, 3, sample_weight=weights, validation_fraction=0.3)
        else:
            validation = X[held], y[held], weights[held]
            apart = {"sample_weight": weights[kept], "validation_data": validation}
            history = trainer.fit(X[kept], y[kept], 3, **apart)
        found.append((history["loss"], history["val_loss"], bits(trainer)))
    assert found[0] == found[1]


@each_engine
@either_order
def test_a_fit_without_given_rows_is_that_of_the_rows_apart(shuffle, engine):
    X, y = CLASSES.batch()
    weights = np.linspace(0, 3, len(X))
    held = np.array([40, 3, 3, 17])
    kept = np.setdiff1d(np.arange(len(X)), held)
    one, other = (adam_trainer(CLASSES, engine, 8) for _ in range(2))
    options = {"epochs": 3, "shuffle": shuffle}
    together = one.fit(X, y, sample_weight=weights, validation_rows=held, **options)
    rows = np.unique(held)
    validation = X[rows], y[rows], weights[rows]
    options |= {"sample_weight": weights[kept], "validation_data": validation}
    apart = other.fit(X[kept], y[kept], **options)
    assert bits(one) == bits(other)
    for history in (together, apart):
        history.pop("samples_per_second")
    assert together == apart


@each_engine
def test_every_kind_of_data_is_split_alike(engine, tmp_path):
    X, y = (np.round(4 * part) for part in NUMBERS.batch())
    kinds = (
        lambda a, _: a,
        lambda a, _: a.tolist(),
        lambda a, _: np.asfortranarray(a),
        lambda a, _: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
        lambda a, _: a.astype("i1"),
        lambda a, name: memory_mapped(a, tmp_path / name),
    )
    found = set()
    for kind in kinds:
        trainer = adam_trainer(NUMBERS, engine)
        history = trainer.fit(kind(X, "X.npy"), kind(y, "y.npy"), 2, validation_fraction=0.2)
        found.add((*history["loss"], *history["val_loss"], *bits(trainer)))
    assert len(found) == 1


@each_engine
def test_a_callback_of_steps_changes_nothing(engine):
    X, y = CLASSES.batch()
    found = []
    for callbacks in ((), [fastbp.LambdaCallback(on_step_end=lambda _: None)]):
        trainer = adam_trainer(CLASSES, engine)
        history = trainer.fit(X, y, 3, validation_fraction=0.2, callbacks=callbacks)
        found.append((history["loss"], history["val_loss"], bits(trainer)))
    assert found[0] == found[1]


def test_the_next_fit_holds_out_the_same():
    X, y = NUMBERS.batch()
    seen, trainer = [], adam_trainer(NUMBERS)
    for epochs in (2, 1):
        metrics = {"seen": lambda y, _: seen.append(y) or 0.0}
        trainer.fit(X, y, epochs, validation_fraction=0.2, metrics=metrics)
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2])


def test_what_is_held_out_depends_on_the_trainers_seed():
    seen, (X, y) = [], NUMBERS.batch()
    for seed in (1, 2, 1):
        net = NUMBERS.network("float32")
        trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), seed=seed)
        metrics = {"seen": lambda y, _: seen.append(y.tolist()) or 0.0}
        trainer.fit(X, y, validation_fraction=0.2, metrics=metrics)
    assert seen[0] == seen[2] != seen[1]


def test_a_schedule_is_for_the_updates_of_the_rows_that_are_trained_on():
    """Of 40 rows, and not of 50, in batches of 8."""
    options = {"loss": "mse", "optimizer": fastbp.SGD(0.1), "batch_size": 8}
    net, (X, y) = NUMBERS.network("float32"), NUMBERS.batch()
    trainer = fastbp.Trainer(net, **options, seed=0, schedule=fastbp.schedules.Cosine(10))
    assert len(trainer.fit(X, y, 2, validation_fraction=0.2)["loss"]) == 2
    with pytest.raises(ValueError, match="for 10 updates, but 10 have been made"):
        trainer.fit(X, y, 1, validation_fraction=0.2)


def test_a_state_counts_the_rows_that_are_trained_on():
    states = []
    watcher = fastbp.LambdaCallback(on_epoch_end=lambda s: states.append((s.rows, s.samples)))
    adam_trainer(NUMBERS).fit(*NUMBERS.batch(), 2, validation_fraction=0.2, callbacks=[watcher])
    assert states == [(40, 40), (40, 80)]


def test_only_what_is_held_out_is_copied(tmp_path):
    X = np.asfortranarray(np.random.default_rng(0).normal(size=(20_000, 100)))
    y = memory_mapped(X[:, :2], tmp_path / "y.npy")
    net = fastbp.Network([100, 8, 2], seed=0)
    rule = fastbp.SGD(lr=0.01)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=rule, batch_size=64, seed=0)
    tracemalloc.start()
    trainer.fit(X, y, 2, validation_fraction=0.05)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 4


# What is refused


X, Y = NUMBERS.batch()

BAD = {
    "0": ({"validation_fraction": 0.0}, ValueError, r"validation_fraction is 0.0, .* above 0"),
    "1": ({"validation_fraction": 1}, ValueError, r"validation_fraction is 1.0, .* below 1"),
    "negative": ({"validation_fraction": -0.1}, ValueError, r"is -0.1"),
    "NaN": ({"validation_fraction": np.nan}, ValueError, r"is nan"),
    "True": ({"validation_fraction": True}, TypeError, r"is True, of type bool"),
    "text": ({"validation_fraction": "0.1"}, TypeError, r"is '0.1', of type str"),
    "both": (
        {"validation_fraction": 0.1, "validation_data": (X, Y)},
        ValueError,
        r"validation_fraction is 0.1 and validation_data is given, too: pass one",
    ),
    "rows and a share": (
        {"validation_rows": [3, 4], "validation_fraction": 0.5},
        ValueError,
        r"validation_fraction is 0.5 and validation_rows is given, too: pass one",
    ),
    "rows and data": (
        {"validation_rows": [3, 4], "validation_data": (X, Y)},
        ValueError,
        r"validation_rows is \[3, 4\] and validation_data is given, too: pass one",
    ),
    "no rows": ({"validation_rows": []}, ValueError, r"validation_rows has 0 of the 50 rows"),
    "all rows": (
        {"validation_rows": range(50)},
        ValueError,
        r"validation_rows has 50 of the 50 rows of X, .* leave at least one to train on",
    ),
    "a row too far": ({"validation_rows": [0, 50]}, ValueError, r"validation_rows has 50, .* 50\)"),
    "a row below 0": ({"validation_rows": [0, -1]}, ValueError, r"validation_rows has -1, "),
    "a mask": ({"validation_rows": [True] * 50}, TypeError, r"expected a sequence of integers"),
    "rows of rows": ({"validation_rows": [[1], [2]]}, TypeError, r"expected a sequence of int"),
}


@each_engine
@pytest.mark.parametrize("case", BAD)
def test_a_fraction_that_does_not_fit_changes_nothing(case, engine):
    options, error, message = BAD[case]
    trainer = adam_trainer(NUMBERS, engine)
    before = bits(trainer)
    with pytest.raises(error, match=message):
        trainer.fit(X, Y, **options)
    assert bits(trainer) == before


def test_a_single_row_cannot_be_split():
    with pytest.raises(ValueError, match=r"X has 1 row: it takes at least 2"):
        adam_trainer(NUMBERS).fit(X[:1], Y[:1], validation_fraction=0.5)
    history = adam_trainer(NUMBERS).fit(X[:2], Y[:2], validation_fraction=0.01)
    assert len(history["val_loss"]) == 1


@each_engine
@either_order
def test_a_bad_value_is_named_by_its_row_in_the_data(shuffle, engine):
    """In a row that is held out, before anything changes."""
    kept, held = split(50, 0.25, 0)
    for rows, unchanged in ((held, True), (kept, False)):
        for table, name in ((0, "X"), (1, "y")):
            data, trainer = [X.copy(), Y.copy()], adam_trainer(NUMBERS, engine)
            data[table][rows[-1], 1] = np.inf
            before = bits(trainer)
            with pytest.raises(ValueError, match=rf"{name} has inf at row {rows[-1]}, column 1"):
                trainer.fit(*data, validation_fraction=0.25, shuffle=shuffle)
            assert not unchanged or bits(trainer) == before


@each_engine
def test_a_bad_label_is_named_by_its_row_in_the_data(engine):
    X, y = CLASSES.batch()
    for row in range(0, 50, 7):
        labels = y.copy()
        labels[row] = 3
        with pytest.raises(ValueError, match=rf"y has label 3 at row {row}, "):
            adam_trainer(CLASSES, engine).fit(X, labels, validation_fraction=0.2)


# Weights


def weighted(case):
    """X, y and weights, of which every fourth is 0: there y is far off."""
    X, y = case.batch()
    weights = np.random.default_rng(1).uniform(0.5, 2, case.rows)
    weights[::4] = 0
    if case is NUMBERS:
        y[::4] = 1e4
    return X, y, weights


@each_engine
@pytest.mark.parametrize("case", [CLASSES, NUMBERS], ids=["classes", "numbers"])
def test_held_out_rows_keep_their_weights(case, engine):
    X, y, weights = weighted(case)
    trainer = adam_trainer(case, engine)
    history = trainer.fit(X, y, 2, sample_weight=weights, validation_fraction=0.3)
    _, held = split(case.rows, 0.3, 0, y if case is CLASSES else None)
    expected = trainer.evaluate(X[held], y[held], weights[held])
    assert {key: history[f"val_{key}"][-1] for key in expected} == expected


@each_engine
def test_validation_data_may_have_weights(engine):
    X, y, weights = weighted(NUMBERS)
    for call in ("fit", "fit_batches"):
        trainer = adam_trainer(NUMBERS, engine, batch_size=NUMBERS.rows)
        data = (X, y) if call == "fit" else ([(X, y)],)
        history = getattr(trainer, call)(*data, 2, validation_data=(X, y, weights))
        assert history["val_loss"][-1] == trainer.evaluate(X, y, weights)["loss"]
    without = adam_trainer(NUMBERS, engine).fit(X, y, 2, validation_data=(X, y, None))
    assert without["val_loss"][-1] > 1e6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_data": (0, 0, -1)}, r"validation_data\[2\] has -1.0 at row 0"),
        ({"validation_data": (0, 0, 0)}, r"validation_data\[2\] is 0 for every row"),
        ({"validation_fraction": 0.2}, "is 0 for every row that is held out"),
    ],
)
def test_weights_that_validate_nothing_are_refused_before_training(options, message):
    X, y = CLASSES.batch()
    if "validation_data" in options:
        weights = np.full(len(X), float(options["validation_data"][2]))
        options = {"validation_data": (X, y, weights)}
    else:
        weights = np.ones(len(X))
        weights[split(len(X), 0.2, 0, y)[1]] = 0
        options |= {"sample_weight": weights}
    trainer = adam_trainer(CLASSES)
    before = bits(trainer)
    with pytest.raises(ValueError, match=message):
        trainer.fit(X, y, **options)
    assert bits(trainer) == before


def test_a_fit_is_resumed_with_the_weights_of_validation(tmp_path):
    X, y, weights = weighted(CLASSES)
    path = tmp_path / "run.safetensors"
    saves = [fastbp.ModelCheckpoint(path)]
    given = {"validation_data": (X, y, weights), "callbacks": saves}
    adam_trainer(CLASSES).fit(X, y, 1, **given)
    with pytest.raises(ValueError, match="weights of validation_data was True and is None"):
        adam_trainer(CLASSES).fit(X, y, 2, **given | {"validation_data": (X, y)}, resume=path)
    assert len(adam_trainer(CLASSES).fit(X, y, 2, **given, resume=path)["val_loss"]) == 2


@pytest.mark.parametrize("part", [0, 1])
@each_engine
def test_bad_values_of_validation_data_are_found_before_the_first_epoch(part, engine):
    trainer, (X, y) = adam_trainer(NUMBERS, engine), NUMBERS.batch()
    data, before = [X.copy(), y.copy()], bits(trainer)
    data[part][41, 1] = np.nan
    message = rf"validation_data\[{part}\] has nan at row 41, column 1"
    for call in (
        lambda: trainer.fit(X, y, epochs=3, validation_data=data),
        lambda: trainer.fit_batches([(X[:8], y[:8])], validation_data=data),
        lambda: trainer.fit(X, y, snapshot=False, validation_data=data),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert bits(trainer) == before
    assert "val_loss" in trainer.fit(X, y, validation_data=(X, y))


@each_engine
def test_labels_of_validation_data_are_checked_before_the_first_epoch(engine):
    trainer, (X, y) = adam_trainer(CLASSES, engine), CLASSES.batch()
    labels, before = y.copy(), bits(trainer)
    labels[33] = 3
    with pytest.raises(ValueError, match=r"validation_data\[1\] has label 3 at row 33"):
        trainer.fit(X, y, validation_data=(X, labels))
    assert bits(trainer) == before


def test_as_much_is_checked_ahead_as_is_in_memory(tmp_path):
    """Not 2**38 rows in the memory of one, and no file."""
    row = np.zeros((1, 4), "float32")
    windows = np.lib.stride_tricks.sliding_window_view(np.zeros(2**20, "float32"), 2**14)
    np.save(tmp_path / "X.npy", np.zeros((50, 4)))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for array, rows in (
        (np.broadcast_to(row, (2**38, 4)), 1),
        (np.broadcast_to(np.float32(0), (2**38, 4)), 1),
        (windows, 0),
        (windows[:100], 100),
        (np.zeros((50, 4))[::-2, 1:], 25),
        (np.broadcast_to(np.float32(0), (50, 1)).T, 1),
        (mapped, 0),
        (np.asarray(mapped[3:, ::-1]), 0),
    ):
        assert _rows_to_check(array) == rows
    trainer, (X, y) = adam_trainer(NUMBERS), NUMBERS.batch()
    bad = np.broadcast_to(np.float32([0, 0, np.nan, 0]), (2**38, 4))
    far = bad, np.broadcast_to(np.float32(0), (2**38, 2))
    with pytest.raises(ValueError, match=r"validation_data\[0\] has nan at row 0, column 2"):
        trainer.fit(X, y, validation_data=far)


def test_a_bad_value_in_a_file_is_found_where_it_is_validated(tmp_path):
    trainer, (X, y) = adam_trainer(NUMBERS), NUMBERS.batch()
    bad = X.copy()
    bad[20, 0] = np.nan
    np.save(tmp_path / "X.npy", bad)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    with pytest.raises(ValueError, match=r"validation_data\[0\] has nan at row 20, column 0"):
        trainer.fit(X, y, validation_data=(mapped, y))
