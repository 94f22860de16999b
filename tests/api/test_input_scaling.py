"""Trainers with a learned scaling of the inputs: when it starts anew, and how it is kept."""

import copy
import pickle

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.storage import model_file
from support.cases import THREE_CLASSES, each_engine
from support.features import MANY
from support.internals import core
from support.scaling_factors import factors
from support.trainers import bits, training_state

X, Y = THREE_CLASSES.batch()
N_IN = THREE_CLASSES.sizes[0]


def new_trainer(engine="numba", optimizer=None, **options):
    optimizer = optimizer or fastbp.SGD(lr=0.1)
    return THREE_CLASSES.trainer("float32", engine, optimizer, 8, input_scaling=6.0, **options)


def trained(*arguments, **options):
    trainer = new_trainer(*arguments, **options)
    trainer.fit(X, Y, epochs=2)
    assert np.abs(trainer.input_scale - 1).min() > 0
    return trainer


# The scale


def test_a_trainer_without_one_has_no_scale():
    assert THREE_CLASSES.trainer().input_scale is None


@each_engine
def test_it_begins_as_one_and_can_be_read_alone(engine):
    trainer = new_trainer(engine)
    np.testing.assert_array_equal(trainer.input_scale, np.ones(N_IN, np.float32))
    assert trainer.input_scale.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        trainer.input_scale[0] = 2
    with pytest.raises(AttributeError, match=r"setting 'input_scale' .*read alone"):
        trainer.input_scale = np.ones(N_IN)
    before = trainer.input_scale
    trainer.step(X[:8], Y[:8])
    assert (before == 1).all()
    assert (trainer.input_scale != 1).all()


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "input_scaling is 0.0, expected a finite number above 0"),
        (-1, ValueError, "input_scaling is -1.0"),
        (float("nan"), ValueError, "input_scaling is nan"),
        (True, TypeError, "input_scaling is True, of type bool, expected a number"),
        ("6", TypeError, "input_scaling is '6'"),
        ([6, 6], TypeError, r"input_scaling is \[6, 6\]"),
    ],
)
def test_bad_factors_are_refused(value, error, message):
    with pytest.raises(error, match=message):
        THREE_CLASSES.trainer(input_scaling=value)


def test_no_step_compiles_anything_of_a_plain_trainer():
    assert not core(THREE_CLASSES.trainer()).extended
    assert core(new_trainer()).extended


# What others change


@each_engine
def test_weights_that_are_set_start_anew(engine):
    trainer, fresh = trained(engine), new_trainer(engine)
    weights = [w + 0.5 for w in trainer.net.weights]
    trainer.net.set_parameters(weights, trainer.net.biases)
    fresh.net.set_parameters(weights, trainer.net.biases)
    np.testing.assert_array_equal(trainer.input_scale, np.ones(N_IN))
    assert trainer.step(X[:8], Y[:8]) == fresh.step(X[:8], Y[:8])
    assert bits(trainer) == bits(fresh)


@each_engine
def test_moments_of_the_scale_start_anew_with_it(engine):
    """Those of W stay, as those of every parameter that is set."""
    adam = fastbp.Adam(lr=0.01)
    trainer, fresh = trained(engine, adam), new_trainer(engine, adam)
    weights, biases = [w + 0.5 for w in trainer.net.weights], trainer.net.biases
    for each in (trainer, fresh):
        each.net.set_parameters(weights, biases)
    core(fresh).arrays.moments[:] = core(trainer).arrays.moments
    core(fresh).arrays.hyper[:] = core(trainer).arrays.hyper
    assert trainer.step(X[:8], Y[:8]) == fresh.step(X[:8], Y[:8])
    assert bits(trainer) == bits(fresh)


@each_engine
@pytest.mark.parametrize("column", [0, -1])
def test_inputs_whose_weights_stay_keep_their_scale(engine, column):
    """One weight of one input is another, in the first panel of outputs or the last."""
    trainer = MANY.trainer("float32", engine, input_scaling=2.0)
    trainer.step(*MANY.batch())
    before = trainer.input_scale
    first, *rest = trainer.net.weights
    first = first.copy()
    first[2, column] = np.nextafter(first[2, column], np.float32(9))
    trainer.net.set_parameters([first, *rest], trainer.net.biases)
    expected = np.where(np.arange(MANY.sizes[0]) == 2, np.float32(1), before)
    np.testing.assert_array_equal(trainer.input_scale, expected)
    trainer.lr = 1e-30
    trainer.step(*MANY.batch())
    np.testing.assert_array_equal(trainer.input_scale, expected)
    np.testing.assert_array_equal(factors(trainer)[1][2], first[2])


@each_engine
def test_trainers_that_follow_each_other(engine):
    """Each starts anew from what the other has left: an update, and the average of them."""
    one = trained(engine)
    other = one.replace(input_scaling=None)
    other.step(X[:8], Y[:8])
    np.testing.assert_array_equal(one.input_scale, np.ones(N_IN))
    one.step(X[:8], Y[:8])
    s, W = factors(one)
    np.testing.assert_array_equal(one.net.weights[0], s[:, None] * W)


def test_a_model_that_is_copied_to_starts_anew():
    one, other = trained(), trained(optimizer=fastbp.SGD(lr=0.05))
    embed.copy(one.compiled(), other.compiled(), 1.0)
    np.testing.assert_array_equal(other.input_scale, np.ones(N_IN))
    np.testing.assert_array_equal(one.net.weights[0], other.net.weights[0])


def test_the_best_weights_of_an_early_stop_start_anew():
    trainer = new_trainer()
    stopping = fastbp.EarlyStopping(monitor="loss", mode="max", patience=1)
    trainer.fit(X, Y, epochs=9, callbacks=[stopping])
    assert stopping.best_epoch == 1
    np.testing.assert_array_equal(trainer.input_scale, np.ones(N_IN))


@each_engine
def test_standardizing_again_starts_anew_where_weights_take_it_up(engine):
    trainer = trained(engine)
    p = trainer.predict(X)
    trainer.net.standardize(3 * X)
    np.testing.assert_array_equal(trainer.input_scale, np.ones(N_IN))
    np.testing.assert_allclose(trainer.predict(X), p, rtol=1e-4, atol=1e-5)


# How it is kept


@each_engine
@pytest.mark.parametrize("optimizer", [fastbp.SGD(lr=0.1), fastbp.Adam(lr=0.01)], ids=repr)
@pytest.mark.parametrize("way", ["file", "pickle", "copy"])
def test_a_kept_trainer_goes_on_to_the_bit(way, optimizer, engine, tmp_path):
    trainer = trained(engine, optimizer)
    if way == "file":
        trainer.save(tmp_path / "t")
        twin = fastbp.Trainer.load(tmp_path / "t")
    else:
        twin = pickle.loads(pickle.dumps(trainer)) if way == "pickle" else copy.deepcopy(trainer)
    assert training_state(twin) == training_state(trainer)
    np.testing.assert_array_equal(twin.input_scale, trainer.input_scale)
    assert twin.fit(X, Y)["loss"] == trainer.fit(X, Y)["loss"]
    assert training_state(twin) == training_state(trainer)


def test_a_resumed_fit_ends_as_one_that_was_not_interrupted(tmp_path):
    class Crash(Exception):
        pass

    def crash(state):
        if state.steps == 5:
            raise Crash

    path, whole = tmp_path / "run", new_trainer()
    whole.fit(X, Y, epochs=4)
    keep = fastbp.ModelCheckpoint(path, every_updates=4)
    ends = fastbp.LambdaCallback(on_step_end=crash)
    with pytest.raises(Crash):
        new_trainer().fit(X, Y, epochs=4, callbacks=[keep, ends])
    resumed, silent = new_trainer(), fastbp.LambdaCallback(on_step_end=lambda _: None)
    called = [fastbp.ModelCheckpoint(path, every_updates=4), silent]
    resumed.fit(X, Y, epochs=4, resume=path, callbacks=called)
    assert training_state(resumed) == training_state(whole)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors["learned.input_scaling.0"].fill(np.nan),
        lambda tensors: tensors.update({"learned.input_scaling.0": np.ones(3, np.float32)}),
        lambda tensors: tensors.update({"learned.input_scaling.1": np.ones((4, 9))}),
    ],
    ids=["nan", "shape", "dtype"],
)
def test_a_file_that_lies_is_refused(change, tmp_path):
    trained().save(tmp_path / "t")
    meta, tensors = model_file.read(tmp_path / "t", "checkpoint")
    tensors = {name: array.copy() for name, array in tensors.items()}
    change(tensors)
    model_file.write(tmp_path / "t", "checkpoint", meta, tensors)
    with pytest.raises(ValueError, match="cannot be loaded: 'input_scaling' has other shapes"):
        fastbp.Trainer.load(tmp_path / "t")


def test_another_factor_is_no_resume(tmp_path):
    path = tmp_path / "run"
    new_trainer().fit(X, Y, epochs=2, callbacks=[fastbp.ModelCheckpoint(path)])
    other = THREE_CLASSES.trainer("float32", batch_size=8)
    with pytest.raises(ValueError, match=r"input_scaling was 6\.0 and is None"):
        other.fit(X, Y, epochs=4, resume=path, callbacks=[fastbp.ModelCheckpoint(path)])


@each_engine
def test_a_batch_that_is_refused_brings_the_scale_back(engine):
    trainer, bad = new_trainer(engine), X.copy()
    bad[13, 2] = np.nan
    trainer.fit(X, Y)
    before = training_state(trainer)
    with pytest.raises(ValueError, match="X has nan at row 13, column 2"):
        trainer.fit(bad, Y, epochs=4, shuffle=False)  # in the second batch
    assert training_state(trainer) == before


# Replaced and reset


@each_engine
def test_a_replaced_trainer_keeps_its_scale(engine):
    trainer, other = (trained(engine, fastbp.Adam(lr=0.01)) for _ in range(2))
    twin = trainer.replace()
    assert training_state(twin) == training_state(trainer)
    assert twin.fit(X, Y)["loss"] == other.fit(X, Y)["loss"]
    slower = other.replace(input_scaling=1.0)
    np.testing.assert_array_equal(slower.input_scale, other.input_scale)
    assert core(slower).arrays.hyper[-1] == 1.0
    assert other.replace(input_scaling=None).input_scale is None


def test_momentum_that_is_added_begins_at_zero():
    trainer = trained()
    twin = trainer.replace(optimizer=fastbp.SGD(lr=0.1, momentum=0.9))
    for one, kept in zip(factors(twin), factors(trainer), strict=True):
        np.testing.assert_array_equal(one, kept)
    plain = trained()
    assert twin.step(X[:8], Y[:8]) == plain.step(X[:8], Y[:8])
    for one, other in zip(factors(twin), factors(plain), strict=True):
        np.testing.assert_array_equal(one, other)


@each_engine
def test_another_optimizer_begins_anew(engine):
    twin = trained(engine).replace(optimizer=fastbp.Adam(lr=0.01))
    np.testing.assert_array_equal(twin.input_scale, np.ones(N_IN))


@each_engine
def test_a_reset_optimizer_begins_anew(engine):
    trainer = trained(engine)
    before = trainer.net.weights[0]
    trainer.reset_optimizer()
    np.testing.assert_array_equal(trainer.input_scale, np.ones(N_IN))
    np.testing.assert_array_equal(trainer.net.weights[0], before)
    fresh = new_trainer(engine)
    fresh.net.set_parameters(trainer.net.weights, trainer.net.biases)
    assert trainer.step(X[:8], Y[:8]) == fresh.step(X[:8], Y[:8])
    assert bits(trainer) == bits(fresh)


def test_find_lr_leaves_the_scale_alone():
    trainer = trained()
    before = training_state(trainer)
    trainer.find_lr(X, Y, updates=5)
    assert training_state(trainer) == before
