"""Law 2, the engine as a whole: compiled and twins agree; and what padding must be."""

import numpy as np
import pytest

import fastbp
from fastbp.kernels import reference
from fastbp.runtime import rooms
from support import torch_record
from support.cases import CASES, ENGINES, each_case, each_dtype, flat
from support.closeness import AMPLIFICATION, assert_layers_close, distance, layers_of, tolerance
from support.internals import checked_outputs, core
from support.padding import check_padding, rest_of

pytestmark = pytest.mark.law2

STEPS = 4


@pytest.mark.quick("odd")
@each_dtype
@each_case
def test_engines_agree_on_outputs_loss_and_gradients(case, dtype):
    compiled, twin = (case.trainer(dtype, engine) for engine in ENGINES)
    X, y = case.batch()
    allowed = tolerance(case, dtype)
    expected = twin.predict(X)
    for p in (compiled.predict(X), compiled.net.predict(X)):
        assert p.dtype == dtype
        assert distance(p, expected) <= allowed
    assert compiled.evaluate(X, y) == pytest.approx(twin.evaluate(X, y), rel=allowed)
    loss, gradients = compiled.loss_and_gradients(X, y)
    twin_loss, twin_gradients = twin.loss_and_gradients(X, y)
    assert loss == pytest.approx(twin_loss, rel=allowed)
    assert_layers_close(gradients, twin_gradients, allowed)


@each_dtype
@pytest.mark.parametrize("optimizer", torch_record.CASES)
@each_case
def test_engines_agree_on_steps(case, optimizer, dtype):
    compiled, twin = (
        case.trainer(dtype, engine, torch_record.optimizer(optimizer)) for engine in ENGINES
    )
    allowed = tolerance(case, dtype) * AMPLIFICATION
    for seed in range(STEPS):
        X, y = case.batch(seed)
        assert compiled.step(X, y) == pytest.approx(twin.step(X, y), rel=allowed)
    assert_layers_close(layers_of(compiled), layers_of(twin), allowed)


@each_dtype
@each_case
def test_gradients_do_not_depend_on_the_blocks_they_are_taken_in(case, dtype):
    X, y = case.batch()
    whole_loss, whole = case.trainer(dtype).loss_and_gradients(X, y)
    loss, gradients = case.trainer(dtype, batch_size=-(-case.rows // 2)).loss_and_gradients(X, y)
    assert loss == pytest.approx(whole_loss, rel=tolerance(case, dtype))
    assert_layers_close(gradients, whole, tolerance(case, dtype))


@pytest.mark.quick("float32")
@each_dtype
@pytest.mark.parametrize("optimizer", torch_record.CASES)
def test_a_step_is_its_gradients_and_the_twins_update(optimizer, dtype):
    case, optimizer = CASES["odd"], torch_record.optimizer(optimizer)
    trainer = case.trainer(dtype, optimizer=optimizer)
    w = flat(layers_of(trainer))
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        X, y = case.batch(t)
        loss, gradients = trainer.loss_and_gradients(X, y)
        np.testing.assert_array_equal(flat(trainer.loss_and_gradients(X, y)[1]), flat(gradients))
        assert trainer.step(X, y) == loss
        reference.update(optimizer.code, optimizer.hyper(), t, w, flat(gradients), m, v)
        allowed = 4 * t * np.finfo(dtype).eps
        np.testing.assert_allclose(flat(layers_of(trainer)), w, rtol=allowed, atol=allowed / 10)


# Padding


@each_dtype
@pytest.mark.parametrize("optimizer", ["sgd_all", "adam_all", "adamw", "rmsprop_all"])
@each_case
def test_padding_is_zero_whatever_was_there_before(case, optimizer, dtype):
    trainer, other = (
        case.trainer(dtype, optimizer=torch_record.optimizer(optimizer)) for _ in range(2)
    )
    X, y = case.batch()
    for one in (trainer, other):
        one.step(X, y)
    core(trainer).compiled.work[:] = np.nan
    for one in (trainer, other):
        one.step(X, y)
    check_padding(trainer, case.rows)
    np.testing.assert_array_equal(trainer.net.arrays.parameters, other.net.arrays.parameters)
    for arena in (trainer.net.arrays.parameters, *core(trainer).arrays.moments):
        assert not rest_of(arena, trainer).any()


@each_dtype
@each_case
def test_what_an_inference_left_in_its_memory_plays_no_part(case, dtype):
    trainer, (X, y) = case.trainer(dtype), case.batch()
    found = []
    for content in (0, 0xFF):  # 0xFF: NaN everywhere
        for what in (lambda X: checked_outputs(trainer.net, X), lambda X: trainer.evaluate(X, y)):
            room = rooms.Room(1 << 22, 8)
            room.work.fill(content)
            rooms._SPARE[:] = [room]
            found.append(what(X))
            assert rooms._SPARE[0] is room
            assert (room.work != content).any()  # it was used
    np.testing.assert_array_equal(found[2], found[0])
    assert found[3] == found[1]


def test_a_hundred_thousand_outputs_are_added_up_without_drift():
    """Equal logits: the loss is ln n, however many terms its sums have."""
    n = 100_000
    net = fastbp.Network([1, n], output="softmax", init="zeros")
    trainer = fastbp.Trainer(net, loss="cross_entropy", optimizer=fastbp.SGD(0.1), batch_size=1)
    loss, _ = trainer.loss_and_gradients(np.zeros((1, 1)), np.full((1, n), 1 / n))
    # Chains of 64 terms and of n / 64 parts: their rounding, at worst.
    assert abs(loss / np.log(n) - 1) < (64 + n / 64) * np.finfo("f4").eps
