"""Training by a schedule is training with its learning rates and momenta, whichever way."""

import copy
import math

import numpy as np
import pytest

import fastbp
from fastbp.kernels import reference
from fastbp.kernels.base import codes
from fastbp.schedules import (
    Constant,
    Cosine,
    OneCycle,
    StepDecay,
    Table,
    Warmup,
)
from support.cases import CASES, Case, each_engine
from support.embed_ways import WAYS
from support.trainers import flat_parameters, training_state

CASE = CASES["odd"]
UPDATES = 12
SCHEDULES = {
    "constant": Constant(),
    "step": StepDecay(3, 0.5),
    "warm-up and cosine": Warmup(4, then=Cosine(8)),
    "one cycle": OneCycle(12),
    "table": Table.of(lambda t: 1 / (1 + t % 5), 12),
    "warm-up and table": Warmup(2, Table([0.5] * 9 + [0.125])),
}
OPTIMIZERS = {
    "SGD": fastbp.SGD(0.1, momentum=0.9),
    "Adam": fastbp.Adam(0.01),
    "AdamW": fastbp.AdamW(0.01),
    "RAdam": fastbp.RAdam(0.01),
    "RMSprop": fastbp.RMSprop(0.01, momentum=0.5),
}

each_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


def scheduled_trainer(optimizer, schedule=None, engine="numba", batch_size=CASE.rows):
    return fastbp.Trainer(
        CASE.network("float64"),
        loss=CASE.loss,
        optimizer=optimizer,
        batch_size=batch_size,
        seed=0,
        engine=engine,
        schedule=schedule,
    )


def with_rates(schedule, optimizer):
    """Parameters after UPDATES of the twin's ``update``, each with its rate and momentum."""
    trainer = scheduled_trainer(optimizer)
    net, place = trainer.net, codes.BETA1 if hasattr(optimizer, "betas") else codes.MOMENTUM
    w = [np.array(part) for part in (*net.weights, *net.biases)]
    moments = [(np.zeros_like(part), np.zeros_like(part)) for part in w]
    for t in range(UPDATES):
        hyper = optimizer.hyper()
        factor, momentum = reference.scheduled(schedule.encoded(), t)
        hyper[codes.LR] *= factor
        hyper[place] = hyper[place] if math.isnan(momentum) else momentum
        dW, db = zip(*trainer.loss_and_gradients(*CASE.batch())[1], strict=True)
        for part, g, (m, v) in zip(w, dW + db, moments, strict=True):
            reference.update(optimizer.code, hyper, t + 1, part, g, m, v)
        net.set_parameters(w[: len(dW)], w[len(dW) :])
    return flat_parameters(trainer.net)


@each_engine
@each_optimizer
@each_schedule
def test_steps_have_the_rates_and_momenta_of_the_schedule(schedule, optimizer, engine):
    trainer = scheduled_trainer(optimizer, schedule, engine)
    for _ in range(UPDATES):
        trainer.step(*CASE.batch())
    np.testing.assert_allclose(
        flat_parameters(trainer.net), with_rates(schedule, optimizer), rtol=1e-9
    )


@each_engine
@each_schedule
def test_fit_in_parts_equals_fit_at_once(schedule, engine):
    trainers = [
        scheduled_trainer(OPTIMIZERS["SGD"], schedule, engine, batch_size=10) for _ in range(2)
    ]
    trainers[0].fit(*CASE.batch(), epochs=3)
    for _ in range(3):
        trainers[1].fit(*CASE.batch(), epochs=1)
    np.testing.assert_array_equal(*(flat_parameters(t.net) for t in trainers))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@each_schedule
def test_embedded_steps_follow_the_schedule(schedule, way):
    trainer, other = (scheduled_trainer(OPTIMIZERS["SGD"], schedule) for _ in range(2))
    model = trainer.compiled()
    for _ in range(UPDATES):
        way.step(model, *CASE.batch())
    other.fit(*CASE.batch(), epochs=UPDATES, shuffle=False)
    np.testing.assert_array_equal(flat_parameters(trainer.net), flat_parameters(other.net))


@each_engine
def test_a_schedule_shorter_than_training_is_refused_before_anything_changes(engine):
    trainer = scheduled_trainer(OPTIMIZERS["SGD"], Cosine(7), engine, batch_size=10)
    trainer.step(*[part[:10] for part in CASE.batch()])
    before = flat_parameters(trainer.net)
    with pytest.raises(ValueError, match="for 7 updates, but 1 have been made and 8 more"):
        trainer.fit(*CASE.batch(), epochs=2)
    np.testing.assert_array_equal(flat_parameters(trainer.net), before)
    trainer.fit(*CASE.batch(), epochs=1)


def test_a_cycled_momentum_needs_an_optimizer_with_one():
    with pytest.raises(ValueError, match="cycle_momentum=False"):
        scheduled_trainer(fastbp.SGD(0.1), OneCycle(10))
    scheduled_trainer(fastbp.SGD(0.1), OneCycle(10, cycle_momentum=False))


@each_engine
def test_the_finder_knows_nothing_of_the_schedule(engine):
    plain, scheduled = (
        scheduled_trainer(OPTIMIZERS["SGD"], s, engine, 10) for s in (Constant(), Cosine(5))
    )
    curves = [trainer.find_lr(*CASE.batch(), updates=20) for trainer in (plain, scheduled)]
    np.testing.assert_array_equal(curves[0].losses, curves[1].losses)


def test_what_is_no_schedule():
    with pytest.raises(TypeError, match="schedule is 'cosine'"):
        scheduled_trainer(fastbp.SGD(0.1), "cosine")


def test_a_loss_that_is_not_finite_tells_the_learning_rate_of_its_update():
    trainer = Case((3, 4, 2), 5).trainer(optimizer=fastbp.SGD(0.3), schedule=Warmup(5))
    assert trainer.scheduled_lr < 0.3
    with pytest.raises(FloatingPointError, match=f"with lr = {trainer.scheduled_lr:g}: "):
        trainer.step(np.ones((5, 3)), np.full((5, 2), 1e300))


# Past the end


def past_the_end(engine, optimizer=None, total=5):
    trainer = CASE.trainer(
        "float32", engine, optimizer or fastbp.Adam(0.01), CASE.rows, schedule=Cosine(total)
    )
    X, y = (np.ascontiguousarray(part, np.float32) for part in CASE.batch())
    return trainer, X, y


@each_engine
@pytest.mark.parametrize("kind", ["arrays", "lists", "rows"])
def test_no_call_goes_on_past_the_end(kind, engine):
    """By the fast path, its tables, and the checked path alike."""
    trainer, X, y = past_the_end(engine)
    X, y = {"arrays": (X, y), "lists": (X.tolist(), y.tolist()), "rows": (X[:3], y[:3])}[kind]
    for _ in range(5):
        trainer.step(X, y)
    _, gradients = trainer.loss_and_gradients(X, y)
    before = training_state(trainer)
    message = r"Cosine\(updates=5\) is for 5 updates, but 5 have been made.*trainer\.replace\("
    for call in (
        lambda: trainer.step(X, y),
        lambda: trainer.step(X, y, np.ones(len(X))),
        lambda: trainer.apply_gradients(gradients),
        lambda: trainer.fit(X, y),
        lambda: trainer.fit_batches([(X, y)]),
        lambda: trainer.fit_batches((X, y) for _ in range(2)),
    ):
        with pytest.raises(ValueError, match=message):
            call()
        assert training_state(trainer) == before
    trainer.loss_and_gradients(X, y)
    trainer.evaluate(X, y)
    assert len(trainer.find_lr(X, y, end_lr=1e6).lrs) > 9


@each_engine
def test_the_end_is_that_of_all_updates(engine):
    """Those of fit and of compiled code count, too; a longer schedule goes on."""
    trainer, X, y = past_the_end(engine)
    trainer.fit(X, y, epochs=2)
    if engine == "numba":
        fastbp.embed.step(trainer.compiled(), X, y)
    else:
        trainer.step(X, y)
    trainer.step(X, y)
    trainer.step(X, y)
    with pytest.raises(ValueError, match="5 have been made and 1 more"):
        trainer.step(X, y)
    longer = trainer.replace(schedule=Cosine(10))
    assert longer.scheduled_lr == pytest.approx(0.005)
    for _ in range(5):
        longer.step(X, y)
    with pytest.raises(ValueError, match="10 have been made"):
        longer.step(X, y)


def test_compiled_code_goes_on_with_the_last_factor():
    table = Table([1.0, 0.5])
    trainer, X, y = past_the_end("numba", fastbp.SGD(0.2))
    trainer = trainer.replace(schedule=table)
    by_hand = copy.deepcopy(trainer).replace(schedule=None)
    model = trainer.compiled()
    for factor in (1.0, 0.5, 0.5, 0.5):
        by_hand.lr = 0.2 * factor
        assert fastbp.embed.step(model, X, y) == by_hand.step(X, y)
    assert trainer.updates == 4
    before = flat_parameters(trainer.net)
    assert fastbp.embed.step_from(model, X, np.ones_like(y))
    moved = np.abs(flat_parameters(trainer.net) - before).max()
    assert moved > 0


def test_schedules_that_never_end_have_no_end():
    trainer, X, y = past_the_end("numba")
    endless = trainer.replace(schedule=fastbp.schedules.Warmup(2))
    for _ in range(9):
        endless.step(X, y)


@each_engine
def test_a_table_goes_on_after_loading(engine, tmp_path):
    schedule = Warmup(2, Table.of(lambda t: 0.9**t, 10))
    X, y = CASE.batch()
    whole, part = (scheduled_trainer(OPTIMIZERS["Adam"], schedule, engine) for _ in range(2))
    whole.fit(X, y, epochs=12, shuffle=False)
    part.fit(X, y, epochs=5, shuffle=False)
    part.save(tmp_path / "part")
    loaded = fastbp.Trainer.load(tmp_path / "part")
    assert loaded.scheduled_lr == part.scheduled_lr
    loaded.fit_batches([(X, y)], epochs=1)
    for _ in range(2):
        loaded.step(X, y)
    loaded.fit(X, y, epochs=4, shuffle=False)
    np.testing.assert_array_equal(flat_parameters(loaded.net), flat_parameters(whole.net))
    with pytest.raises(ValueError, match="is for 12 updates"):
        loaded.step(X, y)
    longer = loaded.replace(schedule=Table([1.0] * 20))
    assert longer.scheduled_lr == longer.lr


@each_engine
def test_a_table_goes_with_class_weights(engine):
    net = fastbp.Network([3, 4, 2], output="softmax", seed=0)
    trainers = [
        fastbp.Trainer(
            copy.copy(net),
            loss="cross_entropy",
            optimizer=fastbp.SGD(0.1),
            class_weight="balanced",
            schedule=schedule,
            engine=engine,
            seed=0,
        )
        for schedule in (Table([0.5] * 8), Constant())
    ]
    trainers[1].lr = 0.05
    X, y = np.random.default_rng(0).normal(size=(8, 3)), np.array([0, 0, 0, 0, 0, 0, 1, 1])
    for trainer in trainers:
        trainer.fit(X, y, epochs=8)
    first, second = (flat_parameters(trainer.net) for trainer in trainers)
    np.testing.assert_array_equal(first, second)
