"""What a file and a trainer are when fit has returned, and how training goes on from them."""

import copy
from contextlib import nullcontext

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.schedules import Cosine
from support.cases import each_engine
from support.internals import core
from support.resumed_fits import (
    CASE,
    ENDED,
    PLAIN,
    Crash,
    Crasher,
    assert_same,
    fit_with,
    new_trainer,
    timeless,
)
from support.trainers import training_state

LONG = 20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def stopping(patience=2):
    return fastbp.EarlyStopping(patience=patience)


# File and trainer agree


class Scaler(fastbp.Callback):
    """Changes the parameters when fit ends."""

    def on_fit_end(self, state):
        net = state.trainer.net
        net.set_parameters([w / 2 for w in net.weights], net.biases)


ENDS = {
    "early stopping": lambda: [stopping()],
    "all epochs": lambda: [stopping(100)],
    "a callback of one's own": lambda: [Scaler()],
    "within an epoch": lambda: [Crasher(), fastbp.LambdaCallback(on_step_end=_stop_at_seven)],
    "a limit of time": lambda: [fastbp.TimeLimit(1e-9)],
}


def _stop_at_seven(state):
    if state.steps == 7:
        raise fastbp.StopTraining


@each_engine
@pytest.mark.parametrize("first", [True, False], ids=["checkpoint first", "checkpoint last"])
@pytest.mark.parametrize("saving", [{}, {"every_updates": 3}, {"keep": 2}], ids=repr)
@pytest.mark.parametrize("others", ENDS.values(), ids=ENDS)
def test_the_file_is_what_the_trainer_is_when_fit_returns(others, saving, first, engine, path):
    trainer, checkpoint = new_trainer(PLAIN, engine), fastbp.ModelCheckpoint(path, **saving)
    called = [checkpoint, *others()] if first else [*others(), checkpoint]
    history = fit_with(trainer, called)
    loaded = fastbp.Trainer.load(path)
    assert training_state(loaded) == training_state(trainer)
    assert loaded.history == history
    if "keep" in saving:
        newest = max(path.parent.glob("run-*"))
        assert newest.read_bytes() == path.read_bytes()
        assert len(list(path.parent.iterdir())) <= 3


def test_the_file_of_a_stream_is_what_the_trainer_is(path):
    X, y = CASE.batch()
    trainer = new_trainer(PLAIN)
    trainer.fit_batches(
        *([(X[:16], y[:16])] * 3, 8),
        callbacks=[fastbp.ModelCheckpoint(path), fastbp.EarlyStopping("loss", 1, min_delta=9)],
    )
    assert training_state(fastbp.Trainer.load(path)) == training_state(trainer)


@pytest.mark.parametrize("patience", [2, 100], ids=["stopped", "all epochs"])
def test_a_finished_fit_that_is_resumed_has_the_best_parameters_again(patience, path):
    trainer, other, again = (new_trainer() for _ in range(3))
    history = fit_with(trainer, [stopping(patience), fastbp.ModelCheckpoint(path)])
    called = [stopping(patience), fastbp.ModelCheckpoint(path)]
    for resumed in (other, again):  # the second from the file that the resumed fit wrote
        said = pytest.warns(UserWarning, match=ENDED) if patience == 2 else nullcontext()
        with said:
            assert_same(resumed, fit_with(resumed, called, resume=path), trainer, history)
        assert training_state(fastbp.Trainer.load(path)) == training_state(trainer)


def test_a_finished_fit_is_made_longer_from_its_last_epoch(path):
    """And not from its best one, which is what the network has in the file."""
    whole, other = new_trainer(PLAIN), new_trainer(PLAIN)
    fit_with(other, [stopping(100), fastbp.ModelCheckpoint(path)], epochs=LONG // 2)
    assert training_state(fastbp.Trainer.load(path)) == training_state(other)
    history = fit_with(whole, [stopping(100), fastbp.ModelCheckpoint(path)], epochs=LONG)
    resumed = new_trainer(PLAIN)
    fit_with(resumed, [stopping(100), fastbp.ModelCheckpoint(path)], epochs=LONG // 2)
    called = [stopping(100), fastbp.ModelCheckpoint(path)]
    longer = fastbp.Trainer.load(path)
    assert_same(longer, fit_with(longer, called, epochs=LONG, resume=path), whole, history)


def test_a_fit_that_was_cut_goes_on_within_the_epoch(path):
    whole, cut = new_trainer(), new_trainer()
    history = fit_with(whole, [fastbp.ModelCheckpoint(path), fastbp.TimeLimit(1e9)])
    part = fit_with(cut, [fastbp.ModelCheckpoint(path), fastbp.TimeLimit(1e-9)])
    assert len(part["loss"]) == 1
    assert core(cut).updates < 5
    resumed = new_trainer()
    called = [fastbp.ModelCheckpoint(path), fastbp.TimeLimit(1e9)]
    assert_same(resumed, fit_with(resumed, called, resume=path), whole, history)


def test_a_relative_path_is_that_of_where_fit_began(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    go = fastbp.LambdaCallback(on_epoch_end=lambda _: monkeypatch.chdir(tmp_path / "elsewhere"))
    fit_with(new_trainer(PLAIN), [go, fastbp.ModelCheckpoint("run", keep=2)], epochs=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("elsewhere", "run", "run-000000010", "run-000000015")
    ]
    assert list((tmp_path / "elsewhere").iterdir()) == []


# The learning rate


def written(path, *others, epochs=2):
    """A fit of this many epochs, in a file; its learning rate there is 0.01."""
    fit_with(new_trainer(PLAIN), [*others, fastbp.ModelCheckpoint(path)], epochs=epochs)


def set_by_the_property(trainer, lr):
    trainer.lr = lr


def set_in_compiled_code(trainer, lr):
    trainer.compiled().hyper[embed.LR] = lr


class Rates(fastbp.Callback):
    """The learning rate of each epoch."""

    def on_fit_begin(self, _state):
        self.seen = []

    def on_epoch_end(self, state):
        self.seen.append(state.trainer.lr)


@pytest.mark.parametrize("set_lr", [set_by_the_property, set_in_compiled_code])
@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "made anew"])
def test_a_lr_that_was_set_counts(loaded, set_lr, path):
    written(path)
    trainer, rates = fastbp.Trainer.load(path) if loaded else new_trainer(PLAIN), Rates()
    set_lr(trainer, 1e-4)
    fit_with(trainer, [rates, fastbp.ModelCheckpoint(path)], epochs=4, resume=path)
    assert rates.seen == [1e-4] * 2
    assert trainer.lr == fastbp.Trainer.load(path).lr == 1e-4


@pytest.mark.parametrize("way", ["made anew", "copied", "replaced"])
def test_a_lr_that_was_set_counts_though_it_is_that_of_the_constructor(way, path):
    fit_with(new_trainer(PLAIN), [fastbp.ModelCheckpoint(path)], epochs=2, lr=1e-4)
    trainer, rates = new_trainer(PLAIN), Rates()
    trainer.lr = trainer.optimizer.lr
    if way != "made anew":
        trainer = copy.deepcopy(trainer) if way == "copied" else trainer.replace(threads=1)
    fit_with(trainer, [rates, fastbp.ModelCheckpoint(path)], epochs=4, resume=path)
    assert rates.seen == [trainer.optimizer.lr] * 2


def test_a_fit_settles_the_lr(path):
    """What was set before it is that of the file afterwards."""
    trainer, rates = new_trainer(PLAIN), Rates()
    trainer.lr = 1e-3
    fit_with(trainer, [fastbp.ModelCheckpoint(path)], epochs=2)
    fit_with(trainer, [rates, fastbp.ModelCheckpoint(path)], epochs=3, resume=path, lr=1e-4)
    fit_with(trainer, [rates, fastbp.ModelCheckpoint(path)], epochs=3, resume=path)
    assert trainer.lr == 1e-4


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "made anew"])
def test_fit_takes_the_lr_to_go_on_with(loaded, path):
    written(path)
    trainer, rates = fastbp.Trainer.load(path) if loaded else new_trainer(PLAIN), Rates()
    trainer.lr = 0.5
    fit_with(trainer, [rates, fastbp.ModelCheckpoint(path)], epochs=4, resume=path, lr=1e-4)
    assert rates.seen == [1e-4] * 2


def test_fit_takes_the_lr_to_begin_with():
    trainer, other = new_trainer(PLAIN), new_trainer(PLAIN)
    other.lr = 1e-3
    history = fit_with(trainer, [], lr=1e-3)
    assert_same(trainer, history, other, fit_with(other, []))
    assert trainer.lr == 1e-3


@pytest.mark.parametrize("lr", [0, -1, float("nan"), "1", None])
def test_a_lr_that_is_none_changes_nothing(lr, path):
    written(path)
    trainer = new_trainer(PLAIN)
    before = training_state(trainer)
    if lr is not None:
        with pytest.raises((ValueError, TypeError), match="lr is"):
            fit_with(trainer, [fastbp.ModelCheckpoint(path)], resume=path, lr=lr)
        assert training_state(trainer) == before


def test_a_refused_fit_leaves_the_lr():
    trainer = new_trainer(PLAIN)
    with pytest.raises(FileNotFoundError):
        fit_with(trainer, [], resume="nothing.safetensors", lr=1e-3)
    assert trainer.lr == 0.01


def test_lbfgs_has_no_lr():
    net = fastbp.Network([2, 1])
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.LBFGS(), engine="numpy")
    with pytest.raises(ValueError, match=r"lr is 0.1, but optimizer fastbp.LBFGS\(\) has none"):
        trainer.fit(np.ones((3, 2)), np.ones(3), lr=0.1)


def test_what_no_one_has_set_is_that_of_the_file(path):
    """A callback of the fit had lowered it."""
    plateau = lambda: fastbp.ReduceLROnPlateau("loss", patience=0, threshold=9)  # noqa: E731
    written(path, plateau(), epochs=4)
    lowered = fastbp.Trainer.load(path).lr
    assert lowered < 0.01
    rates = Rates()
    fit_with(new_trainer(PLAIN), [rates, plateau(), fastbp.ModelCheckpoint(path)], epochs=5,
             resume=path)  # fmt: skip
    assert rates.seen == [lowered]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("lr", [0.02, 0.01])
def test_a_program_that_runs_again_sets_it_again(lr, times, path):
    """As one that asks find_lr first: it ends with the bits of one that was not interrupted."""

    def train(path, at=None, resume=None):
        trainer = new_trainer(PLAIN)
        trainer.lr = lr  # 0.01 is that of the constructor
        called = [
            *(fastbp.ReduceLROnPlateau("loss", patience=0, threshold=9), Crasher(at)),
            fastbp.ModelCheckpoint(path, every_updates=4),
        ]
        return trainer, fit_with(trainer, called, resume=resume)

    whole = train(path.with_name("whole"))
    for i in range(times):
        with pytest.raises(Crash):
            train(path, 10 * (i + 1), path if i else None)
    assert fastbp.Trainer.load(path).lr < lr
    assert_same(*train(path, resume=path), *whole)


def test_a_copy_remembers_that_it_was_set(path):
    written(path)
    trainer = fastbp.Trainer.load(path)
    trainer.lr = 1e-4
    twin = copy.deepcopy(trainer)
    fit_with(twin, [fastbp.ModelCheckpoint(path)], epochs=3, resume=path)
    assert twin.lr == 1e-4


# More callbacks


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_callbacks_may_be_added(place, path):
    """The others go on as if there were no more; the new one hears of what comes."""

    def callbacks(at=None):
        return [stopping(3), Crasher(at), fastbp.ModelCheckpoint(path, every_updates=5)]

    whole = new_trainer()
    history = fit_with(whole, callbacks())
    with pytest.raises(Crash):
        fit_with(new_trainer(), callbacks(13))
    trainer, heard, called = new_trainer(), [], callbacks()
    called.insert(place, fastbp.LambdaCallback(on_epoch_end=lambda s: heard.append(s.epoch)))
    assert_same(trainer, fit_with(trainer, called, resume=path), whole, history)
    assert heard == list(range(2, len(history["loss"]) + 1))


@pytest.mark.parametrize("place", [0, 1])
def test_added_callbacks_do_not_hear_of_the_event_of_the_checkpoint(place, path):
    fit_with(new_trainer(), [fastbp.ModelCheckpoint(path)], epochs=2)
    trainer, heard = new_trainer(), []
    called = [fastbp.ModelCheckpoint(path)]
    called.insert(place, fastbp.LambdaCallback(on_epoch_end=lambda s: heard.append(s.epoch)))
    fit_with(trainer, called, epochs=4, resume=path)
    assert heard == [3, 4]


def test_a_callback_may_set_the_lr_of_a_resumed_fit(path):
    written(path)
    slow = fastbp.LambdaCallback(on_fit_begin=lambda s: setattr(s.trainer, "lr", 1e-5))
    trainer = new_trainer(PLAIN)
    fit_with(trainer, [slow, fastbp.ModelCheckpoint(path)], epochs=3, resume=path)
    assert trainer.lr == 1e-5


def test_callbacks_may_not_be_left_out(path):
    fit_with(new_trainer(), [stopping(), fastbp.ModelCheckpoint(path)], epochs=2)
    with pytest.raises(ValueError, match=r"callbacks was .*'EarlyStopping', 'ModelCheckpoint'"):
        fit_with(new_trainer(), [fastbp.ModelCheckpoint(path)], epochs=2, resume=path)
    swapped = [fastbp.ModelCheckpoint(path), fastbp.CSVLogger(path.with_name("log"))]
    with pytest.raises(ValueError, match="callbacks was"):
        fit_with(new_trainer(), swapped, epochs=2, resume=path)


# A longer schedule


def test_a_finished_run_with_a_schedule_is_made_longer(path):
    """As the guide says: with its moments, from the update it had come to."""
    schedule = {"schedule": Cosine(10)}
    trainer = new_trainer(schedule)
    X, y = CASE.batch()
    trainer.fit(X[:80], y[:80], epochs=2, callbacks=[fastbp.ModelCheckpoint(path)])
    with pytest.raises(ValueError, match=r"Cosine.*10 updates.*trainer\.replace\(schedule="):
        fastbp.Trainer.load(path).fit(X[:80], y[:80], epochs=2)
    longer = fastbp.Trainer.load(path).replace(schedule=Cosine(20))
    assert longer.scheduled_lr == pytest.approx(0.01 / 2)
    by_hand = new_trainer({"schedule": Cosine(20)})
    core(by_hand).arrays.moments[:] = core(trainer).arrays.moments
    by_hand.net.set_parameters(trainer.net.weights, trainer.net.biases)
    core(by_hand).arrays.hyper[:] = core(longer).arrays.hyper
    core(by_hand).epoch = 2
    history, expected = (t.fit(X[:80], y[:80], epochs=2) for t in (longer, by_hand))
    assert timeless(history) == timeless(expected)
    assert training_state(longer) == training_state(by_hand)
    with pytest.raises(ValueError, match=r"schedule was .*replace"):
        longer.fit(X[:80], y[:80], epochs=4, callbacks=[fastbp.ModelCheckpoint(path)], resume=path)


def test_other_weights_are_refused(tmp_path):
    """The mean that all weights are divided by is that of the whole fit."""
    X, y = np.random.default_rng(0).normal(size=(2, 20, 1))
    path, weights = tmp_path / "run.safetensors", np.arange(20.0)

    def new():
        net = fastbp.Network([1, 3, 1], seed=0)
        return fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), batch_size=8, seed=0)

    keeper = fastbp.ModelCheckpoint(path, every_epochs=1)
    new().fit(X, y, sample_weight=weights, epochs=1, callbacks=[keeper])
    how = {"epochs": 2, "callbacks": [keeper], "resume": path}
    with pytest.raises(ValueError, match=r"have the mean 950, and had 9\.5 when the fit began"):
        new().fit(X, y, sample_weight=100 * weights, **how)
    new().fit(X, y, sample_weight=weights, **how)
