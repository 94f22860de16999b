"""Training on derivatives: the laws."""

import gc
import tracemalloc

import numpy as np
import pytest

import fastbp
from support.cases import Case, each_dtype, each_engine
from support.central_differences import TOLERANCE, H
from support.closeness import AMPLIFICATION, assert_layers_close, layers_of, tolerance
from support.derivatives import (
    KNOWN,
    NETWORKS,
    SMOOTH,
    Known,
    each_known,
    each_network,
    rows_of,
    with_hidden,
)
from support.features import OPTIMIZERS, OTHERS
from support.guards import SIDES, Guard, guarding
from support.internals import core
from support.nan_weights import snapshot, weight_elements
from support.trainers import bits, training_state

ODD, BOTH = NETWORKS["odd"], NETWORKS["both"]
FEWER, MORE = NETWORKS["fewer outputs"], NETWORKS["more outputs"]
JACOBIAN, ALONG = KNOWN.values()
SMALL = Case((3, 10, 8, 2), 12, ("tanh", "silu"))

OPTIONS = {
    "plain": {},
    "dropout": {"dropout": 0.4},
    "penalties": {"l1": 0.01, "l2": 0.05},
    "clip_norm": {"clip_norm": 0.1},
    "clip_value": {"clip_value": 0.01},
    "ema": {"ema_decay": 0.9},
    "input_scaling": {"input_scaling": 2.0},
    "frozen": {"lr_factors": [0.5, 0.0, 2.0]},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
each_way = pytest.mark.parametrize("case", [BOTH, FEWER], ids=["both", "fewer outputs"])


def moved(layers, layer, part, change):
    return [
        tuple(array + change if (i, j) == (layer, part) else array for j, array in enumerate(one))
        for i, one in enumerate(layers)
    ]


# Law 1


def check_gradients(trainer, batch, arguments):
    """Along a direction in each of the arrays of each layer."""
    loss, gradients = trainer.loss_and_gradients(*batch, **arguments)
    start, rng = layers_of(trainer), np.random.default_rng(3)
    for layer, parts in enumerate(gradients):
        for part, gradient in enumerate(parts):
            direction = rng.normal(size=gradient.shape)
            direction /= np.linalg.norm(direction)
            values = []
            for step in (H, -H):
                trainer.net.arrays.set_layers(moved(start, layer, part, step * direction))
                values.append(trainer.loss_and_gradients(*batch, **arguments)[0])
            slope = float((gradient * direction).sum())
            difference = (values[0] - values[1]) / (2 * H)
            assert abs(difference - slope) <= TOLERANCE * (1 + abs(loss)), (layer, part)
            trainer.net.arrays.set_layers(start)


@pytest.mark.law1
@each_engine
@each_known
@each_network
def test_gradients_equal_central_differences(case, known, engine):
    check_gradients(case.trainer(engine=engine), case.batch(), known.of(case))


@pytest.mark.law1
@each_engine
@pytest.mark.parametrize("hidden", SMOOTH)
@pytest.mark.parametrize("name", ["normalized", "fewer outputs"])
def test_gradients_of_every_smooth_activation(name, hidden, engine):
    case = with_hidden(NETWORKS[name], hidden)
    check_gradients(case.trainer(engine=engine), case.batch(), JACOBIAN.of(case))


@pytest.mark.law1
@each_engine
@pytest.mark.parametrize("options", [{"dropout": 0.4}, {"l1": 0.01, "l2": 0.05}], ids=str)
@each_way
def test_gradients_with_options(case, options, engine):
    check_gradients(case.trainer(engine=engine, **options), case.batch(), JACOBIAN.of(case))


@pytest.mark.law1
@each_engine
@pytest.mark.parametrize("case", [ODD, BOTH, NETWORKS["classes"]], ids=["odd", "both", "classes"])
def test_the_loss_is_of_the_derivatives_of_predict(case, engine):
    """By central differences of the outputs: h^2/6 of a third derivative, roundings over h."""
    h, trainer, (X, y) = 2.0**-14, case.trainer(engine=engine), case.batch()
    known = JACOBIAN.of(case)
    steps = h * np.eye(case.sizes[0])
    differences = [(trainer.predict(X + s) - trainer.predict(X - s)) / (2 * h) for s in steps]
    found = np.nan_to_num(np.stack(differences, axis=2) - known["jacobian"])
    expected = (known["jacobian_weight"] * found**2).mean()
    assert trainer.evaluate(X, y, **known)["jacobian_loss"] == pytest.approx(expected, rel=1e-6)


# Law 2


@pytest.mark.law2
@each_dtype
@each_known
@each_network
def test_engines_agree(case, known, dtype):
    compiled, twin = (case.trainer(dtype, engine) for engine in ("numba", "numpy"))
    X, y = case.batch()
    arguments = known.of(case)
    loss, gradients = compiled.loss_and_gradients(X, y, **arguments)
    twin_loss, twin_gradients = twin.loss_and_gradients(X, y, **arguments)
    allowed = tolerance(case, dtype) * 4  # derivatives are products of as many factors more
    assert loss == pytest.approx(twin_loss, rel=allowed)
    assert_layers_close(gradients, twin_gradients, allowed)
    found, expected = (one.evaluate(X, y, **arguments) for one in (compiled, twin))
    assert found == pytest.approx(expected, rel=allowed)
    assert found["loss"] + found["jacobian_loss"] == pytest.approx(loss, rel=allowed)


@pytest.mark.law2
@each_option
@each_known
@each_way
def test_engines_agree_on_options(case, known, options):
    trainers = [case.trainer("float64", engine, **options) for engine in ("numba", "numpy")]
    X, y = case.batch()
    weights = np.random.default_rng(2).uniform(0, 2, len(X))
    losses = [[t.step(X, y, weights, **known.of(case)) for _ in range(3)] for t in trainers]
    allowed = tolerance(case, "float64") * AMPLIFICATION
    np.testing.assert_allclose(*losses, rtol=allowed)
    assert_layers_close(*map(layers_of, trainers), allowed)


@pytest.mark.law2
@each_dtype
@pytest.mark.parametrize("optimizer", (OPTIMIZERS | OTHERS).values(), ids=OPTIMIZERS | OTHERS)
def test_engines_agree_on_every_optimizer(optimizer, dtype):
    trainers = [SMALL.trainer(dtype, engine, optimizer) for engine in ("numba", "numpy")]
    for trainer in trainers:
        for seed in range(3):
            trainer.step(*SMALL.batch(seed), **JACOBIAN.of(SMALL, seed))
    assert_layers_close(*map(layers_of, trainers), tolerance(SMALL, dtype) * AMPLIFICATION)


@pytest.mark.law2
@each_dtype
@each_known
@pytest.mark.parametrize("case", [SMALL, BOTH], ids=["small", "both"])
def test_a_step_is_its_gradients(case, known, dtype):
    """To the bit, whether the gradient is stored or not."""
    stepped, applied = (case.trainer(dtype, optimizer=fastbp.Adam(lr=0.01)) for _ in range(2))
    X, y = case.batch()
    for seed in range(3):
        arguments = known.of(case, seed)
        loss, gradients = applied.loss_and_gradients(X, y, **arguments)
        applied.apply_gradients(gradients)
        assert stepped.step(X, y, **arguments) == loss
    assert bits(stepped) == bits(applied)


@pytest.mark.law2
def test_values_are_trained_as_without_derivatives():
    """Where all weights but one are 0, and its target is what the network does already."""
    case, (X, y) = SMALL, SMALL.batch()
    plain, other = case.trainer(), case.trainer()
    jacobian = np.full((case.rows, 2, 3), np.nan)
    jacobian[0, 0, 0] = 0.0
    loss, gradients = plain.loss_and_gradients(X, y)
    found, others = other.loss_and_gradients(X, y, jacobian=jacobian, jacobian_weight=1e-300)
    assert found == pytest.approx(loss, rel=1e-14)
    assert_layers_close(others, gradients, tolerance(case, "float64"))


# Law 4


@pytest.mark.law4
@each_known
@pytest.mark.parametrize("options", [{}, {"dropout": 0.4, "clip_norm": 0.1}], ids=["plain", "some"])
@pytest.mark.parametrize("case", [ODD, BOTH, MORE], ids=["odd", "both", "more outputs"])
def test_the_bits_do_not_depend_on_the_workers(case, options, known):
    found = []
    for workers in (1, 2, 3, 4):
        trainer = case.trainer("float32", optimizer=fastbp.Adam(), batch_size=16, **options)
        core(trainer).workers = workers
        X, y = case.batch()
        losses = trainer.fit(X, y, epochs=2, **known.of(case))["loss"]
        found.append((losses, trainer.evaluate(X, y, **known.of(case)), bits(trainer)))
    assert all(one == found[0] for one in found)


# Law 5


@pytest.mark.law5
@each_engine
@each_known
def test_fit_equals_its_steps(known, engine):
    X, y = SMALL.batch()
    arguments = known.of(SMALL)
    one, other, third = (
        SMALL.trainer("float32", engine, fastbp.Adam(), batch_size=5) for _ in range(3)
    )
    one.fit(X, y, epochs=2, shuffle=False, **arguments)
    parts = [slice(start, start + 5) for start in range(0, SMALL.rows, 5)]
    for _ in range(2):
        for rows in parts:
            other.step(X[rows], y[rows], **rows_of(arguments, rows))
    weight = arguments.pop("jacobian_weight")
    batches = [(X[rows], y[rows], None, *(x[rows] for x in arguments.values())) for rows in parts]
    third.fit_batches(batches, epochs=2, jacobian_weight=weight)
    assert training_state(one)[0] == training_state(other)[0] == training_state(third)[0]


@pytest.mark.law5
@each_engine
def test_two_epochs_are_one_and_one(engine):
    X, y = SMALL.batch()
    one, other = (SMALL.trainer("float32", engine, fastbp.Adam(), batch_size=5) for _ in range(2))
    losses = one.fit(X, y, epochs=2, **JACOBIAN.of(SMALL))["loss"]
    again = [other.fit(X, y, **JACOBIAN.of(SMALL))["loss"][0] for _ in range(2)]
    assert losses == again
    assert training_state(one) == training_state(other)


@pytest.mark.law5
def test_a_full_batch_in_order_is_not_gathered_again():
    """Its bits are those of one that is."""
    X, y = SMALL.batch()
    one, other = (SMALL.trainer("float32", optimizer=fastbp.Adam()) for _ in range(2))
    one.fit(X, y, epochs=3, shuffle=False, **JACOBIAN.of(SMALL))
    for _ in range(3):
        other.step(X, y, **JACOBIAN.of(SMALL))
    assert bits(one) == bits(other)


# Law 6


@pytest.mark.law6
def test_a_step_keeps_no_memory():
    trainer, (X, y) = SMALL.trainer("float32"), SMALL.batch()
    arguments = JACOBIAN.of(SMALL)
    kept = []
    tracemalloc.start()
    for _ in range(3):
        for _ in range(50):
            trainer.step(X, y, **arguments)
        gc.collect()
        kept.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert kept[2] - kept[1] < 1000  # less than 20 bytes a step


# Law 7


@pytest.mark.law7
@guarding
@each_dtype
@each_known
@pytest.mark.parametrize("side", SIDES)
def test_nothing_outside_the_arrays_is_touched(side, known, dtype):
    guard = Guard(side)
    X, y = (guard.copy(array.astype(dtype)) for array in SMALL.batch())
    arguments = {name: guard.copy(np.asarray(x)) for name, x in known.of(SMALL).items()}
    trainer = SMALL.trainer(dtype, batch_size=5)
    trainer.fit(X, y, **arguments)
    trainer.evaluate(X, y, **arguments)
    trainer.loss_and_gradients(X, y, **arguments)


# Law 9


@pytest.mark.law9
@each_dtype
@pytest.mark.parametrize("case", [SMALL, BOTH], ids=["small", "both"])
def test_a_nan_in_a_weight_makes_the_loss_nan(case, dtype):
    trainer, (X, y) = case.trainer(dtype, optimizer=fastbp.Adam()), case.batch()
    arguments = Known().of(case)
    trainer.step(X, y, **arguments)
    arena = trainer.net.arrays.parameters
    for element in weight_elements(trainer.net):
        kept = arena[element]
        arena[element] = np.nan
        assert np.isnan(trainer.evaluate(X, y, **arguments)["loss"])
        before = snapshot(trainer)
        with pytest.raises(FloatingPointError, match="loss is not finite"):
            trainer.step(X, y, **arguments)
        assert snapshot(trainer) == before
        arena[element] = kept
    assert np.isfinite(trainer.step(X, y, **arguments))
