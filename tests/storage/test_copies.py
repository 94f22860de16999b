"""Copies, threads and exceptions: a trainer is whole afterwards, or says what is wrong."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastbp
from fastbp.kernels.base import width
from support import processes
from support.cases import CASES, each_engine
from support.features import EVERY, MANY, OPTIMIZERS, OTHERS
from support.internals import core
from support.trainers import flat_parameters, training_state

CASE = CASES["odd"]


def equal(one, other):
    return np.array_equal(flat_parameters(one.net), flat_parameters(other.net))


@each_engine
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_by_itself_and_alike(copied, engine):
    original = CASE.trainer("float32", engine=engine)
    original.step(*CASE.batch())
    twin = copied(original)
    original.step(*CASE.batch())
    assert not equal(twin, original)
    twin.step(*CASE.batch())
    assert equal(twin, original)


@pytest.mark.parametrize("optimizer", (OPTIMIZERS | OTHERS).values(), ids=OPTIMIZERS | OTHERS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_with_every_option_goes_on_alike(copied, optimizer):
    original = EVERY.trainer(MANY, "float32", optimizer=optimizer)
    X, y, weights = EVERY.batch(MANY)
    original.step(X, y, weights)
    twin = copied(original)
    assert training_state(twin) == training_state(original)
    assert [t.step(X, y, weights) for t in (twin, twin)] == [
        t.step(X, y, weights) for t in (original, original)
    ]
    assert training_state(twin) == training_state(original)


class Tagged(fastbp.Trainer):
    """A trainer with attributes of its own."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.tag = ["mine"]


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_keeps_attributes_of_a_subclass_and_of_a_user(copied):
    net = fastbp.Network([2, 1], seed=0)
    original = Tagged(net, loss="mse", optimizer=fastbp.SGD(0.1))
    original.note = "by hand"
    twin = copied(copied(original))
    assert type(twin) is Tagged
    assert (twin.tag, twin.note) == (["mine"], "by hand")
    assert vars(twin).keys() == vars(original).keys()


def test_the_copy_of_find_lr_is_made_under_the_lock(monkeypatch):
    trainer, held = CASE.trainer("float32"), []
    monkeypatch.setattr(
        copy, "deepcopy", lambda one: held.append(core(trainer).lock._is_owned()) or one
    )
    core(trainer).copied()
    assert held == [True]


def test_a_shallow_copy_shares_the_network_and_nothing_else():
    original = CASE.trainer("float32", optimizer=fastbp.Adam())
    original.step(*CASE.batch())
    twin = copy.copy(original)
    assert twin.net is original.net
    moments = core(original).arrays.moments.copy()
    twin.step(*CASE.batch())
    np.testing.assert_array_equal(core(original).arrays.moments, moments)


ELSEWHERE = """
import pathlib, pickle
from support.cases import CASES
from support.features import EVERY, MANY, OPTIMIZERS, OTHERS
place = pathlib.Path({place!r})
trainer = pickle.loads(place.read_bytes())
trainer.step(*CASES["odd"].batch())
place.write_bytes(pickle.dumps(trainer))
"""


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("bits", [bits for bits in width.WIDTHS if bits != width.BITS])
def test_a_pickle_goes_on_at_any_vector_width(bits, tmp_path):
    place = tmp_path / "trainer"
    original = CASE.trainer("float32", engine="numpy", optimizer=fastbp.Adam())
    original.step(*CASE.batch())
    place.write_bytes(pickle.dumps(original))
    processes.run(ELSEWHERE.format(place=str(place)), FASTBP_VECTOR_BITS=str(bits))
    twin = pickle.loads(place.read_bytes())
    original.step(*CASE.batch())
    for _ in range(2):
        assert equal(twin, original)
        twin.step(*CASE.batch())
        original.step(*CASE.batch())


@pytest.mark.parametrize("name", ["net", "optimizer", "batch_size", "seed"])
def test_what_a_trainer_is_made_of_cannot_be_exchanged(name):
    trainer = CASE.trainer("float32")
    with pytest.raises(AttributeError):
        setattr(trainer, name, getattr(trainer, name))


def test_a_second_thread_is_refused():
    trainer = CASE.trainer("float32")
    errors = []

    def step():
        try:
            trainer.step(*CASE.batch())
        except RuntimeError as error:
            errors.append(str(error))

    with core(trainer).exclusive():
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert "another thread" in errors[0]
    trainer.step(*CASE.batch())


@pytest.mark.parametrize("budget", [1, 5, 10**6])
def test_epochs_before_a_failure_count_however_the_chunks_fell(monkeypatch, budget):
    """The order of the next fit must not depend on a clock."""
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: budget)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((64, 4))
    net = fastbp.Network([4, 1], seed=0)
    rule = fastbp.SGD(2.0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=rule, batch_size=8, seed=0)
    with pytest.raises(FloatingPointError) as failure:
        trainer.fit(X, X.sum(axis=1), epochs=500)
    assert f"epoch {core(trainer).epoch + 1}," in str(failure.value)
    assert core(trainer).epoch > 1


def test_outputs_in_the_memory_of_inputs_are_refused():
    memory = np.zeros((9, 4), np.float32)
    net = fastbp.Network([4, 4], seed=0)
    with pytest.raises(ValueError, match="out lies in the memory of X"):
        net.predict(memory[:-1], out=memory[1:])


@each_engine
@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_an_output_that_is_not_a_number_is_not_right(loss, engine):
    output = {"bce": "sigmoid", "cross_entropy": "softmax"}[loss]
    net = fastbp.Network([3, 2], output=output, seed=0)
    net.arrays.parameters[:] = np.nan
    trainer = fastbp.Trainer(net, loss=loss, optimizer=fastbp.SGD(0.1), engine=engine)
    y = np.zeros(4, int) if loss == "cross_entropy" else np.ones((4, 2))
    assert trainer.evaluate(np.zeros((4, 3)), y)["accuracy"] == 0.0
