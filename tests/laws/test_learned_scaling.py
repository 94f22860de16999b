"""A learned scaling of the inputs: the first layer's weights are diag(s) W."""

import json
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.kernels import reference
from support import torch_record
from support.cases import CASES, each_dtype, each_engine
from support.central_differences import TOLERANCE, H
from support.closeness import AMPLIFICATION, distance, tolerance
from support.features import FEW, MANY, OPTIMIZERS, OTHERS, ROUTES, each_route
from support.internals import core
from support.scaling_factors import factors
from support.trainers import bits

FACTOR = 3.0
CLIPPED = {"clip_norm": 0.5}
"""Its gradient is stored before the update."""

each_way = pytest.mark.parametrize("options", [{}, CLIPPED], ids=["at once", "stored"])


def scaled(case, dtype="float64", engine="numba", optimizer=None, **options):
    return case.trainer(dtype, engine, optimizer, input_scaling=FACTOR, **options)


# Law 1


@pytest.mark.law1
def test_gradients_of_factors_equal_central_differences():
    rng = np.random.default_rng(0)
    s, W, y = rng.normal(size=5), rng.normal(size=(5, 3)), rng.normal(size=(5, 3))

    def loss(s, W):
        return np.square(reference.product(s, W) - y).sum()

    ds, dW = reference.gradients_of_factors(s, W, 2 * (reference.product(s, W) - y))
    check_along(loss, (s, W), (ds, dW), rng)


def check_along(loss, at, gradients, rng):
    """The gradients by (s, W) are the slopes of the loss along unit vectors."""
    for part in range(2):
        direction = rng.normal(size=at[part].shape)
        direction /= np.linalg.norm(direction)
        values = []
        for step in (H, -H):
            moved = list(at)
            moved[part] = at[part] + step * direction
            values.append(loss(*moved))
        along = float((gradients[part] * direction).sum())
        assert abs((values[0] - values[1]) / (2 * H) - along) <= TOLERANCE * (1 + abs(values[0]))


@pytest.mark.law1
@each_engine
@pytest.mark.parametrize("penalties", [{}, {"l1": 0.01, "l2": 0.05}], ids=["plain", "penalties"])
@pytest.mark.parametrize("case", [MANY, FEW], ids=["many", "few"])
def test_updates_of_s_and_of_w_are_by_their_gradients(case, penalties, engine):
    """The loss has the penalties of the product. s is not 1 any more, after a step."""
    lr, rng = 0.125, np.random.default_rng(4)
    trainer = scaled(case, engine=engine, optimizer=fastbp.SGD(lr=lr), **penalties)
    probe = case.trainer(engine="numpy", **penalties)
    trainer.step(*case.batch(1))
    at, rest = factors(trainer), (trainer.net.weights, trainer.net.biases)

    def loss(s, W):
        probe.net.set_parameters([s[:, None] * W, *rest[0][1:]], rest[1])
        return probe.loss_and_gradients(*case.batch())[0]

    trainer.step(*case.batch())
    (s, W), (new_s, new_W) = at, factors(trainer)
    assert np.abs(s - 1).min() > 0
    check_along(loss, at, ((s - new_s) / (FACTOR * lr), (W - new_W) / lr), rng)


# Law 2


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", (OPTIMIZERS | OTHERS).values(), ids=OPTIMIZERS | OTHERS)
@each_way
@each_dtype
def test_engines_agree_on_the_factors(dtype, options, optimizer):
    for case in ROUTES.values():
        compiled, twin = (scaled(case, dtype, e, optimizer, **options) for e in ("numba", "numpy"))
        for seed in range(3):
            compiled.step(*case.batch(seed))
            twin.step(*case.batch(seed))
        for one, other in zip(factors(compiled), factors(twin), strict=True):
            assert one.dtype == other.dtype == dtype
            assert distance(one, other) <= tolerance(case, dtype) * AMPLIFICATION


@pytest.mark.law2
@each_dtype
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_network_has_the_product(case, dtype):
    """To the bit, whatever the sizes."""
    trainer = scaled(case, dtype, optimizer=fastbp.Adam(lr=0.01))
    for seed in range(3):
        trainer.step(*case.batch(seed))
        s, W = factors(trainer)
        np.testing.assert_array_equal(trainer.net.weights[0], s[:, None] * W)
        np.testing.assert_array_equal(trainer.input_scale, s)


# Law 3

with np.load(Path(__file__).parents[1] / "data" / "torch_scaling.npz") as archive:
    RECORD = dict(archive)


@pytest.mark.law3
@each_engine
@each_dtype
@pytest.mark.parametrize("case", json.loads(str(RECORD["cases"])))
def test_twenty_steps_follow_torch_with_a_layer_that_scales(case, dtype, engine):
    network = torch_record.NETWORK
    kinds = network["activation"], network["output"]
    net = fastbp.Network(network["sizes"], *kinds, seed=0, dtype=dtype)
    net.set_parameters(*torch_record.initial(dtype))
    trainer = fastbp.Trainer(
        net,
        loss=network["loss"],
        optimizer=torch_record.optimizer(case),
        batch_size=len(torch_record.RECORD["X"][0]),
        engine=engine,
        input_scaling=float(RECORD["factor"]),
    )
    for step in range(torch_record.STEPS):
        trainer.step(*torch_record.batch(step, dtype))
    s, W = factors(trainer)
    found = {"s": s, "W0": W}
    found |= {f"W{i}": weights for i, weights in enumerate(net.weights) if i}
    found |= {f"b{i}": biases for i, biases in enumerate(net.biases)}
    for name, array in found.items():
        far = torch_record.distance(array, RECORD[f"{case}/{dtype}/{name}"])
        assert far <= torch_record.TOLERANCE[dtype], f"{name}: {far:.2g}"


# Law 4


@pytest.mark.law4
@each_way
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_bits_do_not_depend_on_the_threads(optimizer, options):
    for case in (*ROUTES.values(), CASES["many inputs"], CASES["one input"]):
        found = []
        for workers in (1, 2, 3, 7):
            trainer = scaled(case, "float32", optimizer=optimizer, **options)
            core(trainer).workers = workers
            losses = [trainer.step(*case.batch(seed)) for seed in range(3)]
            found.append((losses, bits(trainer), [f.tobytes() for f in factors(trainer)]))
        assert all(one == found[0] for one in found)


# Law 5


@pytest.mark.law5
@each_way
@each_engine
def test_fit_equals_its_steps(engine, options):
    X, y = MANY.batch()
    fitted, stepped = (scaled(MANY, "float32", engine, batch_size=15, **options) for _ in range(2))
    fitted.fit(X, y, 2, shuffle=False)
    for start in (0, 15, 30) * 2:
        stepped.step(X[start : start + 15], y[start : start + 15])
    assert bits(fitted) == bits(stepped)


@pytest.mark.law5
@each_way
@each_route
def test_embed_makes_the_trainers_steps(case, options):
    one, other = (scaled(case, "float32", **options) for _ in range(2))
    X, y = case.batch()
    X, model = X.astype(np.float32), one.compiled()
    for _ in range(3):
        assert embed.step(model, X, y) == other.step(X, y)
    assert bits(one) == bits(other)


# What it means


@each_engine
def test_a_scale_without_a_rate_of_its_own_moves_as_the_weights_do(engine):
    """A factor so small that s stays 1 in double precision leaves the steps of no scaling."""
    X, y = MANY.batch()
    plain, still = MANY.trainer(engine=engine), MANY.trainer(engine=engine, input_scaling=1e-30)
    for _ in range(3):
        assert plain.step(X, y) == still.step(X, y)
    np.testing.assert_array_equal(still.input_scale, np.ones(MANY.sizes[0]))
    np.testing.assert_array_equal(plain.net.weights[0], still.net.weights[0])


@each_engine
def test_the_gradient_that_is_clipped_is_that_of_the_product(engine):
    lr, largest = 0.5, 0.001
    trainer = scaled(MANY, engine=engine, optimizer=fastbp.SGD(lr=lr), clip_value=largest)
    trainer.step(*MANY.batch(1))
    s, W = factors(trainer)
    _, [(dW, _), *_] = trainer.loss_and_gradients(*MANY.batch())
    trainer.step(*MANY.batch())
    gradient = np.clip(dW, -largest, largest)
    assert (gradient != dW).any()
    new_s, new_W = factors(trainer)
    np.testing.assert_allclose(new_W, W - lr * s[:, None] * gradient, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(new_s, s - FACTOR * lr * (W * gradient).sum(axis=1), rtol=1e-12)


@each_engine
def test_the_average_is_that_of_the_product(engine):
    trainer = scaled(MANY, engine=engine, ema_decay=0.75)
    X, y = MANY.batch()
    trainer.step(X, y)
    expected = trainer.net.weights[0].copy()
    for _ in range(4):
        trainer.step(X, y)
        expected += 0.25 * (trainer.net.weights[0] - expected)
    found = trainer.averaged_network().weights[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@each_engine
def test_a_frozen_first_layer_keeps_its_scale(engine):
    trainer = scaled(MANY, engine=engine, lr_factors=[0, 1, 1])
    before = trainer.net.weights[0]
    trainer.step(*MANY.batch())
    np.testing.assert_array_equal(trainer.net.weights[0], before)
    np.testing.assert_array_equal(trainer.input_scale, np.ones(MANY.sizes[0]))


@each_engine
def test_rates_of_layers_and_schedules_are_those_of_the_scale_too(engine):
    options = {"lr_factors": [0.5, 1, 1], "schedule": fastbp.schedules.StepDecay(1, 0.5)}
    trainer = scaled(MANY, engine=engine, optimizer=fastbp.SGD(lr=0.25), **options)
    trainer.step(*MANY.batch(1))
    s, W = factors(trainer)
    _, [(dW, _), *_] = trainer.loss_and_gradients(*MANY.batch())
    trainer.step(*MANY.batch())
    expected = s - FACTOR * 0.25 * 0.5 * 0.5 * (W * dW).sum(axis=1)
    np.testing.assert_allclose(trainer.input_scale, expected, rtol=1e-12)


@each_engine
def test_weight_decay_is_that_of_the_factors(engine):
    """AdamW shrinks each by its own learning rate; a gradient of zeros changes nothing else."""
    lr, decay = 0.01, 0.5
    optimizer = fastbp.AdamW(lr=lr, weight_decay=decay)
    trainer = scaled(MANY, engine=engine, optimizer=optimizer)
    W = trainer.net.weights[0]
    trainer.apply_gradients(trainer.loss_and_gradients(*MANY.batch(), np.zeros(MANY.rows))[1])
    s, new_W = factors(trainer)
    np.testing.assert_allclose(s, np.full(len(s), 1 - FACTOR * lr * decay), rtol=1e-15)
    np.testing.assert_allclose(new_W, (1 - lr * decay) * W, rtol=1e-15)
