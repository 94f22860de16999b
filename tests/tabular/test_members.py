"""Networks trained side by side: what each becomes, when they stop, what becomes of the others."""

import threading
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from scipy import sparse

import fastbp
from fastbp.runtime import chunking
from fastbp.tabular import bookmarks
from fastbp.tabular import clock as clocks
from fastbp.tabular import members as side_by_side
from fastbp.tabular.clock import Clock
from fastbp.tabular.holdouts import holdouts
from fastbp.tabular.kept import Kept, fingerprint
from fastbp.tabular.members import Data, Member, Team
from fastbp.tabular.recipe import CLASSES, NUMBERS, Task, recipe_of
from fastbp.tabular.rows import mean_square

ROWS, COLUMNS, COUNT, EPOCHS = 90, 5, 3, 6


def data_of(kind="classes", n=ROWS):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, COLUMNS)).astype(np.float32)
    signal = X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=n)
    if kind == "classes":
        return Data(X, (signal > 0).astype(np.int64) + (X[:, 2] > 1))
    return Data(X, signal[:, None], np.linspace(0.5, 2, n))


def recipe(kind="classes"):
    goal = CLASSES if kind == "classes" else NUMBERS
    small = {"hidden": (16, 16), "epochs": EPOCHS, "batch_size": 16}
    return replace(recipe_of("best", goal, ROWS), **small)


def task(data):
    outputs = 3 if data.y.ndim == 1 else data.y.shape[1]
    return Task(data.X.shape[1], outputs, mean_square(data.X), len(data.y))


def team(data, threads=2, tell=lambda *_: None, limit=None, how=None):
    kind = "classes" if data.y.ndim == 1 else "numbers"
    return Team(how or recipe(kind), task(data), data, Clock(limit), threads, tell)


def members(count=COUNT, n=ROWS):
    held = holdouts(n, count, 7)
    return [Member(i, 11 + i, rows) for i, rows in enumerate(held)]


def bits(trained):
    return [
        (one.net.weights[0].tobytes(), one.net.biases[-1].tobytes(), one.history["val_loss"])
        for one in trained
    ]


# What a member becomes


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_the_result_does_not_depend_on_the_threads(kind):
    data = data_of(kind)
    found = [bits(team(data, threads).train(members())) for threads in (1, 2, 3)]
    assert found[0] == found[1] == found[2]
    assert len({weights for weights, _, _ in found[0]}) == COUNT


def test_a_member_alone_is_what_it_is_beside_others():
    data, all_ = data_of(), members()
    assert bits(team(data).train(all_))[:1] == bits(team(data).train(all_[:1]))


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_member_is_a_fit_of_the_other_rows_with_the_best_epoch(kind):
    data = data_of(kind)
    (one,) = team(data).train(members(1))
    kept = np.setdiff1d(np.arange(ROWS), one.member.held)
    weights = None if data.weights is None else data.weights[kept]
    held = data.X[one.member.held], data.y[one.member.held]
    held += () if data.weights is None else (data.weights[one.member.held],)
    rows = replace(task(data), rows=len(kept))
    trainer = recipe(kind).trainer(rows, EPOCHS, one.member.seed, 1)
    scores = [-loss for loss in one.history["val_loss"]]
    if kind == "classes":
        scores = one.history["val_accuracy"]
        assert len(set(scores)) < EPOCHS  # some are equal
    best = max(range(1, EPOCHS + 1), key=lambda epoch: (scores[epoch - 1], epoch))
    assert one.best_epoch == best
    trainer.fit(data.X[kept], data.y[kept], best, sample_weight=weights, validation_data=held)
    assert trainer.net.allclose(one.net, 0, 0)
    assert (one.epochs, one.error) == (EPOCHS, None)


def test_rows_that_are_held_out_teach_nothing():
    data, some = data_of(), members(1)
    (one,) = team(data, how=replace(recipe(), epochs=1)).train(some)
    X = data.X.copy()
    X[some[0].held] = 9
    other = Data(X, data.y)
    small = replace(recipe(), epochs=1)
    changed = Team(small, task(data), other, Clock(None), 1, lambda *_: None).train(some)[0]
    assert one.net.allclose(changed.net, 0, 0)
    assert one.history["val_loss"] != changed.history["val_loss"]


def test_sparse_rows_train_as_dense_ones():
    data = data_of()
    X = np.where(np.abs(data.X) > 1, data.X, 0).astype(np.float32)
    stored = sparse.csr_array(X)
    dense, thin = (Data(rows, data.y) for rows in (X, stored))
    assert mean_square(X) == pytest.approx(mean_square(stored), rel=1e-12)
    same = task(dense)
    both = [
        Team(recipe(), same, each, Clock(None), 2, lambda *_: None).train(members())
        for each in (dense, thin)
    ]
    assert bits(both[0]) == bits(both[1])


def test_validation_data_take_the_place_of_folds():
    data = data_of()
    whole = replace(data, validation=(data.X[:20], data.y[:20]))
    nothing = [Member(i, i, np.empty(0, np.int64)) for i in range(2)]
    found = team(whole).train(nothing)
    for one in found:
        p = one.net.predict(data.X[:20])
        best = one.history["val_accuracy"][one.best_epoch - 1]
        assert np.mean(p.argmax(1) == data.y[:20]) == best


def test_without_rows_to_validate_the_last_epoch_stays():
    data = data_of()
    nothing = [Member(0, 5, np.empty(0, np.int64))]
    (one,) = team(data).train(nothing)
    trainer = recipe().trainer(task(data), EPOCHS, 5, 1)
    trainer.fit(data.X, data.y, EPOCHS)
    assert one.best_epoch == 0
    assert trainer.net.allclose(one.net, 0, 0)


def test_rows_are_not_copied():
    """A member copies its fold, and trains where the rows lie."""
    seen, data = [], data_of()

    @dataclass(frozen=True)
    class Watching(type(recipe())):
        def trainer(self, *arguments):
            made = super().trainer(*arguments)
            fit = made.fit
            made.fit = lambda X, *rest, **more: seen.append(X) or fit(X, *rest, **more)
            return made

    team(data, how=Watching(**vars(recipe()))).train(members())
    assert len(seen) == COUNT
    assert all(X is data.X for X in seen)


# Telling, stopping, failing


def test_each_epoch_of_each_member_is_told():
    told = []

    def tell(member, count, state):
        told.append((member.number, count, state.epoch))

    team(data_of(), tell=tell).train(members())
    assert sorted(told) == [(i, COUNT, e) for i in range(COUNT) for e in range(1, EPOCHS + 1)]


def test_one_thread_at_a_time_is_told():
    inside, most = [], []

    def tell(*_):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.001)
        inside.pop()

    team(data_of(), threads=3, tell=tell).train(members())
    assert max(most) == 1


def test_stop_training_ends_all_and_keeps_the_best():
    def tell(member, _, state):
        if (member.number, state.epoch) == (0, 2):
            raise fastbp.StopTraining

    found = team(data_of(), threads=1, tell=tell).train(members())
    assert [(one.member.number, one.epochs) for one in found] == [(0, 2)]


def test_another_exception_ends_all_and_is_raised():
    def tell(member, _, state):
        if state.epoch == 2:
            raise RuntimeError(f"from {member.number}")

    made = team(data_of(), tell=tell, how=replace(recipe(), epochs=10_000))
    with pytest.raises(RuntimeError, match="from"):
        made.train(members())
    assert not [one for one in threading.enumerate() if one.name.startswith("fastbp-member")]


@dataclass(frozen=True)
class Diverging(type(recipe())):
    """The networks of these seeds diverge."""

    seeds: ClassVar[set[int]] = set()

    def trainer(self, task, epochs, seed, threads):
        made = super().trainer(task, epochs, seed, threads)
        if seed in self.seeds:
            made.lr = 1e30
        return made


@pytest.fixture
def diverging():
    yield Diverging(**vars(recipe("numbers")))
    Diverging.seeds.clear()


def test_one_that_diverges_does_not_stop_the_others(diverging):
    data = data_of("numbers")
    expected = bits(team(data, how=diverging).train(members()))
    diverging.seeds.add(12)
    with pytest.warns(UserWarning, match="member 2 of 3 has diverged and is left out: the loss"):
        found = team(data, how=diverging).train(members())
    assert bits(found) == [expected[0], expected[2]]


def test_where_all_diverge_it_is_said(diverging):
    diverging.seeds.update({11, 12, 13})
    with pytest.raises(FloatingPointError, match="no member could be trained: the loss"):
        team(data_of("numbers"), how=diverging).train(members())


def test_ctrl_c_keeps_the_best_weights(monkeypatch):
    reached, both = {0: 0, 1: 0}, threading.Event()

    def tell(member, _, state):
        reached[member.number] = state.epoch
        if min(reached.values()) >= 3:
            both.set()

    def interrupt(_):
        both.wait(60)
        raise KeyboardInterrupt

    made = team(data_of(), threads=2, tell=tell, how=replace(recipe(), epochs=10_000))
    monkeypatch.setattr(made, "_wait", interrupt)
    with pytest.warns(UserWarning, match="the training was interrupted"):
        found = made.train(members())
    assert sorted(one.member.number for one in found) == [0, 1]
    assert all(3 <= one.epochs < 10_000 for one in found)


def test_ctrl_c_before_anything_is_raised():
    made = team(data_of())
    made.was_interrupted = True
    with pytest.raises(KeyboardInterrupt):
        made._usable([], 3)


# Time


class Hands:
    """A clock that is set by hand."""

    now = 100.0

    def perf_counter(self):
        return self.now

    monotonic = perf_counter


@pytest.fixture
def hands(monkeypatch):
    made = Hands()
    monkeypatch.setattr(clocks, "time", made)
    return made


def test_without_a_limit_all_is_made(hands):
    clock = Clock(None)
    hands.now += 1e9
    assert clock.members(8, 200) == 8
    assert clock.epochs(0, 8, 200) == 200
    assert not clock.is_over


@pytest.mark.parametrize(
    ("per_epoch", "at_once", "members", "epochs"),
    [
        # 0.85 of 9.5 s are 8.075 s.
        (0.001, 2, 8, 200),  # 4 rounds of 0.2 s
        (0.1, 2, 8, 20),  # 4 rounds of 2 s
        (0.5, 2, 2, 16),  # of two rounds each would have 8 epochs
        (5.0, 1, 1, 1),
    ],
)
@pytest.mark.usefixtures("hands")
def test_epochs_and_members_are_planned(per_epoch, at_once, members, epochs):
    clock = Clock(10.0)
    clock.at_once, clock.seconds_per_epoch = at_once, per_epoch
    found = clock.members(8, 200)
    assert (found, clock.epochs(0, found, 200)) == (members, epochs)


def test_later_members_are_planned_by_the_time_that_is_left(hands):
    clock = Clock(10.0)
    clock.at_once, clock.seconds_per_epoch = 2, 0.1
    assert clock.epochs(0, 4, 500) == int(clocks.PACE * 9.5 / 2 / 0.1)
    hands.now += 5.6
    assert clock.epochs(2, 4, 500) == int(clocks.PACE * 3.9 / 0.1)
    hands.now += 4.0
    assert clock.is_over
    assert clock.epochs(3, 4, 500) == 1


def test_one_member_is_trained_where_the_time_is_less_than_an_epoch_takes(hands):
    clock = Clock(10.0)
    clock.seconds_per_epoch = 9.0
    assert clock.members(8, 1) == 8
    hands.now += 0.6
    assert clock.members(8, 1) == 1
    clock.seconds_per_epoch = 17.8
    assert clock.share == pytest.approx(clocks.PACE / 2)
    hands.now += 10
    assert clock.share == 0


def test_a_limit_makes_the_schedule_shorter(monkeypatch):
    """As many epochs as fit in, of a schedule of that length."""
    monkeypatch.setattr(Team, "_time", lambda *_: 0.75)
    made = team(data_of(), threads=1, limit=60.0, how=replace(recipe(), epochs=1000))
    found = made.train(members(2))
    assert [one.member.number for one in found] == [0, 1]
    first = found[0]
    assert 16 <= first.epochs <= int(clocks.PACE * 57 / 2 / 0.75)
    rows = replace(task(data_of()), rows=ROWS - len(first.member.held))
    trainer = replace(recipe(), epochs=1000).trainer(rows, first.epochs, 11, 1)
    history = trainer.fit(data_of().X, data_of().y, first.epochs, validation_rows=first.member.held)
    assert history["loss"] == first.history["loss"]


def test_a_fit_ends_where_the_time_is_over(monkeypatch):
    monkeypatch.setattr(Team, "_measure", lambda *_: None)

    def tell(_member, _count, state):
        if state.epoch == 3:
            made.clock.limit = 1e-9

    how = replace(recipe(), epochs=500)
    made = team(data_of(), threads=1, tell=tell, limit=1e6, how=how)
    (found,) = made.train(members())
    assert (found.member.number, found.epochs, len(found.history["loss"])) == (0, 3, 3)


@pytest.mark.parametrize("count", [1, COUNT])
def test_where_the_time_is_over_one_network_makes_an_epoch(count, monkeypatch):
    monkeypatch.setattr(chunking, "CHUNK_SECONDS", 1e-9)  # asks after every batch
    made = team(data_of(), limit=1e-6)
    with pytest.warns(UserWarning, match="0 s of the limit of time are left .* makes one epoch"):
        (found,) = made.train(members(count))
    assert (found.member.number, found.epochs, found.best_epoch) == (0, 1, 1)


def test_less_time_than_an_epoch_takes_is_told(monkeypatch):
    monkeypatch.setattr(Team, "_time", lambda *_: 70.0)
    with pytest.warns(UserWarning, match="of the limit of time are left .* makes one epoch"):
        (found,) = team(data_of(), limit=60.0).train(members())
    assert found.epochs == 1


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize(("share", "rows"), [(0.085, 68), (0.0, 32)])
def test_some_rows_are_learned_from_where_the_time_is_less_than_an_epoch_takes(
    kind, share, rows, monkeypatch
):
    monkeypatch.setattr(side_by_side, "LEAST_ROWS", 32)
    monkeypatch.setattr(Team, "_time", lambda *_: 70.0)
    monkeypatch.setattr(Clock, "share", share)
    data, all_ = data_of(kind, 1000), members(n=1000)
    made = team(data, limit=60.0)
    given, fit = [], made._fit

    def seen(*arguments):
        given.append(arguments)
        return fit(*arguments)

    made._fit = seen
    with pytest.warns(UserWarning, match=f"one network learns from {rows} of 800 rows, drawn"):
        (found,) = made.train(all_)
    assert (found.member.number, found.epochs, found.rows) == (0, 1, rows)
    held, there = found.member.held, given[-1][0].held
    assert set(held) < set(all_[0].held)
    assert 0 < len(held) <= rows / side_by_side.LEARNED_PER_HELD
    some = given[-1][1]
    numbers = [int(np.flatnonzero((row == data.X).all(axis=1))[0]) for row in some.X]
    assert len(set(numbers)) == len(numbers) == len(held) + rows
    assert set(numbers) & set(all_[0].held) == set(held)
    assert [numbers[i] for i in there] == held.tolist()
    taught = [n for i, n in enumerate(numbers) if i not in set(there)]
    assert min(taught) < 200 < 800 < max(taught)
    assert np.array_equal(some.y, data.y[numbers])
    trainer = recipe(kind).trainer(replace(task(data), rows=rows), 1, found.member.seed, 1)
    weights = None if data.weights is None else data.weights[numbers]
    trainer.fit(some.X, some.y, 1, sample_weight=weights, validation_rows=there)
    assert trainer.net.allclose(found.net, 0, 0)


def test_one_network_alone_may_have_the_time_for_an_epoch(monkeypatch, recwarn):
    monkeypatch.setattr(Team, "_time", lambda self, _: 70.0 if self._at_once > 1 else 20.0)
    (found,) = team(data_of(), limit=60.0).train(members())
    assert found.epochs == int(clocks.PACE * 56 / 20)
    assert not recwarn.list


def test_later_epochs_are_cut_where_the_time_is_over(monkeypatch):
    monkeypatch.setattr(chunking, "CHUNK_SECONDS", 1e-9)
    monkeypatch.setattr(Team, "_measure", lambda *_: None)
    how = replace(recipe(), epochs=500)
    made = team(data_of(), threads=1, limit=1e6, how=how)
    asked = []

    def is_to_stop(member, watch):
        asked.append(watch.epochs)
        if len(asked) == 8:  # five batches in an epoch, and its end
            made.clock.limit = 1e-9
        return Team._is_to_stop(made, member, watch)

    made._is_to_stop = is_to_stop
    (found,) = made.train(members())
    assert (found.member.number, found.epochs, asked[-1]) == (0, 1, 1)
    assert len(found.history["loss"]) == 2
    assert np.isfinite(found.net.predict(data_of().X)).all()


def test_time_is_measured():
    made = team(data_of(), limit=60.0)
    made.clock.at_once = 2
    made._measure(members(2))
    assert 0 < made.clock.seconds_per_epoch < 1
    assert made.clock.seconds < 30


# Folds


@pytest.mark.parametrize("count", [1, 2, 5, 8, 10])
def test_folds_are_disjoint_and_stratified(count):
    classes = np.repeat([0, 1, 2], [40, 37, 4])
    held = holdouts(81, count, 0, classes)
    folds = max(count, 5)
    assert len(held) == count
    for rows in held:
        assert (np.diff(rows) > 0).all()
        for kind, size in ((0, 40), (1, 37), (2, 4)):
            assert abs(np.sum(classes[rows] == kind) - size / folds) < 1
    if count >= 5:
        assert sorted(np.concatenate(held)) == list(range(81))


@pytest.mark.parametrize("classes", [None, np.arange(500) % 7 % 3, np.arange(500) // 2 % 300])
def test_folds_are_those_of_rows_sorted_by_class_and_by_chance(classes):
    kind = np.zeros(500, int) if classes is None else classes
    spare = np.flatnonzero(np.bincount(kind)[kind] > 1)
    numbers = np.random.default_rng([3, 0]).random(len(spare))
    order = spare[np.lexsort((numbers, kind[spare]))]
    expected = [np.sort(order[fold::5]).tolist() for fold in range(3)]
    assert [rows.tolist() for rows in holdouts(500, 3, 3, classes)] == expected


def test_more_members_than_folds_deal_anew():
    held = holdouts(100, 23, 0)
    assert len(held) == 23
    for first in (0, 10):
        assert sorted(np.concatenate(held[first : first + 10])) == list(range(100))
    assert held[0].tolist() != held[10].tolist()


def test_few_rows():
    assert [rows.tolist() for rows in holdouts(2, 1, 0)] in ([[0]], [[1]])
    assert sorted(np.concatenate(holdouts(2, 2, 0))) == [0, 1]
    assert all(len(rows) == 0 for rows in holdouts(3, 2, 0, np.array([0, 1, 2])))
    held = holdouts(5, 4, 0, np.array([0, 0, 1, 1, 2]))
    assert all(4 not in rows for rows in held)
    assert all(0 < len(rows) < 4 for rows in held)


def test_folds_depend_on_the_seed():
    one, again, other = (holdouts(50, 5, seed)[0].tolist() for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_folds_of_many_rows_are_bounded(monkeypatch):
    monkeypatch.setattr("fastbp.tabular.holdouts.MOST_ROWS", 10)
    found = holdouts(101, 13, 0)
    assert {len(rows) for rows in found[:11]} == {9, 10}
    assert sorted(np.concatenate(found[:11])) == list(range(101))
    assert len(found) == 13


# Killed, and gone on with


class Killed(BaseException):
    """What ends a training in a test as a kill would."""


def kept_team(folder, data, tell=lambda *_: None, how=None):
    made = team(data, threads=1, tell=tell, how=how)
    made.kept = Kept(folder, fingerprint(made.recipe, data, members(2)))
    return made


def everything(trained):
    """All that a member is, but for its times."""
    kept = [
        (
            one.epochs,
            one.best_epoch,
            one.history["loss"],
            one.history["lr"],
        )
        for one in trained
    ]
    return bits(trained), kept


@pytest.fixture
def often(monkeypatch):
    """Checkpoints after every second update, and every epoch."""
    monkeypatch.setattr(bookmarks, "SECONDS", 0.0)
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: 2)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("steps", [4, 5, 17, 30])
@pytest.mark.usefixtures("often")
def test_a_member_that_was_killed_ends_with_the_bits_of_one_that_was_not(
    kind, steps, tmp_path, monkeypatch
):
    """Of five updates an epoch, in the middle of one and at its end."""
    data = data_of(kind)
    whole = team(data).train(members(2))
    keep = bookmarks.Bookmark.keep

    def killed(self, trainer, at_once):
        keep(self, trainer, at_once)
        if trainer.updates >= steps:
            raise Killed

    monkeypatch.setattr(bookmarks.Bookmark, "keep", killed)
    with pytest.raises(Killed):
        kept_team(tmp_path, data).train(members(2))
    assert {path.suffix for path in tmp_path.iterdir()} == {".checkpoint"}
    monkeypatch.setattr(bookmarks.Bookmark, "keep", keep)
    told = []
    again = kept_team(tmp_path, data, lambda member, _, s: told.append((member.number, s.epoch)))
    assert everything(again.train(members(2))) == everything(whole)
    first = [epoch for number, epoch in told if number == 0]
    assert first == list(range(EPOCHS + 1 - len(first), EPOCHS + 1))
    assert len(first) <= EPOCHS - (steps - 1) // 5
    assert sorted({path.suffix for path in tmp_path.iterdir()}) == [".json", ".safetensors"]


@pytest.mark.usefixtures("often")
def test_checkpoints_of_another_training_and_damaged_ones_are_not_taken(tmp_path):
    data, told = data_of(), []

    def kill(_member, _count, state):
        if state.epoch == 3:
            raise Killed

    def tell(_member, _count, state):
        told.append(state.epoch)

    with pytest.raises(Killed):
        kept_team(tmp_path, data, kill).train(members(1))
    (path,) = tmp_path.glob("member-0.*")
    content = path.read_bytes()
    longer = replace(recipe(), epochs=EPOCHS + 1)
    other = replace(recipe(), dropout=0.0)
    for how in (longer, other):
        told.clear()
        path.write_bytes(content)
        kept_team(tmp_path, data, tell, how).train(members(1))
        assert told[0] == 1
    path.write_bytes(content[:-5])
    told.clear()
    (found,) = kept_team(tmp_path, data, tell).train(members(1))
    assert told[0] == 1
    assert bits([found]) == bits(team(data).train(members(1)))


def test_checkpoints_come_after_some_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(bookmarks, "time", made := Hands())
    saved = []
    trainer = recipe().trainer(task(data_of()), 2, 1, 1)
    monkeypatch.setattr(type(trainer), "save", lambda _, path: saved.append(path))
    bookmark = bookmarks.Bookmark(tmp_path / "one")
    for seconds in (0, 9, 2, 9, 2):
        made.now += seconds
        bookmark.keep(trainer, at_once=False)
    assert len(saved) == 2
    bookmark.keep(trainer, at_once=True)
    assert len(saved) == 3


def test_the_history_has_the_learning_rate_at_the_end_of_each_epoch():
    (one,) = team(data_of()).train(members(1))
    t = np.arange(1, EPOCHS + 1) / EPOCHS
    # Four cosine cycles, each twice as long as the one before.
    expected = recipe().lr * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t))) / 2
    np.testing.assert_allclose(one.history["lr"], expected, atol=1e-12)


def test_what_was_stopped_goes_on_from_there(tmp_path):
    data, told = data_of(), []

    def stop(member, _count, state):
        if (member.number, state.epoch) == (0, 4):
            raise fastbp.StopTraining

    (part,) = kept_team(tmp_path, data, stop).train(members(2))
    assert part.epochs == 4
    again = kept_team(tmp_path, data, lambda member, _, s: told.append((member.number, s.epoch)))
    assert everything(again.train(members(2))) == everything(team(data).train(members(2)))
    assert told[0] == (0, 5)
